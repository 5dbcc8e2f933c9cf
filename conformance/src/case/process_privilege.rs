//! Identity, privileges and limits of the workload: what it is allowed to do.

use serde_json::json;

use super::Case;
use super::process::{facts, refused};
use crate::harness::{Lab, Result, ensure, ensure_eq, privilege};

const USER: &str = "OCI runtime-spec config.md#posix-platform-user";
const PROCESS: &str = "OCI runtime-spec config.md#process";
const LINUX: &str = "OCI runtime-spec config.md#linux-process";
const RUNC_MANUAL: &str = "runc(8), runc-create(8)";
const NOT_IN_1_1: &str = "runc 1.1 implements runtime-spec 1.0.2, which has no such property";

pub(super) const CASES: &[Case] = &[
    Case::new("process/user", "uid, gid and additionalGids are as configured", USER, user),
    Case::new("process/umask", "the umask is as configured", USER, umask),
    Case::new("process/umask-default", "without umask it is 0022", RUNC_MANUAL, umask_default),
    Case::new(
        "process/uid-minus-one",
        "uid and gid 4294967295 mean \"no change\" to setuid(2) and are refused",
        "setresuid(2); OCI runtime-spec runtime.md#create",
        uid_minus_one,
    ),
    Case::new(
        "process/capabilities",
        "five different sets arrive as given, for a user that is not root",
        "OCI runtime-spec config.md#linux-process capabilities; capabilities(7)",
        capabilities,
    ),
    Case::new(
        "process/capabilities-root",
        "root gets bounding and inheritable, and no ambient it was not given",
        "capabilities(7) (programs executed by root)",
        capabilities_root,
    ),
    Case::new(
        "process/capabilities-none",
        "without capabilities nothing is left, not even the bounding set",
        LINUX,
        capabilities_none,
    ),
    Case::new(
        "process/capability-unavailable",
        "a capability that the caller does not have is a warning",
        "OCI runtime-spec config.md#linux-process: values that cannot be mapped MUST be logged",
        capability_unavailable,
    )
    .known("runc 1.1 only warns for names it does not know, and fails to apply the others"),
    Case::new("process/rlimits", "limits are as configured", PROCESS, rlimits),
    Case::new(
        "process/rlimit-unknown",
        "a limit that nobody knows is an error",
        "OCI runtime-spec config.md#posix-process rlimits MUST generate an error",
        rlimit_unknown,
    ),
    Case::new("process/no-new-privileges", "the bit is on or off", LINUX, no_new_privileges),
    Case::new("process/oom-score-adj", "oom_score_adj is as configured", LINUX, oom_score),
    Case::new(
        "process/oom-score-adj-default",
        "without oomScoreAdj the caller's stays",
        "OCI runtime-spec config.md#linux-process oomScoreAdj MUST NOT change",
        oom_score_default,
    ),
    Case::new("process/scheduler", "policy and nice are as configured", PROCESS, scheduler)
        .known(NOT_IN_1_1),
    Case::new("process/io-priority", "class and priority are as configured", LINUX, io_priority)
        .known(NOT_IN_1_1),
];

fn user(lab: &Lab) -> Result {
    // More than 16 bits, where there are such ids.
    let high = if privilege::has_id(65_537) { 65_537 } else { 60_001 };
    let facts = facts(lab, |process| {
        process["user"] = json!({ "uid": 1234, "gid": 4321, "additionalGids": [7, 2000, high] });
    })?;
    for (name, want) in [("uid", 1234), ("euid", 1234), ("gid", 4321), ("egid", 4321)] {
        ensure_eq!(facts[name], want, "{name}");
    }
    ensure_eq!(facts["groups"], json!([7, 2000, high]), "supplementary groups");
    Ok(())
}

fn umask(lab: &Lab) -> Result {
    for mask in [0, 0o027, 0o777] {
        let facts = facts(lab, |process| process["user"]["umask"] = mask.into())?;
        ensure_eq!(facts["umask"], mask, "umask");
    }
    Ok(())
}

fn umask_default(lab: &Lab) -> Result {
    // The caller's own mask must not shine through.
    let container = lab.container(lab.bundle(|_| {})?);
    let call = container.launch("run", &[]).wrap(["sh", "-c", "umask 077; exec \"$0\" \"$@\""]);
    ensure_eq!(call.run()?.ok()?.json()?["umask"], 0o022, "umask");
    Ok(())
}

fn uid_minus_one(lab: &Lab) -> Result {
    refused(lab, |process| process["user"]["uid"] = u32::MAX.into())?;
    refused(lab, |process| process["user"]["gid"] = u32::MAX.into())
}

fn capabilities(lab: &Lab) -> Result {
    let facts = facts(lab, |process| {
        process["user"] = json!({ "uid": 1000, "gid": 1000 });
        process["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "effective": ["CAP_CHOWN"],
            "inheritable": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "ambient": ["CAP_KILL"],
        });
    })?;
    // Bits: CHOWN 0, KILL 5, NET_BIND_SERVICE 10, NET_RAW 13. For a user that is not root, execve
    // leaves in permitted and effective what is ambient.
    let want = json!({
        "bounding": "0000000000002421",
        "inheritable": "0000000000000420",
        "permitted": "0000000000000020",
        "effective": "0000000000000020",
        "ambient": "0000000000000020",
    });
    ensure_eq!(facts["capabilities"], want, "capabilities");
    Ok(())
}

fn capabilities_root(lab: &Lab) -> Result {
    let facts = facts(lab, |process| {
        process["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL"],
            "permitted": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
        });
    })?;
    let want = json!({
        "bounding": "0000000000000021",
        "inheritable": "0000000000000000",
        "permitted": "0000000000000021",
        "effective": "0000000000000021",
        "ambient": "0000000000000000",
    });
    ensure_eq!(facts["capabilities"], want, "capabilities");
    Ok(())
}

fn capabilities_none(lab: &Lab) -> Result {
    for absent in [false, true] {
        let facts = facts(lab, |process| {
            process["capabilities"] = json!({});
            if absent && let Some(process) = process.as_object_mut() {
                process.remove("capabilities");
            }
        })?;
        for set in ["bounding", "inheritable", "permitted", "effective", "ambient"] {
            ensure_eq!(facts["capabilities"][set], "0000000000000000", "{set}");
        }
    }
    Ok(())
}

fn capability_unavailable(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|config| {
        let set = json!(["CAP_KILL", "CAP_SYS_TIME"]);
        config["process"]["capabilities"] =
            json!({ "bounding": set, "permitted": set, "effective": set });
    })?);
    let without = ["setpriv", "--inh-caps=-sys_time", "--bounding-set=-sys_time"];
    let done = container.launch("run", &[]).wrap(without).run()?.ok()?;
    ensure_eq!(done.json()?["capabilities"]["effective"], "0000000000000020", "effective set");
    ensure!(
        done.stderr.contains("CAP_SYS_TIME"),
        "the warning must name CAP_SYS_TIME, but standard error is {:?}",
        done.stderr
    );
    Ok(())
}

fn rlimits(lab: &Lab) -> Result {
    let limits = [
        ("RLIMIT_NOFILE", 200, 300),
        ("RLIMIT_NPROC", 100, 100),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_FSIZE", 1 << 20, 1 << 21),
        ("RLIMIT_STACK", 4 << 20, 8 << 20),
        ("RLIMIT_CPU", 50, 60),
    ];
    let facts = facts(lab, |process| {
        process["rlimits"] = limits
            .iter()
            .map(|(name, soft, hard)| json!({ "type": name, "soft": soft, "hard": hard }))
            .collect();
    })?;
    for (name, soft, hard) in limits {
        ensure_eq!(facts["rlimits"][name], json!({ "soft": soft, "hard": hard }), "{name}");
    }
    Ok(())
}

fn rlimit_unknown(lab: &Lab) -> Result {
    refused(lab, |process| {
        process["rlimits"] = json!([{ "type": "RLIMIT_WISHES", "soft": 3, "hard": 3 }]);
    })
}

fn no_new_privileges(lab: &Lab) -> Result {
    for on in [true, false] {
        let facts = facts(lab, |process| process["noNewPrivileges"] = on.into())?;
        ensure_eq!(facts["noNewPrivileges"], u64::from(on), "NoNewPrivs with {on}");
    }
    Ok(())
}

fn oom_score(lab: &Lab) -> Result {
    let facts = facts(lab, |process| process["oomScoreAdj"] = 777.into())?;
    ensure_eq!(facts["oomScoreAdj"], "777", "oom_score_adj");
    Ok(())
}

fn oom_score_default(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|_| {})?);
    let raise = "echo 321 >/proc/self/oom_score_adj; exec \"$0\" \"$@\"";
    let done = container.launch("run", &[]).wrap(["sh", "-c", raise]).run()?.ok()?;
    ensure_eq!(done.json()?["oomScoreAdj"], "321", "oom_score_adj");
    Ok(())
}

fn scheduler(lab: &Lab) -> Result {
    let facts =
        facts(lab, |process| process["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 5 }))?;
    ensure_eq!(facts["scheduler"], libc::SCHED_BATCH, "policy");
    ensure_eq!(facts["nice"], 5, "nice");
    Ok(())
}

fn io_priority(lab: &Lab) -> Result {
    let facts = facts(lab, |process| {
        process["ioPriority"] = json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 });
    })?;
    // ioprio_set(2): the class is in the bits from 13 on.
    ensure_eq!(facts["ioPriority"], (2 << 13) | 6, "ioprio_get");
    Ok(())
}

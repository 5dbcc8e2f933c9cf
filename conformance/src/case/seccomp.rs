//! `linux.seccomp`: what the workload's system calls return under a profile.
//!
//! The guinea pig is getsid(2): it takes a number, every user may call it, and nothing that starts a
//! program needs it. A rule's own error numbers are ones that the call itself never returns.

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Done, Lab, Result, Stop, ensure_eq};

const SPEC: &str = "OCI runtime-spec config-linux.md#seccomp";

pub(super) const CASES: &[Case] = &[
    Case::new("seccomp/errno", "errnoRet is what the call returns", SPEC, errno),
    Case::new("seccomp/errno-default", "without errnoRet it is EPERM", SPEC, errno_default),
    Case::new("seccomp/default-errno", "defaultErrnoRet is for all others", SPEC, default_errno),
    Case::new("seccomp/kill-process", "the workload dies of SIGSYS", SPEC, |lab| {
        dies(lab, "SCMP_ACT_KILL_PROCESS")
    }),
    Case::new("seccomp/kill", "SCMP_ACT_KILL ends it too", SPEC, |lab| dies(lab, "SCMP_ACT_KILL")),
    Case::new("seccomp/kill-thread", "KILL_THREAD ends the only thread", SPEC, |lab| {
        dies(lab, "SCMP_ACT_KILL_THREAD")
    }),
    Case::new("seccomp/trap", "an unhandled SIGSYS ends the workload", SPEC, |lab| {
        dies(lab, "SCMP_ACT_TRAP")
    }),
    Case::new("seccomp/trap-handled", "a handled SIGSYS does not", SPEC, trap_handled),
    Case::new("seccomp/log", "LOG lets the call through", SPEC, |lab| passes(lab, "SCMP_ACT_LOG")),
    Case::new("seccomp/allow", "ALLOW lets the call through", SPEC, |lab| {
        passes(lab, "SCMP_ACT_ALLOW")
    }),
    Case::new("seccomp/first-names", "every name of a rule has its action", SPEC, several_names),
    Case::new(
        "seccomp/unknown-name",
        "names that this kernel's table does not have are skipped",
        "runc: unknown system calls are ignored (profiles are written for all architectures)",
        unknown_name,
    ),
    Case::new("seccomp/errno-on-allow", "errnoRet with ALLOW is an error", SPEC, errno_on_allow)
        .known("runc 1.1 ignores errnoRet for actions that have none"),
    Case::new("seccomp/bad-words", "unknown action, operator or architecture", SPEC, bad_words),
    Case::new(
        "seccomp/empty",
        "an empty object is no filter",
        "runc: a profile without action and rules is not applied",
        empty,
    ),
    Case::new("seccomp/absent", "without seccomp there is no filter", SPEC, absent),
    Case::new(
        "seccomp/without-no-new-privileges",
        "the filter is there for an ordinary user without noNewPrivileges",
        "seccomp(2) (needs CAP_SYS_ADMIN without no_new_privs)",
        without_no_new_privileges,
    ),
    Case::new(
        "seccomp/late",
        "with noNewPrivileges the filter does not meet what the runtime itself calls",
        "runc: the filter is loaded as late as possible",
        late,
    ),
    Case::new(
        "seccomp/x32",
        "with SCMP_ARCH_X32 rules hold for calls with the x32 bit",
        "OCI runtime-spec config-linux.md#seccomp architectures; syscall(2)",
        x32,
    ),
    Case::new(
        "seccomp/x86",
        "with SCMP_ARCH_X86 rules hold for int 0x80 by the names of that table",
        "OCI runtime-spec config-linux.md#seccomp architectures; syscall(2)",
        x86,
    ),
    Case::new("seccomp/flags", "LOG and SPEC_ALLOW are accepted", SPEC, flags)
        .known("runc before 1.1.6 supports no seccomp flags"),
    Case::new(
        "seccomp/newer-call",
        "a call newer than all of the profile is ENOSYS, so that programs fall back",
        "runc: -ENOSYS stub; moby/moby#42681",
        newer_call,
    ),
];

/// What a rule answers in these cases; no call tried here gives it by itself.
pub(super) const MARK: i64 = 77;

/// All is allowed but for this rule.
pub(super) fn only(rule: Value) -> Value {
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] })
}

/// A profile that answers getsid with [`MARK`].
fn marked() -> Value {
    only(json!({ "names": ["getsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK }))
}

/// `run` of the probe under this profile.
fn run(lab: &Lab, profile: &Value, probe: &[&str]) -> Result<Done> {
    let bundle = lab.bundle(|config| {
        config["linux"]["seccomp"] = profile.clone();
        let args: Vec<&str> = [&["/probe"], probe].concat();
        config["process"]["args"] = args.into();
    })?;
    lab.container(bundle).run()
}

/// What the probe printed under this profile.
fn said(lab: &Lab, profile: &Value, probe: &[&str]) -> Result<String> {
    Ok(run(lab, profile, probe)?.ok()?.stdout.trim().to_owned())
}

fn refused(lab: &Lab, profile: &Value) -> Result {
    run(lab, profile, &["exit", "0"])?.refused().map(drop)
}

fn errno(lab: &Lab) -> Result {
    ensure_eq!(said(lab, &marked(), &["syscall", "getsid", "0"])?, "errno 77", "getsid");
    ensure_eq!(said(lab, &marked(), &["syscall", "getuid"])?, "result 0", "getuid");
    Ok(())
}

fn errno_default(lab: &Lab) -> Result {
    let profile = only(json!({ "names": ["getsid"], "action": "SCMP_ACT_ERRNO" }));
    ensure_eq!(said(lab, &profile, &["syscall", "getsid", "0"])?, "errno 1", "getsid");
    Ok(())
}

/// What starting the probe needs (and the last steps of a runtime written in Go).
fn allowed() -> Value {
    let names = [
        "access",
        "arch_prctl",
        "brk",
        "clone",
        "clone3",
        "close",
        "dup",
        "dup2",
        "epoll_create1",
        "epoll_ctl",
        "epoll_pwait",
        "eventfd2",
        "execve",
        "exit",
        "exit_group",
        "fchdir",
        "fcntl",
        "fstat",
        "fstatfs",
        "futex",
        "getdents64",
        "getpid",
        "getppid",
        "getrandom",
        "gettid",
        "getuid",
        "ioctl",
        "lseek",
        "madvise",
        "mmap",
        "mprotect",
        "mremap",
        "munmap",
        "nanosleep",
        "newfstatat",
        "open",
        "openat",
        "pipe2",
        "poll",
        "ppoll",
        "prctl",
        "pread64",
        "prlimit64",
        "read",
        "readlink",
        "readlinkat",
        "restart_syscall",
        "rseq",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "sched_getaffinity",
        "sched_yield",
        "sendmsg",
        "set_robust_list",
        "set_tid_address",
        "sigaltstack",
        "statx",
        "tgkill",
        "uname",
        "write",
        "writev",
        "close_range",
        "execveat",
    ];
    json!([{ "names": names.as_slice(), "action": "SCMP_ACT_ALLOW" }])
}

fn default_errno(lab: &Lab) -> Result {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": MARK,
        "syscalls": allowed(),
    });
    ensure_eq!(said(lab, &profile, &["syscall", "getsid", "0"])?, "errno 77", "getsid");
    Ok(())
}

fn dies(lab: &Lab, action: &str) -> Result {
    let profile = only(json!({ "names": ["getsid"], "action": action }));
    let done = run(lab, &profile, &["syscall", "getsid", "0"])?;
    ensure_eq!(done.code, Some(128 + libc::SIGSYS), "exit status of run, {}", done.stderr);
    Ok(())
}

fn trap_handled(lab: &Lab) -> Result {
    let script = "trap 'echo trapped' SYS; umask 022; echo went on";
    let bundle = lab.bundle(|config| {
        config["linux"]["seccomp"] = only(json!({ "names": ["umask"], "action": "SCMP_ACT_TRAP" }));
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?;
    let done = lab.container(bundle).run()?.ok()?;
    ensure_eq!(done.stdout, "trapped\nwent on\n", "output of the workload");
    Ok(())
}

fn passes(lab: &Lab, action: &str) -> Result {
    let profile = only(json!({ "names": ["getsid"], "action": action }));
    ensure_eq!(said(lab, &profile, &["syscall", "getsid", "0"])?, "result 1", "getsid");
    Ok(())
}

fn several_names(lab: &Lab) -> Result {
    let names = ["getsid", "getpriority"];
    let profile = only(json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": MARK }));
    for name in names {
        ensure_eq!(said(lab, &profile, &["syscall", name, "0"])?, "errno 77", "{name}");
    }
    Ok(())
}

fn unknown_name(lab: &Lab) -> Result {
    let names = ["make_me_a_sandwich", "getsid"];
    let profile = only(json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": MARK }));
    ensure_eq!(said(lab, &profile, &["syscall", "getsid", "0"])?, "errno 77", "getsid");
    Ok(())
}

fn errno_on_allow(lab: &Lab) -> Result {
    refused(
        lab,
        &only(json!({ "names": ["getsid"], "action": "SCMP_ACT_ALLOW", "errnoRet": MARK })),
    )
}

fn bad_words(lab: &Lab) -> Result {
    refused(lab, &json!({ "defaultAction": "SCMP_ACT_DREAM" }))?;
    refused(lab, &only(json!({ "names": ["getsid"], "action": "SCMP_ACT_DREAM" })))?;
    let operator = json!([{ "index": 0, "value": 1, "op": "SCMP_CMP_NEARLY" }]);
    refused(
        lab,
        &only(json!({ "names": ["getsid"], "action": "SCMP_ACT_ERRNO", "args": operator })),
    )?;
    let mut profile = marked();
    profile["architectures"] = json!(["SCMP_ARCH_ABACUS"]);
    refused(lab, &profile)
}

/// The kernel's word about filters: 0 none, 2 a filter.
fn mode(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Value> {
    Ok(lab.container(lab.bundle(edit)?).facts()?["seccomp"].clone())
}

fn empty(lab: &Lab) -> Result {
    ensure_eq!(mode(lab, |config| config["linux"]["seccomp"] = json!({}))?, 0, "Seccomp");
    Ok(())
}

fn absent(lab: &Lab) -> Result {
    ensure_eq!(mode(lab, |_| {})?, 0, "Seccomp");
    Ok(())
}

fn without_no_new_privileges(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["linux"]["seccomp"] = marked();
        config["process"]["noNewPrivileges"] = false.into();
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    })?;
    let facts = lab.container(bundle).facts()?;
    ensure_eq!(facts["seccomp"], 2, "Seccomp");
    ensure_eq!(facts["noNewPrivileges"], 0, "NoNewPrivs");
    ensure_eq!(facts["capabilities"]["effective"], "0000000000000000", "effective set");
    Ok(())
}

fn late(lab: &Lab) -> Result {
    let names = json!([
        "setresuid",
        "setresgid",
        "setuid",
        "setgid",
        "setgroups",
        "capset",
        "chdir",
        "mount",
        "umount2",
        "pivot_root",
        "sethostname",
        "setns",
        "unshare",
        "setsid",
        "umask",
        "keyctl",
    ]);
    let bundle = lab.bundle(|config| {
        let rule = json!({ "names": names, "action": "SCMP_ACT_KILL_PROCESS" });
        config["linux"]["seccomp"] = only(rule);
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        config["process"]["args"] = json!(["/probe", "syscall", "getuid"]);
    })?;
    ensure_eq!(lab.container(bundle).run()?.ok()?.stdout.trim(), "result 1000", "getuid");
    Ok(())
}

fn x32(lab: &Lab) -> Result {
    const BIT: i64 = 0x4000_0000;
    let mut profile = marked();
    profile["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    let number = (BIT | libc::SYS_getsid).to_string();
    ensure_eq!(said(lab, &profile, &["number", &number])?, "errno 77", "getsid of x32");
    Ok(())
}

fn x86(lab: &Lab) -> Result {
    // getpid has number 20 there; in the table of x86_64 that is writev.
    const GETPID: &str = "20";
    let free = run(lab, &json!({}), &["number-x86", GETPID])?;
    if free.stdout.trim() != "result 1" {
        return Err(Stop::Skip("the host lacks 32 bit system calls (IA32 emulation)".into()));
    }
    let mut profile =
        only(json!({ "names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK }));
    profile["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    ensure_eq!(said(lab, &profile, &["number-x86", GETPID])?, "errno 77", "getpid of i386");
    // Without the architecture in the list its calls are no way around the profile.
    profile["architectures"] = json!(["SCMP_ARCH_X86_64"]);
    let done = run(lab, &profile, &["number-x86", GETPID])?;
    ensure_eq!(done.code, Some(128 + libc::SIGSYS), "status of an unlisted architecture's call");
    Ok(())
}

fn flags(lab: &Lab) -> Result {
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
    ] {
        let mut profile = marked();
        profile["flags"] = flags;
        ensure_eq!(said(lab, &profile, &["syscall", "getsid", "0"])?, "errno 77", "{profile}");
    }
    Ok(())
}

fn newer_call(lab: &Lab) -> Result {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": allowed(),
    });
    // An old call that the profile leaves out is a decision; a new one is ignorance.
    ensure_eq!(said(lab, &profile, &["syscall", "getsid", "0"])?, "errno 1", "getsid");
    ensure_eq!(said(lab, &profile, &["number", "600"])?, "errno 38", "call 600");
    Ok(())
}

//! `process` of config.json → [`Process`] of the plan. Pure.

use std::collections::HashMap;

use oci_spec::runtime::{Linux, PosixRlimitType, Process as Wanted};
use teu_wire::{Capabilities, OwnedText, Process, Rlimit, Terminal};

use super::{Inputs, capability, schedule};
use crate::error::{Error, Result};
use crate::host::Host;

/// Where programs are looked for without PATH, as execvp(3) and runc do.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What runc sets when nothing is said; its callers rely on it (README, "Where teu differs").
const DEFAULT_UMASK: u32 = 0o022;

const NONE: Capabilities =
    Capabilities { bounding: 0, effective: 0, permitted: 0, inheritable: 0, ambient: 0 };

fn text(value: &str, path: impl FnOnce() -> String) -> Result<OwnedText> {
    OwnedText::new(value).map_err(|_| Error::spec(path(), "contains a NUL byte"))
}

fn texts(values: &[String], field: &str) -> Result<Vec<OwnedText>> {
    values
        .iter()
        .enumerate()
        .map(|(index, value)| text(value, || format!("{field}[{index}]")))
        .collect()
}

/// Lowers the section.
///
/// # Errors
/// What the specification does not allow or this host cannot do, with its JSON path.
pub(crate) fn lower(
    wanted: &Wanted,
    linux: Option<&Linux>,
    host: &Host,
    inputs: &Inputs<'_>,
    user_namespace: bool,
    warnings: &mut Vec<String>,
) -> Result<Process> {
    let args = wanted.args().as_deref().unwrap_or_default();
    let mut env = wanted.env().clone().unwrap_or_default();
    if inputs.listen_fds > 0 {
        // The workload is the process that they are for, whatever its pid was for the caller.
        env.push(format!("LISTEN_FDS={}", inputs.listen_fds));
        env.push("LISTEN_PID=1".into());
    }
    // Afterwards: a number that the configuration has from somewhere else is not true of these descriptors.
    let env = deduplicate(&env);
    let user = wanted.user();
    mapped(user.uid(), inputs.host_uid, "process.user.uid")?;
    mapped(user.gid(), inputs.host_gid, "process.user.gid")?;
    // It concerns further processes only, and is wrong already now.
    schedule::affinity(wanted.exec_cpu_affinity().as_ref())?;
    let cell = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    let asked = wanted.console_size().map(|size| (cell(size.height()), cell(size.width())));
    let (height, width) = inputs.window.or(asked).unwrap_or_default();
    Ok(Process {
        args: texts(args, "process.args")?,
        home: !env.iter().any(|entry| entry.starts_with("HOME=")),
        candidates: candidates(args, &env)?,
        env: texts(&env, "process.env")?,
        cwd: text(&wanted.cwd().to_string_lossy(), || "process.cwd".into())?,
        uid: user.uid(),
        gid: user.gid(),
        groups: groups(wanted, inputs)?,
        umask: umask(user.umask())?,
        // What is not given is not had: without the section there are none.
        capabilities: Some(
            wanted
                .capabilities()
                .as_ref()
                .map_or(NONE, |sets| capability::lower(sets, host, user_namespace, warnings)),
        ),
        last_capability: u32::from(host.last_capability),
        no_new_privileges: wanted.no_new_privileges().unwrap_or(false),
        rlimits: rlimits(wanted),
        oom_score_adj: oom_score_adj(wanted)?,
        oom_score_may_stay: inputs.rootless,
        terminal: wanted.terminal().unwrap_or(false).then_some(Terminal {
            height,
            width,
            bare_lines: inputs.bare_lines,
        }),
        seccomp: None,
        apparmor: apparmor(wanted.apparmor_profile(), host)?,
        selinux: label(wanted.selinux_label(), host.selinux, "process.selinuxLabel", "SELinux")?,
        keyring: (!inputs.no_new_keyring)
            .then(|| text(&format!("_ses.{}", inputs.id), || "id".into()))
            .transpose()?,
        scheduler: wanted.scheduler().as_ref().map(schedule::scheduler).transpose()?,
        io_priority: wanted.io_priority().as_ref().map(schedule::io_priority).transpose()?,
        memory_policy: linux
            .and_then(|linux| linux.memory_policy().as_ref())
            .map(schedule::memory_policy)
            .transpose()?,
        personality: linux
            .and_then(|linux| linux.personality().as_ref())
            .map(schedule::personality)
            .transpose()?,
        preserve_fds: inputs.listen_fds + inputs.preserve_fds,
    })
}

/// Order is kept; of entries for one name the last stays, in the place of the first.
fn deduplicate(env: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(env.len());
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in env {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        match places.get(name) {
            Some(place) => kept[*place].clone_from(entry),
            None => {
                places.insert(name, kept.len());
                kept.push(entry.clone());
            }
        }
    }
    kept
}

/// The paths to try, as execvp(3) would.
fn candidates(args: &[String], env: &[String]) -> Result<Vec<OwnedText>> {
    let program = args.first().map(String::as_str).unwrap_or_default();
    let field = || "process.args[0]".into();
    if program.contains('/') {
        return Ok(vec![text(program, field)?]);
    }
    let path = env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(':')
        // An empty part means the working directory, from which nothing is to be started by accident.
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| {
            text(&format!("{}/{program}", directory.trim_end_matches('/')), || {
                "process.args[0]".into()
            })
        })
        .collect()
}

fn mapped(id: u32, host: &dyn Fn(u32) -> Option<u32>, field: &str) -> Result<()> {
    match host(id) {
        Some(_) => Ok(()),
        None => Err(Error::spec(
            field,
            format_args!("{id} is not mapped in the container's user namespace"),
        )),
    }
}

fn groups(wanted: &Wanted, inputs: &Inputs<'_>) -> Result<Option<Vec<u32>>> {
    let groups = wanted.user().additional_gids().as_deref().unwrap_or_default();
    if inputs.setgroups_denied {
        return match groups {
            [] => Ok(None),
            _ => Err(Error::unsupported(
                "process.user.additionalGids",
                "setgroups(2) is denied to a user namespace whose maps an unprivileged user wrote",
            )),
        };
    }
    for (index, gid) in groups.iter().enumerate() {
        mapped(*gid, inputs.host_gid, &format!("process.user.additionalGids[{index}]"))?;
    }
    Ok(Some(groups.to_vec()))
}

fn umask(wanted: Option<u32>) -> Result<u32> {
    match wanted {
        None => Ok(DEFAULT_UMASK),
        Some(umask) if umask <= 0o777 => Ok(umask),
        Some(umask) => Err(Error::spec(
            "process.user.umask",
            format_args!("{umask} (0o{umask:o}) has more than nine bits"),
        )),
    }
}

fn rlimits(wanted: &Wanted) -> Vec<Rlimit> {
    let number = |kind: PosixRlimitType| match kind {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    };
    let limits = wanted.rlimits().iter().flatten();
    limits
        .map(|limit| Rlimit {
            resource: number(limit.typ()),
            soft: limit.soft(),
            hard: limit.hard(),
        })
        .collect()
}

fn oom_score_adj(wanted: &Wanted) -> Result<Option<i32>> {
    match wanted.oom_score_adj() {
        Some(value) if !(-1000..=1000).contains(&value) => Err(Error::spec(
            "process.oomScoreAdj",
            format_args!("{value} is not between -1000 and 1000"),
        )),
        other => Ok(other),
    }
}

/// Without AppArmor everything is unconfined.
fn apparmor(wanted: &Option<String>, host: &Host) -> Result<Option<OwnedText>> {
    if !host.apparmor && wanted.as_deref() == Some("unconfined") {
        return Ok(None);
    }
    label(wanted, host.apparmor, "process.apparmorProfile", "AppArmor")
}

/// A label that cannot be applied is never left out in silence.
fn label(
    wanted: &Option<String>,
    enabled: bool,
    field: &str,
    what: &str,
) -> Result<Option<OwnedText>> {
    match wanted.as_deref().filter(|label| !label.is_empty()) {
        None => Ok(None),
        Some(label) if enabled => text(label, || field.into()).map(Some),
        Some(label) => Err(Error::unsupported(
            field,
            format_args!("{label:?} is asked for, but {what} is not enabled on this host"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn process(more: Value) -> Result<Process> {
        listening(0, more)
    }

    fn listening(listen_fds: u32, more: Value) -> Result<Process> {
        let mut config = json!({"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let wanted: Wanted = serde_json::from_value(config).unwrap();
        let inputs = Inputs {
            id: "c",
            no_new_keyring: false,
            listen_fds,
            preserve_fds: 0,
            window: None,
            bare_lines: false,
            host_uid: &|uid| (uid < 1000).then_some(uid),
            host_gid: &|gid| (gid < 1000).then_some(gid),
            setgroups_denied: false,
            rootless: false,
        };
        lower(&wanted, None, &Host::for_test(), &inputs, false, &mut Vec::new())
    }

    fn strings(texts: &[OwnedText]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_program_is_looked_for_in_the_containers_path() {
        let with_path = process(json!({"env": ["PATH=/a:/b/::rel"]})).unwrap();
        assert_eq!(strings(&with_path.candidates), ["/a/sh", "/b/sh"]);
        assert_eq!(process(json!({})).unwrap().candidates.len(), 6);
        assert_eq!(strings(&process(json!({"args": ["./x"]})).unwrap().candidates), ["./x"]);
    }

    #[test]
    fn the_environment_keeps_order_and_the_last_word() {
        let lowered = process(json!({"env": ["A=1", "B=2", "A=3", "HOME=/h"]})).unwrap();
        assert_eq!(strings(&lowered.env), ["A=3", "B=2", "HOME=/h"]);
        assert!(!lowered.home);
        assert!(process(json!({})).unwrap().home);
    }

    #[test]
    fn listening_sockets_are_announced_once() {
        let foreign = json!({"env": ["LISTEN_FDS=7", "A=1", "LISTEN_PID=9"]});
        let lowered = listening(2, foreign.clone()).unwrap();
        assert_eq!(strings(&lowered.env), ["LISTEN_FDS=2", "A=1", "LISTEN_PID=1"]);
        assert_eq!(lowered.preserve_fds, 2);
        // Without any, the configuration's own words are not the runtime's business.
        assert_eq!(strings(&process(foreign).unwrap().env).len(), 3);
    }

    #[test]
    fn an_explicit_false_is_as_good_as_nothing() {
        let absent = process(json!({})).unwrap();
        assert_eq!(absent, process(json!({"noNewPrivileges": false, "terminal": false})).unwrap());
        assert_eq!(absent.umask, 0o022);
    }

    #[test]
    fn unconfined_needs_no_apparmor() {
        let unconfined = process(json!({"apparmorProfile": "unconfined"})).unwrap();
        assert_eq!(unconfined.apparmor, None);
        assert_eq!(
            process(json!({"apparmorProfile": "", "selinuxLabel": ""})).unwrap(),
            unconfined
        );
    }

    #[test]
    fn what_cannot_be_names_its_field() {
        for (more, path) in [
            (json!({"user": {"uid": 1000, "gid": 0}}), "process.user.uid"),
            (json!({"user": {"uid": 0, "gid": 1000}}), "process.user.gid"),
            (
                json!({"user": {"uid": 0, "gid": 0, "additionalGids": [1, 5000]}}),
                "process.user.additionalGids[1]",
            ),
            (json!({"user": {"uid": 0, "gid": 0, "umask": 4096}}), "process.user.umask"),
            (json!({"oomScoreAdj": 2000}), "process.oomScoreAdj"),
            (json!({"apparmorProfile": "x"}), "process.apparmorProfile"),
            (json!({"selinuxLabel": "x"}), "process.selinuxLabel"),
            (json!({"scheduler": {"policy": "SCHED_ISO"}}), "process.scheduler.policy"),
            (
                json!({"scheduler": {"policy": "SCHED_OTHER", "priority": 5}}),
                "process.scheduler.priority",
            ),
            (
                json!({"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 9}}),
                "process.ioPriority.priority",
            ),
        ] {
            assert_eq!(process(more.clone()).unwrap_err().path(), Some(path), "{more}");
        }
    }
}

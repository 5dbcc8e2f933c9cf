//! What a configuration has to say beyond its types: small checks, one a rule.

use oci_spec::runtime::{Hook, Process, Spec};

use crate::error::{Error, Result};

/// All checks.
pub(super) fn check(spec: &Spec, warnings: &mut Vec<String>) -> Result<()> {
    version(spec.version())?;
    if spec.root().is_none() {
        return Err(Error::spec("root", "missing: where is the container's root file system?"));
    }
    if let Some(process) = spec.process() {
        process_fields(process)?;
    }
    hooks(spec)?;
    super::sysctl::check(spec)?;
    annotations(spec)?;
    let others = [
        ("windows", spec.windows().is_some()),
        ("solaris", spec.solaris().is_some()),
        ("zos", spec.zos().is_some()),
    ];
    for (name, _) in others.into_iter().filter(|(_, given)| *given) {
        warnings.push(format!("config.json: {name}: not this platform, ignored"));
    }
    if spec.vm().is_some() {
        warnings.push("config.json: vm: this runtime starts no virtual machines, ignored".into());
    }
    Ok(())
}

/// config.md, "Specification version": SemVer; any minor version of 1 is understood as far as it goes.
fn version(version: &str) -> Result<()> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u32>> = core.split('.').map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [Some(1), Some(_), Some(_)] => Ok(()),
        [Some(_), Some(_), Some(_)] => Err(Error::spec(
            "ociVersion",
            format_args!("{version:?} is not a version 1 that this runtime knows"),
        )),
        _ => {
            Err(Error::spec("ociVersion", format_args!("{version:?} is not a version like 1.3.0")))
        }
    }
}

fn no_nul(text: &str, path: impl FnOnce() -> String) -> Result<()> {
    if text.contains('\0') { Err(Error::spec(path(), "contains a NUL byte")) } else { Ok(()) }
}

/// The process of a configuration, or of `exec`.
pub(crate) fn process_fields(process: &Process) -> Result<()> {
    let args = process.args().as_deref().unwrap_or_default();
    if args.first().is_none_or(String::is_empty) {
        return Err(Error::spec("process.args", "empty: what is the container to run?"));
    }
    for (index, argument) in args.iter().enumerate() {
        no_nul(argument, || format!("process.args[{index}]"))?;
    }
    for (index, entry) in process.env().iter().flatten().enumerate() {
        no_nul(entry, || format!("process.env[{index}]"))?;
    }
    if !process.cwd().is_absolute() {
        return Err(Error::spec(
            "process.cwd",
            format_args!("{:?} is not an absolute path", process.cwd()),
        ));
    }
    no_nul(&process.cwd().to_string_lossy(), || "process.cwd".into())?;
    let user = process.user();
    for (id, path) in [(user.uid(), "process.user.uid"), (user.gid(), "process.user.gid")] {
        // setresuid(2) reads it as "leave it as it is": as root, that is (CVE-2024-40635 was of this kind).
        if id == u32::MAX {
            return Err(Error::spec(path, "4294967295 is not an id"));
        }
    }
    rlimits(process)
}

fn rlimits(process: &Process) -> Result<()> {
    let rlimits = process.rlimits().as_deref().unwrap_or_default();
    for (index, rlimit) in rlimits.iter().enumerate() {
        if let Some(first) = rlimits[..index].iter().position(|other| other.typ() == rlimit.typ()) {
            return Err(Error::spec(
                format!("process.rlimits[{index}].type"),
                format_args!("{} is in process.rlimits[{first}] already", rlimit.typ()),
            ));
        }
        if rlimit.soft() > rlimit.hard() {
            return Err(Error::spec(
                format!("process.rlimits[{index}].soft"),
                format_args!("{} is above the hard limit {}", rlimit.soft(), rlimit.hard()),
            ));
        }
    }
    Ok(())
}

#[allow(deprecated)]
fn hooks(spec: &Spec) -> Result<()> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    let stages: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (stage, list) in stages {
        for (index, hook) in list.iter().flatten().enumerate() {
            let path = format!("hooks.{stage}[{index}]");
            if !hook.path().is_absolute() {
                return Err(Error::spec(
                    format!("{path}.path"),
                    format_args!("{:?} is not an absolute path", hook.path()),
                ));
            }
            if hook.timeout().is_some_and(|timeout| timeout <= 0) {
                return Err(Error::spec(format!("{path}.timeout"), "not above 0 seconds"));
            }
            no_nul(&hook.path().to_string_lossy(), || format!("{path}.path"))?;
            for text in hook.args().iter().flatten().chain(hook.env().iter().flatten()) {
                no_nul(text, || path.clone())?;
            }
        }
    }
    Ok(())
}

fn annotations(spec: &Spec) -> Result<()> {
    for (key, value) in spec.annotations().iter().flatten() {
        if key.is_empty() {
            return Err(Error::spec("annotations", "an empty key"));
        }
        no_nul(key, || "annotations".into())?;
        no_nul(value, || format!("annotations[{key:?}]"))?;
    }
    Ok(())
}

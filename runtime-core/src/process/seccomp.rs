//! linux.seccomp → a BPF program (config-linux.md, "Seccomp"; seccomp(2)).
//!
//! Owns the check of the profile and its compilation with libseccomp, on the caller's side: it needs
//! milliseconds and memory that must not be the container's. Installing the program is init's.

use crate::error::{Error, Result};
use crate::process::{seccomp_cache, seccomp_enosys};
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use teu_wire::{OwnedBytes, Seccomp};
use tracing::debug;

const SECCOMP_FILTER_FLAG_LOG: u32 = 1 << 1;
const SECCOMP_FILTER_FLAG_SPEC_ALLOW: u32 = 1 << 2;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u32 = 1 << 3;
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// What libseccomp takes: one less than the MAX_ERRNO of the kernel.
const MAX_ERRNO: u32 = 4094;
const EPERM: u32 = 1;

/// libseccomp up to 2.5.4 goes wrong on a tree without rules, and a short chain is as good: runc's bound.
const TREE_FROM: usize = 32;

/// Compiles a profile, with the programs of earlier containers at hand below the state root.
///
/// Whether the container gives up new privileges decides when init installs the filter, not what it says.
///
/// # Errors
/// A profile that breaks the specification, or that libseccomp refuses.
pub(crate) fn compile_cached(
    profile: &LinuxSeccomp,
    _no_new_privileges: bool,
    state_root: &Path,
) -> Result<Option<Seccomp>> {
    check(profile)?;
    let key = seccomp_cache::key(profile)?;
    let program = match seccomp_cache::load(state_root, &key) {
        Some(program) => program,
        None => {
            let program = program(profile)?;
            seccomp_cache::store(state_root, &key, &program);
            program
        }
    };
    Ok(Some(filter(profile, program)))
}

/// Compiles a profile.
///
/// # Errors
/// As [`compile_cached`].
#[cfg(test)]
pub(crate) fn compile(profile: &LinuxSeccomp) -> Result<Seccomp> {
    check(profile)?;
    Ok(filter(profile, program(profile)?))
}

fn filter(profile: &LinuxSeccomp, program: Vec<u8>) -> Seccomp {
    let notify = notifies(profile);
    Seccomp { flags: flags(profile, notify), program: OwnedBytes(program), notify }
}

fn syscalls(profile: &LinuxSeccomp) -> &[LinuxSyscall] {
    profile.syscalls().as_deref().unwrap_or_default()
}

fn notifies(profile: &LinuxSeccomp) -> bool {
    syscalls(profile).iter().any(|rule| rule.action() == LinuxSeccompAction::ScmpActNotify)
}

fn flags(profile: &LinuxSeccomp, notify: bool) -> u32 {
    let mut bits = if notify { SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    let Some(flags) = profile.flags() else {
        // The mitigation of speculative store bypass costs more than the profile protects; runc and crun
        // leave it out too unless the flags are given (runc#2430).
        return bits | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    };
    for flag in flags {
        bits |= match flag {
            // Init has one thread.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => SECCOMP_FILTER_FLAG_LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            // About waiting for a listener's answer; without a listener the kernel refuses it (EINVAL).
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if notify => {
                SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
            }
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
        };
    }
    bits
}

/// The rules of the specification that need no libseccomp.
///
/// # Errors
/// The rule that is broken, with the JSON path.
pub(crate) fn check(profile: &LinuxSeccomp) -> Result<()> {
    use LinuxSeccompAction::ScmpActNotify;
    let default = profile.default_action();
    action(default, profile.default_errno_ret(), || "linux.seccomp.defaultErrnoRet".into())?;
    if default == ScmpActNotify {
        // Even the message that carries the listener out would wait for an answer.
        return Err(Error::spec(
            "linux.seccomp.defaultAction",
            "SCMP_ACT_NOTIFY cannot be used as default action",
        ));
    }
    for (index, rule) in syscalls(profile).iter().enumerate() {
        let at = |field: &str| format!("linux.seccomp.syscalls[{index}].{field}");
        action(rule.action(), rule.errno_ret(), || at("errnoRet"))?;
        if rule.names().is_empty() {
            return Err(Error::spec(at("names"), "empty; it needs at least one system call"));
        }
        if let Some(place) = rule.names().iter().position(String::is_empty) {
            return Err(Error::spec(at(&format!("names[{place}]")), "empty"));
        }
        // Init itself writes and sends once the filter is in place: the listener goes out that way.
        let own = |name: &&String| matches!(name.as_str(), "write" | "sendmsg");
        if rule.action() == ScmpActNotify
            && let Some(name) = rule.names().iter().find(own)
        {
            return Err(Error::spec(
                at("action"),
                format_args!("SCMP_ACT_NOTIFY cannot be used for the {name} syscall"),
            ));
        }
        for (place, arg) in rule.args().iter().flatten().enumerate() {
            if arg.index() > 5 {
                return Err(Error::spec(
                    at(&format!("args[{place}].index")),
                    format_args!("{}: a system call has the arguments 0 to 5", arg.index()),
                ));
            }
        }
    }
    listener(profile)
}

fn listener(profile: &LinuxSeccomp) -> Result<()> {
    let given = |text: &str| !text.is_empty();
    let path = profile.listener_path().as_deref().and_then(Path::to_str).is_some_and(given);
    if notifies(profile) && !path {
        return Err(Error::spec(
            "linux.seccomp.listenerPath",
            "missing; SCMP_ACT_NOTIFY needs somebody to answer",
        ));
    }
    if !path && profile.listener_metadata().as_deref().is_some_and(given) {
        return Err(Error::spec("linux.seccomp.listenerMetadata", "needs listenerPath"));
    }
    Ok(())
}

/// An action with its number. "errnoRet [...] MUST cause an error if the action does not support it".
pub(crate) fn action(
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    path: impl Fn() -> String,
) -> Result<ScmpAction> {
    use LinuxSeccompAction as A;
    let value = errno_ret.unwrap_or(EPERM);
    let too_large =
        |limit: u32| Err(Error::spec(path(), format_args!("{value} is more than {limit}")));
    let plain = match action {
        A::ScmpActErrno if value > MAX_ERRNO => return too_large(MAX_ERRNO),
        // Both fit: the bounds are checked right here.
        A::ScmpActErrno => return Ok(ScmpAction::Errno(value as i32)),
        A::ScmpActTrace => {
            return match u16::try_from(value) {
                Ok(value) => Ok(ScmpAction::Trace(value)),
                Err(_) => too_large(u32::from(u16::MAX)),
            };
        }
        A::ScmpActKill | A::ScmpActKillThread => ScmpAction::KillThread,
        A::ScmpActKillProcess => ScmpAction::KillProcess,
        A::ScmpActTrap => ScmpAction::Trap,
        A::ScmpActNotify => ScmpAction::Notify,
        A::ScmpActLog => ScmpAction::Log,
        A::ScmpActAllow => ScmpAction::Allow,
    };
    match errno_ret {
        None => Ok(plain),
        Some(_) => Err(Error::spec(path(), format_args!("{action} returns no number"))),
    }
}

/// libseccomp's name of an architecture; the native one has a name of its own too.
pub(crate) fn architecture(arch: Arch) -> ScmpArch {
    match arch {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        Arch::ScmpArchLoongarch64 => ScmpArch::Loongarch64,
        Arch::ScmpArchM68k => ScmpArch::M68k,
        Arch::ScmpArchSh => ScmpArch::Sh,
        Arch::ScmpArchSheb => ScmpArch::Sheb,
    }
}

fn failed(what: impl std::fmt::Display) -> impl FnOnce(libseccomp::error::SeccompError) -> Error {
    move |error| Error::spec("linux.seccomp", format_args!("libseccomp: {what}: {error}"))
}

/// The whole program: what is newer than the profile first, then libseccomp's filter.
fn program(profile: &LinuxSeccomp) -> Result<Vec<u8>> {
    let default = action(profile.default_action(), profile.default_errno_ret(), String::new)?;
    let mut context = ScmpFilterContext::new(default).map_err(failed("making a filter"))?;
    let mut architectures = vec![ScmpArch::native()];
    for arch in profile.architectures().iter().flatten() {
        let arch = architecture(*arch);
        match context.add_arch(arch) {
            Ok(_) if arch == ScmpArch::Native || architectures.contains(&arch) => {}
            Ok(_) => architectures.push(arch),
            // Another byte order, or newer than libseccomp: this machine's processes are never of it, and if
            // one were, libseccomp's answer to architectures that are not in the filter is to kill it.
            Err(error) => debug!("seccomp architecture {arch:?} left out: {error}"),
        }
    }
    if syscalls(profile).len() > TREE_FROM || many_names(profile) {
        // A speed-up only, so a library without it is as good.
        if let Err(error) = context.set_ctl_optimize(2) {
            debug!("seccomp binary tree not available: {error}");
        }
    }
    for (index, rule) in syscalls(profile).iter().enumerate() {
        let action = action(rule.action(), rule.errno_ret(), String::new)?;
        // libseccomp refuses a rule that says what the default says already.
        if action != default {
            add(&mut context, rule, action, index)?;
        }
    }
    let mut bytes = seccomp_enosys::prologue(profile, &architectures);
    export(&context, &mut bytes)?;
    Ok(bytes)
}

fn many_names(profile: &LinuxSeccomp) -> bool {
    syscalls(profile).iter().map(|rule| rule.names().len()).sum::<usize>() > TREE_FROM
}

fn add(
    context: &mut ScmpFilterContext,
    rule: &LinuxSyscall,
    action: ScmpAction,
    index: usize,
) -> Result<()> {
    let args = rule.args().as_deref().unwrap_or_default();
    let compares: Vec<ScmpArgCompare> = args.iter().map(compare).collect();
    // libseccomp takes one condition for each argument. Profiles that have several always meant "one of
    // them": that is what runc made of them before libseccomp could do better.
    let any_of = (1..args.len())
        .any(|place| args[..place].iter().any(|one| one.index() == args[place].index()));
    for name in rule.names() {
        let Ok(syscall) = ScmpSyscall::from_name(name) else {
            debug!("unknown seccomp syscall {name:?} ignored");
            continue;
        };
        let added = if compares.is_empty() {
            context.add_rule(action, syscall).map(drop)
        } else if any_of {
            compares.iter().try_for_each(|one| {
                context.add_rule_conditional(action, syscall, std::slice::from_ref(one)).map(drop)
            })
        } else {
            context.add_rule_conditional(action, syscall, &compares).map(drop)
        };
        added.map_err(|error| {
            Error::spec(
                format!("linux.seccomp.syscalls[{index}]"),
                format_args!("libseccomp refuses the rule for {name}: {error}"),
            )
        })?;
    }
    Ok(())
}

fn compare(arg: &LinuxSeccompArg) -> ScmpArgCompare {
    use LinuxSeccompOperator as O;
    let (operator, value) = match arg.op() {
        O::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        O::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        O::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        O::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        O::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        O::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        // The specification's value is the mask here, and valueTwo what is left of the argument.
        O::ScmpCmpMaskedEq => {
            (ScmpCompareOp::MaskedEqual(arg.value()), arg.value_two().unwrap_or(0))
        }
    };
    // Checked to be at most 5.
    ScmpArgCompare::new(arg.index() as u32, operator, value)
}

/// libseccomp writes to descriptors only (until 2.6, which Debian 12 does not have).
fn export(context: &ScmpFilterContext, bytes: &mut Vec<u8>) -> Result<()> {
    let memory = rustix::fs::memfd_create("teu-seccomp", MemfdFlags::CLOEXEC)
        .map_err(|errno| Error::os("memfd_create(teu-seccomp)", errno))?;
    context.export_bpf(&memory).map_err(failed("writing the filter"))?;
    let mut memory = File::from(memory);
    memory
        .rewind()
        .and_then(|()| memory.read_to_end(bytes))
        .map(drop)
        .map_err(|error| Error::os("read(teu-seccomp)", error))
}

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;

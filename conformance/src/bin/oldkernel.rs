//! `oldkernel`: a runtime on a kernel, or in a sandbox, that lacks system calls.
//!
//! `oldkernel WITHOUT RUNTIME [ARGUMENT]...` becomes RUNTIME under a seccomp filter. WITHOUT is a version of Linux,
//! and every call and flag that came later is missing (`5.4`), or their names with commas between (`clone3,openat2`).
//! What is missing answers as that kernel would: a call with ENOSYS, a flag with EINVAL. `EPERM:` in front has calls
//! answer what filters do that were written before them. Whatever the runtime starts is under the filter, too.
//! `oldkernel list` prints the calls. The suite calls it by `conformance run --runtime oldkernel --runtime-arg WITHOUT --runtime-arg RUNTIME`.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

/// What a filter can keep back: its name, the Linux that brought it, and the call.
struct Feature {
    name: &'static str,
    since: (u32, u32),
    /// Number on x86-64: libseccomp does not know the names of the newest.
    call: i32,
    /// Which uses of the call are meant: one of these masks of bits, all set, in an argument. None: all uses.
    flags: Option<(u32, &'static [u64])>,
}

const fn call(name: &'static str, major: u32, minor: u32, call: i32) -> Feature {
    Feature { name, since: (major, minor), call, flags: None }
}

const fn flag(
    name: &'static str,
    since: (u32, u32),
    call: i32,
    flags: (u32, &'static [u64]),
) -> Feature {
    Feature { name, since, call, flags: Some(flags) }
}

/// CLONE_NEW* of setns(2): the pairs of those that are common, one of which is in all that more than one is in.
const PAIRS: [u64; 6] =
    [0x6000_0000, 0x2002_0000, 0x4002_0000, 0x0802_0000, 0x0402_0000, 0x0202_0000];

/// arch/x86/entry/syscalls/syscall_64.tbl from Linux 5.1 on, and the flags that teu uses.
const FEATURES: [Feature; 34] = [
    call("pidfd_send_signal", 5, 1, 424),
    call("io_uring_setup", 5, 1, 425),
    call("io_uring_enter", 5, 1, 426),
    call("io_uring_register", 5, 1, 427),
    call("open_tree", 5, 2, 428),
    call("move_mount", 5, 2, 429),
    call("fsopen", 5, 2, 430),
    call("fsconfig", 5, 2, 431),
    call("fsmount", 5, 2, 432),
    call("fspick", 5, 2, 433),
    call("pidfd_open", 5, 3, 434),
    call("clone3", 5, 3, 435),
    flag("waitid(P_PIDFD)", (5, 4), 247, (0, &[3])),
    call("openat2", 5, 6, 437),
    call("pidfd_getfd", 5, 6, 438),
    call("faccessat2", 5, 8, 439),
    flag("setns(pidfd)", (5, 8), 308, (1, &PAIRS)),
    call("close_range", 5, 9, 436),
    call("process_madvise", 5, 10, 440),
    flag("close_range(CLOEXEC)", (5, 11), 436, (2, &[4])),
    call("epoll_pwait2", 5, 11, 441),
    call("mount_setattr", 5, 12, 442),
    call("landlock_create_ruleset", 5, 13, 444),
    call("landlock_add_rule", 5, 13, 445),
    call("landlock_restrict_self", 5, 13, 446),
    call("quotactl_fd", 5, 14, 443),
    call("memfd_secret", 5, 14, 447),
    call("process_mrelease", 5, 15, 448),
    call("futex_waitv", 5, 16, 449),
    call("set_mempolicy_home_node", 5, 17, 450),
    flag("memfd_create(EXEC)", (6, 3), 319, (1, &[0x10])),
    call("cachestat", 6, 5, 451),
    call("fchmodat2", 6, 6, 452),
    call("statmount", 6, 8, 457),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|word| word == "list") {
        let calls = FEATURES.iter().filter(|feature| feature.flags.is_none());
        calls.for_each(|feature| println!("{}", feature.name));
        return ExitCode::SUCCESS;
    }
    let (Some(without), Some(runtime)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: oldkernel WITHOUT RUNTIME [ARGUMENT]... | oldkernel list");
        return ExitCode::from(2);
    };
    if let Err(error) = forget(&without.to_string_lossy()) {
        eprintln!("oldkernel: {error}");
        return ExitCode::from(2);
    }
    let error = Command::new(&runtime).args(arguments).exec();
    eprintln!("oldkernel: {}: {error}", runtime.display());
    ExitCode::from(2)
}

/// Puts this process, and what it becomes, under the filter.
fn forget(without: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (answer, without) = match without.strip_prefix("EPERM:") {
        Some(rest) => (libc::EPERM, rest),
        None => (libc::ENOSYS, without),
    };
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    // Whether a program may gain privileges is none of this one's business.
    filter.set_ctl_nnp(false)?;
    // Nor are the calls of 32 bit programs.
    filter.set_act_badarch(ScmpAction::Allow)?;
    for feature in chosen(without)? {
        let call = ScmpSyscall::from_raw_syscall(feature.call);
        let Some((argument, masks)) = feature.flags else {
            filter.add_rule(ScmpAction::Errno(answer), call)?;
            continue;
        };
        for mask in masks {
            let compare = ScmpArgCompare::new(argument, ScmpCompareOp::MaskedEqual(*mask), *mask);
            filter.add_rule_conditional(ScmpAction::Errno(libc::EINVAL), call, &[compare])?;
        }
    }
    filter.load()?;
    Ok(())
}

fn chosen(without: &str) -> Result<Vec<&'static Feature>, String> {
    if let Some((major, minor)) = without.split_once('.')
        && let (Ok(major), Ok(minor)) = (major.parse(), minor.parse())
    {
        return Ok(FEATURES.iter().filter(|feature| feature.since > (major, minor)).collect());
    }
    without
        .split(',')
        .map(|name| {
            FEATURES
                .iter()
                .find(|feature| feature.name == name)
                .ok_or_else(|| format!("{name:?} is neither a version nor a call newer than 5.0"))
        })
        .collect()
}

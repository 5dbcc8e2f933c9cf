//! What a profile says of system calls that are newer than it: ENOSYS, not its default action.
//!
//! A C library that tries a new system call falls back to the old one only on ENOSYS; with the EPERM of a
//! profile that was written before the call existed, programs break (runc#2151). So the program starts with
//! a few instructions that answer ENOSYS for every number above the highest one that the profile names.

use libseccomp::{ScmpArch, ScmpSyscall};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction};

/// One struct sock_filter (linux/filter.h).
type Instruction = (u16, u8, u8, u32);

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const ENOSYS: u32 = 38;
const RETURN_ENOSYS: Instruction = (RETURN, 0, 0, 0x0005_0000 | ENOSYS);

/// x32 shares its architecture with x86-64; its numbers have this bit.
const X32_BIT: u32 = 0x4000_0000;

/// The instructions that go before libseccomp's filter, which loads all that it needs itself.
pub(crate) fn prologue(profile: &LinuxSeccomp, architectures: &[ScmpArch]) -> Vec<u8> {
    use LinuxSeccompAction as A;
    // What the default lets through reaches the kernel, which says ENOSYS itself; a tracer wants to see it.
    let through =
        matches!(profile.default_action(), A::ScmpActAllow | A::ScmpActLog | A::ScmpActTrace);
    let mut code: Vec<Instruction> = Vec::new();
    if !through {
        for arch in architectures {
            section(profile, *arch, architectures, &mut code);
        }
    }
    let mut bytes = Vec::with_capacity(8 * code.len());
    for (operation, jump_true, jump_false, value) in code {
        bytes.extend_from_slice(&operation.to_ne_bytes());
        bytes.extend_from_slice(&[jump_true, jump_false]);
        bytes.extend_from_slice(&value.to_ne_bytes());
    }
    bytes
}

fn section(profile: &LinuxSeccomp, arch: ScmpArch, all: &[ScmpArch], code: &mut Vec<Instruction>) {
    let Some(audit) = audit(arch) else { return };
    let Some(last) = last(profile, arch) else { return };
    let body: &[Instruction] = if arch == ScmpArch::X8664 {
        // Without x32 in the filter, libseccomp's answer to its numbers stands.
        let x32 =
            all.contains(&ScmpArch::X32).then(|| self::last(profile, ScmpArch::X32)).flatten();
        &[
            (LOAD, 0, 0, NUMBER),
            (JUMP_IF_SET, 1, 0, X32_BIT),
            (JUMP_IF_GREATER, 1, 2, last),
            (JUMP_IF_GREATER, 0, 1, x32.unwrap_or(u32::MAX)),
            RETURN_ENOSYS,
        ]
    } else {
        &[(LOAD, 0, 0, NUMBER), (JUMP_IF_GREATER, 0, 1, last), RETURN_ENOSYS]
    };
    code.push((LOAD, 0, 0, ARCHITECTURE));
    // At most five instructions and a jump: the distance fits.
    code.push((JUMP_IF_EQUAL, 0, body.len() as u8 + 1, audit));
    code.extend_from_slice(body);
    // Every section falls through to the next, whose architecture then does not match.
    code.push((JUMP, 0, 0, 0));
}

/// The highest number that the profile names, in any rule: whoever wrote it knew the calls up to there.
fn last(profile: &LinuxSeccomp, arch: ScmpArch) -> Option<u32> {
    let names = profile.syscalls().iter().flatten().flat_map(|rule| rule.names());
    names
        .filter_map(|name| ScmpSyscall::from_name_by_arch(name, arch).ok())
        // Negative: not a system call of this architecture.
        .filter_map(|syscall| u32::try_from(syscall.as_raw_syscall()).ok())
        .max()
}

/// AUDIT_ARCH_* (linux/audit.h). s390 is left out: there the number of an unknown call is not its own.
fn audit(arch: ScmpArch) -> Option<u32> {
    Some(match arch {
        ScmpArch::X86 => 0x4000_0003,
        ScmpArch::X8664 => 0xc000_003e,
        ScmpArch::Arm => 0x4000_0028,
        ScmpArch::Aarch64 => 0xc000_00b7,
        ScmpArch::Riscv64 => 0xc000_00f3,
        ScmpArch::Loongarch64 => 0xc000_0102,
        ScmpArch::Ppc64Le => 0xc000_0015,
        // x32 is in the section of x86-64.
        _ => return None,
    })
}

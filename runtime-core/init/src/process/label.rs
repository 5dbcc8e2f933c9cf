//! AppArmor profile and SELinux label (apparmor(7), selinux(8)), by the files that the kernel has for them below
//! /proc/self/attr.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use teu_wire::{ProcessView, Step};

use crate::fail::{Fail, Result, Words};
use crate::procfs::Procfs;

/// Sets the label that execve is to give, through the directory opened while procfs could be trusted.
///
/// # Errors
/// The label is unknown or refused: a container without its label is never started.
pub fn set(process: &ProcessView<'_>, attributes: Option<BorrowedFd<'_>>) -> Result<()> {
    let Some(attributes) = attributes else { return Ok(()) };
    if let Some(profile) = process.apparmor {
        set_profile(attributes, profile, process.no_new_privileges)?;
    }
    match process.selinux {
        Some(label) => write(attributes, Step::SelinuxLabel, c"exec", label.to_bytes()),
        None => Ok(()),
    }
}

/// Sets the label of keys, for the session keyring that is made next: without it the workload could not use its own.
/// execve(2) takes it back.
///
/// # Errors
/// As [`set`].
pub fn set_of_keys(process: &ProcessView<'_>, procfs: &Procfs) -> Result<()> {
    let (Some(label), Some(attributes)) = (process.selinux, procfs.attributes(process)?) else {
        return Ok(());
    };
    write(attributes.as_fd(), Step::SelinuxLabel, c"keycreate", label.to_bytes())
}

/// Since Linux 5.8 AppArmor has files of its own, beside those that it shares.
const OWN: &CStr = c"apparmor/exec";
const SHARED: &CStr = c"exec";

fn set_profile(attributes: BorrowedFd<'_>, profile: &CStr, no_new_privileges: bool) -> Result<()> {
    // With no_new_privs the kernel lets a confined process change to nothing else than more: the profile on top of
    // its own (security/apparmor/domain.c, apparmor_bprm_creds_for_exec).
    let verb: &[u8] =
        if no_new_privileges && is_confined(attributes) { b"stack " } else { b"exec " };
    let mut text = Words::new();
    text.push(verb).push(profile.to_bytes());
    if text.as_bytes().len() != verb.len() + profile.count_bytes() {
        return Err(Fail::found(Step::AppArmorProfile, c"name too long", profile.to_bytes()));
    }
    match write(attributes, Step::AppArmorProfile, OWN, text.as_bytes()) {
        Err(fail) if fail.call == c"open" && fail.errno == Some(Errno::NOENT) => {
            write(attributes, Step::AppArmorProfile, SHARED, text.as_bytes())
        }
        other => other,
    }
}

/// Whether the runtime itself runs under a profile. Where that cannot be read, the kernel judges.
fn is_confined(attributes: BorrowedFd<'_>) -> bool {
    let open = |name| {
        rustix::fs::openat(attributes, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    };
    let current = open(c"apparmor/current").or_else(|_| open(c"current"));
    let mut text = [0_u8; 16];
    let length = current.and_then(|file| rustix::io::read(file, &mut text)).unwrap_or(0);
    length > 0 && !text[..length].starts_with(b"unconfined")
}

/// Writes in one call, as these files want it.
fn write(attributes: BorrowedFd<'_>, step: Step, name: &CStr, text: &[u8]) -> Result<()> {
    // Podman tells its users of a label by the file in back-ticks.
    let at = |call, errno| {
        let mut fail = Fail::call(step, call, errno, b"`/proc/thread-self/attr/");
        fail.detail.push(name.to_bytes()).push(b"`, ").push(text);
        fail
    };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(attributes, name, flags, Mode::empty())
        .map_err(|errno| at(c"open", errno))?;
    let written = rustix::io::write(&file, text).map_err(|errno| at(c"write", errno))?;
    if written == text.len() {
        return Ok(());
    }
    Err(Fail::found(step, c"the kernel took a part of it only", text))
}

//! Faults of AppArmor and SELinux: labels of config.json that are left out. Which of the cases can catch them depends
//! on the host's security module.

use crate::config::{of, without};
use crate::fault::Fault;

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of(
        "apparmor-profile",
        "apparmorProfile is ignored",
        &[
            "apparmor/run",
            "apparmor/user-namespace",
            "apparmor/enforced",
            "apparmor/exec",
            "apparmor/unknown",
            "apparmor/confined-runtime",
            "apparmor/absent",
        ],
        |c| without(c, "/process/apparmorProfile"),
    ),
    of(
        "selinux-label",
        "selinuxLabel is ignored",
        &[
            "selinux/run",
            "selinux/enforced",
            "selinux/keyring",
            "selinux/exec",
            "selinux/unknown",
            "selinux/absent",
        ],
        |c| without(c, "/process/selinuxLabel"),
    ),
    of(
        "mount-label",
        "mountLabel is ignored",
        &[
            "selinux/mount-label",
            "selinux/mount-label-masks",
            "selinux/mount-label-user",
            "selinux/mount-context-own",
            "selinux/mount-context-type",
            "selinux/mount-label-unknown",
            "selinux/absent-mount-label",
        ],
        |c| without(c, "/linux/mountLabel"),
    ),
]];

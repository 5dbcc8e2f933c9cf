//! The workload: what it runs, as whom, with which rights and limits. Only decided here; init does it, but for
//! what only the host's root may ([`raise`]).

pub(crate) mod capability;
pub(crate) mod lower;
pub(crate) mod raise;
pub(crate) mod schedule;
pub mod seccomp;
mod seccomp_cache;
mod seccomp_enosys;

/// What the rest of the plan tells this section.
// Each is a fact of another section.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Inputs<'a> {
    /// The container's id, for its keyring.
    pub id: &'a str,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// Sockets that LISTEN_FDS announces.
    pub listen_fds: u32,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// Rows and columns of the window that the terminal is shown in, which go before process.consoleSize.
    pub window: Option<(u16, u16)>,
    /// Who shows the terminal ends its lines.
    pub bare_lines: bool,
    /// Maps an id of the container to the host's; none when it is not mapped.
    pub host_uid: &'a dyn Fn(u32) -> Option<u32>,
    /// The same for groups.
    pub host_gid: &'a dyn Fn(u32) -> Option<u32>,
    /// setgroups(2) is denied to the user namespace.
    pub setgroups_denied: bool,
    /// The caller is without privilege.
    pub rootless: bool,
}

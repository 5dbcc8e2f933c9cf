//! The operations of the runtime, a file each, top to bottom in the order in which things happen.

pub(crate) mod affinity;
pub(crate) mod checkpoint;
pub(crate) mod child;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod exec;
pub(crate) mod handed;
pub(crate) mod kill;
pub(crate) mod member;
pub(crate) mod notify;
pub(crate) mod pause;
pub(crate) mod query;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod start;
pub(crate) mod update;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::error::{OsResult, Result};

/// Where the workload's standard input, output and error come from.
#[derive(Debug, Default)]
pub enum Stdio {
    /// Descriptors 0, 1 and 2 of the caller.
    #[default]
    Inherit,
    /// /dev/null for all three.
    Null,
    /// These three.
    Descriptors([OwnedFd; 3]),
}

/// Who gets the master of a terminal (process.terminal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Console {
    /// The listener of this unix socket.
    Socket(PathBuf),
    /// The caller itself, as [`crate::Workload::terminal`]. Without process.terminal there is none. The size is
    /// that of its own window, if it has one: it goes before process.consoleSize. As in runc, lines come with a
    /// bare line feed (ONLCR of termios(3) is off).
    Returned(Option<WindowSize>),
}

/// The size of a terminal's window, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// What `create` and `run` are told besides the id.
#[derive(Debug, Default)]
// Each is a flag of the command line, and none of them decides what another means.
#[allow(clippy::struct_excessive_bools)]
pub struct CreateOptions {
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// Gets init's pid in decimal, without a newline, once success is certain.
    pub pid_file: Option<PathBuf>,
    /// Who gets the master of the terminal.
    pub console: Option<Console>,
    /// A listening unix socket that gets a pidfd of init.
    pub pidfd_socket: Option<PathBuf>,
    /// mount(2) with MS_MOVE and chroot(2) instead of pivot_root(2).
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// So many descriptors of the caller, from 3 on, go on to the workload.
    pub preserve_fds: u32,
    /// Before those: so many listening sockets, announced by LISTEN_FDS (sd_listen_fds(3)).
    pub listen_fds: u32,
    /// systemd makes the cgroup, and linux.cgroupsPath has the form `slice:prefix:name`.
    pub systemd_cgroup: bool,
    /// `run` will not wait for the workload.
    pub detach: bool,
    /// The workload can tell when it is ready (sd_notify(3)), to whoever reads the socket that `run` or
    /// [`crate::Runtime::start_notified`] returns.
    pub notify: bool,
    /// When this is readable (an eventfd(2), a signalfd(2), a socket's end), whatever is waited for is called off:
    /// a hook, or a process in a paused container. The error is [`crate::ErrorKind::Cancelled`], and nothing is left.
    pub cancel: Option<OwnedFd>,
    /// Standard streams of the workload, unless it has a terminal.
    pub stdio: Stdio,
    /// Whether cgroups and limits that this caller may not make are done without, with a warning; unless said, so it is
    /// for whoever is not the host's root.
    pub rootless: Option<bool>,
}

impl CreateOptions {
    /// Whether the descriptors that are to be handed down are open. `create` checks it as well; who opens
    /// others before calls this first, since one of those would take the number of a missing one.
    ///
    /// # Errors
    /// The first that is not open.
    pub fn check_descriptors(&self) -> Result<()> {
        handed::check_preserved(self.listen_fds, self.preserve_fds)
    }
}

/// What `exec` is told besides the id and the process.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// Gets the process's pid in decimal, without a newline, once it runs the program.
    pub pid_file: Option<PathBuf>,
    /// Who gets the master of the terminal.
    pub console: Option<Console>,
    /// A listening unix socket that gets a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
    /// So many descriptors of the caller, from 3 on, go on to the process.
    pub preserve_fds: u32,
    /// Before those: so many listening sockets, announced by LISTEN_FDS (sd_listen_fds(3)).
    pub listen_fds: u32,
    /// The caller will not wait for the process.
    pub detach: bool,
    /// Go into a paused container, to run when it is resumed.
    pub ignore_paused: bool,
    /// Cgroups below the container's to be put in, `PATH` or, on cgroup v1, `CONTROLLER[,CONTROLLER…]:PATH`.
    pub cgroups: Vec<String>,
    /// When this is readable (an eventfd(2), a signalfd(2), a socket's end), whatever is waited for is called off:
    /// a hook, or a process in a paused container. The error is [`crate::ErrorKind::Cancelled`], and nothing is left.
    pub cancel: Option<OwnedFd>,
    /// Standard streams of the process, unless it has a terminal.
    pub stdio: Stdio,
}

impl ExecOptions {
    /// As [`CreateOptions::check_descriptors`].
    ///
    /// # Errors
    /// The first that is not open.
    pub fn check_descriptors(&self) -> Result<()> {
        handed::check_preserved(self.listen_fds, self.preserve_fds)
    }
}

/// What `delete` is told besides the id.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteOptions {
    /// Kill what still runs, and be content with what is left of a creation that died.
    pub force: bool,
}

/// Whom `kill` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillTarget {
    /// Init alone.
    Init,
    /// Every process in the container's cgroup.
    All,
}

/// What hooks read on standard input (runtime.md, "State"), around the value of `pid`.
pub(crate) fn state_json(
    oci_version: &str,
    id: &str,
    bundle: &Path,
    annotations: &BTreeMap<String, String>,
    status: &str,
) -> (String, String) {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let head = format!(
        "{{\"ociVersion\":{},\"id\":{},\"status\":{},\"pid\":",
        text(oci_version),
        text(id),
        text(status)
    );
    let mut tail = format!(",\"bundle\":{}", text(&bundle.to_string_lossy()));
    if !annotations.is_empty() {
        let pairs: Vec<String> = annotations
            .iter()
            .map(|(key, value)| format!("{}:{}", text(key), text(value)))
            .collect();
        tail.push_str(&format!(",\"annotations\":{{{}}}", pairs.join(",")));
    }
    tail.push('}');
    (head, tail)
}

/// Connects to a unix socket of the caller's by its path, which may be longer than an address holds.
pub(crate) fn connect_stream(path: &Path) -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let what = || format!("connect({})", path.display());
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .call(what)?;
    let result = match SocketAddrUnix::new(path) {
        Ok(address) => rustix::net::connect(&socket, &address),
        Err(_) => {
            // sun_path holds 108 bytes: a descriptor of the socket file has a short name.
            let file = rustix::fs::open(
                path,
                rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
            .call(what)?;
            let short = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            SocketAddrUnix::new(short).and_then(|address| rustix::net::connect(&socket, &address))
        }
    };
    result.call(what)?;
    Ok(socket)
}

/// Sends one descriptor with a name over a connected socket: one message, one SCM_RIGHTS with one descriptor,
/// as receivers of consoles and pidfds demand.
pub(crate) fn send_descriptor(
    socket: &OwnedFd,
    name: &[u8],
    fd: std::os::fd::BorrowedFd<'_>,
) -> Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(socket, &[std::io::IoSlice::new(name)], &mut control, SendFlags::NOSIGNAL)
        .call(|| "sendmsg(descriptor)")
        .map(drop)
}

//! What systemd says of its units, by systemctl(1): the host's systemd, or, where the suite is root of a user namespace,
//! that of its user, as rootless managers have it.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rustix::process::{Signal, pidfd_send_signal};

use super::{Result, lacks, privilege, process};

/// What says where a user's systemd is.
const VARIABLES: [&str; 2] = ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// Skips the case where systemd does not run the host (sd_booted(3)), or does not answer this caller.
pub(crate) fn needed() -> Result {
    if !is_running() {
        return lacks("systemd (/run/systemd/system)");
    }
    if is_users() && of_user().is_none() {
        return lacks("a systemd of this user's that answers (XDG_RUNTIME_DIR)");
    }
    Ok(())
}

fn is_running() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// Whether the systemd of a user makes the cgroups of this caller.
pub(crate) fn is_users() -> bool {
    !privilege::is_of_host()
}

/// The cgroup that its units are below, as /proc has it: empty for the host's.
pub(crate) fn cgroup() -> String {
    if is_users() { of_user().unwrap_or_default() } else { String::new() }
}

/// The same for the user's, which is asked once; none where it does not answer.
fn of_user() -> Option<String> {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let mut command = systemctl();
        command.args(["show", "--value", "--property", "ControlGroup"]);
        let output = command.stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && text.starts_with('/')).then_some(text)
    };
    ASKED.get_or_init(ask).clone()
}

/// What a manager hands on to a runtime, so that this finds the user's systemd.
pub(crate) fn environment() -> Vec<(String, String)> {
    if !is_users() {
        return Vec::new();
    }
    let value = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    VARIABLES.iter().filter_map(|name| value(name)).collect()
}

/// The variable that names its bus.
pub(crate) fn bus_variable() -> &'static str {
    if is_users() { "DBUS_SESSION_BUS_ADDRESS" } else { "DBUS_SYSTEM_BUS_ADDRESS" }
}

/// Where that bus listens.
pub(crate) fn bus() -> PathBuf {
    if is_users() {
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_default().join("bus")
    } else {
        "/run/dbus/system_bus_socket".into()
    }
}

/// A bus that is the real one, but for the answers to whoever asks for a unit: these get lost.
pub(crate) struct LossyBus {
    listener: Arc<UnixListener>,
    server: Option<JoinHandle<()>>,
}

impl LossyBus {
    /// Listens at `path`.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let listener = Arc::new(UnixListener::bind(path)?);
        let accepting = Arc::clone(&listener);
        let server = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for client in accepting.incoming().map_while(std::io::Result::ok) {
                    // Where the real one cannot be reached, the client sees a bus that hangs up.
                    scope.spawn(move || drop(relay(&client)));
                }
            });
        });
        Ok(Self { listener, server: Some(server) })
    }
}

impl Drop for LossyBus {
    fn drop(&mut self) {
        // Ends the wait for clients. Those that there were have ended.
        let _ended = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        let _server = self.server.take().map(JoinHandle::join);
    }
}

/// Passes on what client and bus say, until one of them hangs up.
fn relay(client: &UnixStream) -> std::io::Result<()> {
    let server = UnixStream::connect(bus())?;
    let lost = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pass(&server, |said| {
                if !lost.load(Ordering::SeqCst) {
                    let mut client = client;
                    client.write_all(said)?;
                }
                Ok(())
            });
            let _gone = client.shutdown(Shutdown::Both);
        });
        let mut all = Vec::new();
        pass(client, |said| {
            all.extend_from_slice(said);
            // Before systemd can hear of it.
            if all.windows(START.len()).any(|word| word == START) {
                lost.store(true, Ordering::SeqCst);
            }
            let mut server = &server;
            server.write_all(said)
        });
        let _gone = server.shutdown(Shutdown::Both);
    });
    Ok(())
}

fn pass(mut from: &UnixStream, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if take(buffer.get(..count).unwrap_or_default()).is_err() {
            return;
        }
    }
}

const START: &[u8] = b"StartTransientUnit";

/// The slice that units are in where nothing else is asked for.
pub(crate) fn default_slice() -> &'static str {
    if is_users() { "user.slice" } else { "system.slice" }
}

/// A tool of systemd's, that speaks to it.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    if is_users() {
        command.arg("--user");
    }
    command.stdin(Stdio::null());
    command
}

fn systemctl() -> Command {
    tool("systemctl")
}

/// One property of a unit, as `systemctl show` prints it; of a unit that is not there too.
pub(crate) fn property(unit: &str, name: &str) -> Result<String> {
    let output = systemctl().args(["show", "--value", "--property", name, "--", unit]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `systemctl WORDS`, whatever comes out.
pub(crate) fn control(words: &[&str]) -> Result {
    systemctl().args(words).output()?;
    Ok(())
}

/// Stops the slices of a case, which systemd keeps when they are empty, with whatever is left in them.
pub(crate) fn stop_named(token: &str) {
    if is_running() {
        let (own, below) = (format!("{token}.slice"), format!("{token}-*.slice"));
        control(&["stop", "--", &own, &below]).unwrap_or_default();
    }
}

/// The systemd of the user, which does nothing until this is dropped.
pub(crate) struct Still(OwnedFd);

impl Still {
    /// Skips the case where it is the host's: the kernel does not stop that.
    pub(crate) fn stand() -> Result<Self> {
        if !is_users() {
            return lacks("a systemd that can be stopped (kill(2)), as a user's");
        }
        let folder = PathBuf::from(format!("/sys/fs/cgroup{}/init.scope", cgroup()));
        let members = super::cgroup::members(&folder);
        let is_it = |pid: &i32| process::name(*pid).ends_with("systemd --user");
        let Some(pid) = members.into_iter().find(is_it) else {
            return lacks("the process of the user's systemd");
        };
        let still = Self(process::handle(pid)?);
        pidfd_send_signal(&still.0, Signal::STOP)?;
        Ok(still)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        // It may have ended, and hears nothing then.
        let _sent = pidfd_send_signal(&self.0, Signal::CONT);
    }
}

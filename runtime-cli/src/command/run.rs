//! `run`: create and start in one, and in the foreground the wait for the end.

use runtime_core::{Console, ContainerId, Running, Runtime};

use super::create::{
    self, BUNDLE, CONSOLE_SOCKET, NO_NEW_KEYRING, NO_PIVOT, NO_SUBREAPER, PID_FILE, PIDFD_SOCKET,
    PRESERVE_FDS,
};
use super::{Call, Command};
use crate::args::{Flag, Syntax};
use crate::exit::{FAILED, Failure};
use crate::foreground::Signals;
use crate::notify::Manager;
use crate::terminal::Window;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "run",
        operands: "<container-id>",
        count: 1..=1,
        about: "create and start a container",
        description: "Without --detach, passes signals on to the container's first process, waits for its\n\
                      end, deletes the container, and exits with its code, or with 128 and the number\n\
                      of the signal that ended it.",
        flags: &[
            BUNDLE,
            CONSOLE_SOCKET,
            Flag::switch("detach", "do not wait for the container").short('d'),
            Flag::switch("keep", "do not delete the container when it ends"),
            PIDFD_SOCKET,
            PID_FILE,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
            NO_SUBREAPER,
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let mut options = create::options(call)?;
    let runtime = call.runtime()?;
    let manager = Manager::connect()?;
    if options.detach {
        let Running { workload, notify, .. } = runtime.run(&id, &options)?;
        call.warn(&workload.warnings);
        if let (Some(manager), Some(socket)) = (manager, notify) {
            manager.wait_for(socket, workload.pid, call.log).wait(&workload.pidfd)?;
        }
        return Ok(0);
    }
    let signals = Signals::block()?;
    // After the signals, so that a change of its size in between is heard of.
    let window = Window::find();
    options.console.get_or_insert_with(|| Console::Returned(window.size()));
    options.cancel = Some(signals.cancel()?);
    let mut running = runtime.run(&id, &options).map_err(|error| signals.blame(error))?;
    call.warn(&running.workload.warnings);
    let readiness = manager.zip(running.notify.take());
    let readiness =
        readiness.map(|(manager, socket)| manager.wait_for(socket, running.workload.pid, call.log));
    let ended = signals.attend(&mut running.workload, window, readiness);
    if call.given.on("keep") {
        return ended;
    }
    deleted(call, &runtime, &id, &running, ended)
}

/// Deletes what ran in the foreground; returns its exit code. By force, because without a pid namespace of its own
/// others of the container may have outlived init; and only this container, since whoever deleted it meanwhile may
/// have made another.
pub(super) fn deleted(
    call: &Call<'_>,
    runtime: &Runtime,
    id: &ContainerId,
    running: &Running,
    ended: Result<u8, Failure>,
) -> Result<u8, Failure> {
    match (runtime.delete_run(id, running), ended) {
        (Ok(warnings), ended) => {
            call.warn(&warnings);
            ended
        }
        (Err(_), Err(failure)) => Err(failure),
        // What stays behind must be seen, but the workload's own failure is what the caller acts on.
        (Err(error), Ok(code)) => {
            call.log.failure(&format!("the container has ended, but deleting it failed: {error}"));
            Ok(if code == 0 { FAILED } else { code })
        }
    }
}

//! `restore`: make a container from what `checkpoint` has written, with criu(8).

use runtime_core::{Console, RestoreOptions};

use super::checkpoint::{
    AUTO_DEDUP, EMPTY_NS, EXT_UNIX_SK, FILE_LOCKS, IMAGE_PATH, LAZY_PAGES, MANAGE_CGROUPS,
    SHELL_JOB, TCP_ESTABLISHED, WORK_PATH,
};
use super::create::{self, BUNDLE, CONSOLE_SOCKET, NO_PIVOT, NO_SUBREAPER, PID_FILE};
use super::{Call, Command, checkpoint, run};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;
use crate::foreground::Signals;
use crate::terminal::Window;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "restore",
        operands: "<container-id>",
        count: 1..=1,
        about: "make a container from what checkpoint has written",
        description: "Done by criu(8), which has to be installed. Without --detach it goes on as `teu run`\n\
                      does: passes signals on, waits for the end of the container, deletes it, and exits\n\
                      with its code. A relative --image-path is one of the directory that the command is\n\
                      called in.",
        flags: &[
            BUNDLE,
            CONSOLE_SOCKET,
            IMAGE_PATH,
            WORK_PATH,
            Flag::switch("detach", "do not wait for the container").short('d'),
            PID_FILE,
            TCP_ESTABLISHED,
            Flag::switch("tcp-close", "bring TCP connections back closed"),
            EXT_UNIX_SK,
            SHELL_JOB,
            FILE_LOCKS,
            MANAGE_CGROUPS,
            EMPTY_NS,
            AUTO_DEDUP,
            LAZY_PAGES,
            Flag::with(
                "lsm-profile",
                "TYPE:NAME",
                "label of the processes instead of the one that they had",
            ),
            Flag::with("lsm-mount-context", "CONTEXT", "SELinux context of the mounts"),
            NO_PIVOT,
            NO_SUBREAPER,
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let text = |flag| -> Result<Option<String>, Failure> {
        Ok(call.given.text(flag)?.filter(|text| !text.is_empty()).map(str::to_owned))
    };
    let mut create = create::options(call)?;
    // Whatever service manager started this command, it is not the one that the container knew.
    create.notify = false;
    let mut options = RestoreOptions {
        criu: checkpoint::criu(call)?,
        create,
        tcp_close: call.given.on("tcp-close"),
        lsm_profile: text("lsm-profile")?,
        lsm_mount_context: text("lsm-mount-context")?,
    };
    let runtime = call.runtime()?;
    if options.create.detach {
        let running = runtime.restore(&id, &options)?;
        call.warn(&running.workload.warnings);
        return Ok(0);
    }
    let signals = Signals::block()?;
    let window = Window::find();
    options.create.console.get_or_insert_with(|| Console::Returned(window.size()));
    let mut running = runtime.restore(&id, &options)?;
    call.warn(&running.workload.warnings);
    let ended = signals.attend(&mut running.workload, window, None);
    run::deleted(call, &runtime, &id, &running, ended)
}

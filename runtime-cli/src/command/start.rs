//! `start`.

use runtime_core::Notified;

use super::{Call, Command};
use crate::args::Syntax;
use crate::exit::Failure;
use crate::notify::Manager;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "start",
        operands: "<container-id>",
        count: 1..=1,
        about: "execute the program of a created container",
        description: "Returns when the program runs; fails when it cannot be executed. With NOTIFY_SOCKET in the\n\
                      environment, as in that of `create`, returns when the program has said READY=1\n\
                      (sd_notify(3)) or has ended.",
        flags: &[],
    },
    run: |call: &Call<'_>| -> Result<u8, Failure> {
        let id = call.id()?;
        let runtime = call.runtime()?;
        let Some(manager) = Manager::connect()? else {
            return runtime.start(&id).map(|()| 0).map_err(Failure::from);
        };
        if let Some(Notified { pid, pidfd, socket }) = runtime.start_notified(&id)? {
            manager.wait_for(socket, pid, call.log).wait(&pidfd)?;
        }
        Ok(0)
    },
};

//! The commands, a file each, and what they share.
//!
//! A new command is a file with a `COMMAND`, and a line in [`ALL`].

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod plan;
mod ps;
mod restore;
mod run;
mod spec;
mod start;
mod state;
mod update;
pub(crate) mod version;

use std::io::Write as _;
use std::path::PathBuf;

use runtime_core::{ContainerId, Runtime};

use crate::args::{Matches, Syntax};
use crate::exit::Failure;
use crate::log::Log;

/// A command: its syntax, and the function that does it and returns the exit code.
pub(crate) struct Command {
    pub(crate) syntax: Syntax,
    pub(crate) run: fn(&Call<'_>) -> Result<u8, Failure>,
}

/// Every command, in the order of the help.
pub(crate) const ALL: &[Command] = &[
    create::COMMAND,
    run::COMMAND,
    start::COMMAND,
    exec::COMMAND,
    pause::PAUSE,
    pause::RESUME,
    ps::COMMAND,
    update::COMMAND,
    events::COMMAND,
    checkpoint::COMMAND,
    restore::COMMAND,
    state::COMMAND,
    kill::COMMAND,
    delete::COMMAND,
    list::COMMAND,
    spec::COMMAND,
    features::COMMAND,
    plan::COMMAND,
];

/// One call of a command.
pub(crate) struct Call<'a> {
    pub(crate) global: &'a Matches,
    pub(crate) given: &'a Matches,
    pub(crate) log: &'a Log,
}

impl Call<'_> {
    /// The operand that names the container.
    pub(crate) fn id(&self) -> Result<ContainerId, Failure> {
        let id = self.given.operands.first().map(|id| id.to_string_lossy()).unwrap_or_default();
        Ok(ContainerId::new(&id)?)
    }

    /// The containers of the state root.
    pub(crate) fn runtime(&self) -> Result<Runtime, Failure> {
        let root = match self.global.value("root").filter(|root| !root.is_empty()) {
            Some(root) => PathBuf::from(root),
            None => crate::root::default()?,
        };
        Ok(Runtime::open(root)?)
    }

    /// Writes the warnings of an operation that succeeded to the log.
    pub(crate) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.log.warning(warning);
        }
    }
}

/// Writes what a command has to say on stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        // Whoever closed the pipe has read what they wanted (`teu list | head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::os("write(stdout)", error)),
    }
}

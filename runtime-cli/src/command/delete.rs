//! `delete`.

use runtime_core::{DeleteOptions, ErrorKind};

use super::{Call, Command};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "delete",
        operands: "<container-id>",
        count: 1..=1,
        about: "remove a container and all that was made for it",
        description: "Also removes what is left of a container whose creation was interrupted.",
        flags: &[Flag::switch(
            "force",
            "kill the container if it runs, and succeed if it does not exist",
        )
        .short('f')],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let force = call.given.on("force");
    match call.runtime()?.delete(&id, DeleteOptions { force }) {
        Ok(warnings) => call.warn(&warnings),
        // Managers call this to be sure that nothing is left, and nothing is.
        Err(error) if force && error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}

//! `start`.

use super::{Call, Command};
use crate::args::Syntax;
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "start",
        operands: "<container-id>",
        count: 1..=1,
        about: "execute the program of a created container",
        description: "Returns when the program runs; fails when it cannot be executed.",
        flags: &[],
    },
    run: |call: &Call<'_>| -> Result<u8, Failure> {
        let id = call.id()?;
        call.runtime()?.start(&id)?;
        Ok(0)
    },
};

//! `state`.

use super::{Call, Command, print};
use crate::args::Syntax;
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "state",
        operands: "<container-id>",
        count: 1..=1,
        about: "print the state of a container as JSON",
        description: "",
        flags: &[],
    },
    run: |call: &Call<'_>| -> Result<u8, Failure> {
        let id = call.id()?;
        let state = call.runtime()?.state(&id)?;
        let text = serde_json::to_string_pretty(&state)
            .map_err(|error| Failure::Other(format!("state of {id}: {error}")))?;
        print(&format!("{text}\n")).map(|()| 0)
    },
};

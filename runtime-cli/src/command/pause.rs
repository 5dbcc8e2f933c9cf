//! `pause` and `resume`.

use super::{Call, Command};
use crate::args::Syntax;
use crate::exit::Failure;

pub(super) const PAUSE: Command = Command {
    syntax: Syntax {
        name: "pause",
        operands: "<container-id>",
        count: 1..=1,
        about: "stop all processes of a container until `resume`",
        description: "Freezes the container's cgroup. All of its processes stop where they are, and none of them\n\
                      notices.",
        flags: &[],
    },
    run: |call: &Call<'_>| -> Result<u8, Failure> {
        call.runtime()?.pause(&call.id()?)?;
        Ok(0)
    },
};

pub(super) const RESUME: Command = Command {
    syntax: Syntax {
        name: "resume",
        operands: "<container-id>",
        count: 1..=1,
        about: "let a paused container go on",
        description: "",
        flags: &[],
    },
    run: |call: &Call<'_>| -> Result<u8, Failure> {
        call.runtime()?.resume(&call.id()?)?;
        Ok(0)
    },
};

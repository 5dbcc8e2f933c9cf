//! `kill`.

use runtime_core::KillTarget;

use super::{Call, Command};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;
use crate::signal;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "kill",
        operands: "<container-id> [signal]",
        count: 1..=2,
        about: "send a signal to a container's first process",
        description: "The signal is a number or a name: 9, KILL, SIGKILL, sigkill, RTMIN+3. The default is TERM.",
        flags: &[Flag::switch("all", "send it to every process of the container").short('a')],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let text = match call.given.operands.get(1) {
        None => "TERM".into(),
        Some(text) => text.to_string_lossy(),
    };
    let signal = signal::parse(&text).ok_or_else(|| {
        Failure::Other(format!("unknown signal {text:?}: use a number up to 64, or a name as KILL"))
    })?;
    let target = if call.given.on("all") { KillTarget::All } else { KillTarget::Init };
    call.runtime()?.kill(&id, signal, target)?;
    Ok(0)
}

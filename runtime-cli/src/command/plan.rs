//! `plan`: what `create` would do, without doing it.

mod text;

use super::create::{
    self, BUNDLE, CONSOLE_SOCKET, NO_NEW_KEYRING, NO_PIVOT, PID_FILE, PIDFD_SOCKET, PRESERVE_FDS,
};
use super::{Call, Command, print};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;
use crate::log;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "plan",
        operands: "[container-id]",
        count: 0..=1,
        about: "print what `create` would do, without doing it",
        description: "Reads config.json and looks at the host, and reports every error of the configuration,\n\
                      but makes nothing. The default id is \"plan\".",
        flags: &[
            BUNDLE,
            Flag::with("format", "text|json", "form of the plan (default: text)").short('f'),
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            PID_FILE,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let json = match call.given.text("format")? {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            return Err(Failure::usage(format!("--format: {other:?}: use text or json")));
        }
    };
    let id = match call.given.operands.first() {
        Some(_) => call.id()?,
        None => runtime_core::ContainerId::new("plan")?,
    };
    let (plan, warnings) = runtime_core::plan(&id, &create::options(call)?)?;
    let text = if json {
        serde_json::to_string_pretty(&plan)
            .map(|text| format!("{text}\n"))
            .map_err(|error| Failure::Other(format!("plan: {error}")))?
    } else {
        text::render(&plan)
    };
    print(&text)?;
    // No manager calls this command: a person does, who wants to see what is odd.
    for warning in &warnings {
        log::to_stderr(&format!("warning: {warning}\n"));
    }
    Ok(0)
}

//! The simplest `exec` that can be: nsenter(1), which joins namespaces and knows nothing of cgroups, capabilities,
//! seccomp or labels.

use std::process::Command;

use crate::call::{Call, Result, code};

/// `exec ID PROGRAM…` by nsenter; other commands, and an exec with a file, as they are.
pub(crate) fn exec(call: &Call) -> Result<u8> {
    let init = if call.verb == "exec" { call.init()? } else { 0 };
    let program = call.id_at().and_then(|at| call.words.get(at + 1..)).unwrap_or_default();
    if init == 0 || program.is_empty() {
        return call.make();
    }
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &init.to_string(),
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--root",
        "--wd",
    ]);
    Ok(code(command.arg("--").args(program).status()?))
}

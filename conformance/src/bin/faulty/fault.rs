//! What a fault is, and how a call is made with it.

use std::io::Write;
use std::os::unix::process::CommandExt;

use serde_json::Value;

use crate::call::{Call, Result, code};

/// One thing that is broken.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What the runtime does wrong, in one sentence.
    pub(crate) what: &'static str,
    /// The cases that must catch it: each of them has to fail.
    pub(crate) cases: &'static [&'static str],
    /// How it is broken.
    pub(crate) way: Way,
}

/// Where on its way the call is broken.
#[derive(Debug)]
pub(crate) enum Way {
    /// Nowhere: the control.
    Nowhere,
    /// `create` and `run` read another config.json than the bundle's.
    Config(fn(&mut Value)),
    /// `exec` reads another file than that of `--process`.
    Process(fn(&mut Value)),
    /// The call is another, or is made from elsewhere.
    Words(fn(&mut Call) -> Result<()>),
    /// The output of the command of this name is another.
    Output(&'static str, fn(&str) -> String),
    /// The errors of `start`, `state`, `kill` and `delete` are others.
    Errors(fn(&str) -> String),
    /// The exit status is another.
    Status(fn(&Call, u8) -> u8),
    /// Something is done behind the call, whose exit status is known by then.
    After(fn(&Call, u8) -> Result<()>),
    /// Something else is done instead of the call.
    Instead(fn(&Call) -> Result<u8>),
}

/// Every fault; the first is none.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    static NONE: Fault =
        Fault { name: "none", what: "nothing is broken", cases: &[], way: Way::Nowhere };
    let tables = [
        crate::config::FAULTS,
        crate::more::FAULTS,
        crate::ignored::FAULTS,
        crate::label::FAULTS,
        crate::resource::FAULTS,
        crate::words::FAULTS,
        crate::exec::FAULTS,
        crate::answer::FAULTS,
        crate::trace::FAULTS,
        crate::systemd::FAULTS,
        crate::rdt::FAULTS,
    ];
    std::iter::once(&NONE).chain(tables.into_iter().flatten().copied().flatten())
}

/// The fault of this name.
pub(crate) fn find(name: &str) -> Result<&'static Fault> {
    all().find(|fault| fault.name == name).ok_or_else(|| format!("no fault is named {name}").into())
}

/// Makes the call with the fault.
pub(crate) fn call(fault: &Fault, mut call: Call) -> Result<u8> {
    match &fault.way {
        Way::Nowhere => Err(call.command().exec().into()),
        Way::Config(edit) => crate::config::call(&call, *edit),
        Way::Process(edit) => crate::exec::call(&call, *edit),
        Way::Words(edit) => {
            edit(&mut call)?;
            Err(call.command().exec().into())
        }
        Way::Output(verb, edit)
            if call.verb == *verb || call.globals.iter().any(|word| word == verb) =>
        {
            let output = call.catch()?;
            std::io::stdout()
                .write_all(edit(&String::from_utf8_lossy(&output.stdout)).as_bytes())?;
            std::io::stderr().write_all(&output.stderr)?;
            Ok(code(output.status))
        }
        Way::Errors(edit) if ["start", "state", "kill", "delete"].contains(&call.verb.as_str()) => {
            let output = call.catch()?;
            std::io::stdout().write_all(&output.stdout)?;
            std::io::stderr()
                .write_all(edit(&String::from_utf8_lossy(&output.stderr)).as_bytes())?;
            Ok(code(output.status))
        }
        Way::Output(..) | Way::Errors(_) => Err(call.command().exec().into()),
        Way::Status(edit) => Ok(edit(&call, call.make()?)),
        Way::After(act) => {
            let code = call.make()?;
            act(&call, code)?;
            Ok(code)
        }
        Way::Instead(act) => act(&call),
    }
}

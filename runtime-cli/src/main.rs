//! `teu`: an OCI container runtime with the command line of runc.
//!
//! `main` reads the command line, runs one command and, when that fails, reports one line. What a
//! command does is in `command/`; the work itself is in `runtime-core`.

mod args;
mod command;
mod exit;
mod foreground;
mod help;
mod log;
#[cfg(test)]
mod manual;
mod notify;
mod relay;
mod root;
mod signal;
mod sys;
mod terminal;
mod trace;

use std::ffi::OsStr;
use std::process::ExitCode;

use args::{Line, Syntax};
use command::{Call, Command};
use exit::Failure;
use log::{Level, Log};

fn main() -> ExitCode {
    // The standard library has made sure by now that fds 0 to 2 are open, with /dev/null where they
    // were closed, so that no file of ours takes their place; and it ignores SIGPIPE.
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let line = Line::read(args);
    let (log, understood) = Log::new(&line.global);
    let command = line.command.as_deref().and_then(std::ffi::OsStr::to_str).map(str::to_owned);
    let ready = understood.and_then(|()| sys::keep_children());
    match ready.and_then(|()| run(line, &program, &log)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.failure(&failure.line(command.as_deref()));
            if let Failure::Usage(_, Some(name), operands) = &failure {
                log::to_stderr(&format!("{}\n", help::usage(name, operands)));
            }
            ExitCode::from(failure.code(command.as_deref()))
        }
    }
}

/// Runs the command that the line names.
fn run(mut line: Line, program: &OsStr, log: &Log) -> Result<u8, Failure> {
    if let Some(failure) = line.failure.take() {
        return Err(failure);
    }
    if line.global.on("version") {
        return command::print(&command::version::text(program)).map(|()| 0);
    }
    let Some(name) = line.command.clone().filter(|_| !line.global.on("help")) else {
        return command::print(&program_help()).map(|()| 0);
    };
    if name == "help" {
        return help_command(line);
    }
    let command = find(&name)?;
    let global = std::mem::take(&mut line.global);
    let given = line.command(&command.syntax)?;
    if given.on("help") {
        return command::print(&help::command(&command.syntax)).map(|()| 0);
    }
    if log.level >= Level::Info {
        // The subscriber needs a log of its own; both append to the same file.
        tracing::subscriber::set_global_default(trace::Lines::new(Log::new(&global).0))
            .map_err(|error| Failure::Other(error.to_string()))?;
    }
    (command.run)(&Call { global: &global, given: &given, log })
}

const HELP: Syntax = Syntax {
    name: "help",
    operands: "[command]",
    count: 0..=1,
    about: "show help",
    description: "",
    flags: &[],
};

/// `teu help [COMMAND]`.
fn help_command(line: Line) -> Result<u8, Failure> {
    let given = line.command(&HELP)?;
    let text = match given.operands.first() {
        None => program_help(),
        Some(name) => help::command(&find(name)?.syntax),
    };
    command::print(&text).map(|()| 0)
}

fn program_help() -> String {
    help::program(command::ALL.iter().map(|command| &command.syntax))
}

fn find(name: &OsStr) -> Result<&'static Command, Failure> {
    if let Some(command) = command::ALL.iter().find(|command| name == command.syntax.name) {
        return Ok(command);
    }
    let name = name.to_string_lossy();
    let mut text = format!("unknown command {name:?}");
    let names = command::ALL.iter().map(|command| command.syntax.name);
    match args::nearest(&name, names) {
        Some(near) => text.push_str(&format!(", did you mean {near:?}?")),
        None => text.push_str(": see teu --help"),
    }
    Err(Failure::usage(text))
}

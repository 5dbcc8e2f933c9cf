//! `faulty`: a runtime with one thing broken, to check the suite itself.
//!
//! `faulty FAULT RUNTIME …` passes a call on to RUNTIME and breaks what FAULT says on the way; FAULT `none` breaks
//! nothing. `faulty list` prints every fault with the cases that must catch it, separated by tabs. The suite calls it
//! by `conformance run --runtime faulty --runtime-arg FAULT --runtime-arg RUNTIME`; `tests/faults.rs` does that for
//! all of them.

mod answer;
mod call;
mod config;
mod console;
mod crude;
mod exec;
mod fault;
mod ignored;
mod label;
mod more;
mod rdt;
mod resource;
mod systemd;
mod trace;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["list"] => {
            for fault in fault::all() {
                println!("{}\t{}\t{}", fault.name, fault.what, fault.cases.join(" "));
            }
            return ExitCode::SUCCESS;
        }
        [config::HOOK, program, arguments @ ..] => config::hook_that_lies(program, arguments),
        [name, runtime, ..] => fault::find(name)
            .and_then(|broken| fault::call(broken, call::Call::parse(runtime, &arguments[2..]))),
        _ => Err("usage: faulty FAULT RUNTIME [ARGUMENT]... | faulty list".into()),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("faulty: {error}");
            ExitCode::from(2)
        }
    }
}

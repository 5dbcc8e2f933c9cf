//! `conformance`: judges any OCI low-level runtime from the outside.
//!
//! The suite knows a runtime only by its command line, and a container only by what the kernel says
//! about it. Nothing here imports the runtime of this repository.
//!
//! The one binary plays three parts, so that they can never be of different versions:
//! the *runner* (what a person starts), the *worker* (one process for each case, see
//! [`runner`]), and the *probe* (the workload inside the containers, see [`probe`]).

mod args;
mod case;
mod harness;
mod page;
mod probe;
mod report;
mod row;
mod runner;
mod sys;
mod worker;

use std::process::ExitCode;

use args::Request;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called_as = arguments.next().unwrap_or_default();
    if std::path::Path::new(&called_as).file_name().is_some_and(|name| name == probe::FILE_NAME) {
        return probe::main();
    }
    match args::parse(arguments) {
        Ok(Request::Help) => {
            println!("{}", args::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Request::List { filters }) => {
            for case in case::matching(&filters) {
                println!("{:<44} {} [{}]", case.name, case.what, case.proves);
            }
            ExitCode::SUCCESS
        }
        Ok(Request::Rows { filters }) => {
            print!("{}", row::print(&filters));
            ExitCode::SUCCESS
        }
        Ok(Request::Page(options)) => match page::write(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("conformance: {error}");
                ExitCode::from(2)
            }
        },
        Ok(Request::Worker { folder }) => worker::main(&folder),
        Ok(Request::Run(options)) => match runner::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("conformance: {error}");
                ExitCode::from(2)
            }
        },
        Err(error) => {
            eprintln!("conformance: {error}\n{}", args::USAGE);
            ExitCode::from(2)
        }
    }
}

//! The workload: a static program inside the container that prints facts, or does one small thing.
//!
//! It works without `/proc`, `/dev` and `/sys`: what cannot be asked is `null` in the output.

mod action;
mod facts;
mod raw;

use std::process::ExitCode;

/// Its name in the root file system; the suite's binary under this name is the probe.
pub(crate) const FILE_NAME: &str = "probe";

const USAGE: &str = "\
probe [facts [SYSCTL]...]   print facts as JSON
probe exit N                end with status N
probe signal N              end by signal N
probe sleep                 print \"ready\" and wait for a signal
probe trap N                print \"ready\", wait for signal N, print \"got N\", end
probe syscall NAME [ARG]... make a system call with integers, print its result or errno
probe number N              make the system call of that number without arguments
probe number-x86 N          the same as a 32 bit program
probe open PATH             open for reading, print the errno or \"ok\"
probe write PATH [TEXT]     open for writing and write, print the errno or \"ok\"
probe cat PATH              print a file
probe alloc BYTES           touch that much memory, print \"ok\"
probe hold BYTES            touch that much memory, then sleep
probe keyring-label         print the security label of the session keyring
probe fork N                start N sleeping children, print how many there are
probe notify TEXT...        send each to NOTIFY_SOCKET, print \"sent\"
probe record FOLDER NAME    as a hook: append NAME to FOLDER/order, keep stdin and facts there
probe record-fail FOLDER NAME  the same, then end with status 7";

/// The program.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] => print(&facts::all(&[])),
        ["facts", sysctls @ ..] => print(&facts::all(sysctls)),
        ["exit", status] => return ExitCode::from(status.parse::<u8>().unwrap_or(111)),
        ["signal", number] => action::signal(number),
        ["sleep"] => action::sleep(),
        ["trap", number] => action::trap(number),
        ["syscall", name, arguments @ ..] => action::syscall(name, arguments),
        ["number", number] => raw::number(number),
        ["number-x86", number] => raw::number_x86(number),
        ["open", path] => action::open(path),
        ["write", path] => action::write(path, ""),
        ["write", path, text] => action::write(path, text),
        ["cat", path] => action::cat(path),
        ["alloc", bytes] => action::alloc(bytes),
        ["hold", bytes] => action::hold(bytes),
        ["keyring-label"] => raw::keyring_label(),
        ["fork", count] => action::fork(count),
        ["notify", texts @ ..] => action::notify(texts),
        ["record", folder, name] => action::record(folder, name, &facts::all(&[])),
        ["record-fail", folder, name] => {
            return match action::record(folder, name, &facts::all(&[])) {
                Ok(()) => ExitCode::from(7),
                Err(_) => ExitCode::from(112),
            };
        }
        _ => Err(std::io::Error::other(USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::from(112)
        }
    }
}

fn print(value: &serde_json::Value) -> std::io::Result<()> {
    println!("{value}");
    Ok(())
}

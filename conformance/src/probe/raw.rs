//! System calls by number, also by the numbers of the other architectures of this machine.

use std::io;

use crate::sys::foreign::int80;
use crate::sys::{number_call, session_keyring_label};

/// Makes the system call of that number and prints its result, or `errno N`.
pub(crate) fn number(number: &str) -> io::Result<()> {
    show(number_call(number.parse().map_err(io::Error::other)?, [0; 6]))
}

/// The same through the door of 32 bit programs, where numbers mean other calls.
pub(crate) fn number_x86(number: &str) -> io::Result<()> {
    show(int80(number.parse().map_err(io::Error::other)?))
}

/// Prints the security label of the session keyring.
pub(crate) fn keyring_label() -> io::Result<()> {
    println!("{}", session_keyring_label()?);
    Ok(())
}

fn show(result: io::Result<i64>) -> io::Result<()> {
    match result {
        Ok(value) => println!("result {value}"),
        Err(error) => println!("errno {}", error.raw_os_error().unwrap_or(0)),
    }
    Ok(())
}

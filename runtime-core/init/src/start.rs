//! From the first instruction to the plan.

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd};
use teu_wire::{Fds, FdsView, Step, Work, WorkView};

use crate::fail::{At, Fail, Result};
use crate::sys::call;
use crate::{create, exec, link};

/// Runs init. `argument` is the number of the descriptor that holds the plan.
pub fn start(argument: Option<&'static CStr>) -> ! {
    let Some(number) = argument.and_then(|text| parse(text.to_bytes())) else {
        // A workload that executes /proc/self/exe while init was there, or a curious person.
        call::write_stderr(b"teu-init: this program is started by teu, with a plan\n");
        call::exit(1);
    };
    match read_plan(number) {
        Ok((fds, WorkView::Create(plan))) => create::run(&fds, &plan),
        Ok((fds, WorkView::Exec(plan))) => exec::run(&fds, &plan),
        Ok((_, WorkView::Borrowed(never, _))) => match never {},
        Err(fail) => {
            call::write_stderr(b"teu-init: the plan cannot be read: ");
            call::write_stderr(fail.call.to_bytes());
            call::write_stderr(b"\n");
            call::exit(1)
        }
    }
}

/// Ends after a failure that is reported over `link`.
pub fn end(link: rustix::fd::BorrowedFd<'_>, fail: &Fail) -> ! {
    link::report(link, fail);
    call::exit(1)
}

fn parse(digits: &[u8]) -> Option<i32> {
    let digit = |number: i32, byte: &u8| {
        let value = byte.checked_sub(b'0').filter(|value| *value < 10)?;
        number.checked_mul(10)?.checked_add(i32::from(value))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}

/// Maps the plan, which stays for as long as the process: every text in it can be handed to the kernel.
fn read_plan(number: i32) -> Result<(FdsView<'static>, WorkView<'static>)> {
    use teu_wire::Field;
    let step = Step::Plan;
    let file = call::inherited(number);
    let length = rustix::fs::fstat(file).at(step, c"fstat", b"")?.st_size;
    let bytes = call::map(file, length as usize).at(step, c"mmap", b"")?;
    let mut reader = teu_wire::Reader::new(bytes);
    let malformed = |_| Fail::found(step, c"malformed", b"");
    let fds = Fds::read(&mut reader).map_err(malformed)?;
    let plan = Work::read(&mut reader).map_err(malformed)?;
    drop(call::take(file.as_fd().as_raw_fd()));
    Ok((fds, plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_are_descriptors() {
        assert_eq!(parse(b"17"), Some(17));
        for bad in [&b""[..], b"-1", b"1x", b" 1", b"99999999999"] {
            assert_eq!(parse(bad), None);
        }
    }
}

//! The only unsafe code of the floor: its start, its memory functions and its system calls.

pub(crate) mod call;
#[cfg(bare)]
mod mem;
mod raw;
pub(crate) mod start;

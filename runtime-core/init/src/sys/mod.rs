//! The only unsafe code of init: the system calls that rustix does not have, and what a program without libc
//! has to bring along.

pub mod call;
#[cfg(teu_init)]
pub mod mem;
pub mod raw;
#[cfg(teu_init)]
pub mod start;

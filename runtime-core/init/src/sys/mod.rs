//! The only unsafe code of init: the system calls that rustix does not have, and what a program without libc
//! has to bring along.

mod file;
#[cfg(teu_init)]
pub mod mem;
mod memory;
pub mod raw;
#[cfg(teu_init)]
pub mod start;
mod task;

/// Every call, by one name.
pub mod call {
    pub use super::file::*;
    pub use super::memory::*;
    pub use super::task::*;
}

//! Init: the program that becomes a container.
//!
//! Started by the library's stub with a plan in memory and a few descriptors; ends by execve or _exit. No
//! libc, no allocator, one thread. Everything that runs inside a container with privilege is here; read
//! [`create`] from top to bottom.
#![cfg_attr(not(test), no_std)]
// A failure carries the kernel's own words; there is no heap to put them on.
#![allow(clippy::result_large_err)]
// Unwrap is denied; indexing fixed arrays and casting between the kernel's integer types is not avoidable.

pub mod create;
pub mod descriptor;
pub mod exec;
pub mod fail;
pub mod hook;
pub mod link;
pub mod namespace;
pub mod process;
pub mod procfs;
pub mod rootfs;
pub mod start;
pub mod sys;
pub mod workload;

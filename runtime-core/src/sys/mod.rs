//! The only unsafe code of the library: one unsafe operation a block, each with the contract it keeps.

pub(crate) mod bpf;
pub(crate) mod clone;
mod descriptor;
pub(crate) mod exec;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod process;
mod stub;
pub(crate) mod userns;

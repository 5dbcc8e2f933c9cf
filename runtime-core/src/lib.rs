//! teu's runtime as a library.
#![allow(dead_code)]

pub mod cgroup;
pub mod error;
pub mod host;
pub mod id;
pub mod namespace;

mod hook;
mod link;
mod probe;
mod sys;
mod undo;

pub use error::{Error, ErrorKind, Result};
pub use id::ContainerId;

//! teu's runtime as a library.
#![warn(missing_docs)]

pub mod cgroup;
pub mod error;
pub mod host;

pub use error::{Error, ErrorKind, Result};

//! What the runtime and its init program say to each other.
//!
//! The plan of init is decided by the runtime, written once into sealed memory and read by init in place.
//! Every type is described once here and exists in two forms: an owned one for the runtime, which builds,
//! compares and prints plans, and a borrowed *view* for init, which has no allocator. Both come from one
//! [`wire_struct!`] or [`wire_enum!`], so writer and reader cannot drift apart.
//!
//! The encoding is private to one build of the runtime: init is embedded in the library that writes the
//! plan, so there are no versions and nothing of it is ever stored.
#![no_std]

#[cfg(feature = "owned")]
extern crate std;

mod codec;
mod failure;
mod macros;
mod message;
mod plan;
mod process;
mod rootfs;

pub use codec::{Bytes, Field, List, ListIter, Malformed, Many, Maybe, Reader, Text, decode};
#[cfg(feature = "owned")]
pub use codec::{Owned, OwnedBytes, OwnedText, encode};
pub use failure::{Failure, FailureView, Step};
pub use message::{ToCaller, ToInit};
pub use plan::*;
pub use process::*;
pub use rootfs::*;

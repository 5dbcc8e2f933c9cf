//! teu's runtime as a library: a bundle in, a container out.
//!
//! [`Runtime`] is the front. What happens below it is described in ARCHITECTURE.md; modules are declared here
//! in the order in which a container meets them.
//!
//! ```no_run
//! use runtime_core::{ContainerId, CreateOptions, DeleteOptions, Runtime};
//!
//! let runtime = Runtime::open("/run/teu")?;
//! let id = ContainerId::new("hello")?;
//! let options = CreateOptions { bundle: "/srv/hello".into(), ..CreateOptions::default() };
//! let running = runtime.run(&id, &options)?;
//! println!("{:?}", running.wait()?);
//! runtime.delete(&id, DeleteOptions::default())?;
//! # Ok::<(), runtime_core::Error>(())
//! ```

pub mod bundle;
pub mod error;
pub mod host;
pub mod id;
pub mod spec;

pub mod plan;

pub mod cgroup;
pub mod namespace;
pub mod process;
pub mod rootfs;

mod criu;
mod dbus;
mod hook;
mod kernel;
mod link;
mod mountpoint;
mod operation;
mod probe;
mod program;
mod runtime;
mod spawn;
mod store;
mod sys;
mod tree;
mod undo;

pub use criu::{CgroupsMode, CriuOptions};
pub use error::{Error, ErrorKind, Result};
pub use id::ContainerId;
/// The types of config.json, as [`Runtime::exec`] takes its process.
pub use oci_spec::runtime as oci;
pub use operation::checkpoint::CheckpointOptions;
pub use operation::child::Exit;
pub use operation::query::State;
pub use operation::restore::RestoreOptions;
pub use operation::start::Notified;
pub use operation::watch::{Notice, Watch};
pub use operation::{
    Console, CreateOptions, DeleteOptions, ExecOptions, KillTarget, Stdio, WindowSize,
};
pub use runtime::{Created, Running, Runtime, Workload, plan};
pub use store::record::SeccompListener;
pub use store::status::Status;

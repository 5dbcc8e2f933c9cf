//! A small D-Bus client (D-Bus specification 0.42), for the few calls that systemd is asked: one connection, one
//! thread, one question at a time, and no wait without an end.
//!
//! Only what those calls need: unix sockets, little-endian messages, method calls and signals; no descriptors and
//! no introspection. It knows nothing of systemd. docs/decision/0007 says why it is not a library.

mod address;
mod connection;
mod wire;

pub(crate) use connection::{Connection, Refusal};
pub use wire::Value;
pub(crate) use wire::{Body, Call, Message};

//! The systemd driver: a container's cgroup as a transient unit (org.freedesktop.systemd1(5)), which systemd
//! accounts, shows and stops like its own.
//!
//! Owns the unit: its name, its properties, its start, change and end. [`lower`] decides (pure), `manager` asks
//! systemd over D-Bus. Everything in the files of a cgroup stays with the other modules of `cgroup`, which write
//! the limits of a unit too: what systemd does not know, and what it knows only rounded.
//!
//! **Who keeps the scope.** systemd makes a scope only around a process that is there, and removes it when the
//! last one has left. Init cannot be that process without being born outside and moved, running for a moment
//! without its limits. So the caller makes a *keeper* first, a stub that waits for the end of its link and never
//! runs a program (`spawn::Keeper`): the scope is started around it, the rest of the limits is written,
//! init is born in the scope's cgroup as in any other, and the keeper goes when init is in. Should the caller be
//! killed, the keeper sees the end of its link, and the scope goes with it. docs/decision/0008 weighs it.

pub(super) mod lower;
pub(crate) mod manager;

use serde::{Deserialize, Serialize};

pub use crate::dbus::Value;

/// Which systemd is asked, and where it has its units. Plain data: probed once, and remembered with the unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// A user's own, for rootless containers; else the system's.
    pub user: bool,
    /// Its bus, as a D-Bus address.
    pub address: String,
    /// The cgroup that its units are below, without a slash at its end: empty for the system's.
    pub cgroup: String,
}

/// The unit that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitPlan {
    /// `teu-ID.scope`, or a slice.
    pub name: String,
    /// The slice that it is in.
    pub slice: String,
    /// Who makes it.
    pub manager: Manager,
    /// What systemd is told of it, in this order.
    pub properties: Vec<Property>,
}

/// A property of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Property {
    /// Its name on D-Bus, which is not always that of unit files.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// The field of config.json that asks for it; none for those that every unit has.
    pub field: Option<String>,
}

impl UnitPlan {
    /// Scopes are made around a process; slices are not.
    pub fn is_scope(&self) -> bool {
        is_scope(&self.name)
    }

    /// What later commands need.
    pub(super) fn record(&self) -> UnitRecord {
        UnitRecord { name: self.name.clone(), manager: self.manager.clone() }
    }
}

/// What is remembered of a unit, from before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub manager: Manager,
}

impl UnitRecord {
    pub(super) fn is_scope(&self) -> bool {
        is_scope(&self.name)
    }
}

fn is_scope(name: &str) -> bool {
    name.ends_with(".scope")
}

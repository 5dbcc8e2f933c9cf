//! Faults of the systemd driver. They are judged on a host that systemd runs.

use std::process::Command;

use serde_json::{Value, json};

use crate::call::{Call, Result};
use crate::config::{of, without};
use crate::fault::{Fault, Way};

/// `slice:prefix:name` of the configuration.
fn parts(config: &Value) -> Option<(String, String, String)> {
    let path = config["linux"]["cgroupsPath"].as_str()?;
    let mut parts = path.split(':').map(str::to_owned);
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// The scope that a call's bundle names.
fn unit(call: &Call) -> Option<String> {
    let config = serde_json::from_slice(&std::fs::read(call.config()).ok()?).ok()?;
    let (_, prefix, name) = parts(&config)?;
    Some(format!("{prefix}-{name}.scope"))
}

fn control(words: &[&str]) -> Result<()> {
    Command::new("systemctl").args(words).output()?;
    Ok(())
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of(
        "systemd-slice",
        "the slice of cgroupsPath is forgotten",
        &["systemd/unit", "systemd/nested-slice"],
        |config| {
            if let Some((_, prefix, name)) = parts(config) {
                config["linux"]["cgroupsPath"] = format!("system.slice:{prefix}:{name}").into();
            }
        },
    ),
    of(
        "systemd-default",
        "without a path the scope is in a slice of the runtime's own",
        &["systemd/default"],
        |config| {
            if config["linux"]["cgroupsPath"].is_null() {
                config["linux"]["cgroupsPath"] = json!("user.slice:faulty:default");
            }
        },
    ),
    of(
        "systemd-bad-paths",
        "a path that names no unit is taken for no path",
        &["systemd/bad-paths"],
        |config| {
            if parts(config).is_none() {
                without(config, "/linux/cgroupsPath");
            }
        },
    ),
    of(
        "systemd-annotations",
        "annotations are ignored",
        &["systemd/annotations", "systemd/bad-annotations"],
        |config| without(config, "/annotations"),
    ),
    of(
        "systemd-limits",
        "limits are ignored",
        &[
            "systemd/limits",
            "systemd/limits-stay",
            "systemd/no-swap-stays",
            "systemd/cpuset",
            "systemd/hugepages-stay",
        ],
        |config| {
            for name in ["memory", "pids", "cpu", "hugepageLimits"] {
                without(config, &format!("/linux/resources/{name}"));
            }
        },
    ),
    Fault {
        name: "systemd-untold",
        what: "systemd does not know the limits, and takes them back",
        cases: &[
            "systemd/limits",
            "systemd/limits-stay",
            "systemd/no-swap-stays",
            "systemd/cpuset",
        ],
        way: Way::After(|call, _| match unit(call).filter(|_| call.verb == "create") {
            Some(unit) => {
                let none = [
                    "MemoryMax=infinity",
                    "MemorySwapMax=infinity",
                    "TasksMax=infinity",
                    "AllowedCPUs=",
                    "AllowedMemoryNodes=",
                ];
                control(&[&["set-property", "--runtime", &unit], &none[..]].concat())
            }
            None => Ok(()),
        }),
    },
    Fault {
        name: "systemd-update",
        what: "update does nothing",
        cases: &["systemd/update", "systemd/cpuset-update"],
        way: Way::Instead(|call| if call.verb == "update" { Ok(0) } else { call.make() }),
    },
    Fault {
        name: "systemd-foreign",
        what: "a unit of the same name is stopped to make room",
        cases: &["systemd/foreign-unit"],
        way: Way::Words(|call| match unit(call).filter(|_| call.verb == "create") {
            Some(unit) => control(&["stop", &unit]),
            None => Ok(()),
        }),
    },
]];

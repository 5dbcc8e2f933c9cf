//! Faults of `linux.intelRdt`. All but one show only on a host with resctrl.

use std::fs;
use std::path::PathBuf;

use crate::call::Call;
use crate::config::{of, without};
use crate::fault::{Fault, Way};

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of(
        "rdt",
        "linux.intelRdt is ignored",
        &[
            "config/intel-rdt-absent",
            "rdt/class",
            "rdt/named",
            "rdt/schemas",
            "rdt/schemata",
            "rdt/same",
            "rdt/other",
            "rdt/unknown",
            "rdt/not-a-class",
            "rdt/monitoring",
            "rdt/exec",
            "rdt/update",
            "rdt/stats",
        ],
        |config| without(config, "/linux/intelRdt"),
    ),
    of(
        "rdt-named",
        "closID is ignored",
        &["rdt/named", "rdt/same", "rdt/other", "rdt/unknown", "rdt/not-a-class"],
        |config| without(config, "/linux/intelRdt/closID"),
    ),
    of("rdt-schemas", "l3CacheSchema is ignored", &["rdt/schemas", "rdt/same"], |config| {
        without(config, "/linux/intelRdt/l3CacheSchema");
    }),
    of("rdt-schemata", "schemata is ignored", &["rdt/schemata", "rdt/other"], |config| {
        without(config, "/linux/intelRdt/schemata");
    }),
    of(
        "rdt-monitoring",
        "enableMonitoring is ignored",
        &["rdt/monitoring", "rdt/exec"],
        |config| without(config, "/linux/intelRdt/enableMonitoring"),
    ),
    Fault {
        name: "rdt-update",
        what: "--l3-cache-schema is ignored",
        cases: &["rdt/update"],
        way: Way::Words(|call| {
            call.drop_flag("--l3-cache-schema");
            Ok(())
        }),
    },
    Fault {
        name: "rdt-left",
        what: "delete and a failed create leave the class",
        cases: &["rdt/class", "rdt/rollback"],
        way: Way::After(|call, code| {
            if (call.verb == "delete" && code == 0) || (call.makes() && code != 0) {
                leave_class(call);
            }
            Ok(())
        }),
    },
]];

fn leave_class(call: &Call) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = mounts.lines().find(|line| line.contains(" - resctrl "));
    let root = line.and_then(|line| line.split(' ').nth(4)).map(PathBuf::from);
    if let Some(root) = root {
        fs::create_dir(root.join(call.id())).ok();
    }
}

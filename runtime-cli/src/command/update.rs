//! `update`: other limits for a running container.

use std::io::Read as _;

use runtime_core::cgroup::rdt::Schemas;
use runtime_core::oci::LinuxResources;
use runtime_core::spec;
use serde_json::{Value, json};

use super::{Call, Command};
use crate::args::{Flag, Matches, Syntax};
use crate::exit::Failure;

/// A flag, the field that it sets, and how its value is read.
struct Limit {
    flag: Flag,
    section: &'static str,
    field: &'static str,
    read: fn(&str) -> Option<Value>,
}

macro_rules! limits {
    ($($flag:literal $value:literal $section:literal $field:literal $read:ident $help:literal;)*) => {
        const LIMITS: &[Limit] = &[$(Limit {
            flag: Flag::with($flag, $value, $help),
            section: $section,
            field: $field,
            read: $read,
        }),*];
        const FLAGS: &[Flag] = &[
            Flag::with("resources", "FILE", "read `linux.resources` from FILE, or from stdin with -; of the other flags only the schemas count then")
                .short('r'),
            $(Flag::with($flag, $value, $help),)*
            Flag::with("l3-cache-schema", "SCHEMA", "share of the L3 cache for the container's class (linux.intelRdt), as L3:0=ff;1=c0"),
            Flag::with("mem-bw-schema", "SCHEMA", "memory bandwidth for the container's class, as MB:0=20;1=70"),
            Flag::with("kernel-memory", "BYTES", "ignored: kernels since 5.4 have no such limit").hidden(),
            Flag::with("kernel-memory-tcp", "BYTES", "ignored, as --kernel-memory").hidden(),
        ];
    };
}

limits! {
    "blkio-weight" "NUMBER" "blockIO" "weight" number "weight of block I/O, 10 to 1000";
    "cpu-period" "MICROSECONDS" "cpu" "period" number "period of the CPU quota in microseconds";
    "cpu-quota" "MICROSECONDS" "cpu" "quota" number "CPU time in a period in microseconds; -1 for no limit";
    "cpu-burst" "MICROSECONDS" "cpu" "burst" number "CPU time that may be saved up for later, in microseconds";
    "cpu-share" "NUMBER" "cpu" "shares" number "relative weight of CPU time, 1024 as the default";
    "cpu-rt-period" "MICROSECONDS" "cpu" "realtimePeriod" number "period of real-time scheduling in microseconds";
    "cpu-rt-runtime" "MICROSECONDS" "cpu" "realtimeRuntime" number "real-time CPU time in a period in microseconds";
    "cpu-idle" "0|1" "cpu" "idle" number "1: runs only when nobody else wants the CPU";
    "cpuset-cpus" "LIST" "cpu" "cpus" text "CPUs to run on, as 0-3,7";
    "cpuset-mems" "LIST" "cpu" "mems" text "memory nodes to use";
    "memory" "BYTES" "memory" "limit" bytes "limit of memory; k, m, g behind the number, -1 for no limit";
    "memory-reservation" "BYTES" "memory" "reservation" bytes "memory kept when the host is short of it";
    "memory-swap" "BYTES" "memory" "swap" bytes "limit of memory and swap together; -1 for no limit";
    "pids-limit" "NUMBER" "pids" "limit" number "most processes; -1 for no limit";
}

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "update",
        operands: "<container-id>",
        count: 1..=1,
        about: "change the limits of a container",
        description: "All that is given is changed, or nothing: when the kernel refuses one limit, the others are\n\
                      put back. What is not given stays.\n\
                      A schema is written to the container's class in resctrl, and holds for all that is in it.",
        flags: FLAGS,
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let (json, source) = match call.given.text("resources")? {
        Some("-") => (from_stdin()?, "--resources -".to_owned()),
        Some(file) => {
            let bytes = std::fs::read(file)
                .map_err(|error| Failure::os(format!("--resources {file}"), error))?;
            (bytes, file.to_owned())
        }
        None => (from_flags(call)?.to_string().into_bytes(), "update".to_owned()),
    };
    let resources: LinuxResources =
        spec::parse_resources(&json).map_err(|error| error.of(&source))?;
    let text = |flag| call.given.text(flag).map(|schema| schema.map(str::to_owned));
    let schemas = Schemas { l3_cache: text("l3-cache-schema")?, mem_bw: text("mem-bw-schema")? };
    let runtime = call.runtime()?;
    let warnings = runtime.update(&id, &resources, &schemas).map_err(|error| error.of(&source))?;
    call.warn(&warnings);
    Ok(0)
}

fn from_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(|error| Failure::os("read(stdin)", error))?;
    Ok(bytes)
}

fn from_flags(call: &Call<'_>) -> Result<Value, Failure> {
    let given: &Matches = call.given;
    for flag in ["kernel-memory", "kernel-memory-tcp"] {
        if given.value(flag).is_some() {
            call.log.warning(&format!("--{flag} is ignored: kernels since 5.4 have no such limit"));
        }
    }
    let mut resources = json!({});
    for limit in LIMITS {
        let Some(text) = given.text(limit.flag.long)? else { continue };
        let value = (limit.read)(text).ok_or_else(|| {
            let kind = limit.flag.value.unwrap_or_default();
            Failure::usage(format!("--{}: {text:?} is not {kind}", limit.flag.long))
        })?;
        resources[limit.section][limit.field] = value;
    }
    Ok(resources)
}

fn number(text: &str) -> Option<Value> {
    text.parse::<i64>().ok().map(Value::from)
}

fn text(text: &str) -> Option<Value> {
    Some(text.into())
}

/// Bytes, with the suffixes that Docker's users know: `512m`, `1g`, `64KiB`.
fn bytes(text: &str) -> Option<Value> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let power = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let number: i64 = number.parse().ok()?;
    number.checked_mul(1 << power).filter(|bytes| *bytes >= -1).map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::{bytes, number};

    #[test]
    fn sizes() {
        for (text, wanted) in
            [("1", 1), ("-1", -1), ("2k", 2048), ("3M", 3 << 20), ("1gb", 1 << 30), ("5KiB", 5120)]
        {
            assert_eq!(bytes(text), Some(wanted.into()), "{text}");
        }
        for bad in ["", "k", "1x", "-2", "1.5g", "99999999999g", "--1"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert_eq!(number("1k"), None);
    }
}

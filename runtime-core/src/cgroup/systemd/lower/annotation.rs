//! `org.systemd.property.NAME` annotations → properties of the unit, those of a list. Pure.
//!
//! Annotations may come from whoever describes a pod, who is not whoever owns the host (CVE-2024-3154: a unit
//! property runs programs on the host as root). So only properties are taken that say when and how the unit ends:
//! what managers ask for themselves (Podman `KillSignal` and `TimeoutStopUSec`; CRI-O `After`, `CollectMode`,
//! `DefaultDependencies`, `Delegate` and `TimeoutStopUSec`), and what can only make its life shorter.

use std::collections::BTreeMap;

use super::{Property, Value};
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// How a value is read.
#[derive(Clone, Copy)]
enum Kind {
    /// Microseconds, or seconds under a name that ends in `Sec`.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number of a signal.
    Signal,
    /// Names of units.
    Units,
    /// `true` or `false`.
    Bool,
    /// `true`.
    True,
}

const ALLOWED: &[(&str, Kind)] = &[
    // An order: it starts and stops nothing.
    ("After", Kind::Units),
    // What every unit has already: other values would leave failed units behind.
    ("CollectMode", Kind::Word(&["inactive-or-failed"])),
    ("DefaultDependencies", Kind::Bool),
    // As well: without it systemd would take back what is written into the cgroup.
    ("Delegate", Kind::True),
    ("KillSignal", Kind::Signal),
    ("ManagedOOMMemoryPressure", Kind::Word(&["auto", "kill"])),
    ("ManagedOOMSwap", Kind::Word(&["auto", "kill"])),
    ("OOMPolicy", Kind::Word(&["continue", "stop", "kill"])),
    ("RuntimeMaxUSec", Kind::Time),
    ("TimeoutStopUSec", Kind::Time),
];

/// The properties that annotations ask for.
pub(super) fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>> {
    let ours = annotations.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix(PREFIX)?;
        Some((key, name, value))
    });
    ours.map(|(key, name, value)| property(name, value, format!("annotations[{key:?}]"))).collect()
}

fn property(given: &str, text: &str, field: String) -> Result<Property> {
    // Unit files have seconds where D-Bus has microseconds; runc takes both names.
    let seconds = given.strip_suffix("Sec").filter(|stem| !stem.ends_with('U'));
    let name = seconds.map_or(given.to_owned(), |stem| format!("{stem}USec"));
    let Some((_, kind)) = ALLOWED.iter().find(|(allowed, _)| *allowed == name) else {
        let names: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
        let text =
            format!("this property cannot be set by an annotation, only {}", names.join(", "));
        return Err(Error::spec(field, text));
    };
    let bad = |wanted: String| Error::spec(field.clone(), format!("{text:?} is not {wanted}"));
    let value = match kind {
        Kind::Time => {
            let number = self::number(text).and_then(|number| {
                if seconds.is_some() { number.checked_mul(1_000_000) } else { Some(number) }
            });
            Value::Number(number.ok_or_else(|| bad("a time, as `uint64 5000000` or `5`".into()))?)
        }
        Kind::Word(words) => {
            let word = unquoted(text);
            if !words.contains(&word) {
                return Err(bad(words.join(" or ")));
            }
            Value::Text(word.to_owned())
        }
        Kind::Signal => {
            let signal = number(text).and_then(|number| i32::try_from(number).ok());
            let signal = signal.filter(|signal| (1..=64).contains(signal));
            Value::Signed(signal.ok_or_else(|| bad("the number of a signal".into()))?)
        }
        Kind::Units => {
            Value::Texts(units(text).ok_or_else(|| bad("a list, as `['crio.service']`".into()))?)
        }
        Kind::Bool if text == "false" => Value::Bool(false),
        Kind::Bool | Kind::True if text == "true" => Value::Bool(true),
        Kind::Bool => return Err(bad("true or false".into())),
        Kind::True => return Err(bad("true".into())),
    };
    Ok(Property { name, value, field: Some(field) })
}

/// A number in GVariant's text form, with its type or without one.
fn number(text: &str) -> Option<u64> {
    let types = ["uint64 ", "int64 ", "uint32 ", "int32 "];
    let number = types.iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text);
    number.trim().parse().ok()
}

/// A string in GVariant's text form, or bare.
fn unquoted(text: &str) -> &str {
    let within = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(text)
}

/// An array of strings in GVariant's text form.
fn units(text: &str) -> Option<Vec<String>> {
    let list = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let unit = |text: &str| {
        let name = unquoted(text.trim());
        super::check_name(name).ok().filter(|()| name.contains('.')).map(|()| name.to_owned())
    };
    list.split(',').map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<Vec<Property>> {
        properties(&BTreeMap::from([
            (format!("{PREFIX}{name}"), value.to_owned()),
            ("org.other".to_owned(), "x".to_owned()),
        ]))
    }

    #[test]
    fn what_the_list_allows_is_read() {
        for (name, value, property, wanted) in [
            ("TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec", Value::Number(123_456_789)),
            ("TimeoutStopSec", "5", "TimeoutStopUSec", Value::Number(5_000_000)),
            ("RuntimeMaxUSec", "7", "RuntimeMaxUSec", Value::Number(7)),
            (
                "CollectMode",
                "'inactive-or-failed'",
                "CollectMode",
                Value::Text("inactive-or-failed".into()),
            ),
            ("OOMPolicy", "\"kill\"", "OOMPolicy", Value::Text("kill".into())),
            ("ManagedOOMSwap", "kill", "ManagedOOMSwap", Value::Text("kill".into())),
            ("KillSignal", "37", "KillSignal", Value::Signed(37)),
            ("DefaultDependencies", "true", "DefaultDependencies", Value::Bool(true)),
            ("Delegate", "true", "Delegate", Value::Bool(true)),
            (
                "After",
                "['crio.service', \"a.mount\"]",
                "After",
                Value::Texts(vec!["crio.service".into(), "a.mount".into()]),
            ),
        ] {
            let got = one(name, value).unwrap();
            assert_eq!((got.len(), got[0].name.as_str(), &got[0].value), (1, property, &wanted));
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (name, value) in [
            ("ExecStartPre", "[('/bin/sh', ['sh'], false)]"),
            ("ExecStopPost", "x"),
            ("User", "'root'"),
            ("Slice", "'system.slice'"),
            ("Delegate", "false"),
            ("KillSignal", "0"),
            ("KillSignal", "65"),
            ("After", "crio.service"),
            ("After", "['a b']"),
            ("DefaultDependencies", "yes"),
            ("Wants", "['debug-shell.service']"),
            ("MemoryMax", "uint64 1"),
            ("USec", "1"),
            ("", "1"),
            ("TimeoutStopUSec", "soon"),
            ("TimeoutStopSec", "18446744073709551615"),
            ("CollectMode", "'inactive'"),
            ("OOMPolicy", "'never'"),
        ] {
            let error = one(name, value).unwrap_err();
            let wanted = format!("annotations[\"{PREFIX}{name}\"]");
            assert_eq!(error.path(), Some(wanted.as_str()), "{name}: {error}");
        }
    }
}

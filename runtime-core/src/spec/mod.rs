//! config.json → the types of oci-spec: parsed with the JSON path in every error, corrected where oci-spec is
//! stricter than the specification, and checked where one section speaks of another. Pure.

mod check;
mod sysctl;
mod tolerance;
mod tree;

use oci_spec::runtime::{LinuxResources, Process, Spec};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use check::process_fields as check_process;
pub use sysctl::Sysctls;
pub(crate) use sysctl::lower as lower_sysctls;

/// Parses a configuration; returns it with what the specification wants a warning for.
///
/// # Errors
/// [`crate::ErrorKind::InvalidSpec`] with the JSON path of the field.
pub fn parse(config: &[u8]) -> Result<(Spec, Vec<String>)> {
    let mut warnings = Vec::new();
    // Nearly every configuration is right and needs no correction. The path of a field is followed only when
    // there is an error to name it in: that takes a second copy of every type's code, which costs memory. oci-spec sees
    // itself that one of its own fields is there twice, but not a key of a map, as of annotations, or what it ignores.
    let spec = match serde_json::from_slice::<Spec>(config) {
        Ok(spec) if !tolerance::is_misread(&spec) && tree::is_unique(config) => spec,
        _ => {
            let mut tree = tree::parse(config)?;
            tolerance::correct(&mut tree, &mut warnings);
            serde_path_to_error::deserialize(tree).map_err(|error| broken(&error))?
        }
    };
    check::check(&spec, &mut warnings)?;
    Ok((spec, warnings))
}

/// Parses a process by itself, as `exec --process` gets it; returns it with warnings.
///
/// # Errors
/// [`crate::ErrorKind::InvalidSpec`] with the JSON path of the field, as in a whole configuration.
pub fn parse_process(json: &[u8]) -> Result<(Process, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Part {
        process: Process,
    }
    let mut warnings = Vec::new();
    let process = tree::parse(json)?;
    object(&process)?;
    let mut tree = serde_json::json!({ "process": process });
    tolerance::correct(&mut tree, &mut warnings);
    let part: Part = serde_path_to_error::deserialize(tree).map_err(|error| broken(&error))?;
    check::process_fields(&part.process)?;
    Ok((part.process, warnings))
}

/// Parses resources by themselves, as `update --resources` gets them.
///
/// # Errors
/// [`crate::ErrorKind::InvalidSpec`] with the JSON path of the field, as in a whole configuration.
pub fn parse_resources(json: &[u8]) -> Result<LinuxResources> {
    #[derive(serde::Deserialize)]
    struct Whole {
        linux: Part,
    }
    #[derive(serde::Deserialize)]
    struct Part {
        resources: LinuxResources,
    }
    let resources = tree::parse(json)?;
    object(&resources)?;
    let mut tree = serde_json::json!({ "linux": { "resources": resources } });
    tolerance::correct(&mut tree, &mut Vec::new());
    let whole: Whole = serde_path_to_error::deserialize(tree).map_err(|error| broken(&error))?;
    Ok(whole.linux.resources)
}

/// Serde would take a list for the fields in their order.
fn object(tree: &serde_json::Value) -> Result<()> {
    if tree.is_object() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidSpec, "config.json: not a JSON object"))
}

/// Not JSON at all: the place is a line and a column.
fn syntax(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidSpec, format!("config.json: {error}"))
}

fn broken<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Error {
    // What the message quotes of the file may be long.
    let mut text = error.inner().to_string().replace('\n', " ");
    if text.len() > 300 {
        text = text.chars().take(300).chain("…".chars()).collect();
    }
    match error.path().to_string().as_str() {
        // The file as a whole, or a place before any field.
        "." | "?" => Error::new(ErrorKind::InvalidSpec, format!("config.json: {text}")),
        path => Error::spec(path, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(super) fn minimal() -> Value {
        json!({
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
            "linux": {"namespaces": [{"type": "mount"}]}
        })
    }

    fn with(path: &str, value: Value) -> Result<(Spec, Vec<String>)> {
        let mut config = minimal();
        *config
            .pointer_mut(path.rsplit_once('/').unwrap().0)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .entry(path.rsplit_once('/').unwrap().1)
            .or_insert(Value::Null) = value;
        parse(config.to_string().as_bytes())
    }

    #[test]
    fn errors_name_the_json_path() {
        let cases = [
            ("/process/args", json!([1]), "process.args[0]"),
            ("/process/args", json!([]), "process.args"),
            ("/process/cwd", json!("x"), "process.cwd"),
            ("/process/user", json!({"uid": -1}), "process.user.uid"),
            ("/process/user", json!({"uid": 4_294_967_295_u64}), "process.user.uid"),
            ("/process/env", json!(["a\u{0}b"]), "process.env[0]"),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]),
                "process.rlimits[1].type",
            ),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]),
                "process.rlimits[0].soft",
            ),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_X", "soft": 2, "hard": 1}]),
                "process.rlimits[0].type",
            ),
            ("/mounts", json!([{"destination": "/x", "options": 5}]), "mounts[0].options"),
            ("/hooks", json!({"poststop": [{"path": "x"}]}), "hooks.poststop[0].path"),
            (
                "/hooks",
                json!({"poststop": [{"path": "/x", "timeout": 0}]}),
                "hooks.poststop[0].timeout",
            ),
            ("/ociVersion", json!("2.0.0"), "ociVersion"),
            ("/ociVersion", json!("one"), "ociVersion"),
            ("/root", Value::Null, "root"),
        ];
        for (path, value, expected) in cases {
            let error =
                with(path, value.clone()).map(|_| ()).expect_err(&format!("{path} {value}"));
            assert_eq!(error.path(), Some(expected), "{error}");
        }
    }

    #[test]
    fn no_property_is_there_twice_wherever_it_is() {
        let config = minimal().to_string();
        for (field, json) in [
            ("annotations", r#""annotations":{"a":"1","b":"2","a":"3"}"#),
            ("annotations", r#""annotations":{"a":"1","\u0061":"3"}"#),
            ("unknown.x", r#""unknown":{"x":{"y":1,"y":1}}"#),
            ("", r#""hostname":"a","hostname":"a""#),
        ] {
            let twice = format!("{},{json}}}", config.strip_suffix('}').unwrap());
            let error = parse(twice.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("is there twice"), "{error}");
            assert_eq!(error.path().unwrap_or_default(), field, "{error}");
        }
    }

    #[test]
    fn nesting_and_garbage_are_errors() {
        for bad in ["", "{", "[]", "nul", &"[".repeat(200_000), &"{\"a\":".repeat(100_000)] {
            assert!(parse(bad.as_bytes()).is_err());
        }
        assert!(parse(format!("{} x", minimal()).as_bytes()).is_err());
    }

    #[test]
    fn unknown_capabilities_and_empty_optional_words_are_tolerated() {
        let (spec, warnings) =
            with("/process/capabilities", json!({"bounding": ["CAP_KILL", "CAP_FUTURE_99"]}))
                .unwrap();
        let bounding =
            spec.process().as_ref().unwrap().capabilities().as_ref().unwrap().bounding().clone();
        assert_eq!(bounding.unwrap().len(), 1);
        assert_eq!(
            warnings,
            [
                "config.json: process.capabilities.bounding[1]: unknown capability CAP_FUTURE_99, ignored"
            ]
        );
        assert!(
            with("/linux/seccomp", json!({}))
                .unwrap()
                .0
                .linux()
                .as_ref()
                .unwrap()
                .seccomp()
                .is_none()
        );
        let (spec, _) = with("/linux/resources", json!({"pids": {}})).unwrap();
        assert!(spec.linux().as_ref().unwrap().resources().as_ref().unwrap().pids().is_none());
        assert!(
            with(
                "/process/scheduler",
                json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK"]})
            )
            .is_ok()
        );
    }

    #[test]
    fn other_platforms_are_warned_of() {
        let (_, warnings) = with("/windows", json!({"layerFolders": ["x"]})).unwrap();
        assert_eq!(warnings.len(), 1);
    }
}

//! Values that the specification forbids or that no kernel knows, and such that look odd and are allowed. Every
//! refusal has a control: the same configuration with a value that is right.

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Lab, Result, ensure, ensure_eq};

const IGNORES: &str = "runc 1.1 does not look at it";
const OLDER: &str = "runc 1.1 implements runtime-spec 1.0.2, which has no such property";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "value/version",
        "ociVersion is there, is SemVer, and is of a major version that is known",
        "OCI runtime-spec config.md#specification-version (REQUIRED, MUST be SemVer 2.0.0)",
        version,
    )
    .known("runc 1.1 accepts any string, and none"),
    Case::new(
        "value/version-earlier",
        "earlier versions of 1 work, pre-releases and builds included",
        "OCI runtime-spec config.md#specification-version (backward compatibility)",
        version_earlier,
    ),
    Case::new(
        "value/json-twice",
        "a property that is there twice is refused",
        "OCI runtime-spec glossary.md#json (objects MUST NOT include duplicate names)",
        |lab| {
            // Fields, keys of a map, what nobody knows, and one name in two spellings.
            for twice in [
                r#"{"hostname":"other","#,
                r#"{"annotations":{"a":"1","a":"2"},"#,
                r#"{"annotations":{"a":"1","\u0061":"2"},"#,
                r#"{"vendor":{"x":[{"y":1,"y":1}]},"#,
            ] {
                json_file(lab, |text| text.replacen('{', twice, 1).into())?;
            }
            Ok(())
        },
    )
    .known("Go's encoding/json lets the last one win"),
    Case::new(
        "value/json-utf-8",
        "a file that is not UTF-8 is refused",
        "OCI runtime-spec glossary.md#json (MUST be encoded in UTF-8)",
        |lab| {
            json_file(lab, |text| {
                let (head, tail) = text.split_once("\"conformance\"").unwrap_or_default();
                [head.as_bytes(), b"\"caf\xe9\"", tail.as_bytes()].concat()
            })
        },
    )
    .known("Go's encoding/json puts another character in its place"),
    Case::new(
        "value/annotations",
        "an annotation may have an empty value and any key; state shows it",
        "OCI runtime-spec config.md#annotations",
        annotations,
    ),
    Case::new(
        "value/annotation-not-string",
        "the value of an annotation is a string",
        "OCI runtime-spec config.md#annotations (Values MUST be strings)",
        |lab| {
            let value =
                |value: Value| move |c: &mut Value| c["annotations"] = json!({ "k": value });
            refuses(lab, "annotations", value(7.into()), value("7".into()))
        },
    ),
    Case::new(
        "value/annotation-key-empty",
        "an annotation without a name is refused",
        "OCI runtime-spec config.md#annotations (Keys MUST NOT be an empty string)",
        |lab| {
            let key = |key: &'static str| move |c: &mut Value| c["annotations"][key] = "v".into();
            refuses(lab, "annotations", key(""), key("k"))
        },
    )
    .known(IGNORES),
    Case::new(
        "value/hidden-relative",
        "paths to mask, or to make read-only, are absolute",
        "OCI runtime-spec config-linux.md#masked-paths, #readonly-paths (MUST be absolute)",
        hidden_relative,
    )
    .known("runc 1.1 takes a relative path as it comes"),
    Case::new(
        "value/personality-flags",
        "personality has no flags yet",
        "OCI runtime-spec config-linux.md#personality; config.md#valid-values",
        |lab| {
            let flags = |flags: Value| {
                move |c: &mut Value| {
                    c["linux"]["personality"] = json!({ "domain": "LINUX", "flags": flags });
                }
            };
            refuses(lab, "flags", flags(json!(["ADDR_NO_RANDOMIZE"])), flags(json!([])))
        },
    )
    .known(OLDER),
    Case::new(
        "value/scheduler",
        "a policy or a flag that the kernel does not have is refused",
        "OCI runtime-spec config.md#linux-process scheduler; config.md#valid-values",
        scheduler,
    )
    .known(OLDER),
    Case::new(
        "value/io-priority",
        "a class or a priority that the kernel does not have is refused",
        "OCI runtime-spec config.md#linux-process ioPriority (0 to 7)",
        io_priority,
    )
    .known(OLDER),
    Case::new(
        "value/rlimit-order",
        "a soft limit above the hard one is refused",
        "OCI runtime-spec config.md#posix-process (hard is the ceiling of soft)",
        |lab| {
            let limit = |soft: u32| {
                move |c: &mut Value| {
                    c["process"]["rlimits"] =
                        json!([{ "type": "RLIMIT_NOFILE", "soft": soft, "hard": 512 }]);
                }
            };
            refuses(lab, "rlimit", limit(513), limit(512))
        },
    ),
    Case::new(
        "value/device-numbers",
        "a device has its numbers, unless it is a FIFO",
        "OCI runtime-spec config-linux.md#devices major, minor (REQUIRED unless type is p)",
        |lab| {
            let device =
                |device: Value| move |c: &mut Value| c["linux"]["devices"] = json!([device]);
            let bad = json!({ "path": "/dev/odd", "type": "c" });
            let good = json!({ "path": "/dev/odd", "type": "p" });
            refuses(lab, "linux.devices[0]", device(bad), device(good))
        },
    )
    .known("runc 1.1 takes a missing number for 0"),
    Case::new(
        "value/time-offsets",
        "offsets are for clocks that a time namespace has",
        "OCI runtime-spec config-linux.md#offset-for-time-namespace; time_namespaces(7)",
        time_offsets,
    )
    .known(OLDER),
    Case::new(
        "value/seccomp-names",
        "a rule of seccomp names at least one call",
        "OCI runtime-spec config-linux.md#seccomp (names MUST contain at least one entry)",
        |lab| {
            let names = |names: Value| {
                let rule = json!([{ "names": names, "action": "SCMP_ACT_ERRNO" }]);
                seccomp(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule }))
            };
            refuses(lab, "names", names(json!([])), names(json!(["getsid"])))
        },
    )
    .known(IGNORES),
    Case::new(
        "value/seccomp-index",
        "a call has the arguments 0 to 5",
        "OCI runtime-spec config-linux.md#seccomp args; seccomp(2)",
        |lab| {
            let index = |index: u32| {
                let test = json!([{ "index": index, "value": 1, "op": "SCMP_CMP_EQ" }]);
                let rule =
                    json!([{ "names": ["getsid"], "action": "SCMP_ACT_ERRNO", "args": test }]);
                seccomp(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule }))
            };
            refuses(lab, "arg", index(6), index(5))
        },
    ),
    Case::new(
        "value/seccomp-metadata",
        "listenerMetadata needs a listenerPath",
        "OCI runtime-spec config-linux.md#seccomp (listenerMetadata MUST NOT be set without)",
        |lab| {
            let with = |listener: Value| {
                let mut profile = json!({ "defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{ "names": ["getsid"], "action": "SCMP_ACT_ERRNO" }] });
                if let Value::Object(all) = listener {
                    profile.as_object_mut().into_iter().for_each(|map| map.extend(all.clone()));
                }
                seccomp(profile)
            };
            // Without SCMP_ACT_NOTIFY nobody is asked.
            let both = json!({ "listenerPath": "/nobody.sock", "listenerMetadata": "m" });
            refuses(lab, "listener", with(json!({ "listenerMetadata": "m" })), with(both))
        },
    )
    .known(IGNORES),
    Case::new(
        "value/namespace-path-empty",
        "an empty path of a namespace is none",
        "OCI runtime-spec config-linux.md#namespaces path; Go writes what is unset so",
        |lab| {
            let facts = lab
                .container(lab.bundle(|config| {
                    for one in config["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
                        one["path"] = "".into();
                    }
                })?)
                .facts()?;
            ensure_eq!(facts["pid"], 1, "pid in a new namespace");
            Ok(())
        },
    ),
    Case::new(
        "value/process-missing",
        "a container without process never starts",
        "OCI runtime-spec runtime.md#start (MUST generate an error if process was not set)",
        process_missing,
    ),
];

/// `create` after `bad` fails with a message that has the word, and works after `good`.
fn refuses(
    lab: &Lab,
    word: &str,
    bad: impl FnOnce(&mut Value),
    good: impl FnOnce(&mut Value),
) -> Result {
    lab.container(lab.bundle(good)?).create()?;
    lab.container(lab.bundle(bad)?).try_create()?.refused()?.fails(1, word).map(drop)
}

fn seccomp(profile: Value) -> impl FnOnce(&mut Value) {
    move |config| config["linux"]["seccomp"] = profile
}

/// `create` with these bytes as config.json fails; with the text that they are made of it works.
fn json_file(lab: &Lab, edit: impl FnOnce(&str) -> Vec<u8>) -> Result {
    let bundle = lab.bundle(|_| {})?;
    let file = bundle.folder.join("config.json");
    let text = std::fs::read_to_string(&file)?;
    let control = lab.container(bundle.clone());
    control.create()?;
    // The next one is to have the same cgroup.
    control.delete_force()?;
    let bytes = edit(&text);
    ensure!(bytes != text.as_bytes(), "nothing was edited in {text}");
    std::fs::write(file, bytes)?;
    lab.container(bundle)
        .try_create()?
        .refused()?
        .fails(1, "config.json|hostname|character")
        .map(drop)
}

fn version(lab: &Lab) -> Result {
    for bad in ["", "banana", "1", "1.0", "2.0.0"] {
        let set = |version: &'static str| move |c: &mut Value| c["ociVersion"] = version.into();
        refuses(lab, "ociVersion", set(bad), set("1.0.2"))?;
    }
    let missing = lab.bundle(|config| {
        config.as_object_mut().map(|all| all.remove("ociVersion"));
    })?;
    lab.container(missing).try_create()?.refused()?.fails(1, "ociVersion").map(drop)
}

fn version_earlier(lab: &Lab) -> Result {
    for version in ["1.0.0", "1.0.1", "1.0.2", "1.0.2-dev"] {
        lab.container(lab.bundle(|config| config["ociVersion"] = version.into())?).create()?;
    }
    Ok(())
}

fn annotations(lab: &Lab) -> Result {
    let wanted = json!({
        "com.example.empty": "",
        "org.opencontainers.no.such.key": "kept",
        "no domain, spaces, ünïcode": "\"quoted\"\n",
    });
    let c = lab.container(lab.bundle(|config| config["annotations"] = wanted.clone())?);
    c.create()?;
    let found = c.state()?["annotations"].clone();
    for (key, value) in wanted.as_object().into_iter().flatten() {
        ensure_eq!(found[key], *value, "annotation {key:?}");
    }
    Ok(())
}

fn hidden_relative(lab: &Lab) -> Result {
    for property in ["maskedPaths", "readonlyPaths"] {
        let path = |path: &'static str| move |c: &mut Value| c["linux"][property] = json!([path]);
        refuses(lab, property, path("proc/sys"), path("/proc/sys"))?;
    }
    Ok(())
}

fn scheduler(lab: &Lab) -> Result {
    let set = |policy: &'static str, flags: Value| {
        move |c: &mut Value| {
            c["process"]["scheduler"] = json!({ "policy": policy, "flags": flags });
        }
    };
    let good = || set("SCHED_BATCH", json!(["SCHED_FLAG_RESET_ON_FORK"]));
    // Reserved in sched.h, and never implemented.
    refuses(lab, "policy", set("SCHED_ISO", json!([])), good())?;
    refuses(lab, "policy", set("SCHED_NONSENSE", json!([])), good())?;
    refuses(lab, "flags", set("SCHED_BATCH", json!(["SCHED_FLAG_NONSENSE"])), good())
}

fn io_priority(lab: &Lab) -> Result {
    let set = |class: &'static str, priority: i32| {
        move |c: &mut Value| {
            c["process"]["ioPriority"] = json!({ "class": class, "priority": priority });
        }
    };
    let good = || set("IOPRIO_CLASS_BE", 7);
    refuses(lab, "class", set("IOPRIO_CLASS_NONSENSE", 4), good())?;
    refuses(lab, "priority", set("IOPRIO_CLASS_BE", 8), good())?;
    refuses(lab, "priority", set("IOPRIO_CLASS_BE", -1), good())
}

fn time_offsets(lab: &Lab) -> Result {
    lab.needs("/proc/self/timens_offsets", "time namespaces")?;
    let set = |clock: &'static str, namespace: bool| {
        move |c: &mut Value| {
            c["linux"]["timeOffsets"] = json!({ clock: { "secs": 7 } });
            if let Some(all) = c["linux"]["namespaces"].as_array_mut().filter(|_| namespace) {
                all.push(json!({ "type": "time" }));
            }
        }
    };
    refuses(lab, "timeOffsets", set("realtime", true), set("boottime", true))?;
    refuses(lab, "timeOffsets", set("boottime", false), set("monotonic", true))
}

fn process_missing(lab: &Lab) -> Result {
    let c = lab.container(lab.bundle(|config| {
        config.as_object_mut().map(|all| all.remove("process"));
    })?);
    // REQUIRED when start is called; runtimes that look earlier refuse create.
    let done = c.try_create()?;
    if done.code == Some(0) {
        return c.call("start").run()?.refused().map(drop);
    }
    done.refused()?;
    c.call("state").run()?.fails(1, "does not exist").map(drop)
}

//! Faults of what is printed, and of exit statuses.

use serde_json::{Value, json};

use crate::call::Call;
use crate::fault::{Fault, Way};

const fn output(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    verb: &'static str,
    edit: fn(&str) -> String,
) -> Fault {
    Fault { name, what, cases, way: Way::Output(verb, edit) }
}

const fn status(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    edit: fn(&Call, u8) -> u8,
) -> Fault {
    Fault { name, what, cases, way: Way::Status(edit) }
}

/// Edits what is JSON, and leaves the rest as it is.
fn json_of(text: &str, edit: impl FnOnce(&mut Value)) -> String {
    let Ok(mut value) = serde_json::from_str(text) else { return text.to_owned() };
    edit(&mut value);
    format!("{value}\n")
}

/// Takes a property of every object of a list away.
fn without(list: &mut Value, property: &str) {
    for entry in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        entry.remove(property);
    }
}

/// One more word in a list.
fn add(list: &mut Value, word: &str) {
    if let Some(list) = list.as_array_mut() {
        list.push(word.into());
    }
}

/// Exit status 0 where the command is this one.
fn success_of(call: &Call, verb: &str, code: u8) -> u8 {
    if call.verb == verb { 0 } else { code }
}

const OUTPUTS: &[Fault] = &[
    output(
        "status",
        "a created container is said to run",
        &["lifecycle/statuses"],
        "state",
        |text| text.replace("\"created\"", "\"running\""),
    ),
    output(
        "name-no-text",
        "a container whose name in procfs is no text is said to have stopped",
        &["security/process-name"],
        "state",
        |text| {
            json_of(text, |state| {
                if std::fs::read_to_string(format!("/proc/{}/stat", state["pid"])).is_err() {
                    state["status"] = "stopped".into();
                }
            })
        },
    ),
    output(
        "stopped-pid",
        "a stopped container has a pid",
        &["lifecycle/state-stopped-pid"],
        "state",
        |text| {
            json_of(text, |state| {
                if state["pid"] == 0 {
                    state["pid"] = 4711.into();
                }
            })
        },
    ),
    output(
        "relative-bundle",
        "state has a relative bundle",
        &["cli/bundle-is-cwd"],
        "state",
        |text| json_of(text, |state| state["bundle"] = ".".into()),
    ),
    output(
        "state-version",
        "state has no ociVersion",
        &["lifecycle/state-fields"],
        "state",
        |text| {
            json_of(text, |state| {
                state.as_object_mut().map(|state| state.remove("ociVersion"));
            })
        },
    ),
    output(
        "noisy-output",
        "a message is on standard output",
        &["cli/debug-output"],
        "state",
        |text| format!("reading the state\n{text}"),
    ),
    output("list", "list lists one container too few", &["lifecycle/list"], "list", |text| {
        let mut lines: Vec<&str> = text.lines().collect();
        match serde_json::from_str(text) {
            Ok(Value::Array(mut list)) => {
                list.pop();
                Value::Array(list).to_string()
            }
            _ => {
                lines.pop();
                lines.join("\n")
            }
        }
    }),
    output("list-bundle", "list has no bundles in JSON", &["lifecycle/list"], "list", |text| {
        json_of(text, |list| without(list, "bundle"))
    }),
    output("list-created", "list has no times in JSON", &["lifecycle/list"], "list", |text| {
        json_of(text, |list| without(list, "created"))
    }),
    output(
        "features-actions",
        "features lack the actions of seccomp",
        &["cli/features"],
        "features",
        |text| {
            json_of(text, |all| {
                all["linux"]["seccomp"].as_object_mut().map(|seccomp| seccomp.remove("actions"));
            })
        },
    ),
    output(
        "features-cgroup",
        "features say nothing of cgroups",
        &["cli/features"],
        "features",
        |text| {
            json_of(text, |all| {
                all["linux"].as_object_mut().map(|linux| linux.remove("cgroup"));
            })
        },
    ),
    output(
        "features-hook",
        "features lack a stage of hooks",
        &["cli/features"],
        "features",
        |text| text.replace("\"poststop\"", "\"poststopped\""),
    ),
    output(
        "features-namespaces",
        "features list a namespace that is refused",
        &["feature/namespaces-true"],
        "features",
        |text| json_of(text, |all| add(&mut all["linux"]["namespaces"], "nonsense")),
    ),
    output(
        "features-operators",
        "features list an operator of seccomp that is refused",
        &["feature/seccomp-true"],
        "features",
        |text| {
            json_of(text, |all| add(&mut all["linux"]["seccomp"]["operators"], "SCMP_CMP_NONSENSE"))
        },
    ),
    output(
        "features-archs",
        "features list an architecture that is refused",
        &["feature/seccomp-archs-true"],
        "features",
        |text| json_of(text, |all| add(&mut all["linux"]["seccomp"]["archs"], "SCMP_ARCH_ABACUS")),
    ),
    output(
        "features-memory-policy",
        "features list a memory policy that is refused",
        &["feature/memory-policy-true"],
        "features",
        |text| {
            json_of(text, |all| add(&mut all["linux"]["memoryPolicy"]["modes"], "MPOL_NONSENSE"))
        },
    ),
    output(
        "state-annotations",
        "state has no annotations",
        &["lifecycle/state-fields", "operation/state", "value/annotations"],
        "state",
        |text| json_of(text, |state| state["annotations"] = json!({})),
    ),
    output(
        "creating",
        "a container that is being made is said to be created",
        &["lifecycle/creating"],
        "state",
        |text| text.replace("\"creating\"", "\"created\""),
    ),
    output(
        "features-idmap",
        "features say nothing of idmapped mounts",
        &["idmap/features"],
        "features",
        |text| text.replace("\"idmap\"", "\"noidmap\""),
    ),
    output(
        "events",
        "the samples have no numbers of memory",
        &["events/stats"],
        "events",
        |text| json_of(text, |event| event["data"]["memory"] = json!({})),
    ),
    output(
        "events-throttling",
        "the samples have no numbers of what a quota withholds",
        &["events/throttled"],
        "events",
        |text| json_of(text, |event| event["data"]["cpu"]["throttling"] = json!({})),
    ),
    output("ps", "ps prints the pids of the container's namespace", &["cli/ps"], "ps", |text| {
        json_of(text, |pids| *pids = json!([1]))
    }),
    output("ps-init", "ps prints only the first process", &["ps/exec"], "ps", |text| {
        json_of(text, |pids| {
            if let Some(pids) = pids.as_array_mut() {
                pids.truncate(1);
            }
        })
    }),
    output("paused", "a paused container is said to run", &["cli/pause-resume"], "state", |text| {
        text.replace("\"paused\"", "\"running\"")
    }),
    output(
        "version-spec",
        "--version says nothing of the specification",
        &["cli/version"],
        "--version",
        |text| {
            text.lines()
                .filter(|line| !line.starts_with("spec:"))
                .map(|line| format!("{line}\n"))
                .collect()
        },
    ),
    output(
        "version",
        "a second line of --version says version",
        &["cli/version"],
        "--version",
        |text| format!("{text}library version 1\n"),
    ),
    Fault {
        name: "messages",
        what: "an error is only called one",
        cases: &["lifecycle/unknown-id", "lifecycle/kill-stopped"],
        way: Way::Errors(|text| if text.is_empty() { String::new() } else { "error\n".into() }),
    },
    Fault {
        name: "warnings",
        what: "what succeeds writes to standard error",
        cases: &["lifecycle/delete-created"],
        way: Way::Errors(|text| format!("warning: all is well\n{text}")),
    },
];

const STATUSES: &[Fault] = &[
    status(
        "run-status",
        "run exits 0 whatever the workload said",
        &["lifecycle/run-exit-status"],
        |call, code| success_of(call, "run", code),
    ),
    status(
        "exec-status",
        "exec exits 0 whatever the process said",
        &["exec/exit-code"],
        |call, code| success_of(call, "exec", code),
    ),
    status(
        "start-twice",
        "start succeeds whatever comes out",
        &[
            "lifecycle/start-twice",
            "lifecycle/start-race",
            "lifecycle/start-cannot-execute",
            "hook/start-container-failure",
            "hook/poststart-failure",
        ],
        |call, code| success_of(call, "start", code),
    ),
    status(
        "duplicate-id",
        "create of an id in use succeeds",
        &["lifecycle/duplicate-id"],
        |call, code| success_of(call, "create", code),
    ),
    status(
        "kill-stopped",
        "kill of what is stopped succeeds",
        &["lifecycle/kill-stopped"],
        |call, code| success_of(call, "kill", code),
    ),
    status(
        "delete-status",
        "delete --force exits 1 after its work",
        &["lifecycle/delete-force-missing"],
        |call, code| {
            if call.verb == "delete" && call.words.iter().any(|word| word == "--force") {
                1
            } else {
                code
            }
        },
    ),
    status("failure-status", "what fails exits with 2", &["cli/program-missing"], |_, code| {
        if code == 1 { 2 } else { code }
    }),
];

/// All of them.
pub(crate) const FAULTS: &[&[Fault]] = &[OUTPUTS, STATUSES];

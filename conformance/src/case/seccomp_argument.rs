//! Conditions on the arguments of system calls in `linux.seccomp`.

use serde_json::{Value, json};

use super::Case;
use super::seccomp::{MARK, only};
use crate::harness::{Lab, Result, ensure_eq};

const SPEC: &str = "OCI runtime-spec config-linux.md#seccomp args";

pub(super) const CASES: &[Case] = &[
    Case::new("seccomp/args-eq", "EQ", SPEC, |lab| {
        arguments(lab, json!([arg(1, "EQ")]), ["no", "yes", "no", "no"])
    }),
    Case::new("seccomp/args-ne", "NE", SPEC, |lab| {
        arguments(lab, json!([arg(1, "NE")]), ["yes", "no", "yes", "yes"])
    }),
    Case::new("seccomp/args-lt", "LT", SPEC, |lab| {
        arguments(lab, json!([arg(2, "LT")]), ["yes", "yes", "no", "no"])
    }),
    Case::new("seccomp/args-le", "LE", SPEC, |lab| {
        arguments(lab, json!([arg(1, "LE")]), ["yes", "yes", "no", "no"])
    }),
    Case::new("seccomp/args-ge", "GE", SPEC, |lab| {
        arguments(lab, json!([arg(2, "GE")]), ["no", "no", "yes", "yes"])
    }),
    Case::new("seccomp/args-gt", "GT", SPEC, |lab| {
        arguments(lab, json!([arg(2, "GT")]), ["no", "no", "no", "yes"])
    }),
    Case::new("seccomp/args-masked-eq", "MASKED_EQ: value is the mask", SPEC, |lab| {
        let masked = json!([{ "index": 0, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ" }]);
        arguments(lab, masked, ["no", "yes", "no", "yes"])
    }),
    Case::new(
        "seccomp/args-same-index",
        "several conditions on one argument: any of them",
        "OCI runtime-spec config-linux.md#seccomp; runc and libseccomp: one rule each",
        |lab| arguments(lab, json!([arg(0, "EQ"), arg(3, "EQ")]), ["yes", "no", "no", "yes"]),
    ),
    Case::new(
        "seccomp/args-both",
        "conditions on different arguments: all of them",
        "seccomp_rule_add(3)",
        |lab| {
            let second = json!({ "index": 1, "value": 0, "op": "SCMP_CMP_EQ" });
            arguments(lab, json!([arg(1, "EQ"), second]), ["no", "yes", "no", "no"])
        },
    ),
];

fn arg(value: u64, operator: &str) -> Value {
    json!({ "index": 0, "value": value, "op": format!("SCMP_CMP_{operator}") })
}

/// Whether getsid of 0, 1, 2 and 3 meets a rule with these conditions.
fn arguments(lab: &Lab, conditions: Value, want: [&str; 4]) -> Result {
    let profile = only(json!({
        "names": ["getsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": MARK, "args": conditions,
    }));
    let script = "for n in 0 1 2 3; do /probe syscall getsid $n; done";
    let bundle = lab.bundle(|config| {
        config["linux"]["seccomp"] = profile;
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?;
    let output = lab.container(bundle).run()?.ok()?.stdout;
    let got: Vec<&str> =
        output.lines().map(|line| if line == "errno 77" { "yes" } else { "no" }).collect();
    ensure_eq!(got, want, "which of getsid(0..=3) meet the rule ({output:?})");
    Ok(())
}

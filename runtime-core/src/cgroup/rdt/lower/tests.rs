use serde_json::{Value, json};

use super::*;

fn lowered(rdt: &Value) -> RdtPlan {
    lower(&serde_json::from_value(rdt.clone()).unwrap(), "box").unwrap()
}

fn refused(rdt: &Value, id: &str) -> String {
    lower(&serde_json::from_value(rdt.clone()).unwrap(), id).unwrap_err().to_string()
}

fn groups(class: &str, shared: bool, monitoring: Option<&str>) -> RdtRecord {
    RdtRecord {
        class: class.into(),
        shared,
        monitoring: monitoring.map(str::to_owned),
        claim: None,
    }
}

fn own(groups: &RdtRecord) -> Vec<String> {
    groups.own().collect()
}

fn directories(groups: &RdtRecord) -> Vec<String> {
    groups.directories().collect()
}

#[test]
fn the_class_is_the_containers_unless_it_is_named() {
    for nothing in [json!({}), json!({ "closID": "" })] {
        let plan = lowered(&nothing);
        assert_eq!(plan.groups, groups("box", false, None));
        assert_eq!(own(&plan.groups), ["box"]);
        assert!(plan.schemata.is_empty());
    }
    let named = lowered(&json!({ "closID": "gold" })).groups;
    assert_eq!(named, groups("gold", true, None));
    assert_eq!(own(&named), [""; 0], "a named class outlives the container");
    // Named by whoever means the container's: still named.
    assert!(lowered(&json!({ "closID": "box" })).groups.shared);
    let default = lowered(&json!({ "closID": "/" })).groups;
    assert_eq!((default.class.as_str(), default.shared), (".", true));
    assert_eq!(directories(&default), ["."]);
}

#[test]
fn the_group_is_joined_after_its_class_and_goes_before_it() {
    let monitored = |rdt: Value| lowered(&rdt).groups;
    let own_class = monitored(json!({ "enableMonitoring": true }));
    assert_eq!(directories(&own_class), ["box", "box/mon_groups/box"]);
    assert_eq!(own(&own_class), ["box/mon_groups/box", "box"]);
    let named = monitored(json!({ "closID": "gold", "enableMonitoring": true }));
    assert_eq!(directories(&named), ["gold", "gold/mon_groups/box"]);
    assert_eq!(own(&named), ["gold/mon_groups/box"]);
    let default = monitored(json!({ "closID": "/", "enableMonitoring": true }));
    assert_eq!(directories(&default), [".", "mon_groups/box"]);
    assert_eq!(own(&default), ["mon_groups/box"]);
    assert_eq!(monitored(json!({ "enableMonitoring": false })).monitoring, None);
}

#[test]
fn names_that_are_no_class() {
    for (name, why) in [
        ("a/b", "without a slash"),
        ("/gold", "without a slash"),
        ("gold/", "without a slash"),
        ("//", "without a slash"),
        ("../gold", "without a slash"),
        (".", "another directory"),
        ("..", "another directory"),
        ("info", "for itself"),
        ("mon_groups", "for itself"),
        ("mon_data", "for itself"),
        ("a\nb", "line feed"),
        ("a\0b", "NUL"),
        (&"x".repeat(256), "255"),
    ] {
        let error = refused(&json!({ "closID": name }), "box");
        assert!(error.starts_with("config.json: linux.intelRdt.closID: "), "{error}");
        assert!(error.contains(why), "{error}");
    }
    assert!(refused(&json!({}), "info").contains("resctrl has \"info\" for itself"));
    // With a name for the class the id names the group alone.
    let rdt =
        serde_json::from_value(json!({ "closID": "gold", "enableMonitoring": true })).unwrap();
    assert_eq!(own(&lower(&rdt, "info").unwrap().groups), ["gold/mon_groups/info"]);
}

#[test]
fn what_is_written_and_in_which_order() {
    let written = |rdt: Value| -> Vec<(String, String)> {
        lowered(&rdt).schemata.into_iter().map(|part| (part.field, part.lines)).collect()
    };
    let pair = |field: &str, lines: &str| (format!("linux.intelRdt{field}"), lines.to_owned());
    assert_eq!(
        written(json!({ "l3CacheSchema": "L3:0=ff" })),
        [pair(".l3CacheSchema", "L3:0=ff\n")]
    );
    assert_eq!(written(json!({ "memBwSchema": "MB:0=20" })), [pair(".memBwSchema", "MB:0=20\n")]);
    assert_eq!(
        written(json!({ "memBwSchema": "MB:0=20", "l3CacheSchema": "L3:0=ff\n" })),
        [pair("", "L3:0=ff\nMB:0=20\n")]
    );
    // `schemata` may speak of the same domain: last, and not in the same write, which the kernel would refuse.
    assert_eq!(
        written(json!({
            "schemata": ["L2:0=f", "L3:0=f0;1=f"], "memBwSchema": "MB:0=20", "l3CacheSchema": "L3:0=ff"
        })),
        [pair("", "L3:0=ff\nMB:0=20\n"), pair(".schemata", "L2:0=f\nL3:0=f0;1=f\n")]
    );
    assert_eq!(written(json!({ "schemata": [], "l3CacheSchema": "", "memBwSchema": "" })), []);
    // Without a prefix of its own a cache schema is the kernel's to judge; split caches take two lines.
    let split = "L3CODE:0=f\nL3DATA:0=f0";
    assert_eq!(
        written(json!({ "l3CacheSchema": split })),
        [pair(".l3CacheSchema", &format!("{split}\n"))]
    );
}

#[test]
fn schemas_that_are_none() {
    for (rdt, wanted) in [
        (json!({ "memBwSchema": "L3:0=f" }), "memBwSchema: \"L3:0=f\" does not start with MB:"),
        (json!({ "memBwSchema": " MB:0=20" }), "does not start with MB:"),
        (
            json!({ "memBwSchema": "MB:0=20\nL3:0=f" }),
            "memBwSchema: \"MB:0=20\\nL3:0=f\" has a line",
        ),
        (json!({ "memBwSchema": "MB:20" }), "memBwSchema: \"MB:20\" is not of the form"),
        (json!({ "l3CacheSchema": "0=f" }), "l3CacheSchema: \"0=f\" is not of the form"),
        (json!({ "l3CacheSchema": "L3:x=f" }), "l3CacheSchema: \"L3:x=f\" is not of the form"),
        (json!({ "l3CacheSchema": "\n" }), "l3CacheSchema: empty"),
        (json!({ "l3CacheSchema": "L3:" }), "l3CacheSchema: empty"),
        (json!({ "schemata": ["L3:0=f", "MB:0=1\nMB:1=1"] }), "schemata[1]: "),
        (json!({ "schemata": ["MB:0=1\n"] }), "has a line feed"),
        (json!({ "schemata": [""] }), "schemata[0]: empty"),
    ] {
        let error = refused(&rdt, "box");
        assert!(error.starts_with("config.json: linux.intelRdt."), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_class_that_says_the_same_in_other_words() {
    let class = "    L3:0=00fff;1=fffff\n    MB:0= 30;1=100\n  SMBA:0=2048\n";
    let differs = |wanted: &str| difference(wanted, class, Some(10)).unwrap();
    for same in ["", "L3:0=fff", "L3:1=0xFFFFF;0=0fff;", "MB:0=30\nL3:0=fff", "SMBA:0=2048"] {
        assert_eq!(differs(same), None, "{same}");
    }
    // What the kernel has rounded up to a step of the hardware.
    assert_eq!(differs("MB:0=21"), None);
    assert_eq!(difference("MB:0=21", class, None).unwrap().as_deref(), Some("MB:0=30, not 21"));
    for (other, wanted) in [
        ("L3:0=ff", "L3:0=fff, not ff"),
        ("L3:0=30", "L3:0=fff, not 30"),
        ("MB:1=20", "MB:1=100, not 20"),
        ("MB:0=31", "MB:0=30, not 31"),
        ("L3:2=fff", "no L3:2"),
        ("L2:0=f", "no L2:0"),
        // The later of two lines is the one that a write would leave.
        ("L3:0=fff\nL3:0=f", "L3:0=fff, not f"),
    ] {
        assert_eq!(differs(other).as_deref(), Some(wanted));
    }
    assert_eq!(differs("L3:0=f\nL3:0=fff"), None);
    assert!(difference("L3", class, None).unwrap_err().contains("not of the form"));
    assert!(difference("L3:0=f", "nonsense", None).unwrap_err().contains("not of the form"));
}

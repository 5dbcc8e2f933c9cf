use super::*;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};

fn profile(json: Value) -> LinuxSeccomp {
    serde_json::from_value(json).unwrap()
}

fn key_of(json: Value) -> Vec<u8> {
    key(&profile(json)).unwrap()
}

#[test]
fn every_difference_is_in_the_key() {
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]});
    let arg = |index: u64, value: u64, two: Value| {
        rule(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": index, "value": value, "valueTwo": two, "op": "SCMP_CMP_MASKED_EQ"}]}))
    };
    let keys = [
        key_of(json!({"defaultAction": "SCMP_ACT_ERRNO"})),
        key_of(json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1})),
        key_of(json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38})),
        key_of(json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"]})),
        key_of(rule(json!({"names": ["a", "bc"], "action": "SCMP_ACT_ERRNO"}))),
        key_of(rule(json!({"names": ["ab", "c"], "action": "SCMP_ACT_ERRNO"}))),
        key_of(rule(json!({"names": ["abc"], "action": "SCMP_ACT_ERRNO"}))),
        key_of(rule(json!({"names": ["abc"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}))),
        key_of(rule(json!({"names": ["abc"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}))),
        key_of(arg(0, 1, Value::Null)),
        key_of(arg(0, 1, json!(0))),
        key_of(arg(1, 1, json!(0))),
        key_of(arg(0, 2, json!(0))),
    ];
    for (place, key) in keys.iter().enumerate() {
        assert!(!keys[..place].contains(key), "{place}");
    }
}

#[test]
fn what_is_stored_is_found_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(load(root.path(), b"key"), None);
    store(root.path(), b"key", &[7; 16]);
    assert_eq!(load(root.path(), b"key"), Some(vec![7; 16]));
    assert_eq!(load(root.path(), b"other"), None);
    let directory = root.path().join(".cache/seccomp");
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(files.len(), 1, "no temporary file is left");
    let mode = files[0].as_ref().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_collision_of_names_loads_nothing() {
    let root = tempfile::tempdir().unwrap();
    store(root.path(), b"one", &[7; 16]);
    let directory = root.path().join(".cache/seccomp");
    std::fs::rename(directory.join(name(b"one")), directory.join(name(b"two"))).unwrap();
    assert_eq!(load(root.path(), b"two"), None);
}

#[test]
fn foreign_and_broken_files_load_nothing() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join(".cache/seccomp").join(name(b"key"));
    store(root.path(), b"key", &[7; 16]);
    let mode =
        |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o622);
    assert_eq!(load(root.path(), b"key"), None, "others can write it");
    mode(0o600);
    let whole = std::fs::read(&file).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(load(root.path(), b"key"), None, "cut to {length}");
    }
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &flipped).unwrap();
    assert_eq!(load(root.path(), b"key"), None, "one bit is another");
    let elsewhere = root.path().join("elsewhere");
    std::fs::write(&elsewhere, &whole).unwrap();
    std::fs::remove_file(&file).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(load(root.path(), b"key"), None, "a link is not followed");
    store(root.path(), b"key", &[7; 16]);
    assert_eq!(
        load(root.path(), b"key"),
        Some(vec![7; 16]),
        "and is replaced, not written through"
    );
    assert_eq!(std::fs::read(&elsewhere).unwrap(), whole);
}

#[test]
fn a_directory_that_others_can_write_is_not_used() {
    let root = tempfile::tempdir().unwrap();
    store(root.path(), b"key", &[7; 16]);
    let cache = root.path().join(".cache");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(load(root.path(), b"key"), None);
}

#[test]
fn a_state_root_that_cannot_be_written_is_no_failure() {
    store(Path::new("/proc/nowhere"), b"key", &[7; 16]);
    assert_eq!(load(Path::new("/proc/nowhere"), b"key"), None);
}

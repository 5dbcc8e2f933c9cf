//! Configurations and root file systems made by somebody who wishes us ill, or by accident.
//!
//! The host's side of each attack is a *canary*: a folder with known files that must not change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Bundle, Done, Lab, Result, ensure, ensure_eq};

const CONFIG: &str = "OCI runtime-spec config.md (errors of the configuration)";
const CREATE: &str = "OCI runtime-spec runtime.md#create MUST generate an error if it cannot apply";

pub(super) const CASES: &[Case] = &[
    Case::new("hostile/no-config", "a bundle without config.json", CONFIG, no_config),
    Case::new(
        "hostile/broken-json",
        "config.json that is cut, empty or binary",
        CONFIG,
        broken_json,
    ),
    Case::new("hostile/null-json", "config.json is the word null", CONFIG, null_json)
        .known("runc 1.1 dereferences a nil pointer"),
    Case::new(
        "hostile/wrong-type",
        "a value of the wrong type is named by its JSON path",
        CONFIG,
        wrong_type,
    ),
    Case::new(
        "hostile/wrong-type-index",
        "in a list the JSON path has the index",
        CONFIG,
        wrong_type_index,
    )
    .known("runc 1.1 prints Go's error, which has no index"),
    Case::new("hostile/missing-fields", "required fields that are missing", CREATE, missing_fields),
    Case::new("hostile/bad-values", "values that cannot be applied", CREATE, bad_values),
    Case::new(
        "hostile/duplicate-rlimit",
        "the same limit twice is an error",
        "OCI runtime-spec config.md#posix-process rlimits MUST generate an error",
        duplicate_rlimit,
    )
    .known("runc 1.1 lets the last entry win"),
    Case::new(
        "hostile/unknown-capability",
        "a capability that nobody knows is a warning",
        "OCI runtime-spec config.md#linux-process capabilities MUST NOT fail",
        unknown_capability,
    ),
    Case::new(
        "hostile/unknown-properties",
        "properties that the runtime does not know are ignored",
        "OCI runtime-spec config.md#extensibility MUST ignore unknown properties",
        unknown_properties,
    ),
    Case::new(
        "hostile/deep-nesting",
        "ten megabytes of nested lists end with an error and no crash",
        CONFIG,
        deep_nesting,
    ),
    Case::new(
        "hostile/nul-bytes",
        "strings with NUL are refused, not cut",
        "execve(2), mount(2) (strings end at NUL)",
        nul_bytes,
    ),
    Case::new(
        "hostile/nul-hostname",
        "a hostname with NUL is refused, not cut",
        "sethostname(2) takes any bytes, so the runtime has to look",
        nul_hostname,
    )
    .known("runc 1.1 sets the hostname with the NUL in it"),
    Case::new(
        "hostile/id-with-slash",
        "an id cannot leave the state root",
        "OCI runtime-spec runtime.md#create; runc: invalid container ID format",
        id_with_slash,
    ),
    Case::new(
        "hostile/numeric-user-name",
        "uid 1000 is 1000 even when /etc/passwd has a user called 1000",
        "CVE-2016-3697",
        numeric_user,
    ),
    Case::new(
        "hostile/proc-symlink",
        "/proc in the rootfs is a symlink",
        "CVE-2023-27561",
        |lab| symlinked(lab, "proc"),
    ),
    Case::new("hostile/sys-symlink", "/sys in the rootfs is a symlink", "CVE-2023-28642", |lab| {
        symlinked(lab, "sys")
    }),
    Case::new(
        "hostile/dev-symlink",
        "/dev in the rootfs is a symlink to the host, with no mount on it",
        "CVE-2026-41579",
        dev_symlink,
    )
    .known("runc before 1.3.6 makes the links of /dev by path (CVE-2026-41579)"),
    Case::new(
        "hostile/destination-dots",
        "a mount destination with .. stays in the rootfs",
        "CVE-2019-18837; OCI runtime-spec config.md#mounts",
        destination_dots,
    ),
    Case::new(
        "hostile/destination-symlink",
        "a mount destination below a symlink stays in the rootfs",
        "CVE-2021-30465, CVE-2024-45310",
        destination_symlink,
    ),
    Case::new(
        "hostile/cwd-descriptor",
        "a working directory of /proc/self/fd/N never leads to the host",
        "CVE-2024-21626",
        cwd_descriptor,
    )
    // Dozens of containers, and some hosts are slow.
    .deadline(120),
];

/// A change of the default configuration.
type Edit = fn(&mut Value);

/// `create` of the bundle with a new id.
fn create(lab: &Lab, bundle: &Bundle) -> Result<Done> {
    lab.container(bundle.clone()).try_create()
}

/// `create` after this edit must exit 1 with a message that contains `phrase`.
fn refuse(lab: &Lab, phrase: &str, edit: impl FnOnce(&mut Value)) -> Result {
    let bundle = lab.bundle(edit)?;
    create(lab, &bundle)?.fails(1, phrase)?.refused().map(drop)
}

/// A folder of the host with known content.
fn canary(lab: &Lab) -> Result<PathBuf> {
    let folder = lab.new_folder("canary")?;
    for name in ["ptmx", "core", "fd", "stdin", "file"] {
        fs::write(folder.join(name), "untouched")?;
    }
    Ok(folder)
}

fn intact(canary: &Path) -> Result {
    let mut names: Vec<String> = fs::read_dir(canary)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    ensure_eq!(names, ["core", "fd", "file", "ptmx", "stdin"], "files of the host's folder");
    for name in names {
        let path = canary.join(&name);
        let kind = fs::symlink_metadata(&path)?;
        ensure!(kind.is_file(), "{name} of the host became {:?}", kind.file_type());
        ensure_eq!(fs::read_to_string(path)?, "untouched", "content of {name} of the host");
    }
    Ok(())
}

fn no_config(lab: &Lab) -> Result {
    let bundle = lab.bundle(|_| {})?;
    fs::remove_file(bundle.folder.join("config.json"))?;
    create(lab, &bundle)?.fails(1, "config.json")?;
    let gone = Bundle { folder: lab.folder.join("no-bundle"), ..bundle };
    create(lab, &gone)?.fails(1, "no-bundle").map(drop)
}

fn broken_json(lab: &Lab) -> Result {
    let bundle = lab.bundle(|_| {})?;
    let file = bundle.folder.join("config.json");
    let whole = fs::read(&file)?;
    let cut = &whole[..whole.len() / 2];
    for bytes in [cut, b"", b"[]", b"\xff\xfe\x00", b"{\"ociVersion\": 1.0}"] {
        fs::write(&file, bytes)?;
        create(lab, &bundle)?.fails(1, "")?.refused()?;
    }
    Ok(())
}

fn null_json(lab: &Lab) -> Result {
    let bundle = lab.bundle(|_| {})?;
    fs::write(bundle.folder.join("config.json"), "null")?;
    create(lab, &bundle)?.fails(1, "")?.refused().map(drop)
}

fn wrong_type(lab: &Lab) -> Result {
    refuse(lab, "process.args", |config| config["process"]["args"] = "sh".into())?;
    refuse(lab, "process.user.uid", |config| config["process"]["user"]["uid"] = "root".into())?;
    refuse(lab, "root.readonly", |config| config["root"]["readonly"] = "yes".into())
}

fn wrong_type_index(lab: &Lab) -> Result {
    refuse(lab, "mounts[1].options[2]", |config| config["mounts"][1]["options"][2] = 7.into())
}

fn missing_fields(lab: &Lab) -> Result {
    refuse(lab, "root", |config| drop(config.as_object_mut().map(|all| all.remove("root"))))?;
    refuse(lab, "", |config| config["root"]["path"] = "no-such-rootfs".into())?;
    refuse(lab, "args", |config| config["process"]["args"] = json!([]))?;
    refuse(lab, "", |config| config["process"]["cwd"] = "".into())
}

fn bad_values(lab: &Lab) -> Result {
    let edits: [(&str, Edit); 9] = [
        ("absolute", |config| config["process"]["cwd"] = "relative/folder".into()),
        ("", |config| config["process"]["user"]["uid"] = 4_294_967_296_u64.into()),
        ("", |config| config["process"]["user"]["gid"] = (-1).into()),
        ("RLIMIT_NONSENSE|rlimits[0]", |config| {
            config["process"]["rlimits"][0]["type"] = "RLIMIT_NONSENSE".into();
        }),
        ("nonsense", |config| config["linux"]["namespaces"][0]["type"] = "nonsense".into()),
        ("no-such-source", |config| {
            config["mounts"][1] = json!({
                "destination": "/tmp", "type": "bind", "source": "/no-such-source",
                "options": ["bind"]
            });
        }),
        ("/tmp|mounts[1]", |config| {
            config["mounts"][1] =
                json!({ "destination": "/tmp", "type": "nosuchfs", "source": "none" });
        }),
        ("kernel.nonsense", |config| config["linux"]["sysctl"] = json!({ "kernel.nonsense": "1" })),
        ("", |config| config["linux"]["rootfsPropagation"] = "nonsense".into()),
    ];
    for (phrase, edit) in edits {
        refuse(lab, phrase, edit)?;
    }
    Ok(())
}

fn duplicate_rlimit(lab: &Lab) -> Result {
    refuse(lab, "RLIMIT_NOFILE|rlimits", |config| {
        let limit = |value: u64| json!({ "type": "RLIMIT_NOFILE", "soft": value, "hard": value });
        config["process"]["rlimits"] = json!([limit(512), limit(256)]);
    })
}

fn unknown_capability(lab: &Lab) -> Result {
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe"]);
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            config["process"]["capabilities"][set] = json!(["CAP_FUTURE_99", "CAP_KILL"]);
        }
    })?);
    let facts = c.facts()?;
    ensure_eq!(facts["capabilities"]["effective"], "0000000000000020", "effective set");
    ensure_eq!(facts["capabilities"]["bounding"], "0000000000000020", "bounding set");
    Ok(())
}

fn unknown_properties(lab: &Lab) -> Result {
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "exit", "0"]);
        config["org.example.future"] = json!({ "a": [1, 2, { "b": null }] });
        config["process"]["future"] = json!(true);
        config["linux"]["future"] = json!("x");
        config["mounts"][0]["future"] = json!(1.5);
        config["linux"]["resources"]["future"] = json!([]);
    })?);
    c.run()?.ok().map(drop)
}

fn deep_nesting(lab: &Lab) -> Result {
    const HALF: usize = 5_000_000;
    let bundle = lab.bundle(|_| {})?;
    let (open, close) = ("[".repeat(HALF), "]".repeat(HALF));
    let text = format!("{{\"ociVersion\": \"1.0.2\", \"future\": {open}{close}}}");
    fs::write(bundle.folder.join("config.json"), text)?;
    create(lab, &bundle)?.fails(1, "")?.refused()?;
    let text = format!("{{\"ociVersion\": \"1.0.2\", \"mounts\": {open}{close}}}");
    fs::write(bundle.folder.join("config.json"), text)?;
    create(lab, &bundle)?.fails(1, "")?.refused().map(drop)
}

fn nul_bytes(lab: &Lab) -> Result {
    refuse(lab, "", |config| config["process"]["args"] = json!(["/probe\u{0}x", "exit", "0"]))?;
    refuse(lab, "", |config| config["mounts"][0]["destination"] = "/proc\u{0}/x".into())
}

fn nul_hostname(lab: &Lab) -> Result {
    refuse(lab, "", |config| config["hostname"] = "a\u{0}b".into())
}

fn id_with_slash(lab: &Lab) -> Result {
    let bundle = lab.bundle(|_| {})?.word();
    let victim = lab.folder.join("victim");
    fs::create_dir(&victim)?;
    for id in ["../victim", "a/../../victim", "..", "/victim"] {
        lab.call(["create", "--bundle", &bundle, id]).run()?.fails(1, "")?.refused()?;
        lab.call(["state", id]).run()?.fails(1, "")?.refused()?;
        // A forced delete may say nothing about a name that cannot exist, but must not remove it.
        lab.call(["delete", "--force", id]).run()?;
        ensure!(victim.is_dir(), "delete --force {id:?} removed a folder beside the state root");
    }
    Ok(())
}

fn numeric_user(lab: &Lab) -> Result {
    let bundle =
        lab.bundle(|config| config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 }))?;
    fs::write(bundle.rootfs().join("etc/passwd"), "1000:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(bundle.rootfs().join("etc/group"), "1000:x:0:\n")?;
    let facts = lab.container(bundle).facts()?;
    ensure_eq!((&facts["uid"], &facts["gid"]), (&json!(1000), &json!(1000)), "uid and gid");
    Ok(())
}

/// Makes a folder of the rootfs a symlink to the canary, by an absolute and by a climbing path.
fn symlinked(lab: &Lab, name: &str) -> Result {
    let canary = canary(lab)?;
    for target in [
        canary.clone(),
        Path::new("../../../../../../../..").join(canary.strip_prefix("/").unwrap_or(&canary)),
    ] {
        let bundle = lab.bundle(|config| config["root"]["readonly"] = false.into())?;
        fs::remove_dir(bundle.rootfs().join(name))?;
        symlink(&target, bundle.rootfs().join(name))?;
        create(lab, &bundle)?.refused()?;
        intact(&canary)?;
    }
    Ok(())
}

fn dev_symlink(lab: &Lab) -> Result {
    let canary = canary(lab)?;
    let bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        config["process"]["args"] = json!(["/probe", "exit", "0"]);
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|m| !m["destination"].as_str().is_some_and(|d| d.starts_with("/dev")));
        }
    })?;
    fs::remove_dir(bundle.rootfs().join("dev"))?;
    symlink(&canary, bundle.rootfs().join("dev"))?;
    // Refusing and confining are both right.
    create(lab, &bundle)?;
    intact(&canary)
}

fn destination_dots(lab: &Lab) -> Result {
    let canary = canary(lab)?;
    let climbing = format!("/../../../../../../../../..{}/new", canary.display());
    let bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        config["process"]["args"] = json!(["/probe", "exit", "0"]);
        config["mounts"][3] =
            json!({ "destination": climbing, "type": "tmpfs", "source": "tmpfs" });
    })?;
    create(lab, &bundle)?;
    intact(&canary)
}

fn destination_symlink(lab: &Lab) -> Result {
    let canary = canary(lab)?;
    for destination in ["/link/new", "/link", "/link/file/new"] {
        let bundle = lab.bundle(|config| {
            config["root"]["readonly"] = false.into();
            config["process"]["args"] = json!(["/probe", "exit", "0"]);
            config["mounts"][3] =
                json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs" });
        })?;
        symlink(&canary, bundle.rootfs().join("link"))?;
        create(lab, &bundle)?;
        intact(&canary)?;
    }
    Ok(())
}

fn cwd_descriptor(lab: &Lab) -> Result {
    for number in 3..20 {
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/self/fd/{number}/../..")] {
            let bundle = lab.bundle(|config| config["process"]["cwd"] = path.clone().into())?;
            let done = lab.container(bundle).run()?;
            ensure!(
                done.code != Some(0),
                "cwd {path} was accepted and led to {}",
                done.json().unwrap_or_default()["cwd"]
            );
        }
    }
    Ok(())
}

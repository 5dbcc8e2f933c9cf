//! `process.selinuxLabel` and `linux.mountLabel`, by what the kernel says from outside.
//!
//! In enforcing mode the container may not use the suite's files: what it has to say it writes into its own root.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Case;
use super::rootfs::add;
use super::user_namespace::{make_walkable, mapped};
use crate::harness::container::PATIENCE;
use crate::harness::selinux::{is_enabled, label, needs, needs_enforcing, of_file, of_process};
use crate::harness::{
    Bundle, Container, Lab, Result, Stop, ensure, ensure_eq, event, lacks, process,
};

const LABEL: &str = "OCI runtime-spec config.md#linux-process selinuxLabel";
const MOUNT: &str = "OCI runtime-spec config-linux.md#mount-label";
const MANUAL: &str = "runc-exec(8) --process-label";

/// Labels as containers get them from their managers; the categories keep containers from each other.
const PROCESS: &str = "system_u:system_r:container_t:s0:c1,c2";
const OTHER: &str = "system_u:system_r:container_t:s0:c3,c4";
const FILE: &str = "system_u:object_r:container_file_t:s0:c1,c2";
const READ_ONLY: &str = "system_u:object_r:container_ro_file_t:s0:c5,c6";
/// Of an image.
const IMAGE: &str = "system_u:object_r:container_file_t:s0";
const SECRET: &str = "system_u:object_r:shadow_t:s0";
/// What no policy knows.
const UNKNOWN: &str = "nobody_u:nobody_r:nobody_t:s0";

pub(super) const CASES: &[Case] = &[
    Case::new("selinux/run", "the workload has the label", LABEL, run),
    Case::new("selinux/enforced", "what the policy forbids is refused", LABEL, enforced),
    Case::new("selinux/keyring", "the session keyring has the label", "keyrings(7)", keyring),
    Case::new("selinux/exec", "further processes have the container's label", MANUAL, inherited),
    Case::new("selinux/exec-own", "--process-label, or the file of exec, is another", MANUAL, own),
    Case::new(
        "selinux/unknown",
        "a label that the policy does not know is an error",
        LABEL,
        unknown,
    ),
    Case::new(
        "selinux/exec-unknown",
        "so it is of exec, and the container stays as it is",
        MANUAL,
        exec_unknown,
    ),
    Case::new("selinux/mount-label", "the container's filesystems have mountLabel", MOUNT, mounts),
    Case::new("selinux/mount-label-masks", "so has what covers masked directories", MOUNT, masks),
    Case::new(
        "selinux/mount-label-user",
        "in a user namespace, too",
        MOUNT,
        mounts_in_user_namespace,
    ),
    Case::new(
        "selinux/mount-context",
        "a quoted context= of a mount keeps its commas",
        "mount(8), context=",
        context,
    ),
    Case::new(
        "selinux/mount-context-own",
        "a mount's own context= holds, and mountLabel for the others",
        "mount(8), context=",
        own_context,
    )
    .known("runc 1.1 gives the mount both, which the kernel refuses"),
    Case::new(
        "selinux/mount-context-type",
        "the annotation run.oci.mount_context_type names the option that gives mountLabel",
        "crun(1), Podman's --security-opt label=nested",
        context_type,
    )
    .known("runc 1.1 does not know the annotation"),
    Case::new(
        "selinux/mount-label-unknown",
        "a mountLabel that the policy does not know is an error",
        MOUNT,
        unknown_mount_label,
    ),
    Case::new("selinux/absent", "without SELinux a label is an error", LABEL, absent),
    Case::new(
        "selinux/absent-mount-label",
        "without SELinux a mountLabel is an error",
        MOUNT,
        absent_mount_label,
    ),
];

/// A bundle that the container may use in enforcing mode, with a folder /out for what it says.
fn bundle(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Bundle> {
    needs(&[PROCESS, OTHER, FILE, READ_ONLY, IMAGE, SECRET])?;
    let bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        config["process"]["selinuxLabel"] = PROCESS.into();
        config["process"]["args"] =
            json!(["/bin/sh", "-c", "echo up >/out/init; exec /probe sleep"]);
        edit(config);
    })?;
    fs::create_dir(bundle.rootfs().join("out"))?;
    fs::create_dir(bundle.rootfs().join("masked"))?;
    for name in ["init", "exec"] {
        fs::write(bundle.rootfs().join("out").join(name), "")?;
    }
    label(&bundle.rootfs(), IMAGE)?;
    Ok(bundle)
}

/// A running container with these changes.
fn sleeper<'l>(lab: &'l Lab, edit: impl FnOnce(&mut Value)) -> Result<Container<'l>> {
    up(lab, bundle(lab, edit)?)
}

fn up(lab: &Lab, bundle: Bundle) -> Result<Container<'_>> {
    let container = lab.container(bundle);
    container.up()?;
    event::file_contains(&out(&container, "init"), "up", PATIENCE)?;
    Ok(container)
}

fn out(container: &Container<'_>, name: &str) -> PathBuf {
    container.bundle.rootfs().join("out").join(name)
}

/// The label of a process of `exec` with these flags, from outside.
fn of_exec(lab: &Lab, container: &Container<'_>, flags: &[&str]) -> Result<String> {
    const SLEEP: &str = "echo up >/out/exec; exec /probe sleep";
    fs::write(out(container, "exec"), "")?;
    let pid_file = lab.folder.join("exec.pid");
    let word = pid_file.to_string_lossy();
    let words = [&["exec", "--detach", "--pid-file", &*word], flags, &[&*container.id]].concat();
    // With a file its arguments are the command.
    let command: &[&str] = match flags {
        ["--process", ..] => &[],
        _ => &["/bin/sh", "-c", SLEEP],
    };
    lab.call(words.iter().chain(command)).run()?.ok()?;
    event::file_contains(&out(container, "exec"), "up", PATIENCE)?;
    let pid = fs::read_to_string(&pid_file)?.parse().unwrap_or(0);
    let found = of_process(pid);
    // Its parent is the suite now, and a zombie would keep init from ending.
    process::end(pid, PATIENCE);
    found
}

fn run(lab: &Lab) -> Result {
    for no_new_privileges in [true, false] {
        let container = sleeper(lab, |config| {
            config["process"]["noNewPrivileges"] = no_new_privileges.into();
        })?;
        ensure_eq!(of_process(container.pid()?)?, PROCESS, "label of init");
    }
    Ok(())
}

fn enforced(lab: &Lab) -> Result {
    let open = "/probe open /secret >/out/init; /probe open /etc/passwd >>/out/init";
    let bundle = bundle(lab, |config| {
        config["process"]["args"] = json!(["/bin/sh", "-c", open]);
    })?;
    needs_enforcing()?;
    let secret = bundle.rootfs().join("secret");
    fs::write(&secret, "text")?;
    label(&secret, SECRET)?;
    let container = lab.container(bundle);
    container.run()?.ok()?;
    ensure_eq!(fs::read_to_string(out(&container, "init"))?, "errno 13\nok\n", "secret and public");
    Ok(())
}

fn keyring(lab: &Lab) -> Result {
    let container = lab.container(bundle(lab, |config| {
        config["process"]["args"] = json!(["/bin/sh", "-c", "/probe keyring-label >/out/init"]);
    })?);
    container.run()?.ok()?;
    let found = fs::read_to_string(out(&container, "init"))?;
    ensure_eq!(found.trim_end(), PROCESS, "label of the session keyring");
    Ok(())
}

fn inherited(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    ensure_eq!(of_exec(lab, &container, &[])?, PROCESS, "label of exec");
    Ok(())
}

fn own(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let own = of_exec(lab, &container, &["--process-label", OTHER])?;
    ensure_eq!(own, OTHER, "label of exec");
    let file = lab.folder.join("process.json");
    let described = json!({
        "args": ["/bin/sh", "-c", "echo up >/out/exec; exec /probe sleep"],
        "cwd": "/", "user": { "uid": 0, "gid": 0 }, "selinuxLabel": OTHER
    });
    fs::write(&file, described.to_string())?;
    let own = of_exec(lab, &container, &["--process", &file.to_string_lossy()])?;
    ensure_eq!(own, OTHER, "label of exec with a file");
    ensure_eq!(of_process(container.pid()?)?, PROCESS, "label of init");
    Ok(())
}

fn unknown(lab: &Lab) -> Result {
    refused(lab, |config| config["process"]["selinuxLabel"] = UNKNOWN.into())?;
    // Without a keyring of its own there is one label less to be set.
    let container = lab.container(bundle(lab, |config| {
        config["process"]["selinuxLabel"] = UNKNOWN.into();
    })?);
    container.launch("run", &["--no-new-keyring"]).run()?.refused().map(drop)
}

/// `create` and `run` are refused and leave nothing; without the change both work.
fn refused(lab: &Lab, edit: fn(&mut Value)) -> Result {
    for verb in ["create", "run"] {
        let bundle = bundle(lab, |_| {})?;
        let right = bundle.config.clone();
        let mut container = lab.container(bundle);
        edit(&mut container.bundle.config);
        container.bundle.write()?;
        container.launch(verb, &[]).run()?.refused()?;
        container.call("state").run()?.refused()?;
        container.bundle.config = right;
        container.bundle.write()?;
        container.create()?;
    }
    Ok(())
}

fn exec_unknown(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let words = ["exec", "--process-label", UNKNOWN, &container.id, "/probe"];
    lab.call(words).run()?.refused()?;
    ensure_eq!(container.status()?, "running", "status");
    ensure_eq!(of_process(container.pid()?)?, PROCESS, "label of init");
    Ok(())
}

/// The options of the filesystem that a process sees mounted there.
fn data(pid: i32, target: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let line = text.lines().rfind(|line| line.split(' ').nth(4) == Some(target));
    let data = line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned);
    data.ok_or_else(|| Stop::Fail(format!("nothing is mounted on {target}")))
}

/// The label of a file of a container.
fn inside(pid: i32, path: &str) -> Result<String> {
    of_file(&Path::new(&format!("/proc/{pid}/root")).join(path.trim_start_matches('/')))
}

fn ensure_mounts(container: &Container<'_>) -> Result {
    let pid = container.pid()?;
    let context = format!("context=\"{FILE}\"");
    for target in ["/dev", "/dev/pts", "/dev/shm", "/etc"] {
        let data = data(pid, target)?;
        ensure!(data.contains(&context), "{target} has no {context}: {data}");
    }
    // The last is what the kernel makes with the namespace, and the root alone can be labelled.
    for path in ["/dev", "/dev/fd", "/dev/pts/ptmx", "/dev/shm", "/etc/passwd", "/dev/mqueue"] {
        ensure_eq!(inside(pid, path)?, FILE, "label of {path}");
    }
    // What shows the host's kernel stays as the policy has it.
    for path in ["/proc", "/sys"] {
        let found = inside(pid, path)?;
        ensure!(!found.contains("container_file_t"), "{path} is labelled {found}");
    }
    Ok(())
}

fn labelled(config: &mut Value) {
    config["linux"]["mountLabel"] = FILE.into();
    let etc = json!({
        "destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]
    });
    add(config, etc);
}

fn mounts(lab: &Lab) -> Result {
    let container = sleeper(lab, labelled)?;
    ensure_eq!(inside(container.pid()?, "/out")?, IMAGE, "label of the root file system");
    ensure_mounts(&container)
}

fn masks(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        labelled(config);
        config["linux"]["maskedPaths"] = json!(["/masked"]);
    })?;
    ensure_eq!(inside(container.pid()?, "/masked")?, FILE, "label of a masked directory");
    Ok(())
}

fn mounts_in_user_namespace(lab: &Lab) -> Result {
    let bundle = bundle(lab, |config| {
        labelled(config);
        mapped(config);
    })?;
    make_walkable(&bundle)?;
    let said = bundle.rootfs().join("out/init");
    fs::set_permissions(said, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let container = up(lab, bundle)?;
    ensure_eq!(of_process(container.pid()?)?, PROCESS, "label of init");
    ensure_mounts(&container)
}

fn with_own_context(config: &mut Value) {
    let mount = json!({
        "destination": "/mnt", "type": "tmpfs", "source": "tmpfs",
        "options": ["size=64k", format!("context=\"{READ_ONLY}\",mode=700")]
    });
    add(config, mount);
}

fn context(lab: &Lab) -> Result {
    let container = sleeper(lab, with_own_context)?;
    ensure_eq!(inside(container.pid()?, "/mnt")?, READ_ONLY, "label of the mount");
    let data = data(container.pid()?, "/mnt")?;
    ensure!(data.contains("size=64k") && data.contains("mode=700"), "other options: {data}");
    Ok(())
}

fn own_context(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        labelled(config);
        with_own_context(config);
    })?;
    ensure_eq!(inside(container.pid()?, "/mnt")?, READ_ONLY, "label of the mount");
    ensure_mounts(&container)
}

fn context_type(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        labelled(config);
        config["annotations"] = json!({ "run.oci.mount_context_type": "rootcontext" });
    })?;
    let data = data(container.pid()?, "/dev/shm")?;
    ensure!(data.contains("rootcontext=") && data.contains(FILE), "/dev/shm: {data}");
    ensure_eq!(inside(container.pid()?, "/dev/shm")?, FILE, "label of /dev/shm");
    Ok(())
}

fn unknown_mount_label(lab: &Lab) -> Result {
    refused(lab, |config| config["linux"]["mountLabel"] = UNKNOWN.into())
}

fn absent(lab: &Lab) -> Result {
    without(lab, |config| config["process"]["selinuxLabel"] = PROCESS.into())?;
    let container = lab.with_args(&["/probe", "sleep"])?;
    container.up_ready()?;
    let words = ["exec", "--process-label", PROCESS, &container.id, "/probe"];
    lab.call(words).run()?.refused().map(drop)
}

fn absent_mount_label(lab: &Lab) -> Result {
    without(lab, |config| config["linux"]["mountLabel"] = FILE.into())
}

fn without(lab: &Lab, edit: fn(&mut Value)) -> Result {
    if is_enabled() {
        return lacks("a kernel without SELinux");
    }
    lab.container(lab.bundle(|_| {})?).run()?.ok()?;
    let container = lab.container(lab.bundle(edit)?);
    container.run()?.refused()?;
    container.call("state").run()?.refused().map(drop)
}

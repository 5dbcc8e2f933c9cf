//! Odd surroundings of a call: no environment, closed or extra descriptors, a deleted folder.

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Case;
use crate::harness::call::Call;
use crate::harness::{Container, Exit, Lab, Result, ensure, ensure_eq};

const ROBUST: &str = "runc(8); managers call with little environment and odd surroundings";

pub(super) const CASES: &[Case] = &[
    Case::new("cli/no-environment", "every command works without any variable", ROBUST, no_env),
    Case::new("cli/closed-stdin", "a closed standard input is no error", ROBUST, closed_stdin),
    Case::new("cli/deleted-cwd", "a deleted working directory is no error", ROBUST, deleted_cwd),
    Case::new("cli/few-descriptors", "a small RLIMIT_NOFILE is no error", ROBUST, few_descriptors),
    Case::new(
        "cli/umask",
        "a strict umask of the caller is neither the workload's nor in what was made for it",
        ROBUST,
        umask,
    )
    .known("runc 1.1 makes a missing working directory with the caller's umask"),
    Case::new(
        "cli/stdio",
        "the workload's standard streams are those of create",
        "runc-create(8), terminals.md pass-through",
        stdio,
    ),
    Case::new(
        "cli/descriptors",
        "descriptors of the caller do not reach the workload",
        "CVE-2024-21626, runc-run(8) --preserve-fds",
        descriptors,
    ),
    Case::new(
        "cli/preserve-fds",
        "--preserve-fds N keeps exactly N descriptors after standard error",
        "runc-run(8) --preserve-fds",
        preserve_fds,
    ),
    Case::new(
        "cli/preserve-fds-closed",
        "--preserve-fds of a descriptor that is not open is refused",
        "runc-run(8) --preserve-fds",
        preserve_closed,
    )
    .known("in runc 1.1 a descriptor of Go's own takes the free slot and is passed on"),
    Case::new(
        "cli/listen-fds",
        "LISTEN_FDS keeps descriptors and tells the workload, with LISTEN_PID=1",
        "sd_listen_fds(3), runc-run(8)",
        listen_fds,
    ),
    Case::new(
        "cli/listen-fds-inherited",
        "LISTEN_FDS that LISTEN_PID says to be another process's is not passed on",
        "sd_listen_fds(3)",
        listen_fds_inherited,
    ),
    Case::new(
        "cli/no-host-mounts",
        "create, start, exec and delete mount nothing in the caller's mount namespace",
        "runc#3973: systemd reads the whole table after each change",
        no_host_mounts,
    )
    .known("runc 1.1 mounts its own program for a moment, each time"),
];

/// The kernel tells whoever polls the table of mounts that it has changed, if only for a moment (proc_pid_mountinfo(5)).
fn no_host_mounts(lab: &Lab) -> Result {
    let container = lab.with_args(&["/probe", "sleep"])?;
    let table = std::fs::File::open("/proc/self/mountinfo")?;
    let changed = || -> Result<bool> {
        let mut fds = [PollFd::new(&table, PollFlags::PRI)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(fds[0].revents().contains(PollFlags::PRI))
    };
    // The first look is at what was before it was opened.
    changed()?;
    let mut steps = Vec::new();
    container.create()?;
    steps.push(("create", changed()?));
    container.start()?;
    steps.push(("start", changed()?));
    container.wait_output("ready")?;
    lab.call(["exec", &container.id, "/probe", "exit", "0"]).run()?.ok()?;
    steps.push(("exec", changed()?));
    container.delete_force()?.ok()?;
    steps.push(("delete", changed()?));
    let guilty: Vec<&str> =
        steps.into_iter().filter_map(|(step, changed)| changed.then_some(step)).collect();
    ensure!(guilty.is_empty(), "the table of mounts was changed by {guilty:?}");
    Ok(())
}

/// create, state, start, kill, delete, each call changed by `change`.
fn cycle<'l>(lab: &'l Lab, change: impl Fn(Call<'l>) -> Call<'l>) -> Result {
    let c: Container<'l> = lab.with_args(&["/probe", "sleep"])?;
    let done = change(c.launch("create", &[])).run()?.ok()?.silent()?;
    c.adopt_if(done)?;
    change(c.call("state")).run()?.ok()?.silent()?.json()?;
    change(c.call("start")).run()?.ok()?.silent()?;
    c.wait_output("ready")?;
    change(lab.call(["kill", &c.id, "KILL"])).run()?.ok()?.silent()?;
    ensure_eq!(c.wait()?, Exit::Signal(9), "end of init");
    change(c.call("delete")).run()?.ok()?.silent().map(drop)
}

fn no_env(lab: &Lab) -> Result {
    cycle(lab, |call| call.no_env())
}

/// A shell command that changes its surroundings and then becomes the runtime.
fn shell(lab: &Lab, script: &str) -> Vec<String> {
    let busybox = lab.image.join("busybox").to_string_lossy().into_owned();
    vec![busybox, "sh".into(), "-c".into(), format!("{script}; exec \"$0\" \"$@\"")]
}

fn closed_stdin(lab: &Lab) -> Result {
    cycle(lab, |call| call.wrap(shell(lab, "exec <&-")))
}

fn deleted_cwd(lab: &Lab) -> Result {
    cycle(lab, |call| call.wrap(shell(lab, "mkdir gone && cd gone && rmdir ../gone")))
}

fn few_descriptors(lab: &Lab) -> Result {
    cycle(lab, |call| call.wrap(shell(lab, "ulimit -S -n 40")))
}

fn umask(lab: &Lab) -> Result {
    let script = "umask; busybox stat -c '%n %a %u:%g' /dev/null /dev/shm /made/mount /made/for/it";
    let bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        config["process"]["args"] = ["/bin/sh", "-c", script].as_slice().into();
        config["process"]["env"] = ["PATH=/bin"].as_slice().into();
        config["process"]["cwd"] = "/made/for/it".into();
        let mount = serde_json::json!({ "destination": "/made/mount/point", "type": "tmpfs" });
        config["mounts"].as_array_mut().into_iter().for_each(|all| all.push(mount.clone()));
    })?;
    let c = lab.container(bundle);
    let said = c.launch("run", &[]).wrap(shell(lab, "umask 077")).run()?.ok()?.silent()?.stdout;
    let lines: Vec<&str> = said.lines().collect();
    let owner = lab.owner_of_devices()?;
    let null = format!("/dev/null 666 {owner}:{owner}");
    let wanted =
        ["0022", null.as_str(), "/dev/shm 1777 0:0", "/made/mount 755 0:0", "/made/for/it 755 0:0"];
    ensure_eq!(lines, wanted, "umask, modes and owners in the container");
    Ok(())
}

fn stdio(lab: &Lab) -> Result {
    let c = lab.with_args(&["/bin/cat"])?;
    let done = c.launch("create", &[]).input("from the caller\n").run()?.ok()?;
    c.adopt_if(done)?;
    c.start()?;
    ensure_eq!(c.wait()?, Exit::Code(0), "end of cat");
    ensure_eq!(c.output()?, "from the caller\n", "what cat copied");
    Ok(())
}

const OPENED: &str = "exec 3</etc/passwd 4</ 5</proc/self/status 9>/dev/null";

fn workload_descriptors(lab: &Lab, flags: &[&str], script: &str) -> Result<Vec<String>> {
    let c = lab.with_args(&["/probe"])?;
    let facts = c.launch("run", flags).wrap(shell(lab, script)).run()?.ok()?.json()?;
    Ok(facts["fds"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default())
}

fn descriptors(lab: &Lab) -> Result {
    ensure_eq!(
        workload_descriptors(lab, &[], OPENED)?,
        ["0", "1", "2"],
        "descriptors of the workload"
    );
    Ok(())
}

fn preserve_fds(lab: &Lab) -> Result {
    let kept = workload_descriptors(lab, &["--preserve-fds", "2"], OPENED)?;
    ensure_eq!(kept, ["0", "1", "2", "3", "4"], "descriptors with --preserve-fds 2");
    Ok(())
}

fn preserve_closed(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe"])?;
    let script = "exec 3</etc/passwd 4<&-";
    c.launch("run", &["--preserve-fds", "2"]).wrap(shell(lab, script)).run()?.refused().map(drop)
}

fn listen_fds(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe"])?;
    let call = c.launch("run", &[]).env("LISTEN_FDS", "1");
    // LISTEN_PID names the process that the descriptors are for; exec keeps the pid of the shell.
    let call = call.wrap(shell(lab, &format!("{OPENED}; export LISTEN_PID=$$")));
    let facts = call.run()?.ok()?.json()?;
    let env = facts["env"].as_array().cloned().unwrap_or_default();
    for variable in ["LISTEN_FDS=1", "LISTEN_PID=1"] {
        ensure!(env.iter().any(|entry| entry == variable), "the environment lacks {variable}");
    }
    let open: Vec<&String> =
        facts["fds"].as_object().into_iter().flat_map(|all| all.keys()).collect();
    ensure_eq!(open, ["0", "1", "2", "3"], "descriptors with LISTEN_FDS=1");
    Ok(())
}

fn listen_fds_inherited(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe"])?;
    // As a shell below a socket-activated service has them: no such descriptors are here, and if they were, they
    // would be something else.
    let call = c.launch("run", &[]).env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let facts = call.run()?.ok()?.json()?;
    let env = facts["env"].as_array().cloned().unwrap_or_default();
    let told = env.iter().filter_map(|entry| entry.as_str()).any(|entry| entry.contains("LISTEN_"));
    ensure!(!told, "the workload is told of sockets: {env:?}");
    let open = facts["fds"].as_object().map_or(0, |all| all.len());
    ensure_eq!(open, 3, "descriptors of the workload");
    Ok(())
}

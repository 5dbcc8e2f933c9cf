//! The systemd driver where something is in the way: a unit of that name, a bus that does not answer, a kill.

use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Case;
use super::rollback::{Follow, sweep};
use super::systemd::{bundle, create, has, made};
use crate::harness::lab::SYSTEMD;
use crate::harness::{Lab, Result, cgroup, ensure, ensure_eq, fail, systemd};

const UNIT: &str = "runc docs/systemd.md; org.freedesktop.systemd1(5)";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "systemd/failed-unit",
        "a unit of that name that has failed is no obstacle",
        UNIT,
        failed_unit,
    ),
    Case::new(
        "systemd/foreign-unit",
        "a unit of that name that lives is left alone",
        UNIT,
        foreign_unit,
    ),
    Case::new(
        "systemd/killed-create",
        "create killed at any system call: delete --force leaves no unit and no process",
        "managers kill the runtime by PR_SET_PDEATHSIG",
        killed_create,
    )
    .deadline(480),
    Case::new(
        "systemd/silent-bus",
        "a hundred creates on a bus that does not answer end in time, with a word, and leave nothing",
        "runc#3904, runc#4481",
        silent_bus,
    )
    .deadline(120)
    .known("runc waits for the bus for ever"),
    Case::new(
        "systemd/lost-answer",
        "create ends in time when systemd starts the unit and the answer is lost, and leaves neither scope nor slice",
        "runc#3904, runc#4481",
        lost_answer,
    )
    .deadline(150)
    .known("runc waits for the answer for ever"),
    Case::new(
        "systemd/delete-again",
        "delete ends in time when systemd stands still, and the next one leaves no unit",
        "org.freedesktop.systemd1(5), StopUnit; runc#3904",
        delete_again,
    )
    .deadline(120)
    .known("runc waits for the bus for ever"),
    Case::new(
        "systemd/no-bus",
        "without a bus create fails, with a word",
        UNIT,
        no_bus,
    )
    .known("runc speaks to systemd without the bus"),
];

/// Starts a scope of that name in the slice of the case.
fn other(lab: &Lab, unit: &str, words: &[&str]) -> Result<std::process::Child> {
    let slice = format!("--slice={}.slice", lab.token);
    let child = systemd::tool("systemd-run")
        .args(["--scope", "--quiet", &slice, "--unit", unit])
        .args(words)
        .args(["sleep", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

fn failed_unit(lab: &Lab) -> Result {
    let (bundle, unit) = bundle(lab, |_| {})?;
    let mut child = other(lab, &unit, &["-p", "RuntimeMaxSec=100ms"])?;
    child.wait()?;
    ensure_eq!(systemd::property(&unit, "ActiveState")?, "failed", "what the suite has prepared");
    let container = lab.container(bundle);
    create(&container)?;
    ensure_eq!(systemd::property(&unit, "ActiveState")?, "active", "state of the unit");
    container.delete_force()?.ok()?;
    ensure_eq!(systemd::property(&unit, "ActiveState")?, "inactive", "state after delete");
    Ok(())
}

fn foreign_unit(lab: &Lab) -> Result {
    let (bundle, unit) = bundle(lab, |_| {})?;
    let mut child = other(lab, &unit, &[])?;
    let folder = bundle.cgroup();
    let end = Instant::now() + Duration::from_secs(10);
    while cgroup::named(&folder).is_empty() && Instant::now() < end {
        // Nothing tells of a new unit but systemd itself.
        systemd::property(&unit, "ActiveState")?;
    }
    let container = lab.container(bundle);
    let done = container.launch("create", &[]).globals([SYSTEMD]).run()?;
    container.delete_force()?.ok()?;
    let alive = child.try_wait()?.is_none();
    let state = systemd::property(&unit, "ActiveState")?;
    child.kill()?;
    child.wait()?;
    systemd::control(&["stop", &unit])?;
    done.refused()?;
    ensure!(alive, "the process that was there first was killed");
    ensure_eq!(state, "active", "state of the unit that was there first");
    Ok(())
}

fn killed_create(lab: &Lab) -> Result {
    let (bundle, unit) = bundle(lab, |_| {})?;
    let outcome = sweep(lab, lab.container(bundle), Follow::Caller, |container, wrapper| {
        container.launch("create", &[]).globals([SYSTEMD]).wrap(wrapper).run().map(drop)
    });
    outcome?;
    ensure_eq!(systemd::property(&unit, "ActiveState")?, "inactive", "state at the end");
    Ok(())
}

/// So many at once: as when a node starts its pods.
const CREATES: usize = 100;

/// What may be waited for a bus, and some for a slow host.
const PATIENCE: Duration = Duration::from_secs(45);

/// A socket that accepts nobody and has room for one: what is left of a bus that was stopped.
fn silent_bus(lab: &Lab) -> Result {
    systemd::needed()?;
    let path = lab.folder.join("bus");
    let listener = UnixListener::bind(&path)?;
    rustix::net::listen(&listener, 1)?;
    let address = format!("unix:path={}", path.display());
    let bundle = lab.bundle(|config| {
        config["linux"]["cgroupsPath"] = format!("{0}.slice:{0}:silent", lab.token).into();
    })?;
    let ids: Vec<String> = (0..CREATES).map(|_| lab.new_id()).collect();
    let begin = Instant::now();
    let mut calls = Vec::new();
    for id in &ids {
        let call = lab.call(["create", "--bundle", &bundle.word(), id]);
        calls.push(call.globals([SYSTEMD]).env(systemd::bus_variable(), &address).spawn()?);
    }
    let mut late = 0;
    let mut said = Vec::new();
    for call in calls {
        if call.ends_within(PATIENCE.saturating_sub(begin.elapsed()))? {
            said.push(call.finish()?);
        } else {
            late += 1;
            call.kill()?;
        }
    }
    lab.note(format!("{} calls ended after {:?}", said.len(), begin.elapsed()));
    for id in &ids {
        lab.call(["delete", "--force", id]).run()?;
    }
    ensure_eq!(late, 0, "of {CREATES} calls so many have not ended after {PATIENCE:?}");
    for done in said {
        ensure!(done.stderr.lines().count() <= 1, "more than one line: {:?}", done.stderr);
        done.refused()?;
    }
    let left = cgroup::named(&format!("{}-", lab.token));
    ensure!(left.is_empty(), "cgroups {left:?} are left");
    Ok(())
}

fn lost_answer(lab: &Lab) -> Result {
    systemd::needed()?;
    let path = lab.folder.join("bus");
    let _bus = systemd::LossyBus::at(&path)?;
    let address = format!("unix:path={}", path.display());
    let mut units = vec![("lost".to_owned(), format!("{}-lost.scope", lab.token))];
    if !systemd::is_users() {
        // A user's systemd moves nobody into a slice.
        let slice = format!("{}-lost.slice", lab.token);
        units.push((slice.clone(), slice));
    }
    for (name, unit) in &units {
        let bundle = lab.bundle(|config| {
            config["linux"]["cgroupsPath"] = format!("{0}.slice:{0}:{name}", lab.token).into();
        })?;
        let container = lab.container(bundle);
        let call = container.launch("create", &[]).globals([SYSTEMD]);
        let call = call.env(systemd::bus_variable(), &address).spawn()?;
        if !call.ends_within(PATIENCE)? {
            call.kill()?;
            return fail(format!("create of {unit} has not ended after {PATIENCE:?}"));
        }
        call.finish()?.refused()?;
        ensure_eq!(systemd::property(unit, "ActiveState")?, "inactive", "state of {unit}");
    }
    Ok(())
}

fn delete_again(lab: &Lab) -> Result {
    let (container, unit) = made(lab, |_| {})?;
    container.start()?;
    let still = systemd::Still::stand()?;
    container.delete_force()?.fails(1, "")?;
    drop(still);
    container.delete_force()?.ok()?;
    has(&unit, &[("ActiveState", "inactive"), ("LoadState", "not-found")])
}

fn no_bus(lab: &Lab) -> Result {
    systemd::needed()?;
    let bundle = lab.bundle(|config| {
        config["linux"]["cgroupsPath"] = format!("{0}.slice:{0}:none", lab.token).into();
    })?;
    let container = lab.container(bundle);
    let nowhere = format!("unix:path={}", lab.folder.join("nowhere").display());
    let call = container.launch("create", &[]).globals([SYSTEMD]);
    call.env(systemd::bus_variable(), &nowhere).run()?.refused().map(drop)
}

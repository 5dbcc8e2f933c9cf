//! The operations of runtime.md as the specification has them: what must fail fails, in whatever
//! words. The cases `lifecycle/*` ask for the words that managers match as well.

use serde_json::json;

use super::Case;
use crate::harness::{Done, Exit, Lab, Result, ensure, ensure_eq};

const SPEC: &str = "OCI runtime-spec runtime.md#operations";

pub(super) const CASES: &[Case] = &[
    Case::new("operation/statuses", "created, running, stopped, and then unknown", SPEC, statuses),
    Case::new("operation/state", "state has the properties that it MUST have", SPEC, state),
    Case::new("operation/no-id", "an operation without an id is an error", SPEC, no_id),
    Case::new(
        "operation/unknown-id",
        "an operation on an unknown container is an error",
        SPEC,
        unknown,
    ),
    Case::new("operation/id-in-use", "create with an id in use is an error", SPEC, id_in_use),
    Case::new("operation/start-again", "start is for created containers alone", SPEC, start_again),
    Case::new(
        "operation/kill-stopped",
        "kill of a stopped container is an error",
        SPEC,
        kill_stopped,
    ),
    Case::new(
        "operation/delete-running",
        "delete of a running container is an error",
        SPEC,
        delete_running,
    ),
];

fn fails(done: &Done, what: &str) -> Result {
    ensure!(done.code.is_some_and(|code| code != 0), "{what} must fail, but it {}", done.ended());
    Ok(())
}

fn statuses(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?;
    ensure_eq!(c.status()?, "created", "status after create");
    ensure_eq!(c.output()?, "", "output before start");
    c.start()?;
    c.wait_output("ready")?;
    ensure_eq!(c.status()?, "running", "status after start");
    c.kill("KILL")?;
    ensure_eq!(c.wait()?, Exit::Signal(9), "end of init");
    ensure_eq!(c.status()?, "stopped", "status after the end");
    c.delete()?;
    fails(&c.call("state").run()?, "state after delete")
}

fn state(lab: &Lab) -> Result {
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
        config["annotations"] = json!({ "org.example.key": "a value" });
    })?);
    c.create()?;
    let state = c.state()?;
    ensure!(state["ociVersion"].is_string(), "ociVersion must be a string: {state}");
    ensure_eq!(state["id"], c.id.as_str(), "id");
    ensure_eq!(state["status"], "created", "status");
    ensure_eq!(state["pid"], c.pid()?, "pid");
    ensure_eq!(state["bundle"], c.bundle.word().as_str(), "bundle");
    ensure_eq!(state["annotations"]["org.example.key"], "a value", "annotation");
    Ok(())
}

fn no_id(lab: &Lab) -> Result {
    for verb in ["state", "create", "start", "kill", "delete"] {
        fails(&lab.call([verb]).run()?, verb)?;
    }
    Ok(())
}

fn unknown(lab: &Lab) -> Result {
    let id = lab.new_id();
    for words in [&["state", &id][..], &["start", &id], &["kill", &id, "KILL"], &["delete", &id]] {
        fails(&lab.call(words).run()?, words[0])?;
    }
    Ok(())
}

fn id_in_use(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    let bundle = lab.bundle(|_| {})?.word();
    fails(&lab.call(["create", "--bundle", &bundle, &c.id]).run()?, "create with its id")?;
    ensure_eq!(c.status()?, "running", "status of the first container");
    Ok(())
}

fn start_again(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    fails(&c.call("start").run()?, "start of a running container")?;
    ensure_eq!(c.status()?, "running", "status after the second start");
    c.kill("KILL")?;
    c.wait()?;
    fails(&c.call("start").run()?, "start of a stopped container")?;
    ensure_eq!(c.status()?, "stopped", "status after the third start");
    Ok(())
}

fn kill_stopped(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.up()?;
    c.wait()?;
    fails(&lab.call(["kill", &c.id, "KILL"]).run()?, "kill of a stopped container")
}

fn delete_running(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    fails(&c.call("delete").run()?, "delete of a running container")?;
    ensure_eq!(c.status()?, "running", "status after it");
    Ok(())
}

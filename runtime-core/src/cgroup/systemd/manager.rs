//! What systemd is asked: to start, change and stop a unit (org.freedesktop.systemd1(5)).
//!
//! One connection for each operation, and an end to every wait: see [`crate::dbus`].

use super::{Manager, Property, UnitPlan, UnitRecord};
use crate::dbus::{Body, Call, Connection, Message, Refusal};
use crate::error::{Error, ErrorKind, Result};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// The system's bus where nobody says otherwise.
pub(crate) const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// How often a start is tried again: a version of systemd may not know some properties, each of which it tells by
/// itself, and what it has refused may have to be reset first.
const TRIES: usize = 16;

impl Manager {
    fn connect(&self) -> Result<Connection> {
        // Only root may speak to the system's systemd without a bus between.
        let or_private = !self.user && self.address == SYSTEM_BUS;
        Connection::open(&self.address, or_private).map_err(|error| {
            let hint = if self.user {
                "is the user's systemd running, and DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR right?"
            } else {
                "does this host run systemd? without it, leave --systemd-cgroup out"
            };
            Error::new(error.kind(), format!("the systemd cgroup driver: {error}; {hint}"))
        })
    }

    /// The cgroup that its units are below.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) fn ask_cgroup(&self) -> Result<String> {
        let mut bus = self.connect()?;
        let mut body = Body::default();
        body.text(INTERFACE);
        body.text("ControlGroup");
        let call =
            Call { interface: "org.freedesktop.DBus.Properties", ..call(&bus, "Get", "ss", body) };
        let serial = bus.send(&call);
        let answer = bus.reply(serial)?.map_err(|refusal| refused("its cgroup", &refusal))?;
        answer
            .arguments("v")
            .and_then(|mut values| values.pop())
            .filter(|cgroup| cgroup.is_empty() || cgroup.starts_with('/'))
            .map(|cgroup| cgroup.trim_end_matches('/').to_owned())
            .ok_or_else(|| Error::new(ErrorKind::Os, "systemd does not say what cgroup it is in"))
    }
}

/// Starts the unit, a scope around the process `pid`, and waits until it is there.
///
/// # Errors
/// There is a unit of that name that has not failed, or systemd refuses, or does not answer: then it is not there,
/// or goes with the process.
pub(in crate::cgroup) fn start(unit: &UnitPlan, pid: Option<i32>) -> Result<()> {
    let mut bus = unit.manager.connect()?;
    watch_jobs(&mut bus);
    let mut left_out: Vec<&str> = Vec::new();
    for _ in 0..TRIES {
        let body = transient(unit, pid, &left_out);
        let serial = bus.send(&call(&bus, "StartTransientUnit", "ssa(sv)a(sa(sv))", body));
        let answer = bus.reply(serial);
        let refusal = match answer {
            Ok(Err(refusal)) => refusal,
            Ok(Ok(job)) => {
                return finished(&mut bus, &unit.name, &job)
                    .map_err(|error| abandon(unit, pid, error));
            }
            Err(error) => return Err(abandon(unit, pid, error)),
        };
        if refusal.name == UNIT_EXISTS {
            // What has failed, or was refused halfway, keeps its name until it is reset; what lives stays.
            let active = active_state(&mut bus, &unit.name)?;
            if !matches!(active.as_str(), "failed" | "inactive") {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!(
                        "systemd has a unit {} already: it belongs to another container, or is left of one; give \
                         another linux.cgroupsPath, or stop it",
                        unit.name
                    ),
                ));
            }
            reset(&mut bus, &unit.name)?;
            continue;
        }
        match unknown(&unit.properties, &refusal).filter(|name| !left_out.contains(name)) {
            Some(name) => left_out.push(name),
            None => return Err(refused(&unit.name, &refusal)),
        }
    }
    Err(Error::new(ErrorKind::Os, format!("systemd does not start {}", unit.name)))
}

/// Stops what systemd may start yet, or has started, when it was waited for in vain. A scope goes with its process; a
/// slice has none, and would stay.
fn abandon(unit: &UnitPlan, pid: Option<i32>, mut error: Error) -> Error {
    if pid.is_none()
        && let Err(failure) = stop(&unit.record())
    {
        error.attach(failure);
    }
    error
}

/// A limit that this version of systemd does not know, or not with that value. It can be left out: the file of
/// the cgroup is written all the same, and what systemd does not know it does not undo.
fn unknown<'a>(properties: &'a [Property], refusal: &Refusal) -> Option<&'a str> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let named = |name: &str| refusal.text.split(|c| !is_word(c)).any(|word| word == name);
    let limits = properties.iter().filter(|property| {
        property.field.as_ref().is_some_and(|field| field.starts_with("linux.resources"))
            || property.name.ends_with("Accounting")
    });
    limits.map(|property| property.name.as_str()).find(|name| named(name))
}

fn transient(unit: &UnitPlan, pid: Option<i32>, left_out: &[&str]) -> Body {
    let mut body = Body::default();
    body.text(&unit.name);
    // Whatever waits to be done with the unit, this goes first.
    body.text("replace");
    body.array(8, |body| {
        write_all(body, &unit.properties, left_out);
        if let Some(pid) = pid {
            let pids = super::Value::Words(vec![pid.cast_unsigned()]);
            write(body, &Property { name: "PIDs".into(), value: pids, field: None });
        }
    });
    // No other units beside it.
    body.array(8, |_| ());
    body
}

fn write_all(body: &mut Body, properties: &[Property], left_out: &[&str]) {
    let told = properties.iter().filter(|property| !left_out.contains(&property.name.as_str()));
    told.for_each(|property| write(body, property));
}

fn write(body: &mut Body, property: &Property) {
    body.structure();
    body.text(&property.name);
    body.variant(&property.value);
}

/// Changes properties of the unit until its end, all or none; they are in force when this returns.
///
/// # Errors
/// systemd refuses one, or does not answer.
pub(in crate::cgroup) fn set(unit: &UnitRecord, properties: &[Property]) -> Result<()> {
    let mut bus = unit.manager.connect()?;
    let mut left_out: Vec<&str> = Vec::new();
    loop {
        let mut body = Body::default();
        body.text(&unit.name);
        body.bool(true);
        body.array(8, |body| write_all(body, properties, &left_out));
        let serial = bus.send(&call(&bus, "SetUnitProperties", "sba(sv)", body));
        let Err(refusal) = bus.reply(serial)? else { break };
        match unknown(properties, &refusal).filter(|name| !left_out.contains(name)) {
            Some(name) => left_out.push(name),
            None => return Err(refused(&unit.name, &refusal)),
        }
    }
    // It answers before it writes the files, which it does before it looks at the next question.
    active_state(&mut bus, &unit.name).map(drop)
}

/// Stops the unit and waits for its end; one that is not there is fine.
///
/// # Errors
/// systemd refuses, or does not answer.
pub(in crate::cgroup) fn stop(unit: &UnitRecord) -> Result<()> {
    let mut bus = unit.manager.connect()?;
    watch_jobs(&mut bus);
    let mut body = Body::default();
    body.text(&unit.name);
    body.text("replace");
    let serial = bus.send(&call(&bus, "StopUnit", "ss", body));
    match bus.reply(serial)? {
        Ok(job) => finished(&mut bus, &unit.name, &job)?,
        Err(refusal) if refusal.name == NO_SUCH_UNIT => return Ok(()),
        Err(refusal) => return Err(refused(&unit.name, &refusal)),
    }
    reset(&mut bus, &unit.name)
}

/// Lets go of a unit that has failed; one that is not known is fine.
fn reset(bus: &mut Connection, unit: &str) -> Result<()> {
    let mut body = Body::default();
    body.text(unit);
    let serial = bus.send(&call(bus, "ResetFailedUnit", "s", body));
    match bus.reply(serial)? {
        Err(refusal) if refusal.name != NO_SUCH_UNIT => Err(refused(unit, &refusal)),
        _ => Ok(()),
    }
}

/// Moves a process into the unit's cgroup, where the kernel does not let its user do so (cgroups(7), delegation:
/// the user must own the cgroup above both).
///
/// # Errors
/// systemd refuses, or does not answer.
pub(in crate::cgroup) fn attach(unit: &UnitRecord, below: &str, pid: i32) -> Result<()> {
    let mut bus = unit.manager.connect()?;
    let mut body = Body::default();
    body.text(&unit.name);
    body.text(if below.is_empty() { "/" } else { below });
    body.array(4, |body| body.word(pid.cast_unsigned()));
    let serial = bus.send(&call(&bus, "AttachProcessesToUnit", "ssau", body));
    bus.reply(serial)?.map(drop).map_err(|refusal| refused(&unit.name, &refusal))
}

/// What systemd says of the unit: `active`, `failed`; `inactive` also where there is none.
fn active_state(bus: &mut Connection, unit: &str) -> Result<String> {
    let mut body = Body::default();
    body.text(unit);
    let serial = bus.send(&call(bus, "GetUnit", "s", body));
    let path = match bus.reply(serial)? {
        Ok(answer) => answer.arguments("o").unwrap_or_default().concat(),
        Err(refusal) if refusal.name == NO_SUCH_UNIT => return Ok("inactive".into()),
        Err(refusal) => return Err(refused(unit, &refusal)),
    };
    let mut body = Body::default();
    body.text("org.freedesktop.systemd1.Unit");
    body.text("ActiveState");
    let question = Call {
        path: &path,
        interface: "org.freedesktop.DBus.Properties",
        ..call(bus, "Get", "ss", body)
    };
    let serial = bus.send(&question);
    match bus.reply(serial)? {
        Ok(answer) => Ok(answer.arguments("v").unwrap_or_default().concat()),
        // It went in between.
        Err(_) => Ok("inactive".into()),
    }
}

/// Asks for the ends of jobs. A client hears of its own jobs without having subscribed. Of all jobs, since
/// dbus-broker does not find the name of the unit (arg2) behind the number that comes first.
fn watch_jobs(bus: &mut Connection) {
    bus.subscribe(&format!(
        "type='signal',sender='{NAME}',interface='{INTERFACE}',member='JobRemoved'"
    ));
}

/// Waits for the end of a job.
fn finished(bus: &mut Connection, unit: &str, answer: &Message) -> Result<()> {
    let job = answer.arguments("o").unwrap_or_default().concat();
    loop {
        let signal = bus.signal()?;
        if signal.member != "JobRemoved" {
            continue;
        }
        let Some(arguments) = signal.arguments("uoss") else { continue };
        match arguments.as_slice() {
            [_, path, _, result] if *path == job => {
                return match result.as_str() {
                    "done" => Ok(()),
                    result => Err(Error::new(
                        ErrorKind::Os,
                        format!(
                            "systemd: the job for {unit} ended as {result:?}; see `systemctl status {unit}` and its journal"
                        ),
                    )),
                };
            }
            _ => {}
        }
    }
}

fn call<'a>(bus: &Connection, member: &'a str, signature: &'a str, body: Body) -> Call<'a> {
    Call {
        destination: bus.is_bus().then_some(NAME),
        path: PATH,
        interface: INTERFACE,
        member,
        signature,
        body,
    }
}

fn refused(what: &str, refusal: &Refusal) -> Error {
    let Refusal { name, text } = refusal;
    let short = name.rsplit('.').next().unwrap_or(name);
    Error::new(ErrorKind::Os, format!("systemd refused {what}: {text} ({short})"))
}

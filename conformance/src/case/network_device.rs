//! Network devices that move into the container. Everything happens in a network namespace of the case's own.

use serde_json::{Value, json};

use super::Case;
use crate::harness::call::Call;
use crate::harness::{Lab, Result, ensure, ensure_eq};

const DEVICES: &str = "config-linux.md, Network Devices";
const KNOWN: &str = "runc 1.1 does not know linux.netDevices";

pub(super) const CASES: &[Case] = &[
    Case::new("netdev/move", "a device moves, with its name, and is up", DEVICES, moved)
        .known(KNOWN),
    Case::new("netdev/name", "a device has another name in the container", DEVICES, renamed)
        .known(KNOWN),
    Case::new(
        "netdev/template",
        "%d in a name stands for the first free number",
        DEVICES,
        template,
    )
    .known(KNOWN),
    Case::new("netdev/addresses", "lasting global addresses go with it", DEVICES, addresses)
        .known(KNOWN),
    Case::new("netdev/attributes", "its MTU and its hardware address stay", DEVICES, attributes)
        .known(KNOWN),
    Case::new("netdev/taken", "a name that the container has already is an error", DEVICES, taken)
        .known(KNOWN),
    Case::new("netdev/missing", "a device that is not there is an error", DEVICES, missing)
        .known(KNOWN),
    Case::new(
        "netdev/host",
        "without a network namespace of its own it is an error",
        DEVICES,
        host,
    )
    .known(KNOWN),
    Case::new(
        "netdev/back",
        "after a failure the device is back, with its name and its addresses",
        "runtime.md, Errors: as though the operation was never attempted",
        back,
    )
    .known(KNOWN),
    Case::new("netdev/hook", "createRuntime hooks find the device moved", DEVICES, hook)
        .known(KNOWN),
];

/// Two ends of a cable, v0 and v1.
const CABLE: &str = "ip link add v0 type veth peer name v1 && ip link set v1 up";

/// The call in a network namespace of its own that `prepare` has set up; afterwards `look` is run there.
fn inside<'l>(call: Call<'l>, prepare: &str, look: &str) -> Call<'l> {
    let script = format!("{prepare} && \"$0\" \"$@\"; code=$?; {look}; exit $code");
    call.wrap(["unshare", "--net", "sh", "-c", &script])
}

fn script(config: &mut Value, devices: Value, script: &str) {
    config["linux"]["netDevices"] = devices;
    config["process"]["args"] = json!(["/bin/sh", "-c", script]);
}

/// Runs a container with devices; what its script has said.
fn run(lab: &Lab, devices: Value, inside_it: &str, prepare: &str) -> Result<String> {
    let c = lab.container(lab.bundle(|config| script(config, devices, inside_it))?);
    Ok(inside(c.launch("run", &[]), prepare, "true").run()?.ok()?.stdout)
}

fn moved(lab: &Lab) -> Result {
    // IFF_UP, IFF_BROADCAST and IFF_MULTICAST; the operational state follows them only later.
    let look = "cat /sys/class/net/v0/flags; ls /sys/class/net";
    ensure_eq!(run(lab, json!({ "v0": {} }), look, CABLE)?, "0x1003\nlo\nv0\n", "devices");
    Ok(())
}

fn renamed(lab: &Lab) -> Result {
    let devices = json!({ "v0": { "name": "eth7" } });
    ensure_eq!(run(lab, devices, "ls /sys/class/net", CABLE)?, "eth7\nlo\n", "devices");
    Ok(())
}

fn template(lab: &Lab) -> Result {
    let prepare = format!("{CABLE} && ip link add w0 type veth peer name w1");
    let devices = json!({ "v0": { "name": "eth%d" }, "w0": { "name": "eth%d" } });
    ensure_eq!(run(lab, devices, "ls /sys/class/net", &prepare)?, "eth0\neth1\nlo\n", "devices");
    Ok(())
}

fn addresses(lab: &Lab) -> Result {
    lab.needs("/proc/net/if_inet6", "IPv6")?;
    let prepare = format!(
        "{CABLE} && ip addr add 10.9.8.7/24 dev v0 && ip addr add 10.9.8.8/24 dev v0 valid_lft 1000 preferred_lft 1000 \
         && ip addr add fd00::7/64 dev v0 nodad && ip addr add 169.254.1.1/16 scope link dev v0"
    );
    let look = "ip addr show dev e | grep inet";
    let seen = run(lab, json!({ "v0": { "name": "e" } }), look, &prepare)?;
    for there in ["inet 10.9.8.7/24 ", "inet6 fd00::7/64 "] {
        ensure!(seen.contains(there), "{there} is not in {seen}");
    }
    for gone in ["10.9.8.8", "169.254"] {
        ensure!(!seen.contains(gone), "{gone} is in {seen}");
    }
    Ok(())
}

fn attributes(lab: &Lab) -> Result {
    let prepare = format!("{CABLE} && ip link set v0 mtu 1234 address 02:00:5e:00:53:07");
    let look = "cat /sys/class/net/e/mtu /sys/class/net/e/address";
    let seen = run(lab, json!({ "v0": { "name": "e" } }), look, &prepare)?;
    ensure_eq!(seen, "1234\n02:00:5e:00:53:07\n", "MTU and address");
    Ok(())
}

/// A create that fails, and what the namespace has then.
fn fails(lab: &Lab, devices: Value, edit: impl FnOnce(&mut Value), says: &str) -> Result<String> {
    let c = lab.container(lab.bundle(|config| {
        script(config, devices, "true");
        edit(config);
    })?);
    let prepare = format!("{CABLE} && ip link set v0 up && ip addr add 10.9.8.7/24 dev v0");
    let done = inside(c.launch("create", &[]), &prepare, "ip -brief addr").run()?;
    done.fails(1, says).map(|done| done.stdout)
}

fn taken(lab: &Lab) -> Result {
    let seen =
        fails(lab, json!({ "v0": { "name": "lo" } }), |_| {}, "has a network device lo already")?;
    ensure!(seen.contains("10.9.8.7/24"), "the device is untouched: {seen}");
    Ok(())
}

fn missing(lab: &Lab) -> Result {
    let seen = fails(lab, json!({ "v0": {}, "x0": {} }), |_| {}, "netDevices[\\\"x0\\\"]")?;
    let line = seen.lines().find(|line| line.starts_with("v0@v1")).unwrap_or_default();
    ensure!(line.contains("UP") && line.contains("10.9.8.7/24"), "v0 is back: {seen}");
    Ok(())
}

fn host(lab: &Lab) -> Result {
    let without = |config: &mut Value| {
        if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|namespace| namespace["type"] != "network");
        }
    };
    fails(lab, json!({ "v0": {} }), without, "linux.namespaces").map(drop)
}

fn back(lab: &Lab) -> Result {
    let failing = |config: &mut Value| {
        config["hooks"]["createRuntime"] = json!([{ "path": "/bin/false" }]);
    };
    let seen = fails(lab, json!({ "v0": { "name": "e" } }), failing, "createRuntime")?;
    let line = seen.lines().find(|line| line.starts_with("v0@v1")).unwrap_or_default();
    ensure!(line.contains("UP") && line.contains("10.9.8.7/24"), "v0 is back: {seen}");
    Ok(())
}

fn hook(lab: &Lab) -> Result {
    let seen = lab.folder.join("seen");
    let look = format!("ip -brief link >{}", seen.display());
    let c = lab.container(lab.bundle(|config| {
        script(config, json!({ "v0": {} }), "true");
        // In the network namespace of the runtime, where the device is not any more.
        config["hooks"]["createRuntime"] =
            json!([{ "path": "/bin/sh", "args": ["sh", "-c", look], "env": ["PATH=/usr/sbin:/sbin"] }]);
    })?);
    inside(c.launch("run", &[]), CABLE, "true").run()?.ok()?;
    let devices = std::fs::read_to_string(seen)?;
    let names = devices.lines().filter_map(|line| line.split(['@', ' ']).next());
    ensure_eq!(names.collect::<Vec<_>>(), ["lo", "v1"], "devices");
    Ok(())
}

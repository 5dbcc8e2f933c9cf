//! `linux.sysctl`: parameters of the container's own namespaces, and none of the host's.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Lab, Result, Stop, ensure_eq};

const SPEC: &str = "OCI runtime-spec config-linux.md#sysctl";
const SAFE: &str = "runc: sysctl is not in a separate kernel namespace; sysctl.d(5)";

pub(super) const CASES: &[Case] = &[
    Case::new("sysctl/net", "net.* of the own network namespace", SPEC, |lab| {
        applied(
            lab,
            &[("net.ipv4.ip_unprivileged_port_start", "80"), ("net.ipv4.ping_group_range", "3\t5")],
        )
    }),
    Case::new("sysctl/ipc", "System V parameters of the own ipc namespace", SPEC, |lab| {
        applied(
            lab,
            &[
                ("kernel.shmmax", "12345678"),
                ("kernel.msgmax", "4321"),
                ("kernel.shm_rmid_forced", "1"),
            ],
        )
    }),
    Case::new("sysctl/mqueue", "fs.mqueue.* of the own ipc namespace", SPEC, |lab| {
        applied(lab, &[("fs.mqueue.msg_max", "7"), ("fs.mqueue.queues_max", "33")])
    }),
    Case::new("sysctl/domainname", "kernel.domainname of the own uts namespace", SPEC, |lab| {
        lab.needs_writable("/proc/sys/kernel/domainname")?;
        applied(lab, &[("kernel.domainname", "example.org")])
    }),
    Case::new(
        "sysctl/slashes",
        "with slashes a name may contain dots",
        "sysctl(8), sysctl.d(5) (the first separator decides)",
        |lab| {
            applied(
                lab,
                &[
                    ("net/ipv4/ip_unprivileged_port_start", "81"),
                    ("net/ipv4/conf/lo/forwarding", "1"),
                ],
            )
        },
    ),
    Case::new(
        "sysctl/read-only",
        "the values are set before /proc/sys becomes read-only, and stay",
        "OCI runtime-spec config-linux.md#readonly-paths",
        read_only,
    ),
    Case::new("sysctl/host-parameter", "parameters of the whole host are refused", SAFE, |lab| {
        for (key, value) in [("kernel.panic", "7"), ("vm.swappiness", "3"), ("fs.file-max", "9999")]
        {
            refused(lab, key, value, |_| {})?;
        }
        Ok(())
    }),
    Case::new(
        "sysctl/hostname",
        "kernel.hostname is refused: hostname is the property for it",
        "runc: sysctl kernel.hostname conflicts with OCI hostname",
        |lab| refused(lab, "kernel.hostname", "other", |_| {}),
    ),
    Case::new("sysctl/without-network", "net.* with the host's network is refused", SAFE, |lab| {
        refused(lab, "net.ipv4.ip_unprivileged_port_start", "84", |config| {
            without(config, "network")
        })
    }),
    Case::new("sysctl/without-ipc", "kernel.shmmax with the host's ipc is refused", SAFE, |lab| {
        refused(lab, "kernel.shmmax", "12345678", |config| without(config, "ipc"))
    }),
    Case::new(
        "sysctl/without-uts",
        "kernel.domainname with the host's uts is refused",
        SAFE,
        |lab| {
            refused(lab, "kernel.domainname", "x.org", |config| {
                without(config, "uts");
                drop_hostname(config);
            })
        },
    ),
    Case::new(
        "sysctl/joined-host",
        "the host's network namespace given by path is still the host's",
        "runc: sysctl is not allowed in the hosts network namespace",
        joined_host,
    ),
    Case::new(
        "sysctl/user",
        "user.* of the own user namespace, and never of the host's",
        "sysctl(8), user_namespaces(7): limits below /proc/sys/user are each namespace's own",
        user,
    )
    .known("runc 1.1 does not know that they are"),
    Case::new(
        "sysctl/dots",
        "a name cannot walk out of its namespace",
        "sysctl names become paths below /proc/sys",
        dots,
    ),
    Case::new("sysctl/unknown", "a parameter that does not exist is an error", SPEC, |lab| {
        refused(lab, "net.ipv4.no_such_parameter", "1", |_| {})
    }),
    Case::new("sysctl/bad-value", "a value that the kernel refuses is an error", SPEC, |lab| {
        refused(lab, "net.ipv4.ip_forward", "banana", |_| {})
    }),
];

/// Removes a namespace from the list: the host's stays.
fn without(config: &mut Value, kind: &str) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.retain(|one| one["type"] != kind);
    }
    // A message queue file system can only be mounted by the owner of the ipc namespace.
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| kind != "ipc" || mount["type"] != "mqueue");
    }
}

fn drop_hostname(config: &mut Value) {
    if let Some(config) = config.as_object_mut() {
        config.remove("hostname");
    }
}

fn user(lab: &Lab) -> Result {
    const KEY: &str = "user.max_net_namespaces";
    let before = host(KEY)?;
    let bundle = super::user_namespace::bundle(lab, |config| {
        config["linux"]["sysctl"] = json!({ KEY: "7" });
        config["process"]["args"] = json!(["/probe", "cat", "/proc/sys/user/max_net_namespaces"]);
    })?;
    ensure_eq!(lab.container(bundle).run()?.ok()?.stdout, "7\n", "{KEY}");
    ensure_eq!(host(KEY)?, before, "{KEY} of the host");
    refused(lab, KEY, "7", |_| {})
}

fn host(key: &str) -> Result<String> {
    let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    Ok(fs::read_to_string(format!("/proc/sys/{path}"))?.trim().to_owned())
}

/// Each parameter has its value in the container, and the host's are as before.
fn applied(lab: &Lab, parameters: &[(&str, &str)]) -> Result {
    let before: Vec<String> = parameters.iter().map(|(key, _)| host(key)).collect::<Result<_>>()?;
    let bundle = lab.bundle(|config| {
        let mut args = vec!["/probe", "facts"];
        for (key, value) in parameters {
            config["linux"]["sysctl"][*key] = (*value).into();
            args.push(key);
        }
        config["process"]["args"] = args.into();
    })?;
    let facts = lab.container(bundle).facts()?;
    for (key, value) in parameters {
        ensure_eq!(facts["sysctl"][*key], *value, "{key} in the container");
    }
    let after: Vec<String> = parameters.iter().map(|(key, _)| host(key)).collect::<Result<_>>()?;
    ensure_eq!(after, before, "the host's values of {parameters:?}");
    Ok(())
}

/// `create` with this parameter must fail with a message, and the host's value stays.
fn refused(lab: &Lab, key: &str, value: &str, edit: impl FnOnce(&mut Value)) -> Result {
    let before = host(key).ok();
    let bundle = lab.bundle(|config| {
        edit(config);
        config["linux"]["sysctl"] = json!({ key: value });
    })?;
    let outcome = lab.container(bundle).try_create()?.refused();
    let after = host(key).ok();
    if let Some(before) = before.filter(|before| Some(before) != after.as_ref()) {
        // The host gets its value back before anybody suffers from it.
        fs::write(format!("/proc/sys/{}", key.replace('.', "/")), &before)?;
        return Err(Stop::Fail(format!("the host's {key} was {before:?} and became {after:?}")));
    }
    outcome.map(drop)
}

fn read_only(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["linux"]["sysctl"] = json!({ "net.ipv4.ip_unprivileged_port_start": "82" });
        // The right to write to it in a user namespace, too (net/sysctl_net.c, net_ctl_permissions).
        let network = json!(["CAP_NET_ADMIN"]);
        config["process"]["capabilities"] =
            json!({ "bounding": network, "permitted": network, "effective": network });
        let script =
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; /probe write /proc/sys/net/ipv4/ip_unprivileged_port_start 0";
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?;
    let output = lab.container(bundle).run()?.ok()?.stdout;
    ensure_eq!(output, format!("82\nerrno {}\n", libc::EROFS), "value and write to it");
    Ok(())
}

fn joined_host(lab: &Lab) -> Result {
    let path = format!("/proc/{}/ns/net", std::process::id());
    refused(lab, "net.ipv4.ip_unprivileged_port_start", "83", |config| {
        without(config, "network");
        if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
            list.push(json!({ "type": "network", "path": path }));
        }
    })
}

fn dots(lab: &Lab) -> Result {
    const FILE: &str = "/proc/sys/kernel/printk_ratelimit_burst";
    let before = fs::read_to_string(FILE)?;
    let outcome: Result =
        ["net/../kernel/printk_ratelimit_burst", "net..kernel.printk_ratelimit_burst"]
            .into_iter()
            .try_for_each(|key| {
                let bundle =
                    lab.bundle(|config| config["linux"]["sysctl"] = json!({ key: "13" }))?;
                lab.container(bundle).try_create()?.refused().map(drop)
            });
    let after = fs::read_to_string(FILE)?;
    if after != before {
        fs::write(FILE, &before)?;
        return Err(Stop::Fail(format!("{FILE} of the host was {before:?} and became {after:?}")));
    }
    outcome
}

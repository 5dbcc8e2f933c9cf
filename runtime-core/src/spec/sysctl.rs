//! linux.sysctl: only parameters of namespaces that are the container's own; everything else would be set for
//! the host.

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::error::{Error, Result};

/// The parameters as files below /proc/sys and values, sorted by file.
pub type Sysctls = Vec<(String, String)>;

/// kernel.* parameters of the ipc namespace (ipc_namespaces(7)).
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// Checks names and values.
pub(super) fn check(spec: &Spec) -> Result<()> {
    lower(spec).map(drop)
}

/// linux.sysctl → files and values.
///
/// # Errors
/// A parameter of a namespace that is not the container's own, or one that no namespace has.
pub(crate) fn lower(spec: &Spec) -> Result<Sysctls> {
    let sysctls = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let mut lowered = Vec::new();
    for (name, value) in sysctls.into_iter().flatten() {
        let path = || format!("linux.sysctl[{name:?}]");
        let file =
            file(name).ok_or_else(|| Error::spec(path(), "not the name of a kernel parameter"))?;
        if value.contains(['\0', '\n']) {
            return Err(Error::spec(path(), "one value has one line"));
        }
        allowed(spec, &file).map_err(|why| Error::spec(path(), why))?;
        lowered.push((file, value.clone()));
    }
    lowered.sort();
    Ok(lowered)
}

/// The file of a parameter. sysctl(8): the first separator decides; a name with slashes may have dots in its
/// parts (interfaces like eth0.1), and a name with dots has slashes for them.
fn file(name: &str) -> Option<String> {
    let first = name.find(['.', '/'])?;
    let file: String = if name.as_bytes()[first] == b'/' {
        name.to_owned()
    } else {
        let swap = |c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        name.chars().map(swap).collect()
    };
    let clean = file.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    (clean && !file.contains(['\0', '\n', ' ', '+'])).then_some(file)
}

fn allowed(spec: &Spec, file: &str) -> std::result::Result<(), String> {
    let own = |kind: LinuxNamespaceType| {
        let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
        namespaces.into_iter().flatten().any(|namespace| namespace.typ() == kind)
    };
    let need = |kind: LinuxNamespaceType| {
        if own(kind) {
            return Ok(());
        }
        Err(format!("would be set for the host: it needs a {kind} namespace in linux.namespaces"))
    };
    if file.starts_with("net/") {
        return need(LinuxNamespaceType::Network);
    }
    if IPC.contains(&file) || file.starts_with("fs/mqueue/") {
        return need(LinuxNamespaceType::Ipc);
    }
    if file.starts_with("user/") {
        return need(LinuxNamespaceType::User);
    }
    match file {
        "kernel/hostname" => Err("set hostname instead".into()),
        "kernel/domainname" => {
            if spec.domainname().is_some() {
                return Err("domainname is set as well".into());
            }
            need(LinuxNamespaceType::Uts)
        }
        _ => Err("no namespace has this parameter: it would be set for the host".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lowered(name: &str, value: &str) -> Result<Sysctls> {
        let config = json!({"ociVersion": "1.3.0", "linux": {
            "namespaces": [{"type": "network"}, {"type": "uts"}], "sysctl": {name: value}}});
        lower(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn names_become_files() {
        for (name, file) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("kernel.domainname", "kernel/domainname"),
        ] {
            assert_eq!(lowered(name, "1").unwrap(), [(file.to_owned(), "1".to_owned())]);
        }
    }

    #[test]
    fn the_host_is_out_of_reach() {
        for name in [
            "kernel.shmmax",
            "fs.mqueue.msg_max",
            "kernel.core_pattern",
            "kernel.hostname",
            "vm.swappiness",
            "net",
            "net..x",
            "net/../kernel/core_pattern",
            "net.ipv4.x+kernel.y",
            "user.max_user_namespaces",
            "",
        ] {
            assert!(lowered(name, "1").is_err(), "{name}");
        }
        assert!(lowered("net.ipv4.ip_forward", "1\n2").is_err());
    }
}

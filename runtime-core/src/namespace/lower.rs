//! linux.namespaces and what belongs to them → [`NamespacePlan`]. Pure.

use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use teu_wire::OwnedText;

use super::idmap::IdMaps;
use super::{Kind, NamespacePlan, NetDevice, Source, Wanted};
use crate::error::{Error, Result};

fn kind_of(kind: LinuxNamespaceType) -> Kind {
    match kind {
        LinuxNamespaceType::User => Kind::User,
        LinuxNamespaceType::Pid => Kind::Pid,
        LinuxNamespaceType::Network => Kind::Network,
        LinuxNamespaceType::Ipc => Kind::Ipc,
        LinuxNamespaceType::Uts => Kind::Uts,
        LinuxNamespaceType::Mount => Kind::Mount,
        LinuxNamespaceType::Cgroup => Kind::Cgroup,
        LinuxNamespaceType::Time => Kind::Time,
    }
}

/// Where each namespace comes from; a kind may be listed once (config-linux.md, "Namespaces").
///
/// # Errors
/// A kind listed twice, or a path that is not absolute.
pub(crate) fn wanted(spec: &Spec) -> Result<Wanted> {
    let mut wanted = Wanted([const { Source::Inherit }; 8]);
    let listed = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    for (index, namespace) in listed.into_iter().flatten().enumerate() {
        let kind = kind_of(namespace.typ());
        let slot = &mut wanted.0[kind as usize];
        if *slot != Source::Inherit {
            return Err(Error::spec(
                format!("linux.namespaces[{index}].type"),
                format_args!("the {} namespace is listed twice", kind.word()),
            ));
        }
        *slot = match namespace.path() {
            Some(path) if !path.as_os_str().is_empty() => {
                let field = format!("linux.namespaces[{index}].path");
                check_path(path, &field)?;
                Source::Path { path: path.clone(), field }
            }
            _ => Source::New,
        };
    }
    Ok(wanted)
}

fn check_path(path: &Path, field: &str) -> Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(Error::spec(field, format_args!("{} is not an absolute path", path.display())))
}

/// Decides who enters or makes which namespace, and when.
///
/// # Errors
/// What the specification or the kernel does not allow, with its JSON path.
pub(crate) fn lower(spec: &Spec) -> Result<NamespacePlan> {
    let wanted = wanted(spec)?;
    let maps = maps(spec, &wanted)?;
    let user_new = wanted.is_new(Kind::User);
    let user_joined = wanted.is_joined(Kind::User);
    // A new pid namespace must belong to the joined user namespace, or mounting proc in it is refused; only
    // a process that is already in that user namespace can make such a one. So there are two clones.
    let two_clones = user_joined && wanted.is_new(Kind::Pid);
    // A joined one is entered the same way: setns(2) takes effect on children only, and the process that shares
    // the caller's memory until execveat must never be in sight of others, who may be allowed to trace it. In
    // another user namespace they are not (ptrace(2), access mode checking), and it may take away the right to
    // enter.
    let pid_behind = wanted.is_joined(Kind::Pid) && wanted.is_inherited(Kind::User);
    let mut plan = NamespacePlan {
        around_clone: Vec::new(),
        at_clone: 0,
        in_init: Vec::new(),
        joined_maps: joined_maps(spec, &wanted)?,
        maps,
        devices: net_devices(spec, &wanted)?,
        init: empty(&wanted),
        wanted,
    };
    let mut second = 0;
    for kind in Kind::ALL {
        match (kind, plan.wanted.get(kind)) {
            (_, Source::Inherit) => (),
            (Kind::Pid, Source::Path { .. }) if pid_behind => plan.in_init.push(kind),
            // setns(2) into a pid namespace takes effect on children only. A mount namespace changes what
            // paths mean, so everything that is opened by path is opened in it: by the same thread.
            (Kind::Pid | Kind::Mount, Source::Path { .. }) => plan.around_clone.push(kind),
            // A thread cannot enter a time namespace (setns(2), EUSERS), and from a new user namespace
            // nobody has the right to.
            (Kind::Time, Source::Path { field, .. }) if user_new => {
                return Err(Error::spec(
                    field.as_str(),
                    "a time namespace cannot be joined together with a new user namespace (setns(2))",
                ));
            }
            // From within a new user namespace the right to enter namespaces of the outer one is gone.
            (_, Source::Path { .. }) if user_new => plan.around_clone.push(kind),
            (_, Source::Path { .. }) => plan.in_init.push(kind),
            // Offsets can be written only while nobody is inside: init unshares and writes, its execve enters.
            (Kind::Time, Source::New) => (),
            // Its root is the cgroup of the process that makes it: made when the cgroups are joined.
            (Kind::Cgroup, Source::New) => plan.init.cgroup = true,
            // The kernel makes the mqueue filesystem with it, for the user that makes it: the root of the container,
            // who owns /dev/mqueue then and may label it, and not that of the host, who is nobody there.
            (Kind::Ipc, Source::New) if user_new || user_joined => {
                plan.init.unshare |= kind.flag();
            }
            (_, Source::New) if two_clones => second |= u64::from(kind.flag()),
            // It must be owned by the user namespace that init enters first.
            (_, Source::New) if user_joined => plan.init.unshare |= kind.flag(),
            (_, Source::New) => plan.at_clone |= kind.flag(),
        }
    }
    plan.init.join = plan.in_init.iter().map(|kind| kind.flag()).collect();
    plan.init.second_clone = (two_clones || pid_behind).then_some(second);
    names(spec, &mut plan)?;
    plan.init.time_offsets = time_offsets(spec, &plan.wanted)?;
    Ok(plan)
}

fn empty(wanted: &Wanted) -> teu_wire::Namespaces {
    teu_wire::Namespaces {
        second_clone: None,
        join: Vec::new(),
        unshare: 0,
        become_root: !wanted.is_inherited(Kind::User),
        shared_pid: !wanted.is_new(Kind::Pid),
        cgroup: false,
        time_offsets: None,
        loopback: wanted.is_new(Kind::Network),
        hostname: None,
        domainname: None,
    }
}

/// The network devices, by name.
fn net_devices(spec: &Spec, wanted: &Wanted) -> Result<Vec<NetDevice>> {
    let listed = spec.linux().as_ref().and_then(|linux| linux.net_devices().as_ref());
    let mut devices: Vec<NetDevice> = Vec::new();
    let mut sorted: Vec<_> = listed.into_iter().flatten().collect();
    sorted.sort_by_key(|(name, _)| name.as_str());
    for (name, device) in sorted {
        let field = format!("linux.netDevices[{name:?}]");
        let wrong = |text: String| Err(Error::spec(field.as_str(), text));
        if wanted.is_inherited(Kind::Network) {
            return wrong(
                "it is where it is to be: add {\"type\": \"network\"} to linux.namespaces".into(),
            );
        }
        let new_name = device.name().clone().filter(|name| !name.is_empty());
        let new_name = new_name.unwrap_or_else(|| name.clone());
        if let Some(bad) = [name, &new_name].into_iter().find(|name| !is_device_name(name)) {
            return wrong(format!("{bad:?} is no name of a network device"));
        }
        let template = new_name.contains('%');
        if template && !(new_name.matches('%').count() == 1 && new_name.contains("%d")) {
            return wrong(format!("{new_name:?}: only one %d can stand in a name"));
        }
        if !template && devices.iter().any(|other| other.new_name == new_name) {
            return wrong(format!("two devices would have the name {new_name}"));
        }
        devices.push(NetDevice { name: name.clone(), new_name, field });
    }
    Ok(devices)
}

/// What the kernel takes (dev_valid_name, IFNAMSIZ).
fn is_device_name(name: &str) -> bool {
    let fine = |byte: u8| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b':' | 0);
    (1..16).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(fine)
}

fn maps(spec: &Spec, wanted: &Wanted) -> Result<Option<IdMaps>> {
    let linux = spec.linux().as_ref();
    let uid = linux.and_then(|linux| linux.uid_mappings().as_deref()).unwrap_or_default();
    let gid = linux.and_then(|linux| linux.gid_mappings().as_deref()).unwrap_or_default();
    match wanted.get(Kind::User) {
        Source::New => IdMaps::lower(uid, gid, "linux").map(Some),
        // A joined namespace has its maps already: they are compared when init is inside.
        Source::Path { .. } => Ok(None),
        Source::Inherit if uid.is_empty() && gid.is_empty() => Ok(None),
        Source::Inherit => Err(Error::spec(
            if uid.is_empty() { "linux.gidMappings" } else { "linux.uidMappings" },
            "id mappings need a user namespace: add {\"type\": \"user\"} to linux.namespaces",
        )),
    }
}

fn joined_maps(spec: &Spec, wanted: &Wanted) -> Result<Option<IdMaps>> {
    let linux = spec.linux().as_ref().filter(|_| wanted.is_joined(Kind::User));
    let uid = linux.and_then(|linux| linux.uid_mappings().as_deref());
    let both = uid.zip(linux.and_then(|linux| linux.gid_mappings().as_deref()));
    let given = both.filter(|(uid, gid)| !uid.is_empty() && !gid.is_empty());
    given.map(|(uid, gid)| IdMaps::lower(uid, gid, "linux")).transpose()
}

fn names(spec: &Spec, plan: &mut NamespacePlan) -> Result<()> {
    let fields = [
        ("hostname", spec.hostname(), &mut plan.init.hostname),
        ("domainname", spec.domainname(), &mut plan.init.domainname),
    ];
    for (field, value, slot) in fields {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        if plan.wanted.is_inherited(Kind::Uts) {
            return Err(Error::spec(
                field,
                "it would rename the host: add {\"type\": \"uts\"} to linux.namespaces",
            ));
        }
        if value.len() > 64 {
            return Err(Error::spec(field, "longer than the 64 bytes that sethostname(2) takes"));
        }
        *slot = Some(OwnedText::new(value).map_err(|_| Error::spec(field, "contains a NUL byte"))?);
    }
    Ok(())
}

/// The lines for timens_offsets; an empty text for a new time namespace without offsets.
fn time_offsets(spec: &Spec, wanted: &Wanted) -> Result<Option<OwnedText>> {
    let offsets = spec.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref());
    if !wanted.is_new(Kind::Time) {
        return match offsets {
            Some(offsets) if !offsets.is_empty() => Err(Error::spec(
                "linux.timeOffsets",
                "offsets need a new time namespace: add {\"type\": \"time\"} to linux.namespaces",
            )),
            _ => Ok(None),
        };
    }
    let mut lines = String::new();
    let mut sorted: Vec<_> = offsets.into_iter().flatten().collect();
    sorted.sort_by_key(|(clock, _)| clock.as_str());
    for (clock, offset) in sorted {
        if clock != "monotonic" && clock != "boottime" {
            return Err(Error::spec(
                format!("linux.timeOffsets.{clock}"),
                "not a clock of a time namespace: monotonic or boottime (time_namespaces(7))",
            ));
        }
        let (seconds, nanoseconds) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        if nanoseconds >= 1_000_000_000 {
            return Err(Error::spec(
                format!("linux.timeOffsets.{clock}.nanosecs"),
                format_args!("{nanoseconds} is not below 1000000000"),
            ));
        }
        lines.push_str(&format!("{clock} {seconds} {nanoseconds}\n"));
    }
    Ok(OwnedText::new(lines).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(namespaces: serde_json::Value, more: serde_json::Value) -> Result<NamespacePlan> {
        let mut config = json!({"ociVersion": "1.3.0", "linux": {"namespaces": namespaces}});
        for (key, value) in more.as_object().into_iter().flatten() {
            match key.as_str() {
                "hostname" => config["hostname"] = value.clone(),
                _ => config["linux"][key] = value.clone(),
            }
        }
        lower(&serde_json::from_value(config).unwrap())
    }

    fn flags(kinds: &[Kind]) -> u32 {
        kinds.iter().map(|kind| kind.flag()).sum()
    }

    const MAPS: &str = r#"[{"containerID": 0, "hostID": 1000, "size": 10}]"#;

    fn maps() -> serde_json::Value {
        let maps: serde_json::Value = serde_json::from_str(MAPS).unwrap();
        json!({"uidMappings": maps, "gidMappings": maps})
    }

    #[test]
    fn docker_makes_all_at_once_and_the_cgroup_namespace_later() {
        let plan = plan(
            json!([{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                   {"type": "mount"}, {"type": "cgroup"}]),
            json!({"hostname": "c"}),
        )
        .unwrap();
        assert_eq!(
            plan.at_clone,
            flags(&[Kind::Pid, Kind::Network, Kind::Ipc, Kind::Uts, Kind::Mount])
        );
        assert!(plan.init.cgroup && plan.init.loopback && !plan.init.become_root);
        assert_eq!(plan.init.second_clone, None);
        assert_eq!(plan.init.hostname.unwrap().as_bytes(), b"c");
    }

    #[test]
    fn a_pod_member_joins_in_init_and_is_cloned_into_its_pid_namespace() {
        let plan = plan(
            json!([{"type": "pid", "path": "/proc/1/ns/pid"}, {"type": "network", "path": "/proc/1/ns/net"},
                   {"type": "ipc", "path": "/proc/1/ns/ipc"}, {"type": "mount"}]),
            json!({}),
        )
        .unwrap();
        assert_eq!(plan.around_clone, []);
        assert_eq!(plan.in_init, [Kind::Pid, Kind::Network, Kind::Ipc]);
        assert_eq!(plan.at_clone, flags(&[Kind::Mount]));
        assert_eq!(plan.init.second_clone, Some(0));
        assert!(plan.init.shared_pid && !plan.init.loopback);
    }

    #[test]
    fn a_new_user_namespace_has_others_joined_before_the_clone() {
        let plan = plan(
            json!([{"type": "user"}, {"type": "network", "path": "/run/netns/x"}, {"type": "mount"},
                   {"type": "ipc"}]),
            maps(),
        )
        .unwrap();
        assert_eq!(plan.around_clone, [Kind::Network]);
        assert_eq!(plan.at_clone, flags(&[Kind::User, Kind::Mount]));
        assert_eq!(plan.init.unshare, flags(&[Kind::Ipc]), "by the root of the container");
    }

    #[test]
    fn a_joined_user_namespace_with_a_new_pid_namespace_needs_two_clones() {
        let plan = plan(
            json!([{"type": "user", "path": "/proc/1/ns/user"}, {"type": "pid"}, {"type": "mount"},
                   {"type": "network", "path": "/run/netns/x"}]),
            json!({}),
        )
        .unwrap();
        assert_eq!(plan.at_clone, 0);
        assert_eq!(plan.in_init, [Kind::User, Kind::Network]);
        assert_eq!(plan.init.second_clone, Some(u64::from(flags(&[Kind::Pid, Kind::Mount]))));
    }

    #[test]
    fn a_joined_user_namespace_without_one_is_entered_before_the_rest_is_made() {
        let plan = plan(
            json!([{"type": "user", "path": "/proc/1/ns/user"}, {"type": "mount"}]),
            json!({}),
        )
        .unwrap();
        assert_eq!((plan.at_clone, plan.init.unshare), (0, flags(&[Kind::Mount])));
        assert_eq!(plan.init.second_clone, None);
    }

    #[test]
    fn offsets_become_lines() {
        let plan = plan(
            json!([{"type": "time"}]),
            json!({"timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 7}, "boottime": {"secs": 3}}}),
        )
        .unwrap();
        assert_eq!(plan.init.time_offsets.unwrap().as_bytes(), b"boottime 3 0\nmonotonic -5 7\n");
    }

    #[test]
    fn what_cannot_be_names_its_field() {
        let cases = [
            (json!([{"type": "pid"}, {"type": "pid"}]), json!({}), "linux.namespaces[1].type"),
            (json!([{"type": "pid", "path": "x"}]), json!({}), "linux.namespaces[0].path"),
            (json!([{"type": "user"}]), json!({}), "linux.uidMappings"),
            (json!([]), maps(), "linux.uidMappings"),
            (json!([]), json!({"hostname": "x"}), "hostname"),
            (json!([]), json!({"netDevices": {"a": {}}}), "linux.netDevices[\"a\"]"),
            (
                json!([{"type": "network"}]),
                json!({"netDevices": {"a/b": {}}}),
                "linux.netDevices[\"a/b\"]",
            ),
            (
                json!([{"type": "network"}]),
                json!({"netDevices": {"a": {"name": "x%s"}}}),
                "linux.netDevices[\"a\"]",
            ),
            (
                json!([{"type": "network"}]),
                json!({"netDevices": {"a": {"name": "x"}, "b": {"name": "x"}}}),
                "linux.netDevices[\"b\"]",
            ),
            (json!([]), json!({"timeOffsets": {"boottime": {"secs": 1}}}), "linux.timeOffsets"),
            (
                json!([{"type": "time"}]),
                json!({"timeOffsets": {"tai": {"secs": 1}}}),
                "linux.timeOffsets.tai",
            ),
        ];
        for (namespaces, more, path) in cases {
            assert_eq!(plan(namespaces, more).unwrap_err().path(), Some(path));
        }
    }
}

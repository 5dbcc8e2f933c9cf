//! config.json → plan, across the domains. Pure: each domain lowers its own section, and where two meet, what
//! one needs of the other is filled in here.

use std::collections::BTreeMap;

use oci_spec::runtime::{Hook, Process, Spec};
use teu_wire::{InitPlan, OwnedText};

use super::{CallerHooks, CreatePlan, IdMapped, MapSource};
use crate::bundle::Bundle;
use crate::cgroup::{self, CgroupPlan};
use crate::error::{Error, Result};
use crate::host::{CgroupLayout, Host};
use crate::id::ContainerId;
use crate::namespace::idmap::{IdMaps, IdRange};
use crate::namespace::{self, Kind, NamespacePlan, Source};
use crate::operation::{Console, CreateOptions, create::annotations, state_json};
use crate::process;
use crate::rootfs::{self, CgroupView, Hierarchy, Purpose, TreeSource};
use crate::store::record::SeccompListener;

/// Lowers a configuration to the plan of `create`, with warnings.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub(crate) fn lower(
    id: &ContainerId,
    bundle: &Bundle,
    host: &Host,
    options: &CreateOptions,
) -> Result<(CreatePlan, Vec<String>)> {
    let spec = &bundle.spec;
    let linux = spec.linux().as_ref();
    let mut warnings = bundle.warnings.clone();

    let namespaces = namespace::lower::lower(spec)?;
    let (mut cgroup, more) = cgroup::lower(
        linux.and_then(|linux| linux.cgroups_path().as_deref()),
        id.as_str(),
        linux.and_then(|linux| linux.resources().as_ref()),
        &annotations(spec),
        host,
    )?;
    cgroup.owner = cgroup_owner(spec, host, &namespaces);
    warnings.extend(more);
    let rdt = linux
        .and_then(|linux| linux.intel_rdt().as_ref())
        .map(|rdt| cgroup::rdt::lower(rdt, id.as_str()))
        .transpose()?;
    let (rootfs, trees, more) =
        rootfs::lower::lower(spec, &root_inputs(bundle, host, options, &namespaces, &cgroup)?)?;
    warnings.extend(more);
    let id_mapped = id_mapped(&trees, &namespaces)?;
    let wanted = spec
        .process()
        .as_ref()
        .ok_or_else(|| Error::spec("process", "missing: what is the container to run?"))?;
    let handed = Handed {
        id: id.as_str(),
        no_new_keyring: options.no_new_keyring,
        listen_fds: options.listen_fds,
        preserve_fds: options.preserve_fds,
        console: options.console.as_ref(),
    };
    let mut process = lower_process(wanted, spec, host, &handed, &namespaces, &mut warnings)?;
    // From outside it is set for whoever is in a new user namespace from birth.
    process.oom_score_may_stay |= namespaces.maps.is_some() && host.may_raise();
    let hooks = caller_hooks(spec);
    let sysctls = crate::spec::lower_sysctls(spec)?
        .iter()
        .map(|(file, value)| {
            let path = || format!("linux.sysctl[{file:?}]");
            Ok(teu_wire::Sysctl { file: text(file, path)?, value: text(value, path)? })
        })
        .collect::<Result<Vec<_>>>()?;
    require_rights(host, &namespaces)?;
    let init = InitPlan {
        id: text(id.as_str(), || "id".into())?,
        namespaces: namespaces.init.clone(),
        sources: if host.may_open_trees() { Vec::new() } else { sources(&trees)? },
        rootfs: Some(rootfs),
        sysctls,
        process,
        hooks: init_hooks(bundle, id, &annotations(spec))?,
        caller_hooks: !hooks.prestart.is_empty()
            || !hooks.create_runtime.is_empty()
            || !namespaces.devices.is_empty(),
    };
    let seccomp = linux.and_then(|linux| linux.seccomp().clone());
    let plan = CreatePlan {
        id: id.as_str().to_owned(),
        namespaces,
        cgroup,
        rdt,
        trees,
        id_mapped,
        hooks,
        seccomp_listener: seccomp.as_ref().and_then(|seccomp| {
            Some(SeccompListener {
                path: seccomp
                    .listener_path()
                    .clone()
                    .filter(|path| !path.as_os_str().is_empty())?,
                metadata: seccomp.listener_metadata().clone().unwrap_or_default(),
            })
        }),
        seccomp,
        init,
    };
    Ok((plan, warnings))
}

/// What a caller without privilege cannot have: everything else is in its power once it is root of a user namespace.
fn require_rights(host: &Host, namespaces: &NamespacePlan) -> Result<()> {
    if host.may_open_trees() {
        return Ok(());
    }
    if namespaces.wanted.is_inherited(Kind::User) {
        return Err(Error::unsupported(
            "linux.namespaces",
            "rootless container requires user namespaces: add {\"type\": \"user\"}, with uidMappings and \
             gidMappings (teu spec --rootless writes such a configuration)",
        ));
    }
    if namespaces.wanted.is_inherited(Kind::Mount) {
        return Err(Error::unsupported(
            "linux.namespaces",
            "without privilege a container needs a mount namespace of its own: add {\"type\": \"mount\"}",
        ));
    }
    match namespaces.devices.first() {
        Some(device) => {
            let text = "network devices of the host can be moved by root only";
            Err(Error::unsupported(device.field.as_str(), text))
        }
        None => Ok(()),
    }
}

/// The trees, for init to open.
fn sources(trees: &[TreeSource]) -> Result<Vec<teu_wire::Source>> {
    let source = |tree: &TreeSource| {
        Ok(teu_wire::Source {
            path: text(&tree.path.to_string_lossy(), || tree.field.clone())?,
            recursive: tree.recursive,
            propagation: tree.propagation.unwrap_or(0),
            device: match tree.what {
                Purpose::Device { major, minor } => Some(teu_wire::DeviceNumber { major, minor }),
                Purpose::Root | Purpose::Bind | Purpose::Cgroup { .. } => None,
            },
        })
    };
    trees.iter().map(source).collect()
}

/// The user of the host who gets the container's cgroup: on cgroup2, and where the container has a cgroup namespace of
/// its own and may write to it (config-linux.md, "Cgroup ownership").
fn cgroup_owner(spec: &Spec, host: &Host, namespaces: &NamespacePlan) -> Option<u32> {
    let alone = matches!(host.cgroups, CgroupLayout::Unified { .. });
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    if !alone || !namespaces.wanted.is_new(Kind::Cgroup) || !cgroup::is_writable(mounts) {
        return None;
    }
    let uid = spec.process().as_ref()?.user().uid();
    let owner = match &namespaces.maps {
        Some(maps) => maps.host_uid(uid)?,
        // The map of a namespace that is joined is not known here.
        None if namespaces.wanted.is_inherited(Kind::User) => uid,
        None => return None,
    };
    // Whoever makes the cgroup owns it already, and only root may give it away: that of a user namespace, too, to
    // the ids that it has.
    (owner != host.euid && host.euid == 0).then_some(owner)
}

/// The user namespaces that idmapped mounts take their maps from.
fn id_mapped(trees: &[TreeSource], namespaces: &NamespacePlan) -> Result<Vec<IdMapped>> {
    let mapped = trees.iter().enumerate().filter_map(|(place, tree)| {
        let map = tree.id_map.as_ref()?;
        Some((place, tree, map))
    });
    mapped
        .map(|(place, tree, map)| {
            let section = tree.field.trim_end_matches(".source");
            let by = match (namespaces.wanted.get(Kind::User), &namespaces.maps) {
                _ if !map.uid.is_empty() => {
                    MapSource::Maps(IdMaps::lower(&map.uid, &map.gid, section)?)
                }
                (Source::Path { path, .. }, _) => MapSource::Path(path.clone()),
                (_, Some(maps)) => MapSource::Maps(maps.clone()),
                (_, None) => {
                    let text = "idmap without mappings needs a user namespace";
                    return Err(Error::spec(format!("{section}.options"), text));
                }
            };
            Ok(IdMapped { place, recursive: map.recursive, by })
        })
        .collect()
}

/// What the root file system depends on in the other sections.
fn root_inputs<'a>(
    bundle: &'a Bundle,
    host: &'a Host,
    options: &CreateOptions,
    namespaces: &NamespacePlan,
    cgroup: &CgroupPlan,
) -> Result<rootfs::Inputs<'a>> {
    let wanted = &namespaces.wanted;
    Ok(rootfs::Inputs {
        bundle: &bundle.path,
        own_mounts: !wanted.is_inherited(Kind::Mount),
        user_namespace: !wanted.is_inherited(Kind::User),
        own_pids: wanted.is_new(Kind::Pid),
        own_network: wanted.is_new(Kind::Network),
        no_pivot: options.no_pivot,
        makes_devices: wanted.is_inherited(Kind::User) && host.is_root(),
        unprivileged: !host.may_open_trees(),
        cgroup_view: if wanted.is_new(Kind::Cgroup) {
            CgroupView::Fresh
        } else {
            CgroupView::BindOf(cgroup.path.clone())
        },
        hierarchies: hierarchies(host),
        cgroup_root: &host.cgroup_root,
        label: rootfs::MountLabel::lower(&bundle.spec, host.selinux)?,
    })
}

/// The host's hierarchies, as the container mounts them.
fn hierarchies(host: &Host) -> Vec<Hierarchy> {
    let unified = |directory: &str| Hierarchy {
        directory: directory.into(),
        v1_options: None,
        links: Vec::new(),
    };
    match &host.cgroups {
        CgroupLayout::None => Vec::new(),
        CgroupLayout::Unified { .. } => vec![unified("")],
        CgroupLayout::Legacy { hierarchies, unified: beside } => hierarchies
            .iter()
            .map(|hierarchy| Hierarchy {
                directory: hierarchy.directory.clone(),
                v1_options: Some(match &hierarchy.name {
                    Some(name) => vec![("none".into(), None), ("name".into(), Some(name.clone()))],
                    None => hierarchy.controllers.iter().map(|name| (name.clone(), None)).collect(),
                }),
                links: hierarchy
                    .controllers
                    .iter()
                    .filter(|name| **name != hierarchy.directory)
                    .cloned()
                    .collect(),
            })
            .chain(beside.as_deref().map(unified))
            .collect(),
    }
}

/// The controllers of each hierarchy, as /proc/PID/cgroup names them (cgroups(7)).
pub(crate) fn controllers(host: &Host) -> Vec<String> {
    let name = |hierarchy: Hierarchy| {
        let options = hierarchy.v1_options.unwrap_or_default();
        let words = options.iter().filter_map(|(key, value)| match (key.as_str(), value) {
            ("none", _) => None,
            (key, None) => Some(key.to_owned()),
            (key, Some(value)) => Some(format!("{key}={value}")),
        });
        words.collect::<Vec<_>>().join(",")
    };
    hierarchies(host).into_iter().map(name).collect()
}

/// What a process gets that its section of the configuration does not say.
pub(crate) struct Handed<'a> {
    /// The container's id, for its keyring.
    pub id: &'a str,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// Sockets that LISTEN_FDS announces.
    pub listen_fds: u32,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// Who shows its terminal.
    pub console: Option<&'a Console>,
}

/// Lowers a process of the container: its first one, or one of `exec`.
pub(crate) fn lower_process(
    process: &Process,
    spec: &Spec,
    host: &Host,
    handed: &Handed<'_>,
    namespaces: &NamespacePlan,
    warnings: &mut Vec<String>,
) -> Result<teu_wire::Process> {
    let maps = namespaces.maps.as_ref();
    let inputs = process::Inputs {
        id: handed.id,
        no_new_keyring: handed.no_new_keyring,
        listen_fds: handed.listen_fds,
        preserve_fds: handed.preserve_fds,
        window: match handed.console {
            Some(Console::Returned(window)) => window.map(|size| (size.rows, size.columns)),
            _ => None,
        },
        bare_lines: matches!(handed.console, Some(Console::Returned(_))),
        // The maps of a joined user namespace are not known here: the kernel says then.
        host_uid: &|uid| maps.map_or(Some(uid), |maps| maps.host_uid(uid)),
        host_gid: &|gid| maps.map_or(Some(gid), |maps| maps.host_gid(gid)),
        setgroups_denied: maps.is_some_and(|maps| {
            !host.may_map()
                && matches!(maps.gid[..], [IdRange { size: 1, host: own, .. }] if own == host.egid)
        }),
        rootless: host.rootless,
    };
    let user_namespace = !namespaces.wanted.is_inherited(Kind::User);
    process::lower::lower(process, spec.linux().as_ref(), host, &inputs, user_namespace, warnings)
}

fn text(value: &str, path: impl FnOnce() -> String) -> Result<OwnedText> {
    OwnedText::new(value).map_err(|_| Error::spec(path(), "contains a NUL byte"))
}

/// Hooks in the runtime's namespaces.
#[allow(deprecated)]
fn caller_hooks(spec: &Spec) -> CallerHooks {
    let Some(hooks) = spec.hooks() else { return CallerHooks::default() };
    let list = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
    CallerHooks {
        prestart: list(hooks.prestart()),
        create_runtime: list(hooks.create_runtime()),
        poststart: list(hooks.poststart()),
        poststop: list(hooks.poststop()),
    }
}

/// Hooks in the container's namespaces, with the state that they read.
fn init_hooks(
    bundle: &Bundle,
    id: &ContainerId,
    annotations: &BTreeMap<String, String>,
) -> Result<teu_wire::Hooks> {
    let spec = &bundle.spec;
    let list = |stage: &str, hooks: Option<&Vec<Hook>>| {
        let hooks = hooks.into_iter().flatten().enumerate();
        hooks
            .map(|(index, hook)| init_hook(hook, &format!("hooks.{stage}[{index}]")))
            .collect::<Result<Vec<_>>>()
    };
    let hooks = spec.hooks().as_ref();
    let state = |status| state_json(spec.version(), id.as_str(), &bundle.path, annotations, status);
    let (creating, tail) = state("creating");
    let (created, _) = state("created");
    Ok(teu_wire::Hooks {
        bundle: text(&bundle.path.to_string_lossy(), || "bundle".into())?,
        create_container: list(
            "createContainer",
            hooks.and_then(|hooks| hooks.create_container().as_ref()),
        )?,
        start_container: list(
            "startContainer",
            hooks.and_then(|hooks| hooks.start_container().as_ref()),
        )?,
        creating_state: text(&creating, || "annotations".into())?,
        created_state: text(&created, || "annotations".into())?,
        state_tail: text(&tail, || "annotations".into())?,
    })
}

fn init_hook(hook: &Hook, path: &str) -> Result<teu_wire::Hook> {
    let texts = |values: &[String], field: &str| {
        values
            .iter()
            .enumerate()
            .map(|(index, value)| text(value, || format!("{path}.{field}[{index}]")))
            .collect::<Result<Vec<_>>>()
    };
    let program = hook.path().to_string_lossy();
    let args = match hook.args().as_deref() {
        // Without arguments the program is still told its name.
        None | Some([]) => vec![text(&program, || format!("{path}.path"))?],
        Some(args) => texts(args, "args")?,
    };
    Ok(teu_wire::Hook {
        path: text(&program, || format!("{path}.path"))?,
        args,
        env: texts(hook.env().as_deref().unwrap_or_default(), "env")?,
        timeout: hook.timeout().map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
    })
}

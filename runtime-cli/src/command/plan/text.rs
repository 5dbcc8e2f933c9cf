//! A plan in words, section by section in the order in which it is carried out.

mod rootfs;
mod words;

use std::fmt::Display;

use runtime_core::cgroup::rdt::{RdtPlan, RdtRecord};
use runtime_core::cgroup::{CgroupPlan, OnMissing, Setting};
use runtime_core::namespace::{Kind, NamespacePlan, Source};
use runtime_core::plan::CreatePlan;
use teu_wire::{Hook, Process};

/// The text under construction: sections with indented lines.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    fn section(&mut self, title: impl Display) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&format!("{title}\n"));
    }

    fn line(&mut self, text: impl Display) {
        self.0.push_str(&format!("  {text}\n"));
    }

    fn detail(&mut self, text: impl Display) {
        self.0.push_str(&format!("    {text}\n"));
    }
}

/// The whole plan.
pub(super) fn render(plan: &CreatePlan) -> String {
    let mut page = Page::default();
    page.section(format_args!("Container {}", plan.id));
    cgroup(&mut page, &plan.cgroup);
    if let Some(rdt) = &plan.rdt {
        class(&mut page, rdt);
    }
    namespaces(&mut page, &plan.namespaces);
    if let Some(root) = &plan.init.rootfs {
        rootfs::mounts(&mut page, root, &plan.trees);
        rootfs::devices(&mut page, root);
    }
    host_hooks(&mut page, "Hooks prestart, in the runtime's namespaces", &plan.hooks.prestart);
    host_hooks(
        &mut page,
        "Hooks createRuntime, in the runtime's namespaces",
        &plan.hooks.create_runtime,
    );
    hooks(
        &mut page,
        "Hooks createContainer, in the container's namespaces",
        &plan.init.hooks.create_container,
    );
    if let Some(root) = &plan.init.rootfs {
        rootfs::switch(&mut page, root);
    }
    if !plan.init.sysctls.is_empty() {
        page.section("Kernel parameters (linux.sysctl)");
        for sysctl in &plan.init.sysctls {
            page.line(format_args!("/proc/sys/{} = {}", sysctl.file, sysctl.value));
        }
    }
    page.section("Wait for `start`");
    hooks(
        &mut page,
        "Hooks startContainer, in the container's namespaces",
        &plan.init.hooks.start_container,
    );
    process(&mut page, &plan.init.process, plan.seccomp.is_some());
    host_hooks(&mut page, "Hooks poststart, after the start", &plan.hooks.poststart);
    host_hooks(&mut page, "Hooks poststop, after the deletion", &plan.hooks.poststop);
    page.0
}

fn cgroup(page: &mut Page, plan: &CgroupPlan) {
    page.section(format_args!("Cgroup {}", plan.path));
    if plan.hierarchies.is_empty() {
        page.line("none: the host has no cgroup file system");
    }
    if let Some(unit) = &plan.unit {
        let whose = if unit.manager.user { "the user's systemd" } else { "systemd" };
        page.line(format_args!("ask {whose} ({}) to start {}", unit.manager.address, unit.name));
        for property in &unit.properties {
            let value = serde_json::to_string(&property.value).unwrap_or_default();
            match &property.field {
                Some(field) => page.detail(format_args!("{} = {value} ({field})", property.name)),
                None => page.detail(format_args!("{} = {value}", property.name)),
            }
        }
    }
    for hierarchy in &plan.hierarchies {
        let name = if hierarchy.directory.is_empty() { "cgroup2" } else { &hierarchy.directory };
        page.line(format_args!("in {name}: make the directory"));
        for controller in &hierarchy.controllers {
            match &controller.needed_by {
                Some(field) => {
                    page.detail(format_args!("enable {} ({field})", controller.name));
                }
                None => page.detail(format_args!("enable {} if it is there", controller.name)),
            }
        }
        for setting in &hierarchy.settings {
            page.detail(describe(setting));
        }
        for setting in &hierarchy.late {
            page.detail(format_args!("when init is inside: {}", describe(setting)));
        }
    }
    if plan.device_program.is_some() {
        page.line("attach a BPF program with the device rules (linux.resources.devices)");
    }
    if let Some(owner) = plan.owner {
        page.line(format_args!(
            "give the directory, and the files that the kernel delegates, to user {owner}"
        ));
    }
}

fn class(page: &mut Page, plan: &RdtPlan) {
    let RdtRecord { class, shared, monitoring, .. } = &plan.groups;
    match class.as_str() {
        "." => page.section("Class of resctrl: the default one (linux.intelRdt)"),
        class => page.section(format_args!("Class {class} of resctrl (linux.intelRdt)")),
    }
    match (shared, plan.schemata.is_empty()) {
        (true, false) if class == "." => page.line("compare it with what would be written"),
        (false, _) => page.line("make the directory"),
        (true, false) => page.line("make the directory, or else compare what is written below"),
        (true, true) => page.line("use it as it is"),
    }
    for schemata in &plan.schemata {
        page.detail(format_args!("write {:?} to schemata ({})", schemata.lines, schemata.field));
    }
    if let Some(name) = monitoring {
        page.line(format_args!("make mon_groups/{name} in it (linux.intelRdt.enableMonitoring)"));
    }
}

fn describe(setting: &Setting) -> String {
    let missing = match &setting.on_missing {
        OnMissing::Fail => String::new(),
        OnMissing::Skip => ", skipped where the kernel has no such file".to_owned(),
        OnMissing::Write { file, value } => format!(", or else {value:?} to {file}"),
    };
    format!("write {:?} to {} ({}){missing}", setting.value, setting.file, setting.field)
}

fn namespaces(page: &mut Page, plan: &NamespacePlan) {
    page.section("Namespaces");
    for kind in Kind::ALL {
        let word = kind.word();
        match plan.wanted.get(kind) {
            Source::New => page.line(format_args!("{word:8} new")),
            Source::Inherit => page.line(format_args!("{word:8} the caller's")),
            Source::Path { path, field } => {
                page.line(format_args!("{word:8} joined: {} ({field})", path.display()));
            }
        }
    }
    if let Some(maps) = &plan.maps {
        for (name, ranges) in [("uid", &maps.uid), ("gid", &maps.gid)] {
            for range in ranges {
                page.line(format_args!(
                    "map {name} {} to {} of the host, {} ids",
                    range.container, range.host, range.size
                ));
            }
        }
    }
    let init = &plan.init;
    if init.loopback {
        page.line("bring up the loopback interface");
    }
    for (what, value) in [
        ("hostname", &init.hostname),
        ("domainname", &init.domainname),
        ("time offsets", &init.time_offsets),
    ] {
        if let Some(value) = value {
            page.line(format_args!("set {what}: {}", value.to_string().trim_end()));
        }
    }
}

fn hooks(page: &mut Page, title: &str, hooks: &[Hook]) {
    if hooks.is_empty() {
        return;
    }
    page.section(title);
    for hook in hooks {
        let timeout = hook.timeout.map(i64::from);
        page.line(words::hook(&hook.path, hook.args.iter().skip(1), timeout));
    }
}

fn host_hooks(page: &mut Page, title: &str, hooks: &[oci_spec::runtime::Hook]) {
    if hooks.is_empty() {
        return;
    }
    page.section(title);
    for hook in hooks {
        let args = hook.args().iter().flatten().skip(1);
        page.line(words::hook(&hook.path().display(), args, hook.timeout()));
    }
}

fn process(page: &mut Page, process: &Process, seccomp: bool) {
    page.section("Process");
    let args: Vec<String> = process.args.iter().map(|arg| words::shell(&arg.to_string())).collect();
    page.line(format_args!("execute {}", args.join(" ")));
    if process.candidates.len() > 1 {
        let tried: Vec<String> = process.candidates.iter().map(ToString::to_string).collect();
        page.detail(format_args!("the first that exists of {}", tried.join(", ")));
    }
    page.line(format_args!("in {}, umask {:04o}", process.cwd, process.umask));
    let groups = match process.groups.as_deref() {
        None => "groups as they are".to_owned(),
        Some([]) => "no other groups".to_owned(),
        Some(groups) => {
            let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
            format!("groups {}", groups.join(", "))
        }
    };
    page.line(format_args!("as uid {}, gid {}, {groups}", process.uid, process.gid));
    if let Some(sets) = &process.capabilities {
        for (name, set) in [
            ("bounding", sets.bounding),
            ("effective", sets.effective),
            ("permitted", sets.permitted),
            ("inheritable", sets.inheritable),
            ("ambient", sets.ambient),
        ] {
            page.line(format_args!("{name} capabilities: {}", words::capabilities(set)));
        }
    }
    for limit in &process.rlimits {
        page.line(words::rlimit(limit));
    }
    if process.no_new_privileges {
        page.line("no new privileges");
    }
    if seccomp {
        page.line("with a seccomp filter (linux.seccomp)");
    }
    if let Some(score) = process.oom_score_adj {
        page.line(format_args!("oom_score_adj {score}"));
    }
    for (what, value) in
        [("AppArmor profile", &process.apparmor), ("SELinux label", &process.selinux)]
    {
        if let Some(value) = value {
            page.line(format_args!("{what} {value}"));
        }
    }
    if let Some(keyring) = &process.keyring {
        page.line(format_args!("new session keyring {keyring}"));
    }
    if process.scheduler.is_some() {
        page.line("with its own scheduling (process.scheduler)");
    }
    if process.terminal.is_some() {
        page.line("with a terminal");
    }
    if process.preserve_fds > 0 {
        page.line(format_args!("keeping descriptors 3 to {}", 2 + process.preserve_fds));
    }
    for variable in &process.env {
        page.detail(variable);
    }
    if process.home {
        page.detail("HOME from /etc/passwd");
    }
}

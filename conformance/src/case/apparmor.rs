//! `process.apparmorProfile`, by what the kernel says of the process from outside, and by what it then may not do.

use serde_json::{Value, json};

use super::Case;
use super::exec::{exec, facts, facts_of, sleeper};
use super::user_namespace;
use crate::harness::apparmor::{Profile, confinement, is_enabled};
use crate::harness::container::PATIENCE;
use crate::harness::{Lab, Result, Stop, ensure, ensure_eq, event, lacks, process};

const PROFILE: &str = "OCI runtime-spec config.md#linux-process apparmorProfile";
const MANUAL: &str = "runc-exec(8) --apparmor";
/// A word that no profile has as its name.
const UNKNOWN: &str = "no-such-profile-of-the-conformance-suite";

pub(super) const CASES: &[Case] = &[
    Case::new("apparmor/run", "the workload is confined by the profile", PROFILE, run),
    Case::new("apparmor/user-namespace", "in a user namespace, too", PROFILE, in_user_namespace),
    Case::new("apparmor/enforced", "what the profile forbids is refused", PROFILE, enforced),
    Case::new("apparmor/exec", "further processes have the container's profile", MANUAL, inherited),
    Case::new(
        "apparmor/exec-file",
        "so has what a file describes that says nothing of it",
        MANUAL,
        inherited_by_file,
    )
    .known("runc 1.1 leaves such a process unconfined"),
    Case::new("apparmor/exec-own", "--apparmor, or the file of exec, has another", MANUAL, own),
    Case::new("apparmor/unconfined", "unconfined is a profile, too", PROFILE, unconfined),
    Case::new("apparmor/unknown", "a profile that is not loaded is an error", PROFILE, unknown),
    Case::new(
        "apparmor/exec-unknown",
        "so it is of exec, and the container stays as it is",
        MANUAL,
        exec_unknown,
    ),
    Case::new(
        "apparmor/confined-runtime",
        "a runtime that is confined itself confines no less, even with noNewPrivileges",
        "apparmor_parser(8); security/apparmor/domain.c, apparmor_bprm_creds_for_exec",
        confined_runtime,
    )
    .known("runc 1.1 does not stack: the kernel refuses execve(2)"),
    Case::new("apparmor/absent", "without AppArmor a profile is an error", PROFILE, absent),
];

fn set(config: &mut Value, profile: &str) {
    config["process"]["apparmorProfile"] = profile.into();
}

fn enforced_as(profile: &Profile) -> String {
    format!("{} (enforce)", profile.name)
}

fn run(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "")?;
    for no_new_privileges in [true, false] {
        let container = sleeper(lab, |config| {
            set(config, &profile.name);
            config["process"]["noNewPrivileges"] = no_new_privileges.into();
        })?;
        ensure_eq!(confinement(container.pid()?)?, enforced_as(&profile), "confinement of init");
    }
    Ok(())
}

fn in_user_namespace(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "")?;
    let bundle = user_namespace::bundle(lab, |config| {
        set(config, &profile.name);
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?;
    let container = lab.container(bundle);
    container.up_ready()?;
    ensure_eq!(confinement(container.pid()?)?, enforced_as(&profile), "confinement of init");
    let further = facts(lab, &container, &[])?;
    ensure_eq!(further["apparmor"], enforced_as(&profile).as_str(), "confinement of exec");
    Ok(())
}

fn enforced(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "deny /etc/passwd r,")?;
    let opened = |profile: Option<&str>, path: &str| {
        let bundle = lab.bundle(|config| {
            config["process"]["args"] = json!(["/probe", "open", path]);
            if let Some(profile) = profile {
                set(config, profile);
            }
        })?;
        Ok::<_, Stop>(lab.container(bundle).run()?.ok()?.stdout)
    };
    ensure_eq!(opened(None, "/etc/passwd")?, "ok\n", "the file without a profile");
    ensure_eq!(opened(Some(&profile.name), "/etc/group")?, "ok\n", "another file");
    ensure_eq!(opened(Some(&profile.name), "/etc/passwd")?, "errno 13\n", "what is forbidden");
    Ok(())
}

fn inherited(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "deny /etc/passwd r,")?;
    let container = sleeper(lab, |config| set(config, &profile.name))?;
    let further = facts(lab, &container, &[])?;
    ensure_eq!(further["apparmor"], enforced_as(&profile).as_str(), "confinement of exec");
    let opened = exec(lab, &container, &[], &["/probe", "open", "/etc/passwd"]).run()?.ok()?;
    ensure_eq!(opened.stdout, "errno 13\n", "what is forbidden");
    Ok(())
}

fn inherited_by_file(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "")?;
    let container = sleeper(lab, |config| set(config, &profile.name))?;
    let silent = json!({ "args": ["/probe", "facts"], "cwd": "/", "user": { "uid": 0, "gid": 0 } });
    let further = facts_of(lab, &container, &silent)?;
    ensure_eq!(further["apparmor"], enforced_as(&profile).as_str(), "confinement of exec");
    Ok(())
}

fn own(lab: &Lab) -> Result {
    let (first, second) = (Profile::load(lab, "")?, Profile::load(lab, "deny /etc/passwd r,")?);
    let container = sleeper(lab, |config| set(config, &first.name))?;
    let pid_file = lab.folder.join("exec.pid");
    let word = pid_file.to_string_lossy();
    let flags = ["--apparmor", &second.name, "--detach", "--pid-file", &word];
    let sleeping = exec(lab, &container, &flags, &["/probe", "sleep"]).run()?.ok()?;
    event::file_contains(&sleeping.stdout_file, "ready", PATIENCE)?;
    let pid = std::fs::read_to_string(&pid_file)?.parse().unwrap_or(0);
    let found = confinement(pid);
    // Its parent is the suite now, and a zombie would keep init from ending.
    process::end(pid, PATIENCE);
    ensure_eq!(found?, enforced_as(&second), "confinement of exec, from outside");
    let flags = ["--apparmor", &second.name];
    let opened = exec(lab, &container, &flags, &["/probe", "open", "/etc/passwd"]).run()?.ok()?;
    ensure_eq!(opened.stdout, "errno 13\n", "what is forbidden");
    let file = json!({
        "args": ["/probe", "facts"], "cwd": "/", "user": { "uid": 0, "gid": 0 },
        "apparmorProfile": second.name
    });
    let further = facts_of(lab, &container, &file)?;
    ensure_eq!(further["apparmor"], enforced_as(&second).as_str(), "of exec with a file");
    ensure_eq!(confinement(container.pid()?)?, enforced_as(&first), "confinement of init");
    Ok(())
}

fn unconfined(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "")?;
    let container = sleeper(lab, |config| set(config, "unconfined"))?;
    ensure_eq!(confinement(container.pid()?)?, "unconfined", "confinement of init");
    let flags = ["--apparmor", &profile.name];
    let further = facts(lab, &container, &flags)?;
    ensure_eq!(further["apparmor"], enforced_as(&profile).as_str(), "confinement of exec");
    Ok(())
}

fn unknown(lab: &Lab) -> Result {
    let loaded = Profile::load(lab, "")?;
    for verb in ["create", "run"] {
        let bundle = lab.bundle(|config| set(config, UNKNOWN))?;
        let mut container = lab.container(bundle);
        container.launch(verb, &[]).run()?.refused()?;
        container.call("state").run()?.refused()?;
        // The same with a profile that is there works.
        set(&mut container.bundle.config, &loaded.name);
        container.bundle.write()?;
        container.create()?;
    }
    Ok(())
}

fn exec_unknown(lab: &Lab) -> Result {
    let profile = Profile::load(lab, "")?;
    let container = sleeper(lab, |config| set(config, &profile.name))?;
    let flags = ["--apparmor", UNKNOWN];
    exec(lab, &container, &flags, &["/probe"]).run()?.refused()?;
    ensure_eq!(container.status()?, "running", "status");
    ensure_eq!(confinement(container.pid()?)?, enforced_as(&profile), "confinement of init");
    Ok(())
}

fn confined_runtime(lab: &Lab) -> Result {
    let (outer, inner) = (Profile::load(lab, "")?, Profile::load(lab, "deny /etc/passwd r,")?);
    lab.needs("/usr/bin/aa-exec", "aa-exec")?;
    let bundle = lab.bundle(|config| {
        set(config, &inner.name);
        config["process"]["args"] = json!(["/probe", "open", "/etc/passwd"]);
    })?;
    let container = lab.container(bundle);
    let under = ["/usr/bin/aa-exec", "-p", &outer.name, "--"];
    let opened = container.launch("run", &[]).wrap(under).run()?.ok()?;
    ensure_eq!(opened.stdout, "errno 13\n", "what the inner profile forbids");
    let container = sleeper(lab, |config| set(config, &inner.name))?;
    let words = ["exec", &container.id, "/probe", "facts"];
    let further = lab.call(words).wrap(under).run()?.ok()?.json()?;
    let both = further["apparmor"].as_str().unwrap_or_default();
    ensure!(both.contains(&inner.name), "confinement of exec: {both}");
    Ok(())
}

fn absent(lab: &Lab) -> Result {
    if is_enabled() {
        return lacks("a kernel without AppArmor");
    }
    lab.container(lab.bundle(|_| {})?).run()?.ok()?;
    let container = lab.container(lab.bundle(|config| set(config, UNKNOWN))?);
    container.run()?.refused()?;
    container.call("state").run()?.refused()?;
    let container = sleeper(lab, |_| {})?;
    exec(lab, &container, &["--apparmor", UNKNOWN], &["/probe"]).run()?.refused().map(drop)
}

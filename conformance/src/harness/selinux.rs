//! SELinux: what the loaded policy knows, labels of processes and files (selinux(8)).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::{Result, lacks};

const SELINUXFS: &str = "/sys/fs/selinux";
const ATTRIBUTE: &str = "security.selinux";

/// Skips the case on a host without SELinux, or with a policy that lacks one of these contexts.
pub(crate) fn needs(contexts: &[&str]) -> Result {
    if !is_enabled() {
        return lacks("SELinux with a policy");
    }
    match contexts.iter().find(|context| !knows(context)) {
        Some(context) => lacks(&format!("a policy that knows {context} (container-selinux)")),
        None => Ok(()),
    }
}

/// Whether labels mean something: without a policy the kernel calls everything `kernel`.
pub(crate) fn is_enabled() -> bool {
    let own = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    Path::new(SELINUXFS).join("enforce").exists() && trimmed(&own) != "kernel"
}

/// Skips the case where the policy is only watched.
pub(crate) fn needs_enforcing() -> Result {
    let enforce = fs::read_to_string(Path::new(SELINUXFS).join("enforce")).unwrap_or_default();
    if enforce.trim() == "1" { Ok(()) } else { lacks("SELinux in enforcing mode") }
}

/// Whether the policy takes the context (security_check_context(3)).
fn knows(context: &str) -> bool {
    let file = OpenOptions::new().write(true).open(Path::new(SELINUXFS).join("context"));
    file.and_then(|mut file| file.write_all(context.as_bytes())).is_ok()
}

/// The label of a process.
pub(crate) fn of_process(pid: i32) -> Result<String> {
    Ok(trimmed(&fs::read_to_string(format!("/proc/{pid}/attr/current"))?).to_owned())
}

/// The label of a file; of a link itself.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let mut label = [0_u8; 1024];
    let length = rustix::fs::lgetxattr(path, ATTRIBUTE, &mut label)?;
    Ok(trimmed(&String::from_utf8_lossy(&label[..length])).to_owned())
}

/// Labels a file, or a folder with all in it.
pub(crate) fn label(path: &Path, context: &str) -> Result {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::lsetxattr(path, ATTRIBUTE, context.as_bytes(), flags)?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            label(&entry?.path(), context)?;
        }
    }
    Ok(())
}

fn trimmed(label: &str) -> &str {
    label.trim_end_matches(['\0', '\n', ' '])
}

//! The files that every container of a run shares: a static busybox and the probe.
//!
//! They are copied once; root file systems are made of hard links to them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::probe;

/// Programs of busybox that cases use by name.
const APPLETS: [&str; 12] =
    ["sh", "true", "false", "cat", "ls", "sleep", "echo", "id", "env", "kill", "ps", "mount"];

/// Folders of an ordinary root file system.
const FOLDERS: [&str; 9] =
    ["bin", "dev", "etc", "home/user", "proc", "root", "sys", "tmp", "usr/bin"];

/// Where a static busybox may be.
const BUSYBOX: [&str; 4] =
    ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static", "/sbin/busybox"];

/// Copies the programs into `image`.
pub(crate) fn prepare(image: &Path) -> io::Result<()> {
    let busybox = BUSYBOX
        .iter()
        .find(|path| Path::new(path).is_file())
        .ok_or_else(|| io::Error::other("no busybox on this host (Debian: busybox-static)"))?;
    fs::copy(busybox, image.join("busybox"))?;
    fs::copy("/proc/self/exe", image.join(probe::FILE_NAME))?;
    Ok(())
}

/// Makes a root file system in `root`, which must not exist.
pub(crate) fn unpack(image: &Path, root: &Path) -> io::Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::hard_link(image.join("busybox"), root.join("bin/busybox"))?;
    fs::hard_link(image.join(probe::FILE_NAME), root.join(probe::FILE_NAME))?;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n")?;
    Ok(())
}

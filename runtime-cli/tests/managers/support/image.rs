//! A busybox image as `docker save` would write it, made from the host's static busybox.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

/// The name under which the archive is imported.
pub(crate) const NAME: &str = "localhost/busybox:test";

const BUSYBOX: &str = "/bin/busybox";
const APPLETS: [&str; 27] = [
    "sh", "true", "echo", "cat", "sleep", "pwd", "touch", "env", "id", "ls", "ps", "grep",
    "hostname", "nc", "tty", "df", "wc", "rm", "mv", "mkdir", "chmod", "kill", "stty", "sort",
    "readlink", "mount", "umount",
];
const FILES: [(&str, &str); 2] = [
    ("etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"),
    ("etc/group", "root:x:0:\nuser:x:1000:\n"),
];
const DIRECTORIES: [&str; 6] = ["bin", "dev", "etc", "proc", "sys", "tmp"];

/// Writes the archive to `path`.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    write_as(path, NAME, &["sh"])
}

/// The same under another name and with another program.
pub(crate) fn write_as(path: &Path, name: &str, program: &[&str]) -> io::Result<()> {
    let program: Vec<String> = program.iter().map(|word| format!("{word:?}")).collect();
    let program = program.join(",");
    let layer = layer()?;
    let digest: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = format!(
        r#"{{"architecture":"{}","os":"linux","config":{{"Env":["PATH=/bin"],"Cmd":[{program}]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}},"history":[{{"created_by":"busybox"}}]}}"#,
        go_architecture(),
    );
    let manifest =
        format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#);

    let mut archive = tar::Builder::new(File::create(path)?);
    append(&mut archive, "manifest.json", 0o644, manifest.as_bytes())?;
    append(&mut archive, "config.json", 0o644, config.as_bytes())?;
    append(&mut archive, "layer.tar", 0o644, &layer)?;
    archive.finish()
}

fn layer() -> io::Result<Vec<u8>> {
    let busybox = fs::read(BUSYBOX).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{BUSYBOX}: {error}; install the Debian package busybox-static"),
        )
    })?;
    let mut layer = tar::Builder::new(Vec::new());
    for name in DIRECTORIES {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        layer.append_data(&mut header, name, io::empty())?;
    }
    append(&mut layer, "bin/busybox", 0o755, &busybox)?;
    for (name, text) in FILES {
        append(&mut layer, name, 0o644, text.as_bytes())?;
    }
    for name in APPLETS {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        layer.append_link(&mut header, format!("bin/{name}"), "busybox")?;
    }
    layer.into_inner()
}

fn append<W: io::Write>(
    to: &mut tar::Builder<W>,
    name: &str,
    mode: u32,
    data: &[u8],
) -> io::Result<()> {
    let mut header = header(tar::EntryType::Regular, mode, data.len() as u64);
    to.append_data(&mut header, name, data)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// Image configurations name architectures as Go does.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

//! `checkpoint`: write a container's processes to files, with criu(8).

use std::path::PathBuf;

use runtime_core::{CgroupsMode, CheckpointOptions, CriuOptions};

use super::{Call, Command};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;

pub(super) const IMAGE_PATH: Flag =
    Flag::with("image-path", "DIR", "the directory of the image files (default: ./checkpoint)");
pub(super) const WORK_PATH: Flag = Flag::with(
    "work-path",
    "DIR",
    "the directory of criu's log and temporary files (default: that of the image files)",
);
pub(super) const TCP_ESTABLISHED: Flag =
    Flag::switch("tcp-established", "allow established TCP connections");
pub(super) const EXT_UNIX_SK: Flag =
    Flag::switch("ext-unix-sk", "allow unix sockets whose other end is outside");
pub(super) const SHELL_JOB: Flag =
    Flag::switch("shell-job", "allow a terminal that is not the container's");
pub(super) const FILE_LOCKS: Flag = Flag::switch("file-locks", "allow file locks");
pub(super) const LAZY_PAGES: Flag =
    Flag::switch("lazy-pages", "move memory only when it is asked for (userfaultfd)");
pub(super) const MANAGE_CGROUPS: Flag = Flag::with(
    "manage-cgroups-mode",
    "soft|full|strict|ignore",
    "what criu does about cgroups (default: soft)",
);
pub(super) const EMPTY_NS: Flag = Flag::with(
    "empty-ns",
    "network",
    "make this namespace as new, without what was configured in it",
);
pub(super) const AUTO_DEDUP: Flag =
    Flag::switch("auto-dedup", "drop pages from images that a later one has as well");

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "checkpoint",
        operands: "<container-id>",
        count: 1..=1,
        about: "write the processes of a container to files",
        description: "Done by criu(8), which has to be installed. Afterwards the container is deleted, unless\n\
                      --leave-running or --pre-dump is given; `teu restore` makes it again.",
        flags: &[
            IMAGE_PATH,
            WORK_PATH,
            Flag::with(
                "parent-path",
                "DIR",
                "images of an earlier --pre-dump, relative to --image-path",
            ),
            Flag::switch("leave-running", "let the container go on"),
            TCP_ESTABLISHED,
            Flag::switch("tcp-skip-in-flight", "leave out TCP connections that are being made"),
            Flag::switch("link-remap", "allow files that were deleted and are still open"),
            EXT_UNIX_SK,
            SHELL_JOB,
            LAZY_PAGES,
            Flag::with(
                "status-fd",
                "FD",
                "the number of a descriptor that gets a NUL byte when pages can be asked for",
            ),
            Flag::with("page-server", "ADDRESS:PORT", "send memory there instead of into files"),
            FILE_LOCKS,
            Flag::switch("pre-dump", "write memory only, and let the container go on"),
            MANAGE_CGROUPS,
            EMPTY_NS,
            AUTO_DEDUP,
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let given = call.given;
    let options = CheckpointOptions {
        criu: criu(call)?,
        parent: given.value("parent-path").filter(|path| !path.is_empty()).map(PathBuf::from),
        leave_running: given.on("leave-running"),
        pre_dump: given.on("pre-dump"),
        tcp_skip_in_flight: given.on("tcp-skip-in-flight"),
        link_remap: given.on("link-remap"),
        page_server: given.text("page-server")?.map(page_server).transpose()?,
        status_fd: given.text("status-fd")?.map(status_fd).transpose()?.flatten(),
    };
    call.warn(&call.runtime()?.checkpoint(&id, &options)?);
    Ok(0)
}

/// What `checkpoint` and `restore` have in common.
pub(super) fn criu(call: &Call<'_>) -> Result<CriuOptions, Failure> {
    let given = call.given;
    let path = |flag| given.value(flag).filter(|path| !path.is_empty()).map(PathBuf::from);
    let cgroups = match given.text("manage-cgroups-mode")? {
        None | Some("" | "soft") => CgroupsMode::Soft,
        Some("full") => CgroupsMode::Full,
        Some("strict") => CgroupsMode::Strict,
        Some("ignore") => CgroupsMode::Ignore,
        Some(other) => {
            return Err(Failure::usage(format!(
                "--manage-cgroups-mode: {other:?}: use soft, full, strict or ignore"
            )));
        }
    };
    let empty = given.texts("empty-ns")?;
    if let Some(other) = empty.iter().find(|name| *name != "network") {
        return Err(Failure::usage(format!(
            "--empty-ns: namespace {other:?} is not supported: only network is"
        )));
    }
    Ok(CriuOptions {
        images: path("image-path").unwrap_or_else(|| "checkpoint".into()),
        work: path("work-path"),
        program: call.global.value("criu").filter(|path| !path.is_empty()).map(PathBuf::from),
        tcp_established: given.on("tcp-established"),
        external_unix_sockets: given.on("ext-unix-sk"),
        shell_job: given.on("shell-job"),
        file_locks: given.on("file-locks"),
        lazy_pages: given.on("lazy-pages"),
        empty_network: !empty.is_empty(),
        auto_dedup: given.on("auto-dedup"),
        cgroups,
    })
}

fn page_server(text: &str) -> Result<(String, u16), Failure> {
    let parts = text.rsplit_once(':').filter(|(address, _)| !address.is_empty());
    let parsed = parts.and_then(|(address, port)| Some((address, port.parse().ok()?)));
    let (address, port) = parsed.ok_or_else(|| {
        Failure::usage(format!("--page-server: {text:?}: use --page-server ADDRESS:PORT"))
    })?;
    Ok((address.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

/// As in runc, -1 means none.
fn status_fd(text: &str) -> Result<Option<i32>, Failure> {
    match text.parse::<i32>() {
        Ok(-1) => Ok(None),
        Ok(number) if number >= 0 => Ok(Some(number)),
        _ => {
            Err(Failure::usage(format!("--status-fd: {text:?} is not the number of a descriptor")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_servers() {
        assert_eq!(page_server("10.0.0.1:27").ok(), Some(("10.0.0.1".into(), 27)));
        assert_eq!(page_server("[::1]:27").ok(), Some(("::1".into(), 27)));
        for bad in ["", "x", ":1", "x:", "x:70000", "x:-1"] {
            assert!(page_server(bad).is_err(), "{bad:?}");
        }
    }
}

//! The cgroup v1 work: one directory in each hierarchy, the device rules, joining and leaving.

use core::ffi::CStr;

use crate::sys::call::{self, EBUSY, Failure};
use crate::text::Text;

/// What `runc spec` and the specification's default devices come down to.
const DEVICES: [&CStr; 10] = [
    c"c *:* m",
    c"b *:* m",
    c"c 1:3 rwm",
    c"c 1:5 rwm",
    c"c 1:7 rwm",
    c"c 1:8 rwm",
    c"c 1:9 rwm",
    c"c 5:0 rwm",
    c"c 5:2 rwm",
    c"c 136:* rwm",
];

fn path(hierarchy: &CStr, cgroup: &CStr, file: &[u8]) -> Text {
    let separator: &[u8] = if file.is_empty() { b"" } else { b"/" };
    let parts: [&[u8]; 6] =
        [b"/sys/fs/cgroup/", hierarchy.to_bytes(), b"/", cgroup.to_bytes(), separator, file];
    Text::of(&parts)
}

/// Makes the cgroup in every hierarchy and gives it what it cannot do without.
pub(crate) fn make(cgroup: &CStr, hierarchies: &[&CStr]) -> Result<(), Failure> {
    for hierarchy in hierarchies {
        call::mkdir(path(hierarchy, cgroup, b"").as_c_str(), 0o755)?;
        match hierarchy.to_bytes() {
            // A new cpuset is empty, and nothing can join an empty one.
            b"cpuset" => {
                inherit(hierarchy, cgroup, b"cpuset.cpus")?;
                inherit(hierarchy, cgroup, b"cpuset.mems")?;
            }
            b"devices" => {
                call::write_file(path(hierarchy, cgroup, b"devices.deny").as_c_str(), b"a")?;
                let allow =
                    call::open(path(hierarchy, cgroup, b"devices.allow").as_c_str(), call::WRITE)?;
                for rule in DEVICES {
                    call::write(allow, rule.to_bytes())?;
                }
                call::close(allow)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn inherit(hierarchy: &CStr, cgroup: &CStr, file: &[u8]) -> Result<(), Failure> {
    let name = cgroup.to_bytes();
    let parent =
        name.iter().rposition(|byte| *byte == b'/').map_or(b"".as_slice(), |at| &name[..at]);
    let source: [&[u8]; 6] = [b"/sys/fs/cgroup/", hierarchy.to_bytes(), b"/", parent, b"/", file];
    let from = call::open(Text::of(&source).as_c_str(), call::READ)?;
    let mut value = [0; 128];
    let length = call::read(from, &mut value)?;
    call::close(from)?;
    call::write_file(path(hierarchy, cgroup, file).as_c_str(), &value[..length])
}

/// Moves the calling process. A thread that moves itself by `tasks` does not wait for the kernel's
/// lock of all threads, which a write to `cgroup.procs` takes: milliseconds on a calm machine.
pub(crate) fn join(cgroup: &CStr, hierarchies: &[&CStr]) -> Result<(), Failure> {
    for hierarchy in hierarchies {
        call::write_file(path(hierarchy, cgroup, b"tasks").as_c_str(), b"0")?;
    }
    Ok(())
}

/// Removes the cgroup. The last process may still be leaving it when it has been waited for.
pub(crate) fn remove(cgroup: &CStr, hierarchies: &[&CStr]) -> Result<(), Failure> {
    for hierarchy in hierarchies {
        let directory = path(hierarchy, cgroup, b"");
        loop {
            match call::rmdir(directory.as_c_str()) {
                Err(failure) if failure.errno == EBUSY => call::yield_processor(),
                other => break other?,
            }
        }
    }
    Ok(())
}

//! The life of the container: one clone3, the steps of the child in order, the wait.

use core::ffi::CStr;

use crate::sys::call::{self, Failure, Fd};
use crate::text::Text;
use crate::{cgroup, rootfs};

const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWCGROUP: u64 = 0x0200_0000;
const CLONE_NEWUTS: u64 = 0x0400_0000;
const CLONE_NEWIPC: u64 = 0x0800_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;
/// The cgroup namespace is missing: its root is the cgroup the process is in when it is made.
const NAMESPACES: u64 = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET;

/// CAP_KILL, CAP_NET_BIND_SERVICE and CAP_AUDIT_WRITE, as in `runc spec`.
const CAPABILITIES: u64 = 1 << 5 | 1 << 10 | 1 << 29;
const LAST_CAPABILITY: u32 = 40;

/// What a created container waits at, in the child.
struct Gate {
    /// Said when the container is ready.
    ready: Fd,
    /// The FIFO that `start` writes to. The child holds it open for writing too, so it sees no end.
    fifo: Fd,
}

pub(crate) fn run(rootfs: &CStr, name: &CStr, hierarchies: &[&CStr]) -> Result<i32, Failure> {
    cgroup::make(name, hierarchies)?;
    let Some(child) = call::clone3(NAMESPACES)? else {
        return child(rootfs, name, hierarchies, None);
    };
    let status = call::wait(child)?.status;
    cgroup::remove(name, hierarchies)?;
    Ok(exit_code(status))
}

pub(crate) fn create(
    rootfs: &CStr,
    name: &CStr,
    gate: &CStr,
    pid_file: &CStr,
    hierarchies: &[&CStr],
) -> Result<i32, Failure> {
    call::make_fifo(gate, 0o600)?;
    cgroup::make(name, hierarchies)?;
    let (parent_end, ready) = call::pipe()?;
    let fifo = call::open(gate, call::READ_WRITE)?;
    let Some(pid) = call::clone3(NAMESPACES)? else {
        call::close(parent_end)?;
        return child(rootfs, name, hierarchies, Some(Gate { ready, fifo }));
    };
    call::close(ready)?;
    let said = call::read(parent_end, &mut [0; 1])?;
    call::create_file(pid_file, Text::number(pid).as_bytes())?;
    Ok(i32::from(said != 1))
}

pub(crate) fn start(gate: &CStr) -> Result<i32, Failure> {
    call::write_file(gate, b"s").map(|()| 0)
}

pub(crate) fn delete(gate: &CStr, name: &CStr, hierarchies: &[&CStr]) -> Result<i32, Failure> {
    cgroup::remove(name, hierarchies)?;
    call::unlink(gate).map(|()| 0)
}

/// Everything between the clone and the workload. Returns only by failing.
fn child(
    rootfs: &CStr,
    name: &CStr,
    hierarchies: &[&CStr],
    gate: Option<Gate>,
) -> Result<i32, Failure> {
    cgroup::join(name, hierarchies)?;
    call::unshare(CLONE_NEWCGROUP)?;
    call::setsid()?;
    call::sethostname(b"bench")?;
    call::loopback_up()?;
    rootfs::make(rootfs, hierarchies)?;
    if let Some(gate) = gate {
        call::write(gate.ready, b"r")?;
        call::read(gate.fifo, &mut [0; 1])?;
    }
    call::limit_open_files(1024)?;
    call::close_on_exec_from(3)?;
    for capability in (0..=LAST_CAPABILITY).filter(|number| CAPABILITIES & (1 << number) == 0) {
        call::drop_from_bounding_set(capability)?;
    }
    call::set_capabilities(CAPABILITIES)?;
    call::no_new_privileges()?;
    call::execute_true()
}

fn exit_code(status: i32) -> i32 {
    if status & 0x7f == 0 { status >> 8 & 0xff } else { 128 + (status & 0x7f) }
}

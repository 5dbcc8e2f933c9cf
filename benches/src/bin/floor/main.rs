//! The floor: the least that the kernel has to do for the benchmark's bundle. It reads no
//! configuration, keeps no state and checks nothing, so no runtime can be faster than this by much.
//!
//! ```text
//! floor run ROOTFS CGROUP HIERARCHY...
//! floor create ROOTFS CGROUP GATE PIDFILE HIERARCHY...
//! floor start GATE
//! floor delete GATE CGROUP HIERARCHY...
//! floor launch PROGRAM ARGUMENT...
//! ```
//! A HIERARCHY is a cgroup v1 controller as its directory below /sys/fs/cgroup is called. `launch`
//! times another program; it is here because it too must be tiny (see launch.rs).
#![cfg_attr(bare, no_std, no_main)]

mod cgroup;
mod container;
mod launch;
mod rootfs;
mod sys;
mod text;

use core::ffi::CStr;

use sys::call::{self, Failure};

/// The arguments of the program.
type Args = &'static [&'static CStr];

fn run(args: Args) -> Result<i32, Failure> {
    let command = args.get(1).map_or(b"".as_slice(), |name| name.to_bytes());
    match (command, args.get(2..).unwrap_or_default()) {
        (b"run", [rootfs, cgroup, hierarchies @ ..]) => container::run(rootfs, cgroup, hierarchies),
        (b"create", [rootfs, cgroup, gate, pid_file, hierarchies @ ..]) => {
            container::create(rootfs, cgroup, gate, pid_file, hierarchies)
        }
        (b"start", [gate]) => container::start(gate),
        (b"delete", [gate, cgroup, hierarchies @ ..]) => {
            container::delete(gate, cgroup, hierarchies)
        }
        (b"launch", [_, ..]) => launch::launch(),
        _ => {
            call::complain(
                c"usage: floor run|create|start|delete|launch ARGUMENTS, see the source",
            );
            Ok(2)
        }
    }
}

fn entry(args: Args) -> i32 {
    run(args).unwrap_or_else(|failure| {
        call::complain_of(&failure);
        1
    })
}

#[cfg(not(bare))]
fn main() -> std::process::ExitCode {
    let code = entry(sys::start::arguments_of_std());
    std::process::ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

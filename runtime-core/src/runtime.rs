//! The library's front: one state root, and the operations on the containers in it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use crate::cgroup::rdt::Schemas;
use crate::error::{OsResult, Result};
use crate::id::ContainerId;
use crate::operation::checkpoint::CheckpointOptions;
use crate::operation::child::{self, Exit};
use crate::operation::create::Goal;
use crate::operation::query::State;
use crate::operation::restore::RestoreOptions;
use crate::operation::start::Notified;
use crate::operation::{
    CreateOptions, DeleteOptions, ExecOptions, KillTarget, checkpoint, create, delete, exec, kill,
    pause, query, restore, start, update, watch,
};
use crate::plan::CreatePlan;
use crate::store::Store;
use crate::store::record::Process;

/// The containers of one state root.
///
/// All operations take `&self` and change nothing of the process that calls them: no working directory, no
/// umask, no signal mask, no environment. They may be called from any number of threads.
#[derive(Clone, Debug)]
pub struct Runtime {
    store: Store,
}

/// A container that `create` has made.
#[derive(Debug)]
pub struct Created {
    /// Init's pid in the caller's pid namespace.
    pub pid: i32,
    /// Init's descriptor. Init is a child of the calling process: wait for it here, or end and leave it to the
    /// nearest subreaper.
    pub pidfd: OwnedFd,
    /// What the configuration asks for that could only be warned of.
    pub warnings: Vec<String>,
}

/// A process of a container that runs its program: a child of the calling process, which waits for it here, or
/// ends and leaves it to the nearest subreaper.
#[derive(Debug)]
pub struct Workload {
    /// Its pid in the caller's pid namespace.
    pub pid: i32,
    /// Its descriptor: readable when it has ended.
    pub pidfd: OwnedFd,
    /// The master of its terminal, for [`crate::Console::Returned`].
    pub terminal: Option<OwnedFd>,
    /// What was asked for that could only be warned of.
    pub warnings: Vec<String>,
}

impl Workload {
    /// Waits for its end.
    ///
    /// # Errors
    /// Somebody else has taken its status already.
    pub fn wait(&self) -> Result<Exit> {
        child::reap(&self.pidfd)?.ok_or_else(|| {
            crate::Error::new(
                crate::ErrorKind::Os,
                "the container's exit status was taken by another wait",
            )
        })
    }

    /// Sends it a signal, by its number; one that has ended takes none.
    ///
    /// # Errors
    /// The number is not one of a signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        match crate::sys::process::signal(self.pidfd.as_fd(), signal) {
            Err(errno) if errno.0 != libc::ESRCH => {
                Err(errno).call(|| format!("pidfd_send_signal({signal})"))
            }
            _ => Ok(()),
        }
    }
}

/// A container that `run` has started.
#[derive(Debug)]
pub struct Running {
    /// Its init, which is the workload.
    pub workload: Workload,
    /// For [`CreateOptions::notify`]: a datagram socket with the words of the container (sd_notify(3)), which
    /// nobody has vouched for.
    pub notify: Option<OwnedFd>,
    /// Init, as the record has it.
    init: Option<Process>,
}

impl Running {
    /// Waits for the end of the workload.
    ///
    /// # Errors
    /// Somebody else has taken its status already.
    pub fn wait(&self) -> Result<Exit> {
        self.workload.wait()
    }
}

impl Runtime {
    /// Opens a state root, and makes it when it is not there.
    ///
    /// # Errors
    /// It cannot be made, or others than its owner could write in it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Store::open(&root.into()).map(|store| Self { store })
    }

    /// Makes a container up to where it waits to be started (runtime.md, "Create").
    ///
    /// # Errors
    /// The id is taken, the configuration or the host does not allow it, or a hook failed; nothing is left.
    pub fn create(&self, id: &ContainerId, options: &CreateOptions) -> Result<Created> {
        let made = create::create(&self.store, id, options, Goal::Created)?;
        Ok(Created { pid: made.child.pid, pidfd: made.child.pidfd, warnings: made.warnings })
    }

    /// Makes a container and starts it.
    ///
    /// # Errors
    /// As [`Runtime::create`] and [`Runtime::start`]; nothing is left.
    pub fn run(&self, id: &ContainerId, options: &CreateOptions) -> Result<Running> {
        let made = create::create(&self.store, id, options, Goal::Started)?;
        let pid = made.child.pid;
        let started = create::started(&made.child.link, &made.record, id, pid)
            .and_then(|()| start::poststart(&made.record, id, pid));
        if let Err(mut error) = started {
            let force = DeleteOptions { force: true };
            match delete::delete(&self.store, id, force, made.record.init) {
                Ok(_) => (),
                Err(failure) => error.attach(failure),
            }
            return Err(error);
        }
        let init = made.record.init;
        let (warnings, terminal, notify) = (made.warnings, made.terminal, made.notify);
        let workload = Workload { pid, pidfd: made.child.pidfd, terminal, warnings };
        Ok(Running { workload, notify, init })
    }

    /// Starts a process in a container: in all its namespaces and cgroups, below its seccomp filter.
    /// [`Runtime::process`] gives the process of its configuration, to be changed where another is wanted.
    ///
    /// # Errors
    /// The container is not there, has stopped or is paused, or its program cannot be executed; nothing is left.
    pub fn exec(
        &self,
        id: &ContainerId,
        process: &oci_spec::runtime::Process,
        options: &ExecOptions,
    ) -> Result<Workload> {
        let exec::Made { child, warnings, terminal } =
            exec::exec(&self.store, id, process, options)?;
        Ok(Workload { pid: child.pid, pidfd: child.pidfd, terminal, warnings })
    }

    /// The process that the container's configuration describes.
    ///
    /// # Errors
    /// No such container, or its configuration cannot be read.
    pub fn process(&self, id: &ContainerId) -> Result<oci_spec::runtime::Process> {
        let (entry, _) = self.store.peek(id)?;
        let (spec, _) = crate::spec::parse(&entry.config()?)?;
        spec.process()
            .clone()
            .ok_or_else(|| crate::Error::spec("process", "missing: what is the container to run?"))
    }

    /// Writes the processes of a container to files, with criu(8). Unless told otherwise they have ended then, and the
    /// container is deleted; returns warnings.
    ///
    /// # Errors
    /// No such container, it does not run, or criu is not there or cannot do it: then the container goes on.
    pub fn checkpoint(&self, id: &ContainerId, options: &CheckpointOptions) -> Result<Vec<String>> {
        checkpoint::checkpoint(&self.store, id, options)
    }

    /// Makes a container from a bundle and from what [`Runtime::checkpoint`] has written, and lets it run.
    ///
    /// # Errors
    /// As [`Runtime::create`], or criu is not there or cannot do it; nothing is left.
    pub fn restore(&self, id: &ContainerId, options: &RestoreOptions) -> Result<Running> {
        let restore::Restored { pid, pidfd, record, warnings, terminal } =
            restore::restore(&self.store, id, options)?;
        let workload = Workload { pid, pidfd, terminal, warnings };
        Ok(Running { workload, notify: None, init: record.init })
    }

    /// Starts a created container (runtime.md, "Start").
    ///
    /// # Errors
    /// It is not created, a hook failed, or its program cannot be executed.
    pub fn start(&self, id: &ContainerId) -> Result<()> {
        start::start(&self.store, id, false).map(drop)
    }

    /// As [`Runtime::start`], for a container that was made with [`CreateOptions::notify`]; none for another.
    ///
    /// # Errors
    /// As [`Runtime::start`].
    pub fn start_notified(&self, id: &ContainerId) -> Result<Option<Notified>> {
        start::start(&self.store, id, true)
    }

    /// The state of a container (runtime.md, "Query State").
    ///
    /// # Errors
    /// No such container.
    pub fn state(&self, id: &ContainerId) -> Result<State> {
        query::state(&self.store, id)
    }

    /// The states of all containers, sorted by id, and what is wrong with those that have none.
    ///
    /// # Errors
    /// The state root cannot be read.
    pub fn list(&self) -> Result<(Vec<State>, Vec<String>)> {
        query::list(&self.store)
    }

    /// Sends a signal (runtime.md, "Kill").
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub fn kill(&self, id: &ContainerId, signal: i32, target: KillTarget) -> Result<()> {
        kill::kill(&self.store, id, signal, target)
    }

    /// Freezes all processes of a container.
    ///
    /// # Errors
    /// No such container, it does not run, or it cannot be frozen: then it goes on.
    pub fn pause(&self, id: &ContainerId) -> Result<()> {
        pause::pause(&self.store, id)
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// No such container, or it is not paused.
    pub fn resume(&self, id: &ContainerId) -> Result<()> {
        pause::resume(&self.store, id)
    }

    /// The ids of a container's processes in the caller's pid namespace, in ascending order.
    ///
    /// # Errors
    /// No such container, or its cgroup cannot be read.
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<i32>> {
        pause::processes(&self.store, id)
    }

    /// Changes limits of a container, all that are given or none; returns warnings. Zeros and empty lists mean
    /// "not given"; device rules stay. Schemas are those of the class of caches and memory bandwidth, and hold for
    /// all containers in it.
    ///
    /// # Errors
    /// No such container, it has stopped, or a limit is wrong or refused: the old ones hold then.
    pub fn update(
        &self,
        id: &ContainerId,
        resources: &oci_spec::runtime::LinuxResources,
        schemas: &Schemas,
    ) -> Result<Vec<String>> {
        update::update(&self.store, id, resources, schemas)
    }

    /// Samples what a container uses.
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub fn stats(&self, id: &ContainerId) -> Result<crate::cgroup::stats::Stats> {
        watch::stats(&self.store, id)
    }

    /// Notices of the container's end and of the OOM killer, from now on.
    ///
    /// # Errors
    /// No such container, or it does not run.
    pub fn watch(&self, id: &ContainerId) -> Result<watch::Watch> {
        watch::watch(&self.store, id)
    }

    /// Removes a container and all that was made for it (runtime.md, "Delete"); returns warnings.
    ///
    /// # Errors
    /// No such container, or it runs, unless forced.
    pub fn delete(&self, id: &ContainerId, options: DeleteOptions) -> Result<Vec<String>> {
        delete::delete(&self.store, id, options, None)
    }

    /// Removes the container that [`Runtime::run`] has started, with force; returns warnings. Another container
    /// that has taken its id meanwhile is left alone.
    ///
    /// # Errors
    /// The kernel keeps something.
    pub fn delete_run(&self, id: &ContainerId, running: &Running) -> Result<Vec<String>> {
        delete::delete(&self.store, id, DeleteOptions { force: true }, running.init)
    }
}

/// What [`Runtime::create`] would do, with its warnings; nothing is made.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn plan(id: &ContainerId, options: &CreateOptions) -> Result<(CreatePlan, Vec<String>)> {
    let bundle = crate::bundle::Bundle::open(&options.bundle)?;
    let host = crate::probe::host_for(options)?;
    crate::plan::lower::lower(id, &bundle, &host, options)
}

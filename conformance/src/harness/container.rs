//! A container driven through the runtime's command line, removed when it goes out of scope.

use std::cell::RefCell;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde_json::Value;

use super::call::Call;
use super::{Bundle, Done, Lab, Result, Stop, ensure, event, fail, process};

/// How long a container may take for what should take milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How a workload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By exit with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// One container.
#[derive(Debug)]
pub(crate) struct Container<'l> {
    lab: &'l Lab,
    /// Its id.
    pub(crate) id: String,
    /// Its bundle.
    pub(crate) bundle: Bundle,
    init: RefCell<Option<Init>>,
}

#[derive(Debug)]
struct Init {
    pid: i32,
    handle: OwnedFd,
    output: PathBuf,
}

impl<'l> Container<'l> {
    pub(super) fn new(lab: &'l Lab, id: String, bundle: Bundle) -> Self {
        Self { lab, id, bundle, init: RefCell::default() }
    }

    /// Where the runtime is told to write the pid.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.lab.folder.join(format!("{}.pid", self.id))
    }

    /// A call `VERB ID`, for commands without flags of their own.
    pub(crate) fn call(&self, verb: &str) -> Call<'l> {
        self.lab.call([verb, &self.id])
    }

    /// The call `create` or `run` with bundle and pid file and further flags, ready to be changed.
    pub(crate) fn launch(&self, verb: &str, flags: &[&str]) -> Call<'l> {
        let pid_file = self.pid_file().to_string_lossy().into_owned();
        let bundle = self.bundle.word();
        let mut words = vec![verb, "--bundle", &bundle, "--pid-file", &pid_file];
        words.extend(flags);
        words.push(&self.id);
        self.lab.call(words)
    }

    /// `create`, whatever comes out.
    pub(crate) fn try_create(&self) -> Result<Done> {
        let done = self.launch("create", &[]).run()?;
        self.adopt_if(done)
    }

    /// `create`, which must succeed.
    pub(crate) fn create(&self) -> Result<Done> {
        self.try_create()?.ok()
    }

    /// Remembers the init process of a launch that worked, by the pid file.
    pub(crate) fn adopt_if(&self, done: Done) -> Result<Done> {
        if done.code == Some(0) {
            self.adopt(done.stdout_file.clone())?;
        }
        Ok(done)
    }

    /// Remembers the init process that the pid file names; its output goes to `output`.
    pub(crate) fn adopt(&self, output: PathBuf) -> Result {
        let text = fs::read_to_string(self.pid_file())?;
        let pid: i32 = text
            .parse()
            .map_err(|_| Stop::Fail(format!("the pid file must hold a number, not {text:?}")))?;
        let handle = process::handle(pid)?;
        *self.init.borrow_mut() = Some(Init { pid, handle, output });
        Ok(())
    }

    /// `start`, which must succeed.
    pub(crate) fn start(&self) -> Result<Done> {
        self.call("start").run()?.ok()
    }

    /// `create` and `start`.
    pub(crate) fn up(&self) -> Result {
        self.create()?;
        self.start()?;
        Ok(())
    }

    /// `create` and `start`, and wait until the workload (a probe) printed `ready`.
    pub(crate) fn up_ready(&self) -> Result {
        self.up()?;
        self.wait_output("ready").map(drop)
    }

    /// `run` in the foreground; returns at the end of the workload.
    pub(crate) fn run(&self) -> Result<Done> {
        self.launch("run", &[]).run()
    }

    /// `run` in the foreground with the probe's facts as the output; the run must succeed.
    pub(crate) fn facts(&self) -> Result<Value> {
        self.run()?.ok()?.json()
    }

    /// `state` as JSON.
    pub(crate) fn state(&self) -> Result<Value> {
        self.call("state").run()?.ok()?.silent()?.json()
    }

    /// The status that `state` reports.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(self.state()?["status"].as_str().unwrap_or_default().to_owned())
    }

    /// `kill ID SIGNAL`, which must succeed.
    pub(crate) fn kill(&self, signal: &str) -> Result<Done> {
        self.lab.call(["kill", &self.id, signal]).run()?.ok()
    }

    /// `delete`, which must succeed.
    pub(crate) fn delete(&self) -> Result<Done> {
        self.call("delete").run()?.ok()
    }

    /// `delete --force`, whatever comes out.
    pub(crate) fn delete_force(&self) -> Result<Done> {
        self.lab.call(["delete", "--force", &self.id]).run()
    }

    /// The process id of init on the host.
    pub(crate) fn pid(&self) -> Result<i32> {
        match &*self.init.borrow() {
            Some(init) => Ok(init.pid),
            None => fail("the case asks for the pid of a container that was not created"),
        }
    }

    /// Waits until init has ended, but leaves it a zombie.
    pub(crate) fn wait_ended(&self) -> Result {
        let init = self.init.borrow();
        let Some(init) = &*init else { return fail("the container was not created") };
        ensure!(
            event::readable(&init.handle, PATIENCE)?,
            "init (pid {}) has not ended after {PATIENCE:?}",
            init.pid
        );
        Ok(())
    }

    /// Waits until init has ended, and reaps it: the suite is its parent since `create` returned.
    pub(crate) fn wait(&self) -> Result<Exit> {
        self.wait_ended()?;
        let init = self.init.borrow();
        let Some(init) = &*init else { return fail("the container was not created") };
        let status = waitid(WaitId::PidFd(init.handle.as_fd()), WaitIdOptions::EXITED)?;
        let Some(status) = status else { return fail("waitid gave no status") };
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ok(Exit::Code(code)),
            (None, Some(signal)) => Ok(Exit::Signal(signal)),
            (None, None) => fail(format!("init ended in no known way: {status:?}")),
        }
    }

    /// What the workload printed so far.
    pub(crate) fn output(&self) -> Result<String> {
        match &*self.init.borrow() {
            Some(init) => Ok(String::from_utf8_lossy(&fs::read(&init.output)?).into_owned()),
            None => fail("the container was not created"),
        }
    }

    /// Waits until the workload printed `needle`.
    pub(crate) fn wait_output(&self, needle: &str) -> Result<String> {
        let output = match &*self.init.borrow() {
            Some(init) => init.output.clone(),
            None => return fail("the container was not created"),
        };
        event::file_contains(&output, needle, PATIENCE)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // Most cases end with the container gone; a second removal must be silent and harmless, which
        // is a promise of its own with a case of its own. What stays is found by the leak check.
        match self.delete_force() {
            Ok(done) if done.code == Some(0) => {}
            Ok(done) => self.lab.note(format!("clean-up of {} failed: {}", self.id, done.ended())),
            Err(error) => self.lab.note(format!("clean-up of {} failed: {error:?}", self.id)),
        }
    }
}

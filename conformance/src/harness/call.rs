//! One call of the runtime's command line, with everything it said.
//!
//! Standard output and error go to files, never to pipes: a container inherits them, and a pipe
//! would then stay open for as long as the container lives.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Lab, Result, Stop, ensure, event, systemd};

/// What a call's standard input is.
#[derive(Debug)]
enum Input {
    Null,
    Text(String),
}

/// A call that was not made yet.
#[derive(Debug)]
pub(crate) struct Call<'l> {
    lab: &'l Lab,
    wrapper: Vec<String>,
    globals: Vec<String>,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    input: Input,
    with_root: bool,
}

/// A call that is running.
#[derive(Debug)]
pub(crate) struct Running<'l> {
    lab: &'l Lab,
    child: Child,
    line: String,
    output: PathBuf,
    errors: PathBuf,
}

/// A call that ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit status, unless a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Standard output so far (a container may still be writing to it).
    pub(crate) stdout: String,
    /// Standard error so far.
    pub(crate) stderr: String,
    /// The file behind standard output.
    pub(crate) stdout_file: PathBuf,
    /// The command, for messages.
    line: String,
    any_words: bool,
}

impl<'l> Call<'l> {
    pub(super) fn new(lab: &'l Lab, words: Vec<String>) -> Self {
        // What containerd and conmon leave in the environment is not more than this.
        let mut environment = systemd::environment();
        environment.push(("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()));
        Self {
            lab,
            wrapper: Vec::new(),
            globals: Vec::new(),
            words,
            environment,
            directory: lab.folder.clone(),
            input: Input::Null,
            with_root: true,
        }
    }

    /// Global flags, before the command word.
    pub(crate) fn globals<W: AsRef<str>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.globals.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Leaves `--root` away.
    pub(crate) fn without_root(mut self) -> Self {
        self.with_root = false;
        self
    }

    /// Adds a variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts with no variable at all.
    pub(crate) fn no_env(mut self) -> Self {
        self.environment.clear();
        self
    }

    /// The working directory.
    pub(crate) fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// What can be read from standard input (default: nothing).
    pub(crate) fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Input::Text(text.into());
        self
    }

    /// Puts a command before the runtime's: `strace`, or a shell that closes descriptors.
    pub(crate) fn wrap<W: AsRef<str>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.wrapper = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Starts it.
    pub(crate) fn spawn(self) -> Result<Running<'l>> {
        let mut line = self.wrapper;
        line.push(self.lab.target.path.to_string_lossy().into_owned());
        line.extend(self.lab.target.args.iter().cloned());
        if self.with_root {
            line.push("--root".into());
            line.push(self.lab.state_root().to_string_lossy().into_owned());
        }
        line.extend(self.globals);
        line.extend(self.words);

        let number = self.lab.next();
        let output = self.lab.folder.join(format!("call-{number}.out"));
        let errors = self.lab.folder.join(format!("call-{number}.err"));
        let stdin = match self.input {
            Input::Null => Stdio::null(),
            Input::Text(text) => {
                let path = self.lab.folder.join(format!("call-{number}.in"));
                fs::write(&path, text)?;
                File::open(path)?.into()
            }
        };
        let rendered = line.join(" ");
        let child = Command::new(&line[0])
            .args(&line[1..])
            .env_clear()
            .envs(self.environment)
            .current_dir(&self.directory)
            .stdin(stdin)
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .map_err(|error| Stop::Fail(format!("cannot start {rendered}: {error}")))?;
        self.lab.note(format!("$ {rendered}"));
        Ok(Running { lab: self.lab, child, line: rendered, output, errors })
    }

    /// Makes it and waits for its end.
    pub(crate) fn run(self) -> Result<Done> {
        self.spawn()?.finish()
    }
}

impl Running<'_> {
    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// The file that its standard output goes to.
    pub(crate) fn output(&self) -> PathBuf {
        self.output.clone()
    }

    /// Kills it with SIGKILL, as managers' death does (PR_SET_PDEATHSIG).
    pub(crate) fn kill(mut self) -> Result {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) -> Result {
        let pid = rustix::process::Pid::from_child(&self.child);
        Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
    }

    /// Whether it ends in that time.
    pub(crate) fn ends_within(&self, at_most: Duration) -> Result<bool> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        event::readable(handle, at_most)
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Result<Done> {
        let status = self.child.wait()?;
        let done = Done {
            code: status.code(),
            signal: status.signal(),
            stdout: read_lossy(&self.output)?,
            stderr: read_lossy(&self.errors)?,
            stdout_file: self.output,
            line: self.line,
            any_words: self.lab.target.any_words,
        };
        self.lab.note(format!(
            "  -> {} stdout {:?} stderr {:?}",
            done.ended(),
            shorten(&done.stdout),
            shorten(&done.stderr)
        ));
        Ok(done)
    }
}

impl Done {
    /// Insists on exit status 0.
    pub(crate) fn ok(self) -> Result<Self> {
        ensure!(
            self.code == Some(0),
            "`{}` must succeed, but: {}: {}",
            self.line,
            self.ended(),
            shorten(&self.stderr)
        );
        Ok(self)
    }

    /// Insists on this exit status and on a phrase in standard error; `a|b` means either. With `--any-words`
    /// a refusal is enough.
    pub(crate) fn fails(self, code: i32, phrase: &str) -> Result<Self> {
        // From 128 on it is the program's end and no refusal.
        if self.any_words && code < 128 {
            return self.refused();
        }
        ensure!(
            self.code == Some(code),
            "`{}` must exit with {code}, but: {}: {}",
            self.line,
            self.ended(),
            shorten(&self.stderr)
        );
        ensure!(
            phrase.split('|').any(|either| self.stderr.contains(either)),
            "`{}` must say {phrase:?} on standard error, but said {:?}",
            self.line,
            shorten(&self.stderr)
        );
        Ok(self)
    }

    /// Insists on a failure of any status, with a message that is not empty.
    pub(crate) fn refused(self) -> Result<Self> {
        ensure!(
            self.code.is_some_and(|code| code != 0),
            "`{}` must be refused, but: {}",
            self.line,
            self.ended()
        );
        ensure!(!self.stderr.trim().is_empty(), "`{}` failed without a word", self.line);
        Ok(self)
    }

    /// Insists on nothing at standard error.
    pub(crate) fn silent(self) -> Result<Self> {
        ensure!(
            self.stderr.is_empty(),
            "`{}` must not write to standard error, but said {:?}",
            self.line,
            shorten(&self.stderr)
        );
        Ok(self)
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).map_err(|error| {
            Stop::Fail(format!(
                "`{}` must print JSON, but ({error}): {:?}",
                self.line,
                shorten(&self.stdout)
            ))
        })
    }

    /// "exit 1" or "signal 9".
    pub(crate) fn ended(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".into(),
        }
    }
}

fn read_lossy(path: &std::path::Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Keeps messages and journals readable when a container prints a lot.
pub(crate) fn shorten(text: &str) -> String {
    const KEEP: usize = 600;
    let text = text.trim_end();
    if text.chars().count() <= KEEP {
        return text.to_owned();
    }
    let kept: String = text.chars().take(KEEP).collect();
    format!("{kept}… ({} bytes)", text.len())
}

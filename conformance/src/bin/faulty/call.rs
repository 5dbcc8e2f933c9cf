//! One call of a runtime, taken apart. Decides nothing about what is to be broken.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

/// What every step returns.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The global flags that take a value.
const GLOBAL: [&str; 4] = ["-root", "-log", "-log-format", "-rootless"];

/// The flags of `create`, `run` and `exec` that take a value.
const OWN: [&str; 14] = [
    "-bundle",
    "-b",
    "-pid-file",
    "-console-socket",
    "-pidfd-socket",
    "-preserve-fds",
    "-process",
    "-p",
    "-user",
    "-u",
    "-additional-gids",
    "-env",
    "-e",
    "-cwd",
];

/// A call, as the suite wrote it and as it is passed on.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The real runtime.
    pub(crate) runtime: String,
    /// What is before the command.
    pub(crate) globals: Vec<String>,
    /// The command; empty when there is none (`--version`).
    pub(crate) verb: String,
    /// What is behind the command.
    pub(crate) words: Vec<String>,
}

impl Call {
    /// Takes apart what is behind the runtime's name.
    pub(crate) fn parse(runtime: &str, arguments: &[String]) -> Self {
        let mut at = 0;
        while let Some(word) = arguments.get(at).filter(|word| word.starts_with('-')) {
            at += if takes_value(word, &GLOBAL) { 2 } else { 1 };
        }
        let at = at.min(arguments.len());
        Self {
            runtime: runtime.to_owned(),
            globals: arguments[..at].to_vec(),
            verb: arguments.get(at).cloned().unwrap_or_default(),
            words: arguments.get(at + 1..).unwrap_or_default().to_vec(),
        }
    }

    /// Whether the command makes a container.
    pub(crate) fn makes(&self) -> bool {
        ["create", "run"].contains(&self.verb.as_str())
    }

    /// The value of a flag, which is named with its dashes, in the form `--flag VALUE`.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        let words = if GLOBAL.contains(&&flag[1..]) { &self.globals } else { &self.words };
        let at = words.iter().position(|word| word == flag)?;
        words.get(at + 1).map(String::as_str)
    }

    /// Replaces the value of a flag.
    pub(crate) fn set_value(&mut self, flag: &str, value: &str) {
        if let Some(at) = self.words.iter().position(|word| word == flag)
            && let Some(old) = self.words.get_mut(at + 1)
        {
            value.clone_into(old);
        }
    }

    /// Takes a flag and its value away.
    pub(crate) fn drop_flag(&mut self, flag: &str) {
        while let Some(at) = self.words.iter().position(|word| word == flag) {
            self.words.drain(at..self.words.len().min(at + 2));
        }
    }

    /// Where among the words the first is that is neither a flag nor the value of one: the id.
    pub(crate) fn id_at(&self) -> Option<usize> {
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            if !word.starts_with('-') {
                return Some(at);
            }
            at += if takes_value(word, &OWN) { 2 } else { 1 };
        }
        None
    }

    /// The id of the container.
    pub(crate) fn id(&self) -> &str {
        self.id_at().map_or("", |at| &self.words[at])
    }

    /// The directory of the container in the state root.
    pub(crate) fn state_directory(&self) -> PathBuf {
        PathBuf::from(self.value("--root").unwrap_or("/nowhere")).join(self.id())
    }

    /// `config.json` of the bundle.
    pub(crate) fn config(&self) -> PathBuf {
        let bundle = ["--bundle", "-bundle", "-b"].iter().find_map(|flag| self.value(flag));
        PathBuf::from(bundle.unwrap_or(".")).join("config.json")
    }

    /// The call, ready to be made.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.runtime);
        command.args(&self.globals);
        if !self.verb.is_empty() {
            command.arg(&self.verb);
        }
        command.args(&self.words);
        command
    }

    /// Makes the call; the exit status is 128 and the signal's number when a signal ended it.
    pub(crate) fn make(&self) -> Result<u8> {
        Ok(code(self.command().status()?))
    }

    /// Makes the call with both outputs caught. Only for commands whose output no container inherits.
    pub(crate) fn catch(&self) -> Result<Output> {
        Ok(self.command().stdin(Stdio::inherit()).output()?)
    }

    /// Another call with the same global flags.
    pub(crate) fn other(&self, verb: &str, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { verb: verb.to_owned(), words, ..self.clone() }
    }

    /// The process id of the container's init, as `state` has it; 0 when there is none.
    pub(crate) fn init(&self) -> Result<i64> {
        let output = self.other("state", &[self.id()]).catch()?;
        let state: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(state["pid"].as_i64().unwrap_or(0))
    }
}

/// `flags` are written with one dash, since `-flag` and `--flag` are the same to a runtime in Go.
fn takes_value(word: &str, flags: &[&str]) -> bool {
    flags.contains(&word) || word.strip_prefix('-').is_some_and(|word| flags.contains(&word))
}

/// A shell's exit status.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}

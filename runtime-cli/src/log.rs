//! Where messages go, and in which form.
//!
//! Managers read what a runtime writes in three ways, and this module satisfies all of them:
//! - containerd and Docker decode the log file as a stream of JSON objects and take the last one of
//!   level `error`; Podman parses the *whole file* as one object. So a failure writes exactly one
//!   object, and at the default level nothing else is ever written.
//! - CRI-O and conmon search stderr. So a failure is on stderr as well, as one short line: in the form
//!   of the log where there is no log file, and as the bare message where there is one, as runc does.
//! - go-runc and CRI-O parse stdout and stderr of `state`, `list` and `features` together. So these
//!   write nothing on stderr when they succeed. Where there is a log file nothing but a failure is
//!   written at the default level; without one, warnings of the configuration go to stderr, where the
//!   specification wants them seen.
//!
//! The file is opened when the first message is written, and only appended to: several commands may
//! share it. A message is one `write`, so that they do not mix.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::args::Matches;
use crate::exit::Failure;

/// How much is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    Error,
    Warning,
    Info,
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The form of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// The log of one run of the command.
#[derive(Debug, Default)]
pub(crate) struct Log {
    path: Option<PathBuf>,
    format: Format,
    pub(crate) level: Level,
    file: OnceCell<Option<File>>,
}

impl Log {
    /// The log that the global flags ask for. A value that is not understood comes back beside a log
    /// that can be used to report it.
    pub(crate) fn new(global: &Matches) -> (Self, Result<(), Failure>) {
        let mut log = Self { path: global.value("log").and_then(destination), ..Self::default() };
        let understood = log.set_up(global);
        (log, understood)
    }

    fn set_up(&mut self, global: &Matches) -> Result<(), Failure> {
        self.format = match global.text("log-format")? {
            None | Some("" | "text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "invalid log-format: {other:?}: use text or json"
                )));
            }
        };
        self.level = match global.text("log-level")? {
            // Somebody reads stderr, and a manager reads a log file (see above).
            None | Some("") if self.path.is_none() => Level::Warning,
            None | Some("" | "error" | "fatal" | "panic") => Level::Error,
            Some("warning" | "warn") => Level::Warning,
            Some("info") => Level::Info,
            Some("debug" | "trace") => Level::Debug,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "invalid log-level: {other:?}: use error, warning, info or debug"
                )));
            }
        };
        if global.on("debug") {
            self.level = Level::Debug;
        }
        Ok(())
    }

    /// Reports the failure that ends the command.
    pub(crate) fn failure(&self, message: &str) {
        self.write(Level::Error, message);
        if self.path.is_some() {
            to_stderr(&format!("{message}\n"));
        }
    }

    /// Reports something that the user may want to know although the command succeeds.
    pub(crate) fn warning(&self, message: &str) {
        self.write(Level::Warning, message);
    }

    /// Writes a message, if it is wanted at this level.
    pub(crate) fn write(&self, level: Level, message: &str) {
        if level > self.level {
            return;
        }
        let line = line(self.format, level, message, now());
        match &self.path {
            None => to_stderr(&line),
            Some(path) => {
                let open = || {
                    let mut options = OpenOptions::new();
                    options.append(true).create(true).mode(0o644);
                    options.open(path).ok()
                };
                // A log that cannot be written is no reason to fail: the failure that matters is
                // on stderr too.
                if let Some(mut file) = self.file.get_or_init(open).as_ref() {
                    file.write_all(line.as_bytes()).unwrap_or_default();
                }
            }
        }
    }
}

/// The file that `--log` names, or nothing where it is stderr.
fn destination(value: &OsStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let value = value.as_bytes();
    let path = value.strip_prefix(b"file:").unwrap_or(value);
    if path.is_empty() || path == b"/dev/stderr" {
        return None;
    }
    Some(OsStr::from_bytes(path).into())
}

/// Writes to stderr in one piece; nobody is left to tell when that fails.
pub(crate) fn to_stderr(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

fn line(format: Format, level: Level, message: &str, time: Duration) -> String {
    let (level, time) = (level.name(), rfc3339(time));
    match format {
        Format::Text => format!("time=\"{time}\" level={level} msg={}\n", quote(message)),
        Format::Json => {
            let message = serde_json::Value::from(message);
            format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{time}\"}}\n")
        }
    }
}

/// A quoted string in the form of logrus, which is Go's `%q`.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time since 1970 in the form of RFC 3339, in UTC.
///
/// The date is counted from 0000-03-01, so that the leap day is the last of its year: then a day of
/// the 400-year cycle gives year, month and day by divisions alone.
fn rfc3339(time: Duration) -> String {
    let seconds = time.as_secs();
    let day = seconds / 86_400 + 719_468;
    let (cycle, of_cycle) = (day / 146_097, day % 146_097);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = cycle * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn text_form() {
        assert_eq!(
            line(Format::Text, Level::Error, "exec: \"x\": gone\n\u{1b}[1m\\é", Duration::ZERO),
            "time=\"1970-01-01T00:00:00Z\" level=error \
             msg=\"exec: \\\"x\\\": gone\\n\\x1b[1m\\\\é\"\n"
        );
    }

    #[test]
    fn json_form_is_one_object() {
        let line = line(Format::Json, Level::Warning, "a \"b\"\nc", Duration::ZERO);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.starts_with("{\"level\":\"warning\",\"msg\":\""));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["msg"], "a \"b\"\nc");
        assert_eq!(value["time"], "1970-01-01T00:00:00Z");
        assert_eq!(value.as_object().unwrap().len(), 3);
    }

    #[test]
    fn destinations() {
        for (value, path) in [
            ("/a/b", Some("/a/b")),
            ("file:/a/b", Some("/a/b")),
            ("a", Some("a")),
            ("", None),
            ("/dev/stderr", None),
        ] {
            assert_eq!(destination(OsStr::new(value)), path.map(PathBuf::from));
        }
    }
}

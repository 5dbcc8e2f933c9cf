//! The command line: one description of every command and flag, and a parser that follows it.
//!
//! What is described here is all there is: parsing, `--help`, the suggestions after a typing error, the manual
//! pages and the completions of the shells (`manual/`) come from the same tables. The grammar is the one that callers of runc rely on: `--flag VALUE`,
//! `--flag=VALUE`, `--flag`, `--flag=true`, and a single dash for long flags too (`-no-subreaper`),
//! because go-runc writes them so. Flags may follow the operands, as in runc, except where the operands are a
//! command line themselves (`exec`).
//! This module neither acts nor prints.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;

use lexopt::{Arg, Parser};

use crate::exit::Failure;

/// One flag of the program or of a command.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// The name of the value, or all its words with a bar between them; a flag without one is a boolean.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
    /// Accepted, but not worth a line of help: it exists for callers that pass it.
    pub(crate) hidden: bool,
}

impl Flag {
    /// A boolean flag.
    pub(crate) const fn switch(long: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: None, help, hidden: false }
    }

    /// A flag with a value.
    pub(crate) const fn with(long: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: Some(value), help, hidden: false }
    }

    /// The same flag with a letter.
    #[must_use]
    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// The same flag left out of the help.
    #[must_use]
    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

/// What the parser has to know of a command, and what its help says.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) name: &'static str,
    /// The operands as the usage line shows them.
    pub(crate) operands: &'static str,
    pub(crate) count: RangeInclusive<usize>,
    /// One line for the list of commands.
    pub(crate) about: &'static str,
    /// What the command's own help says beyond that line.
    pub(crate) description: &'static str,
    pub(crate) flags: &'static [Flag],
}

impl Syntax {
    /// Whether what follows the first operand is a command line of its own.
    pub(crate) fn takes_command(&self) -> bool {
        *self.count.end() == usize::MAX
    }
}

/// The flags that stand before the command.
pub(crate) const GLOBAL: &[Flag] = &[
    Flag::with(
        "root",
        "DIR",
        "where the state of containers is kept (default: /run/teu, or $XDG_RUNTIME_DIR/teu without root)",
    ),
    Flag::with(
        "log",
        "FILE",
        "append messages to FILE instead of writing them to stderr; file:FILE means the same",
    ),
    Flag::with("log-format", "text|json", "form of the messages (default: text)"),
    Flag::with(
        "log-level",
        "error|warning|info|debug",
        "the least important messages to write (default: warning, and error with --log)",
    ),
    Flag::switch("debug", "the same as --log-level debug"),
    Flag::switch(
        "systemd-cgroup",
        "let systemd make the cgroup; cgroupsPath is SLICE:PREFIX:NAME then",
    ),
    Flag::with(
        "rootless",
        "true|false|auto",
        "do without cgroups and limits that this user may not make (default: auto, for whoever is not root)",
    ),
    Flag::with("criu", "PATH", "criu's program (default: the criu of $PATH)"),
    HELP,
    Flag::switch("version", "print the version").short('v'),
];

pub(crate) const HELP: Flag = Flag::switch("help", "show help").short('h');

/// What was given for the flags of one table, and the operands.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    given: Vec<(&'static str, Option<OsString>, bool)>,
    pub(crate) operands: Vec<OsString>,
}

impl Matches {
    /// Whether a boolean flag is on; the last one given counts.
    pub(crate) fn on(&self, long: &str) -> bool {
        self.given.iter().rev().find(|(name, ..)| *name == long).is_some_and(|(.., on)| *on)
    }

    /// The last value given for a flag.
    pub(crate) fn value(&self, long: &str) -> Option<&OsStr> {
        self.given.iter().rev().find(|(name, ..)| *name == long).and_then(|(_, v, _)| v.as_deref())
    }

    /// Every value given for a flag, in order, as text.
    pub(crate) fn texts(&self, long: &str) -> Result<Vec<String>, Failure> {
        let values = self.given.iter().filter(|(name, ..)| *name == long);
        values
            .filter_map(|(_, value, _)| value.as_ref())
            .map(|value| {
                value
                    .to_str()
                    .map(str::to_owned)
                    .ok_or_else(|| Failure::usage(format!("--{long}: {value:?} is not UTF-8")))
            })
            .collect()
    }

    /// The last value given for a flag, as text.
    pub(crate) fn text(&self, long: &str) -> Result<Option<&str>, Failure> {
        self.value(long)
            .map(|value| {
                value
                    .to_str()
                    .ok_or_else(|| Failure::usage(format!("--{long}: {value:?} is not UTF-8")))
            })
            .transpose()
    }
}

/// The command line up to the name of the command.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) global: Matches,
    pub(crate) command: Option<OsString>,
    /// What is wrong in the global flags; those before it are in `global`, so that it can be logged.
    pub(crate) failure: Option<Failure>,
    rest: Parser,
}

impl Line {
    /// Reads the global flags and the command's name.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Self {
        let mut rest = Parser::from_args(args);
        let mut global = Matches::default();
        let mut command = None;
        let mut failure = None;
        loop {
            match next(&mut rest, GLOBAL, &mut global) {
                Ok(Some(operand)) => command = Some(operand),
                Ok(None) => {}
                Err(text) => failure = Some(Failure::usage(text)),
            }
            // `--` and the end leave nothing more to read; an operand is the command.
            if command.is_some() || failure.is_some() || at_end(&mut rest) {
                return Self { global, command, failure, rest };
            }
        }
    }

    /// Reads the flags and operands of `syntax`'s command.
    pub(crate) fn command(mut self, syntax: &Syntax) -> Result<Matches, Failure> {
        let usage = |text: String| Failure::usage_of(text, syntax);
        let mut matches = Matches::default();
        while !at_end(&mut self.rest) {
            if let Some(operand) = next(&mut self.rest, syntax.flags, &mut matches)
                .map_err(|text| usage(in_wrong_place(&text, syntax)))?
            {
                matches.operands.push(operand);
                // The command of a container, whose flags are its own.
                if syntax.takes_command() {
                    let rest = self.rest.raw_args().map_err(|error| usage(error.to_string()))?;
                    let mut rest = rest.peekable();
                    rest.next_if(|first| first == "--");
                    matches.operands.extend(rest);
                }
            }
        }
        if !matches.on("help") && !syntax.count.contains(&matches.operands.len()) {
            return Err(usage(wrong_count(syntax)));
        }
        Ok(matches)
    }
}

fn at_end(parser: &mut Parser) -> bool {
    parser.try_raw_args().is_some_and(|raw| raw.as_slice().is_empty())
}

/// Reads one flag into `matches`, or returns one operand.
fn next(
    parser: &mut Parser,
    flags: &'static [Flag],
    matches: &mut Matches,
) -> Result<Option<OsString>, String> {
    let mut assigned = false;
    if let Some(mut raw) = parser.try_raw_args() {
        let peeked = raw.peek().map(OsStr::to_os_string);
        if let Some(text) = peeked.as_deref().and_then(OsStr::to_str) {
            assigned = text.contains('=');
            // `kill ID -9`: a number is an operand and never a flag.
            if text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit()) {
                return Ok(raw.next());
            }
            if let Some((flag, value)) = single_dash(text, flags) {
                raw.next();
                let value = match (flag.value, value) {
                    (Some(_), None) => Some(parser.value().map_err(|_| missing(flag))?),
                    (_, value) => value,
                };
                return record(flag, value, matches).map(|()| None);
            }
        }
    }
    let flag = match parser.next().map_err(|error| error.to_string())? {
        None => return Ok(None),
        Some(Arg::Value(operand)) => return Ok(Some(operand)),
        Some(Arg::Long(name)) => {
            find(flags, |flag| flag.long == name).ok_or_else(|| unknown(name, flags))?
        }
        Some(Arg::Short(letter)) => find(flags, |flag| flag.short == Some(letter))
            .ok_or_else(|| format!("unknown flag -{letter}"))?,
    };
    let value = if flag.value.is_some() {
        Some(parser.value().map_err(|_| missing(flag))?)
    } else if assigned {
        parser.optional_value()
    } else {
        None
    };
    record(flag, value, matches).map(|()| None)
}

fn record(flag: &'static Flag, value: Option<OsString>, to: &mut Matches) -> Result<(), String> {
    if flag.value.is_some() {
        to.given.push((flag.long, value, true));
        return Ok(());
    }
    let on = match value.as_deref().map(|v| v.to_str().unwrap_or_default()) {
        None | Some("true" | "TRUE" | "True" | "t" | "T" | "1") => true,
        Some("false" | "FALSE" | "False" | "f" | "F" | "0") => false,
        Some(other) => return Err(format!("--{}: {other:?} is neither true nor false", flag.long)),
    };
    to.given.push((flag.long, None, on));
    Ok(())
}

fn find(flags: &'static [Flag], wanted: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
    // Every command has --help without listing it.
    static HELP_ALONE: [Flag; 1] = [HELP];
    flags.iter().chain(&HELP_ALONE).find(|flag| wanted(flag))
}

/// A long flag behind one dash. A single letter is left to the ordinary rules.
fn single_dash(arg: &str, flags: &'static [Flag]) -> Option<(&'static Flag, Option<OsString>)> {
    let body = arg.strip_prefix('-').filter(|body| !body.starts_with('-'))?;
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value.into())),
        None => (body, None),
    };
    if name.chars().count() < 2 {
        return None;
    }
    Some((find(flags, |flag| flag.long == name)?, value))
}

fn missing(flag: &Flag) -> String {
    format!("--{} needs a value: {}", flag.long, flag.value.unwrap_or_default())
}

fn unknown(name: &str, flags: &'static [Flag]) -> String {
    let mut text = format!("unknown flag --{name}");
    let known = flags.iter().filter(|flag| !flag.hidden).map(|flag| flag.long);
    if let Some(near) = nearest(name, known) {
        text.push_str(&format!(", did you mean --{near}?"));
    }
    text
}

/// Says so when the unknown flag is a global one that stands too late.
fn in_wrong_place(text: &str, syntax: &Syntax) -> String {
    let name = text.strip_prefix("unknown flag --").and_then(|rest| rest.split(',').next());
    match name.and_then(|name| GLOBAL.iter().find(|flag| flag.long == name)) {
        Some(flag) => {
            format!("--{} is a global flag: write it before {:?}", flag.long, syntax.name)
        }
        None => text.to_owned(),
    }
}

fn wrong_count(syntax: &Syntax) -> String {
    let (least, most) = (*syntax.count.start(), *syntax.count.end());
    let wanted = match most {
        usize::MAX => format!("a minimum of {least}"),
        most if most == least => format!("exactly {least}"),
        most => format!("{least} to {most}"),
    };
    // The wording is runc's.
    format!("{:?} requires {wanted} argument(s)", syntax.name)
}

/// The known name that is closest to what was typed, if any is close.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, name)| {
            *distance <= 1 + name.len() / 6 || (typed.len() > 1 && name.starts_with(typed))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be changed, added, removed or swapped with the next (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;

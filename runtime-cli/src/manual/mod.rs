//! The manual pages and the completions of bash, zsh and fish, made from the tables of the command line.
//!
//! They are files of the repository, so that packagers need no build to have them, and no part of the
//! program, which has to start fast. `scripts/manuals` writes them; a test insists that they are what the
//! tables say.

mod bash;
mod fish;
mod page;
mod zsh;

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::args::{Flag, GLOBAL, HELP, Syntax};
use crate::command;

/// Every command with its table, `help` too.
fn commands() -> impl Iterator<Item = &'static Syntax> {
    command::ALL.iter().map(|command| &command.syntax).chain([&crate::HELP])
}

/// The flags of a command that are worth a line, with the one that every command has.
fn flags(syntax: &'static Syntax) -> Vec<&'static Flag> {
    shown(syntax.flags.iter().chain([&HELP]))
}

/// The flags that stand before the command.
fn global() -> Vec<&'static Flag> {
    shown(GLOBAL.iter())
}

fn shown(flags: impl Iterator<Item = &'static Flag>) -> Vec<&'static Flag> {
    flags.filter(|flag| !flag.hidden).collect()
}

/// What a shell can offer as the value of a flag.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    Words(Vec<&'static str>),
    Directory,
    File,
    /// Something that only the user knows.
    Nothing,
}

/// What the name of a flag's value says of it; nothing for a flag without a value.
fn offer(flag: &Flag) -> Option<Offer> {
    flag.value.map(|value| match value {
        "DIR" => Offer::Directory,
        "FILE" | "SOCKET" => Offer::File,
        words if words.contains('|') => Offer::Words(words.split('|').collect()),
        _ => Offer::Nothing,
    })
}

/// Whether a flag may be given more than once.
fn repeatable(flag: &Flag) -> bool {
    flag.help.contains("may be repeated")
}

/// Whether the first operand names a container that is there already. Who takes a bundle makes a new one.
fn names_a_container(syntax: &Syntax) -> bool {
    let id = syntax.operands.starts_with("<container-id>");
    id && !syntax.flags.iter().any(|flag| flag.long == "bundle")
}

/// Whether the second operand is a signal.
fn takes_a_signal(syntax: &Syntax) -> bool {
    syntax.operands.ends_with(" [signal]")
}

/// The names of the signals, as `kill` takes them.
fn signals() -> String {
    let names = Signal::iterator().map(|signal| signal.as_str().trim_start_matches("SIG"));
    names.collect::<Vec<_>>().join(" ")
}

/// Text between single quotes, as bash and zsh read it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Where the files are, and what has to be in them.
fn files() -> Vec<(PathBuf, String)> {
    let completions =
        [("teu.bash", bash::script()), ("_teu", zsh::script()), ("teu.fish", fish::script())];
    let completions =
        completions.into_iter().map(|(name, text)| (Path::new("completions").join(name), text));
    let pages =
        page::all().into_iter().map(|(name, text)| (Path::new("docs/man").join(name), text));
    completions.chain(pages).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn files_say_what_the_tables_say() {
    let write = std::env::var_os("TEU_WRITE_MANUALS").is_some();
    let mut folders: Vec<PathBuf> = Vec::new();
    for (path, text) in files() {
        let whole = repository().join(&path);
        if write {
            std::fs::create_dir_all(whole.parent().unwrap()).unwrap();
            std::fs::write(&whole, &text).unwrap();
        }
        let found = std::fs::read_to_string(&whole).unwrap_or_default();
        assert!(
            found == text,
            "{} is not what the tables say: run scripts/manuals",
            path.display()
        );
        folders.push(whole.parent().unwrap().to_owned());
    }
    folders.dedup();
    // A command that has gone leaves no page behind.
    let there = folders.iter().map(|folder| std::fs::read_dir(folder).unwrap().count());
    assert_eq!(there.sum::<usize>(), files().len(), "a file that no table asks for: {folders:?}");
}

#[test]
fn values_that_a_shell_can_offer() {
    let offered = |value| offer(&Flag::with("x", value, "")).unwrap();
    assert_eq!(offered("DIR"), Offer::Directory);
    assert_eq!(offered("FILE"), Offer::File);
    assert_eq!(offered("table|json"), Offer::Words(vec!["table", "json"]));
    assert_eq!(offered("N"), Offer::Nothing);
    assert_eq!(offer(&Flag::switch("x", "")), None);
    let named: Vec<&str> = commands().filter(|c| names_a_container(c)).map(|c| c.name).collect();
    let wanted = [
        "start",
        "exec",
        "pause",
        "resume",
        "ps",
        "update",
        "events",
        "checkpoint",
        "state",
        "kill",
        "delete",
    ];
    assert_eq!(named, wanted);
    assert!(signals().split(' ').all(|name| crate::signal::parse(name).is_some()));
}

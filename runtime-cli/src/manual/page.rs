//! The manual pages, section 8.

use roff::{Inline, Roff, bold, italic, roman};

use super::{commands, flags, global};
use crate::args::{Flag, Syntax};
use crate::command::version::TEU;

/// Every page: its file's name and its text.
pub(super) fn all() -> Vec<(String, String)> {
    let pages = commands().filter(|syntax| syntax.name != "help").map(of_command);
    [("teu.8".to_owned(), of_program())].into_iter().chain(pages).collect()
}

fn of_program() -> String {
    let mut page = begin("teu", "an OCI container runtime");
    section(&mut page, "SYNOPSIS");
    page.text(
        [bold("teu"), roman(" ["), italic("global flags"), roman("] "), italic("COMMAND")]
            .into_iter()
            .chain([roman(" ["), italic("flags"), roman("] ["), italic("arguments"), roman("]")])
            .collect::<Vec<_>>(),
    );
    section(&mut page, "DESCRIPTION");
    page.text(inline(
        "A container is made from a bundle: a directory with a config.json as the OCI runtime specification \
         describes it, and a root file system. `teu run` creates a container, starts it and waits for it; \
         `teu create` and `teu start` do the same in two steps, as container managers do.",
    ));
    paragraph(
        &mut page,
        "Flags may be written `--flag VALUE` or `--flag=VALUE`, with one dash or two, before and after the \
         operands; in `teu exec`, what follows the container's id belongs to the command.",
    );
    section(&mut page, "COMMANDS");
    for syntax in commands() {
        page.control("TP", []);
        page.text(match syntax.name {
            "help" => vec![bold("help")],
            name => vec![bold(format!("teu-{name}")), roman("(8)")],
        });
        page.text(inline(&sentence(syntax.about)));
    }
    section(&mut page, "GLOBAL FLAGS");
    options(&mut page, &global());
    section(&mut page, "EXIT STATUS");
    page.text(inline(
        "0 when the command has done its work, 1 when it failed, with one line on stderr that says why.",
    ));
    paragraph(
        &mut page,
        "Without `--detach`, `teu run` and `teu exec` exit with the code of the process that they waited for, \
         or with 128 and the number of the signal that ended it. When `teu exec` fails itself, its code is 255.",
    );
    section(&mut page, "ENVIRONMENT");
    for (name, text) in [
        (
            "XDG_RUNTIME_DIR",
            "Where the state root is for callers who are not root: teu in this directory.",
        ),
        (
            "NOTIFY_SOCKET",
            "The socket of a service manager that is told when the workload is ready (sd_notify(3)).",
        ),
        (
            "LISTEN_FDS, LISTEN_PID",
            "Descriptors of socket activation that are passed on to the container (sd_listen_fds(3)).",
        ),
    ] {
        term(&mut page, name, text);
    }
    section(&mut page, "FILES");
    term(&mut page, "/run/teu", "The state root: a directory for every container.");
    term(
        &mut page,
        "config.json",
        "The container's configuration, in the bundle. `teu spec` writes one to start from.",
    );
    section(&mut page, "EXAMPLES");
    page.control("EX", []);
    for line in [
        "teu spec --bundle hello",
        "teu plan --bundle hello",
        "teu create --bundle hello hello1",
        "teu start hello1",
        "teu kill hello1 KILL",
        "teu delete --force hello1",
    ] {
        page.text([roman(line)]);
    }
    page.control("EE", []);
    let names = commands().map(|syntax| syntax.name).filter(|name| *name != "help");
    see_also(&mut page, names.map(|name| format!("teu-{name}")));
    page.render()
}

fn of_command(syntax: &'static Syntax) -> (String, String) {
    let name = format!("teu-{}", syntax.name);
    let mut page = begin(&name, syntax.about);
    section(&mut page, "SYNOPSIS");
    let mut synopsis = vec![bold("teu"), roman(" ["), italic("global flags"), roman("] ")];
    synopsis.extend([bold(syntax.name), roman(" ["), italic("flags"), roman("]")]);
    if !syntax.operands.is_empty() {
        synopsis.extend([roman(" "), italic(syntax.operands)]);
    }
    page.text(synopsis);
    section(&mut page, "DESCRIPTION");
    page.text(inline(&sentence(syntax.about)));
    if !syntax.description.is_empty() {
        paragraph(&mut page, &syntax.description.replace('\n', " "));
    }
    section(&mut page, "FLAGS");
    options(&mut page, &flags(syntax));
    paragraph(&mut page, "The global flags are in teu(8).");
    let names = related(syntax.name).iter().map(|name| format!("teu-{name}"));
    see_also(&mut page, ["teu".to_owned()].into_iter().chain(names));
    (format!("{name}.8"), page.render())
}

/// The commands that a reader of a page may be looking for.
fn related(name: &str) -> &'static [&'static str] {
    match name {
        "create" => &["run", "start", "plan", "delete"],
        "run" => &["create", "exec", "plan", "spec"],
        "start" => &["create", "state"],
        "exec" => &["run", "ps"],
        "pause" => &["resume", "state"],
        "resume" => &["pause", "state"],
        "ps" => &["exec", "events"],
        "update" => &["events"],
        "checkpoint" => &["restore", "pause"],
        "restore" => &["checkpoint", "run"],
        "events" => &["update", "ps"],
        "state" => &["list"],
        "kill" => &["delete"],
        "delete" => &["kill", "list"],
        "list" => &["state"],
        "spec" => &["run", "plan"],
        "plan" => &["create", "spec"],
        _ => &[],
    }
}

/// Title and name. No date: the page is as old as the program, which has a version.
fn begin(name: &str, about: &str) -> Roff {
    let mut page = Roff::new();
    let version = format!("teu {TEU}");
    page.control("TH", [&*name.to_uppercase(), "8", "\"\"", &version, "System Administration"]);
    // Commands are long and must stay whole: no hyphens, no spread-out lines.
    page.control("nh", []);
    page.control("ad", ["l"]);
    section(&mut page, "NAME");
    page.text([roman(format!("{name} - ")), roman(about.replace('`', ""))]);
    page
}

fn see_also(page: &mut Roff, names: impl Iterator<Item = String>) {
    section(page, "SEE ALSO");
    let mut text = Vec::new();
    for (index, name) in names.enumerate() {
        text.extend((index > 0).then(|| roman(", ")));
        text.extend([bold(name), roman("(8)")]);
    }
    page.text(text);
}

fn section(page: &mut Roff, name: &str) {
    page.control("SH", [name]);
}

fn paragraph(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.text(inline(text));
}

fn term(page: &mut Roff, name: &str, text: &str) {
    page.control("TP", []);
    page.text([bold(name)]);
    page.text(inline(text));
}

fn options(page: &mut Roff, flags: &[&Flag]) {
    for flag in flags {
        let mut name: Vec<Inline> = Vec::new();
        if let Some(letter) = flag.short {
            name.extend([bold(format!("-{letter}")), roman(", ")]);
        }
        name.push(bold(format!("--{}", flag.long)));
        if let Some(value) = flag.value {
            name.extend([roman(" "), italic(value)]);
        }
        page.control("TP", []);
        page.text(name);
        page.text(inline(&sentence(flag.help)));
    }
}

/// Text with what stands between back-ticks in bold.
fn inline(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// A line of the tables as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

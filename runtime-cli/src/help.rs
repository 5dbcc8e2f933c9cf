//! The text of `--help`, made from the tables of the arguments.

use crate::args::{Flag, GLOBAL, Syntax};

/// The help of the program.
pub(crate) fn program<'a>(commands: impl Iterator<Item = &'a Syntax>) -> String {
    let mut text = String::from(
        "teu - an OCI container runtime\n\n\
         Usage: teu [global flags] COMMAND [flags] [arguments]\n\n\
         A container is made from a bundle: a directory with a config.json (see `teu spec`) and a\n\
         root file system. `teu run --bundle DIR ID` creates, starts and waits for one.\n\n\
         Commands:\n",
    );
    let rows: Vec<(String, &str)> =
        commands.map(|syntax| (syntax.name.to_owned(), syntax.about)).collect();
    columns(&mut text, &rows);
    text.push_str("\nGlobal flags:\n");
    flags(&mut text, GLOBAL);
    text.push_str("\n`teu COMMAND --help` says more about a command.\n");
    text
}

/// The help of one command.
pub(crate) fn command(syntax: &Syntax) -> String {
    let mut text = format!(
        "teu {} - {}\n\n{}\n",
        syntax.name,
        syntax.about,
        usage(syntax.name, syntax.operands)
    );
    if !syntax.description.is_empty() {
        text.push_str(&format!("\n{}\n", syntax.description));
    }
    text.push_str("\nFlags:\n");
    flags(&mut text, syntax.flags);
    if !syntax.flags.iter().any(|flag| flag.long == "help") {
        text.push_str("  -h, --help  show help\n");
    }
    text
}

/// The usage line of one command.
pub(crate) fn usage(name: &str, operands: &str) -> String {
    format!("Usage: teu [global flags] {name} [flags] {operands}").trim_end().to_owned()
}

fn flags(text: &mut String, flags: &[Flag]) {
    let rows: Vec<(String, &str)> = flags
        .iter()
        .filter(|flag| !flag.hidden)
        .map(|flag| {
            let letter = flag.short.map_or_else(|| "    ".to_owned(), |l| format!("-{l}, "));
            let value = flag.value.map_or_else(String::new, |value| format!(" {value}"));
            (format!("{letter}--{}{value}", flag.long), flag.help)
        })
        .collect();
    columns(text, &rows);
}

fn columns(text: &mut String, rows: &[(String, &str)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, help) in rows {
        text.push_str(&format!("  {name:width$}  {help}\n"));
    }
}

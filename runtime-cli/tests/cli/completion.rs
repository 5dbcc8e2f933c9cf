//! What bash, zsh and fish offer, asked of the shells themselves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::foreground::{bundle, id};
use crate::page::has;
use crate::{directory, ran, rooted};

/// Calls the function that bash has registered for the command, as readline does.
const BASH: &str = r#"
set -u
source "$COMPLETIONS/teu.bash"
[[ $(complete -p teu) =~ -F\ ([^ ]+) ]] || exit 9
# compopt is for a completion that readline has begun.
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"${BASH_REMATCH[1]}" teu "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"#;

/// The start-up file of an interactive zsh: completes once on the line editor's first occasion, writes what
/// it was offered into a file, and ends.
const ZSH: &str = r#"
fpath=($COMPLETIONS $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
    # With -O, -A and -D it answers the caller, and offers nothing.
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] || {
        local -a offered
        builtin compadd -O offered "$@"
        print -rl -- $offered >>$OFFERED
    }
    builtin compadd "$@"
}
offer() { BUFFER=$LINE; CURSOR=$#BUFFER; zle list-choices; exit 0 }
zle -N zle-line-init offer
"#;

struct Shells {
    dir: tempfile::TempDir,
    completions: PathBuf,
}

impl Shells {
    fn new() -> Self {
        let dir = directory();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_teu"), dir.path().join("bin/teu")).unwrap();
        std::fs::write(dir.path().join(".zshrc"), ZSH).unwrap();
        std::fs::create_dir_all(dir.path().join("place/inner")).unwrap();
        std::fs::write(dir.path().join("place/file"), "").unwrap();
        Self { dir, completions: repository.join("completions") }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.dir.path().join("bin").display());
        command.env_clear().env("PATH", path).env("TERM", "dumb").env("HOME", self.dir.path());
        command.env("COMPLETIONS", &self.completions).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// What bash offers for the last word of the line. Readline has split the line at `=`.
    fn bash(&self, line: &str) -> Vec<String> {
        let spaced = line.replace('=', " = ");
        let mut words: Vec<&str> = spaced.split(' ').collect();
        words.dedup_by(|a, b| a.is_empty() && *b == "=");
        if line.ends_with('=') {
            // The sign is the word, as long as nothing stands behind it.
            words.retain(|word| !word.is_empty());
        }
        let out = ran(self.command("bash").args(["--norc", "-c", BASH, "bash"]).args(words));
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "bash: {line}");
        sorted(&out.stdout)
    }

    fn zsh(&self, line: &str) -> Vec<String> {
        let offered = self.dir.path().join("offered");
        std::fs::write(&offered, "").unwrap();
        // The line editor wants a terminal: script(1) gives it one.
        let mut command = self.command("script");
        command.args(["--quiet", "--return", "--command", "exec zsh -i", "/dev/null"]);
        let out = ran(command.env("LINE", line).env("OFFERED", &offered));
        assert_eq!(out.code, Some(0), "zsh: {line}: {}", out.stdout);
        sorted(&std::fs::read_to_string(&offered).unwrap())
    }

    fn fish(&self, line: &str) -> Vec<String> {
        let script = "source $COMPLETIONS/teu.fish; complete -C $argv[1]";
        let out = ran(self.command("fish").args(["--no-config", "-c", script, line]));
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "fish: {line}");
        // The description stands behind a tab.
        let words = out.stdout.lines().map(|line| line.split('\t').next().unwrap());
        sorted(&words.collect::<Vec<_>>().join("\n"))
    }

    /// Asks every shell that is there.
    fn each(&self, line: &str, check: impl Fn(&str, &[String])) {
        for shell in ["bash", "zsh", "fish"].into_iter().filter(|shell| has(shell)) {
            let offered = match shell {
                "bash" => self.bash(line),
                "zsh" => self.zsh(line),
                _ => self.fish(line),
            };
            check(shell, &offered);
        }
    }

    fn offers(&self, line: &str, wanted: &[&str]) {
        self.each(line, |shell, offered| assert_eq!(offered, wanted, "{shell}: {line:?}"));
    }
}

fn sorted(text: &str) -> Vec<String> {
    let trimmed = text.lines().map(|line| line.trim_end_matches([' ', '/']).to_owned());
    let mut words: Vec<String> = trimmed.filter(|line| !line.is_empty()).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn commands() {
    let shells = Shells::new();
    shells.offers("teu sta", &["start", "state"]);
    shells.offers("teu help pa", &["pause"]);
    // Behind global flags, too, however they are written.
    for before in ["--debug", "--root place", "--root=place", "--log x --log-format json"] {
        shells.offers(&format!("teu {before} resu"), &["resume"]);
    }
    // With one dash, as go-runc writes them; zsh's _arguments cannot read that.
    assert_eq!(shells.bash("teu -root place resu"), ["resume"]);
    if has("fish") {
        assert_eq!(shells.fish("teu -root place resu"), ["resume"]);
    }
    // Every command of the help.
    let help = ran(&mut crate::teu(&["--help"])).stdout;
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut listed: Vec<&str> = listed
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .chain(["help"])
        .collect();
    listed.sort_unstable();
    shells.each("teu ", |shell, offered| {
        let words: Vec<&String> = offered.iter().filter(|word| !word.starts_with('-')).collect();
        assert_eq!(words, listed, "{shell}");
    });
}

#[test]
fn flags_and_values() {
    let shells = Shells::new();
    let bare = |offered: &[String]| -> Vec<String> {
        offered.iter().map(|word| word.trim_end_matches('=').to_owned()).collect()
    };
    for (line, wanted) in [
        ("teu --log", &["--log", "--log-format", "--log-level"][..]),
        ("teu run --pi", &["--pid-file", "--pidfd-socket"]),
        ("teu update x --cpuset", &["--cpuset-cpus", "--cpuset-mems"]),
        ("teu --root", &["--root", "--rootless"]),
        ("teu state --", &["--help"]),
    ] {
        shells.each(line, |shell, offered| assert_eq!(bare(offered), wanted, "{shell}: {line:?}"));
    }
    shells.offers("teu --log-level ", &["debug", "error", "info", "warning"]);
    shells.offers("teu list --format ", &["json", "table"]);
    shells.offers("teu plan -f ", &["json", "text"]);
    shells.offers("teu create --preserve-fds ", &[]);
    // The command line of exec is the container's.
    shells.offers("teu exec x ls --pid", &[]);
    let last = |offered: &[String]| -> Vec<String> {
        offered.iter().map(|word| word.rsplit(['/', '=']).next().unwrap().to_owned()).collect()
    };
    for (line, wanted) in [
        ("teu run --bundle place/", &["inner"][..]),
        ("teu run -b place/", &["inner"]),
        ("teu run --bundle=place/", &["inner"]),
        ("teu --log place/", &["file", "inner"]),
        ("teu list --format=j", &["json"]),
        ("teu list --format=", &["json", "table"]),
    ] {
        shells.each(line, |shell, offered| assert_eq!(last(offered), wanted, "{shell}: {line:?}"));
    }
}

/// Deletes containers, whatever became of the test.
struct Made<'a>(&'a Path, Vec<String>);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for id in &self.1 {
            let deleted = rooted(self.0, &["delete", "--force", id]);
            if deleted.code != Some(0) {
                eprintln!("{}", deleted.stderr);
            }
        }
    }
}

#[test]
fn containers_and_signals() {
    let shells = Shells::new();
    let dir = shells.dir.path();
    let Some(bundle) = bundle(dir, "sleep 1000") else { return };
    let (one, two) = (id("complete-one"), id("complete-two"));
    let _made = Made(dir, vec![one.clone(), two.clone()]);
    for id in [&one, &two] {
        // The container keeps the streams: a pipe would not end before it.
        let mut create = crate::teu(&["--root", "state", "create", "--bundle"]);
        create.arg(&bundle).arg(id).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(create.status().unwrap().success());
    }
    for line in
        ["teu --root state state ", "teu --root=state kill ", "teu --root state exec --tty "]
    {
        shells.offers(line, &[&one, &two]);
    }
    shells.offers(&format!("teu --root state delete --force {}", &one[..one.len() - 1]), &[&one]);
    shells.offers("teu --root ~/state pause ", &[&one, &two]);
    // A new container needs a new name.
    shells.offers("teu --root state run ", &[]);
    shells.offers(&format!("teu --root state kill {one} US"), &["USR1", "USR2"]);
    // Asking makes nothing.
    shells.offers("teu --root nowhere state ", &[]);
    assert!(!dir.join("nowhere").exists());
}

//! The completion of zsh.

use super::{
    Offer, commands, flags, global, names_a_container, offer, quoted, repeatable, signals,
    takes_a_signal,
};
use crate::args::{Flag, Syntax};

/// What asks the program, and what stands above the tables of the commands.
const CONTAINERS: &str = r#"
# The ids of the containers in the state root that the line names.
_teu_containers() {
    local -a ids expl
    # Nothing is made by asking, and a state root would be.
    [[ -z $teu_root || -d $teu_root ]] || return 1
    ids=(${(f)"$($teu_program ${teu_root:+--root} ${teu_root:+$teu_root} list --quiet 2>/dev/null)"})
    _wanted containers expl container compadd -a ids
}
"#;

pub(super) fn script() -> String {
    let mut text = String::from(
        "#compdef teu\n# Completion of zsh for teu. Made from the tables of the command line by scripts/manuals.\n",
    );
    text.push_str(CONTAINERS);
    text.push_str("\n_teu_commands() {\n    local -a names=(\n");
    for syntax in commands() {
        let line = format!("{}:{}", syntax.name, syntax.about.replace(':', r"\:"));
        text.push_str(&format!("        {}\n", quoted(&line)));
    }
    text.push_str("    )\n    _describe -t commands command names\n}\n\n_teu() {\n");
    text.push_str("    local curcontext=$curcontext state ret=1\n    local -a line\n");
    text.push_str("    local -A opt_args\n    local teu_program=${words[1]/#\\~\\//$HOME/}\n    _arguments -C \\\n");
    arguments(&mut text, 8, &global());
    text.push_str(
        "        '1:command:_teu_commands' \\\n        '*::argument:->arguments' && ret=0\n",
    );
    text.push_str("    [[ $state == arguments ]] || return ret\n\n");
    text.push_str("    # What follows sets the same parameters anew.\n");
    text.push_str("    local teu_root=${(Q)opt_args[--root]/#\\~\\//$HOME/}\n");
    text.push_str("    case $line[1] in\n");
    for syntax in commands() {
        text.push_str(&format!("        {})\n            _arguments \\\n", syntax.name));
        arguments(&mut text, 16, &flags(syntax));
        for operand in operands(syntax) {
            text.push_str(&format!("                {} \\\n", quoted(&operand)));
        }
        text.push_str("                && ret=0\n            ;;\n");
    }
    text.push_str("    esac\n    return ret\n}\n\n");
    // Read by compinit as the body of the function, or by hand.
    text.push_str(
        "if [[ $funcstack[1] == _teu ]]; then\n    _teu \"$@\"\nelse\n    compdef _teu teu\nfi\n",
    );
    text
}

fn operands(syntax: &Syntax) -> Vec<String> {
    let mut operands = Vec::new();
    if syntax.name == "help" {
        operands.push("1:command:_teu_commands".to_owned());
    }
    if names_a_container(syntax) {
        operands.push("1:container:_teu_containers".to_owned());
    } else if syntax.operands.contains("container-id") {
        operands.push("1:name of the new container: ".to_owned());
    }
    if takes_a_signal(syntax) {
        operands.push(format!("2:signal:({})", signals()));
    }
    if syntax.takes_command() {
        // Not the flags of this command any more.
        operands.push("*::argument: ".to_owned());
    }
    operands
}

fn arguments(text: &mut String, indent: usize, flags: &[&Flag]) {
    for flag in flags {
        let help = flag.help.replace('[', r"\[").replace(']', r"\]");
        let action = offer(flag).map_or_else(String::new, |offer| {
            let name = flag.value.unwrap_or_default().replace(':', r"\:");
            let action = match offer {
                Offer::Words(words) => format!("({})", words.join(" ")),
                Offer::Directory => "_files -/".to_owned(),
                Offer::File => "_files".to_owned(),
                Offer::Nothing => " ".to_owned(),
            };
            format!(":{name}:{action}")
        });
        let value = flag.value.is_some();
        let long = format!("--{}{}", flag.long, if value { "=" } else { "" });
        let spec = format!("[{help}]{action}");
        let sign = if value { "+" } else { "" };
        let spec = match (flag.short, repeatable(flag)) {
            (None, false) => quoted(&format!("{long}{spec}")),
            (None, true) => quoted(&format!("*{long}{spec}")),
            (Some(letter), false) => {
                let names = format!("'(-{letter} --{})'{{-{letter}{sign},{long}}}", flag.long);
                names + &quoted(&spec)
            }
            (Some(letter), true) => format!("'*'{{-{letter}{sign},{long}}}{}", quoted(&spec)),
        };
        text.push_str(&format!("{:indent$}{spec} \\\n", ""));
    }
}

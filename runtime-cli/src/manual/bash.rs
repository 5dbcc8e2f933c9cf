//! The completion of bash.

use super::{
    Offer, commands, flags, global, names_a_container, offer, quoted, signals, takes_a_signal,
};
use crate::args::Flag;

/// The rules of the grammar; the tables are functions above them.
const RULES: &str = r#"
# The ids of the containers in the state root that the line names.
_teu_containers() {
    local root=${2/#\~\//$HOME/}
    # Nothing is made by asking, and a state root would be.
    [[ -z $root || -d $root ]] || return
    "${1/#\~\//$HOME/}" ${root:+--root "$root"} list --quiet 2>/dev/null
}

_teu() {
    local command='' root='' flag='' operands=0 word i current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # Readline splits --flag=VALUE at the sign.
        if [[ $word == = ]]; then
            flag=${flag:-=}
        elif [[ -n $flag ]]; then
            [[ $flag == --root && -z $command ]] && root=$word
            flag=
        elif [[ $word == -?* ]]; then
            # One dash is as good as two.
            [[ $word == -[!-]?* ]] && word=-$word
            [[ -n $(_teu_value "$command" "$word") ]] && flag=$word
        elif [[ -z $command ]]; then
            command=$word
        else
            operands=$((operands + 1))
        fi
    done
    if [[ $current == = ]]; then
        flag=${flag:-=}
        current=
    fi

    local words=''
    if [[ $flag == = ]]; then
        words='true false'
    elif [[ -n $flag ]]; then
        case $(_teu_value "$command" "$flag") in
            directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
            file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
            nothing) return ;;
            *) words=$(_teu_value "$command" "$flag") ;;
        esac
    elif [[ $command == exec && $operands -gt 0 ]]; then
        return
    elif [[ $current == -* ]]; then
        words=$(_teu_flags "$command")
    elif [[ -z $command ]]; then
        words=$_teu_commands
    else
        case $command:$operands in
            help:0) words=$_teu_commands ;;
            @SIGNALLED@:1) words=$_teu_signals ;;
            @NAMING@) words=$(_teu_containers "${COMP_WORDS[0]}" "$root") ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _teu teu
"#;

pub(super) fn script() -> String {
    let mut text = String::from(
        "# Completion of bash for teu. Made from the tables of the command line by scripts/manuals.\n\n",
    );
    let names: Vec<&str> = commands().map(|syntax| syntax.name).collect();
    text.push_str(&format!("_teu_commands={}\n", quoted(&names.join(" "))));
    text.push_str(&format!("_teu_signals={}\n", quoted(&signals())));
    text.push_str(
        "\n# The flags of a command, or of the program.\n_teu_flags() {\n    case $1 in\n",
    );
    let tables = || {
        let of_commands = commands().map(|syntax| (syntax.name, flags(syntax)));
        [("", global())].into_iter().chain(of_commands)
    };
    for (name, flags) in tables() {
        let words: Vec<String> = flags.iter().map(|flag| spellings(flag).join(" ")).collect();
        text.push_str(&format!("        {}) echo {} ;;\n", quoted(name), quoted(&words.join(" "))));
    }
    text.push_str("    esac\n}\n\n# What the value of a flag is; nothing when it has none.\n");
    text.push_str("_teu_value() {\n    case $1:$2 in\n");
    for (name, flags) in tables() {
        for flag in flags {
            let Some(offer) = offer(flag) else { continue };
            let patterns: Vec<String> =
                spellings(flag).iter().map(|flag| format!("{name}:{flag}")).collect();
            text.push_str(&format!("        {}) echo {} ;;\n", patterns.join(" | "), word(&offer)));
        }
    }
    text.push_str("    esac\n}\n");
    let naming: Vec<String> = commands()
        .filter(|syntax| names_a_container(syntax))
        .map(|syntax| format!("{}:0", syntax.name))
        .collect();
    let signalled: Vec<&str> =
        commands().filter(|syntax| takes_a_signal(syntax)).map(|syntax| syntax.name).collect();
    text + &RULES
        .replace("@NAMING@", &naming.join(" | "))
        .replace("@SIGNALLED@", &signalled.join(":1 | "))
}

fn spellings(flag: &Flag) -> Vec<String> {
    let letter = flag.short.map(|letter| format!("-{letter}"));
    letter.into_iter().chain([format!("--{}", flag.long)]).collect()
}

fn word(offer: &Offer) -> String {
    match offer {
        Offer::Words(words) => quoted(&words.join(" ")),
        Offer::Directory => "directory".to_owned(),
        Offer::File => "file".to_owned(),
        Offer::Nothing => "nothing".to_owned(),
    }
}

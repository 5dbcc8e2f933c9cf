//! The completion of fish.

use super::{Offer, commands, flags, global, names_a_container, offer, signals, takes_a_signal};
use crate::args::Flag;

/// Reading the line; which flags take a value stands above it.
const RULES: &str = r#"
# The command and its operands, as far as they are written, without flags and their values.
function __teu_operands
    set -l tokens (commandline -opc)
    set -l command
    set -l skip
    for token in $tokens[2..]
        if test -n "$skip"
            set skip
        else if string match -qr -- '^-.' $token
            # One dash is as good as two.
            set -l flag (string replace -r -- '^-([^-].)' '--$1' $token)
            __teu_takes_value "$command" $flag; and set skip 1
        else
            test -n "$command"; or set command $token
            echo $token
        end
    end
end

# Whether the next word is a flag or an operand of a command.
function __teu_at -a command
    set -l operands (__teu_operands)
    if test -z "$command"
        test (count $operands) = 0
    else
        # The command line of `exec` is not ours.
        test "$operands[1]" = $command; and not test $command = exec -a (count $operands) -gt 1
    end
end

# Whether the next word is an operand of a command, and which.
function __teu_at_operand -a command number
    set -l operands (__teu_operands)
    test "$operands[1]" = $command; and test (count $operands) = $number
end

# The ids of the containers in the state root that the line names.
function __teu_containers
    set -l tokens (commandline -opc | string replace -r '^~/' "$HOME/")
    set -l root
    for i in (seq 2 (count $tokens))
        if string match -qr -- '^--?root$' $tokens[$i]
            set root $tokens[(math $i + 1)]
        else if string match -qr -- '^--?root=' $tokens[$i]
            set root (string replace -r -- '^--?root=' '' $tokens[$i])
        end
    end
    if test -z "$root"
        $tokens[1] list --quiet 2>/dev/null
    else if test -d "$root" # nothing is made by asking, and a state root would be
        $tokens[1] --root $root list --quiet 2>/dev/null
    end
end

complete -c teu -f
"#;

pub(super) fn script() -> String {
    let mut text = String::from(
        "# Completion of fish for teu. Made from the tables of the command line by scripts/manuals.\n\n",
    );
    text.push_str("# Whether the word after a flag is its value.\n");
    text.push_str("function __teu_takes_value -a command flag\n    switch \"$command:$flag\"\n");
    let of_commands = commands().map(|syntax| (syntax.name, flags(syntax)));
    let tables: Vec<(&str, Vec<&Flag>)> = [("", global())].into_iter().chain(of_commands).collect();
    for (name, flags) in &tables {
        let valued = flags.iter().filter(|flag| flag.value.is_some());
        let spelled = valued.flat_map(|flag| {
            let letter = flag.short.map(|letter| format!("'{name}:-{letter}'"));
            letter.into_iter().chain([format!("'{name}:--{}'", flag.long)])
        });
        let spelled: Vec<String> = spelled.collect();
        if !spelled.is_empty() {
            text.push_str(&format!("        case {}\n            return 0\n", spelled.join(" ")));
        }
    }
    text.push_str("    end\n    return 1\nend\n");
    text.push_str(RULES);
    for (name, flags) in &tables {
        text.push('\n');
        for flag in flags {
            complete_flag(&mut text, name, flag);
        }
    }
    text.push('\n');
    for syntax in commands() {
        let (name, about) = (syntax.name, quoted(syntax.about));
        for place in ["__teu_at ''", "__teu_at_operand help 1"] {
            text.push_str(&format!("complete -c teu -n \"{place}\" -a {name} -d {about}\n"));
        }
    }
    text.push('\n');
    for syntax in commands() {
        let mut operand = |number, offered: &str| {
            let name = syntax.name;
            text.push_str(&format!(
                "complete -c teu -n '__teu_at_operand {name} {number}' -a {offered}\n"
            ));
        };
        if names_a_container(syntax) {
            operand(1, "'(__teu_containers)'");
        }
        if takes_a_signal(syntax) {
            operand(2, &quoted(&signals()));
        }
    }
    text
}

fn complete_flag(text: &mut String, command: &str, flag: &Flag) {
    let place = if command.is_empty() { "''" } else { command };
    text.push_str(&format!("complete -c teu -n \"__teu_at {place}\" -l {}", flag.long));
    if let Some(letter) = flag.short {
        text.push_str(&format!(" -s {letter}"));
    }
    text.push_str(&match offer(flag) {
        None => String::new(),
        Some(Offer::Words(words)) => format!(" -x -a {}", quoted(&words.join(" "))),
        Some(Offer::Directory) => " -x -a '(__fish_complete_directories (commandline -ct))'".into(),
        Some(Offer::File) => " -r -F".to_owned(),
        Some(Offer::Nothing) => " -x".to_owned(),
    });
    text.push_str(&format!(" -d {}\n", quoted(flag.help)));
}

/// Text between single quotes, as fish reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

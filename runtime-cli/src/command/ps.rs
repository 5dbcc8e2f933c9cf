//! `ps`: the processes of a container.

use std::process::Command as Program;

use super::{Call, Command, print};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "ps",
        operands: "<container-id> [ps options...]",
        count: 1..=usize::MAX,
        about: "list the processes of a container",
        description: "The table is what ps(1) of the host says of them, with -ef or the options given.",
        flags: &[Flag::with("format", "table|json", "form of the list (default: table)").short('f')],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let pids = call.runtime()?.processes(&call.id()?)?;
    match call.given.text("format")?.unwrap_or("table") {
        "json" => {
            let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
            print(&format!("[{}]\n", list.join(","))).map(|()| 0)
        }
        "table" => table(call, &pids),
        other => Err(Failure::usage(format!("--format: {other:?} is neither table nor json"))),
    }
}

fn table(call: &Call<'_>, pids: &[i32]) -> Result<u8, Failure> {
    // go-runc passes its options as one word, which may be empty.
    let options = call.given.operands.iter().skip(1);
    let mut words: Vec<String> = options
        .flat_map(|words| {
            words.to_string_lossy().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    if words.is_empty() {
        words.push("-ef".into());
    }
    let said = Program::new("ps")
        .args(&words)
        .output()
        .map_err(|error| Failure::os("starting the host's ps (package procps)", error))?;
    if !said.status.success() {
        let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        return Err(Failure::Other(format!("ps {}: {why}", words.join(" "))));
    }
    print(&filter(&String::from_utf8_lossy(&said.stdout), pids)?).map(|()| 0)
}

/// The head of the table and the lines of these processes.
fn filter(table: &str, pids: &[i32]) -> Result<String, Failure> {
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    let column = head.split_whitespace().position(|name| name == "PID").ok_or_else(|| {
        Failure::Other("the options of ps must leave a column PID, to tell processes apart".into())
    })?;
    let ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    Ok(std::iter::once(head).chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn lines_are_told_apart_by_their_pid() {
        let table =
            "UID   PID PPID CMD\nroot    1    0 init\nroot   12    1 sleep 13\nroot   13    1 sh\n";
        assert_eq!(
            filter(table, &[12]).ok().as_deref(),
            Some("UID   PID PPID CMD\nroot   12    1 sleep 13\n")
        );
        assert_eq!(filter(table, &[]).ok().as_deref(), Some("UID   PID PPID CMD\n"));
        assert!(filter("CMD\nsh\n", &[1]).is_err());
    }
}

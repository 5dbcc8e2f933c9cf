//! `list`.

use runtime_core::State;

use super::{Call, Command, print};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;
use crate::log;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "list",
        operands: "",
        count: 0..=0,
        about: "list the containers of the state root",
        description: "",
        flags: &[
            Flag::with("format", "table|json", "form of the list (default: table)").short('f'),
            Flag::switch("quiet", "print ids only").short('q'),
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let json = match call.given.text("format")? {
        None | Some("table") => false,
        Some("json") => true,
        Some(other) => {
            return Err(Failure::usage(format!(
                "invalid format option {other:?}: use table or json"
            )));
        }
    };
    let (states, warnings) = call.runtime()?.list()?;
    call.warn(&warnings);
    let text = if call.given.on("quiet") {
        states.iter().map(|state| format!("{}\n", state.id)).collect()
    } else if json {
        self::json(&states)?
    } else {
        table(&states)
    };
    print(&text)?;
    // A program that reads JSON may read both streams as one (go-runc does); a person sees the table.
    if !json {
        for warning in &warnings {
            log::to_stderr(&format!("{warning}\n"));
        }
    }
    Ok(0)
}

/// One line. No container is `null`, as runc has it.
fn json(states: &[State]) -> Result<String, Failure> {
    if states.is_empty() {
        return Ok("null\n".into());
    }
    serde_json::to_string(states)
        .map(|text| format!("{text}\n"))
        .map_err(|error| Failure::Other(format!("list: {error}")))
}

fn table(states: &[State]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = states.iter().map(|state| {
        [
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.display().to_string(),
            state.created.clone(),
            state.owner.clone(),
        ]
    });
    columns(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}

/// Columns at least 12 wide and 3 apart: runc's tabwriter.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count() + 3).max().unwrap_or(0).max(12)
    });
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < N {
                let fill = widths[column] - cell.chars().count();
                text.extend(std::iter::repeat_n(' ', fill));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty() {
        assert_eq!(
            table(&[]),
            "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
        );
        assert_eq!(json(&[]).unwrap(), "null\n");
    }

    #[test]
    fn wide_cells_move_the_next_column() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        assert_eq!(
            columns(&[row(["ID", "PID", "OWNER"]), row(["a-long-name-of-22-chars", "1", "root"])]),
            "ID                        PID         OWNER\n\
             a-long-name-of-22-chars   1           root\n"
        );
    }
}

//! `events`: what a container uses, once or as a stream, and notices of the OOM killer.

use std::io::Write as _;
use std::time::{Duration, Instant};

use runtime_core::cgroup::stats::Stats;
use runtime_core::{ContainerId, Notice};
use serde_json::json;

use super::{Call, Command};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "events",
        operands: "<container-id>",
        count: 1..=1,
        about: "print what a container uses, and notices of the OOM killer",
        description: "One JSON object a line: a sample at every interval, and a notice when the container was out\n\
                      of memory. Ends with the container.",
        flags: &[
            Flag::with(
                "interval",
                "DURATION",
                "time between two samples, as 500ms or 1m30s (default: 5s)",
            ),
            Flag::switch("stats", "print one sample and end"),
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let interval = interval(call.given.text("interval")?.unwrap_or("5s"))?;
    let runtime = call.runtime()?;
    if call.given.on("stats") {
        return say(&sample(&id, &runtime.stats(&id)?)).map(|_| 0);
    }
    let mut watch = runtime.watch(&id)?;
    let mut next = Instant::now() + interval;
    loop {
        let line = match watch.next(Some(next.saturating_duration_since(Instant::now())))? {
            Notice::Ended => return Ok(0),
            Notice::Oom => json!({ "type": "oom", "id": id.as_str() }).to_string(),
            Notice::Nothing => {
                next += interval;
                match runtime.stats(&id) {
                    Ok(stats) => sample(&id, &stats),
                    // It has ended a moment ago, which the next wait sees.
                    Err(_) => continue,
                }
            }
        };
        // Whoever has closed the pipe has read what they wanted.
        if !say(&line)? {
            return Ok(0);
        }
    }
}

fn sample(id: &ContainerId, stats: &Stats) -> String {
    json!({ "type": "stats", "id": id.as_str(), "data": stats }).to_string()
}

/// Writes a line; false when nobody reads any more.
fn say(line: &str) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::os("write(stdout)", error)),
    }
}

/// A duration as Go writes it: numbers with units.
fn interval(text: &str) -> Result<Duration, Failure> {
    let wrong = || {
        Failure::usage(format!("--interval: {text:?} is not a duration like 5s, 500ms or 1m30s"))
    };
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (digits, behind) = rest.split_at(number);
        let unit = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        total += digits.parse::<f64>().map_err(|_| wrong())? * seconds;
        rest = behind;
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, milliseconds) in
            [("5s", 5000), ("500ms", 500), ("1m30s", 90_000), ("1.5s", 1500)]
        {
            assert_eq!(interval(text).ok(), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "5", "s", "-5s", "0s", "5 s", "5x", "1..5s"] {
            assert!(interval(bad).is_err(), "{bad:?}");
        }
    }
}

//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::contestant::Contestant;

/// The machine and the runtimes, one fact a line.
pub(crate) fn describe(contestants: &[Contestant]) -> Vec<String> {
    let kernel = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut facts = vec![
        format!(
            "kernel: Linux {} {}",
            kernel.release().to_string_lossy(),
            kernel.machine().to_string_lossy()
        ),
        format!("processor: {cores} × {}", processor()),
    ];
    for contestant in contestants {
        let version = contestant
            .binary
            .as_deref()
            .map_or_else(|| "its own program, version of this tree".to_owned(), version);
        facts.push(format!("{}: {version}", contestant.name()));
    }
    facts
}

/// The load averages of the last 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name)
        .to_owned()
}

fn version(binary: &Path) -> String {
    let Ok(output) = Command::new(binary).arg("--version").output() else {
        return "does not tell".to_owned();
    };
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("does not tell").to_owned()
}

//! The rounds: who runs when, and what each sample cost.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::contestant::{Contestant, Kind, Step};
use crate::error::{Context, Error, Result};
use crate::stage::{Stage, View};
use crate::sys;

/// Rounds at the beginning whose samples are dropped: caches fill, the processor wakes up.
const WARM_UP: u32 = 2;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// `run`, some time after anything else.
    Run,
    /// `run` right after another one.
    Hot,
    Create,
    Start,
    Delete,
    /// The container's first process from `create` to its end, which is no child of the commands.
    Init,
}

impl Scenario {
    pub(crate) const ALL: [Self; 6] =
        [Self::Run, Self::Hot, Self::Create, Self::Start, Self::Delete, Self::Init];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Hot => "run, hot",
            Self::Create => "create",
            Self::Start => "start",
            Self::Delete => "delete",
            Self::Init => "init",
        }
    }

    /// Whether it has a duration: the first process mostly waits to be started.
    pub(crate) fn is_timed(self) -> bool {
        self != Self::Init
    }
}

/// What one command cost, with the children that it waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall_us: f64,
    pub(crate) user_us: i64,
    pub(crate) system_us: i64,
    pub(crate) peak_kib: i64,
    pub(crate) minor_faults: i64,
}

/// A cost, and of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    pub(crate) scenario: Scenario,
    pub(crate) kind: Kind,
    pub(crate) cost: Cost,
}

/// Everything that is needed to take samples.
#[derive(Debug)]
pub(crate) struct Measurement<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) contestants: &'a [Contestant],
    pub(crate) gap: Duration,
    pub(crate) scenarios: &'a [Scenario],
    next_id: u32,
    random: u64,
}

impl<'a> Measurement<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        contestants: &'a [Contestant],
        gap: Duration,
        scenarios: &'a [Scenario],
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Odd, since the generator below must not start at zero.
        let random = (now.as_nanos() as u64) | 1;
        Self { stage, contestants, gap, scenarios, next_id: 0, random }
    }

    /// All samples of all rounds.
    pub(crate) fn rounds(&mut self, rounds: u32) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for round in 0..rounds + WARM_UP {
            let taken = self.round()?;
            if let Some(round) = round.checked_sub(WARM_UP) {
                let wanted =
                    taken.into_iter().filter(|(scenario, ..)| self.scenarios.contains(scenario));
                samples.extend(wanted.map(|(scenario, kind, cost)| Sample {
                    round,
                    scenario,
                    kind,
                    cost,
                }));
                eprint!("\rround {} of {rounds}", round + 1);
            }
        }
        eprintln!();
        Ok(samples)
    }

    fn round(&mut self) -> Result<Vec<(Scenario, Kind, Cost)>> {
        let mut taken = Vec::new();
        for contestant in self.contestants {
            contestant.warm()?;
        }
        if self.scenarios.contains(&Scenario::Run) {
            for contestant in self.shuffled() {
                std::thread::sleep(self.gap);
                taken.push((Scenario::Run, contestant.kind, self.run(contestant)?));
                taken.push((Scenario::Hot, contestant.kind, self.run(contestant)?));
            }
        }
        if self.scenarios.iter().any(|scenario| !matches!(scenario, Scenario::Run | Scenario::Hot))
        {
            for contestant in self.shuffled() {
                std::thread::sleep(self.gap);
                let costs = self.cycle(contestant)?;
                taken.extend(costs.map(|(scenario, cost)| (scenario, contestant.kind, cost)));
            }
        }
        Ok(taken)
    }

    fn run(&mut self, contestant: &Contestant) -> Result<Cost> {
        let id = self.id();
        self.stage.configure(contestant.kind, &id)?;
        self.step(contestant, Step::Run, &id)
    }

    /// `create`, `start`, the end of the container, `delete`.
    fn cycle(&mut self, contestant: &Contestant) -> Result<[(Scenario, Cost); 4]> {
        let id = self.id();
        self.stage.configure(contestant.kind, &id)?;
        let create = self.step(contestant, Step::Create, &id)?;
        let path = self.stage.pid_file();
        let text = fs::read_to_string(&path).context(|| format!("reading {}", path.display()))?;
        let pid = text.trim().parse().context(|| format!("{} holds {text:?}", path.display()))?;
        fs::remove_file(&path).context(|| format!("removing {}", path.display()))?;
        let start = self.step(contestant, Step::Start, &id)?;
        // The command that made the process is gone, so it is ours to reap, as it is a manager's.
        let init = sys::wait4(pid)
            .context(|| format!("waiting for the container of {}", contestant.name()))?;
        if init.status != 0 {
            return Err(Error(format!(
                "the container of {} ended with status {}",
                contestant.name(),
                init.status
            )));
        }
        let delete = self.step(contestant, Step::Delete, &id)?;
        let init = Cost {
            wall_us: 0.0,
            user_us: init.user_us,
            system_us: init.system_us,
            peak_kib: init.peak_kib,
            minor_faults: init.minor_faults,
        };
        Ok([
            (Scenario::Create, create),
            (Scenario::Start, start),
            (Scenario::Delete, delete),
            (Scenario::Init, init),
        ])
    }

    /// One command, launched by the floor program: small, so that the peak memory is the command's.
    fn step(&self, contestant: &Contestant, step: Step, id: &str) -> Result<Cost> {
        let line = contestant.command(step, self.stage, id);
        let complaints = self.stage.complaints();
        let failed = |why: String| {
            let said = fs::read_to_string(&complaints).unwrap_or_default();
            Error(format!("{line:?} {why}: {}", said.trim()))
        };
        let stderr =
            File::create(&complaints).context(|| format!("creating {}", complaints.display()))?;
        let null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .context(|| "opening /dev/null".to_owned())?;
        let output = Command::new(self.stage.floor())
            .arg("launch")
            .args(&line)
            .stdin(null)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .context(|| format!("launching {line:?}"))?;
        let report: Vec<i64> = output
            .stdout
            .chunks_exact(8)
            .filter_map(|bytes| Some(i64::from_le_bytes(bytes.try_into().ok()?)))
            .collect();
        let [status, wall_ns, user_us, system_us, peak_kib, minor_faults, ..] = report[..] else {
            return Err(failed("was not launched".to_owned()));
        };
        if status != 0 {
            return Err(failed(format!("failed ({})", ExitStatus::from_raw(status as i32))));
        }
        Ok(Cost { wall_us: wall_ns as f64 / 1e3, user_us, system_us, peak_kib, minor_faults })
    }

    /// The number of system calls of one `run`, counted by strace; `None` where strace is missing.
    pub(crate) fn system_calls(&mut self, contestant: &Contestant) -> Result<Option<u64>> {
        let id = self.id();
        self.stage.configure(contestant.kind, &id)?;
        let counts = self.stage.scratch("strace");
        let status = Command::new("strace")
            .args(["-f", "-qq", "-c", "-o"])
            .arg(&counts)
            .args(contestant.command(Step::Run, self.stage, &id))
            .stdin(Stdio::null())
            .status();
        match status {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error(format!("starting strace: {error}"))),
            Ok(status) if !status.success() => Err(Error(format!(
                "`run` of {} under strace ended with {status}",
                contestant.name()
            ))),
            Ok(_) => {
                let text = fs::read_to_string(&counts)
                    .context(|| "reading what strace counted".to_owned())?;
                Ok(total(&text))
            }
        }
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("c{}", self.next_id)
    }

    fn shuffled(&mut self) -> Vec<&'a Contestant> {
        let mut order: Vec<_> = self.contestants.iter().collect();
        for last in (1..order.len()).rev() {
            // xorshift64: no secrets depend on it.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            order.swap(last, (self.random % (last as u64 + 1)) as usize);
        }
        order
    }
}

/// The calls in the last line of `strace -c`: share, seconds, microseconds a call, calls, errors.
fn total(counts: &str) -> Option<u64> {
    counts
        .lines()
        .rev()
        .find(|line| line.ends_with(" total"))?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()
}

/// The floor knows version 1 only.
pub(crate) fn can_take_part(contestant: &Contestant, view: &View) -> bool {
    contestant.kind != Kind::Floor || matches!(view, View::V1(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_total_is_found() {
        let counts = "100.00    0.012000           3         9           mount\n\
                      ------ ----------- ----------- --------- --------- ----------------\n\
                      100.00    0.012000           3      1001        61 total\n";
        assert_eq!(total(counts), Some(1001));
        assert_eq!(total("nothing"), None);
    }
}

//! New limits for a container that runs: all of them, or none.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::prepared::Rights;
use super::systemd::{self, Property, UnitPlan};
use super::{CgroupPlan, OnMissing, OnRefused, Setting, file, prepare, v2};
use crate::error::{Error, OsResult, Result};
use crate::host::Host;

/// A file that was written, and what makes it say what it said before.
struct Written {
    dir: OwnedFd,
    name: String,
    before: Vec<String>,
}

/// Writes those settings of `plan` that `wanted` picks, and tells systemd the properties that `told` picks. When
/// one is refused, those already written are put back, the last one first.
///
/// # Errors
/// The kernel refused a limit; the error names its field. Or systemd did, or does not answer.
pub fn update(
    plan: &CgroupPlan,
    host: &Host,
    wanted: impl Fn(&Setting) -> bool,
    told: impl Fn(&Property) -> bool,
) -> Result<()> {
    let root = file::open_root(&host.cgroup_root)?;
    let mut written = Vec::new();
    let result = write(plan, &root, &wanted, &mut written).and_then(|()| {
        let Some(unit) = &plan.unit else { return Ok(()) };
        let properties: Vec<Property> =
            unit.properties.iter().filter(|property| told(property)).cloned().collect();
        if properties.is_empty() {
            return Ok(());
        }
        // Last, since it cannot be taken back with certainty.
        held(plan, host, unit, || systemd::manager::set(&unit.record(), &properties))?;
        // systemd has written the files again, the quota of CPU time rounded.
        write(plan, &root, &|setting| wanted(setting) && is_quota(setting), &mut written)
    });
    result.map_err(|mut error| {
        for file in written.into_iter().rev() {
            if let Err(failure) = file.put_back() {
                error.attach(failure);
            }
        }
        error
    })
}

/// Does `work` while the container cannot notice that systemd writes its list of devices again: on v1 it denies all
/// of them first, and an open(2) in between would fail.
fn held<T>(
    plan: &CgroupPlan,
    host: &Host,
    unit: &UnitPlan,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let record = plan.record(host);
    let listed = unit.properties.iter().any(|property| property.name == "DeviceAllow");
    if !listed || record.frozen()? {
        return work();
    }
    record.freeze()?;
    let done = work();
    match (done, record.thaw()) {
        (Err(mut error), Err(failure)) => {
            error.attach(failure);
            Err(error)
        }
        (Ok(_), Err(failure)) => Err(failure),
        (done, Ok(())) => done,
    }
}

fn is_quota(setting: &Setting) -> bool {
    matches!(setting.file.as_str(), "cpu.max" | "cpu.cfs_quota_us" | "cpu.cfs_period_us")
}

fn write(
    plan: &CgroupPlan,
    root: &OwnedFd,
    wanted: &impl Fn(&Setting) -> bool,
    written: &mut Vec<Written>,
) -> Result<()> {
    for hierarchy in &plan.hierarchies {
        let settings: Vec<&Setting> =
            hierarchy.settings.iter().chain(&hierarchy.late).filter(|s| wanted(s)).collect();
        if settings.is_empty() {
            continue;
        }
        if hierarchy.version == super::Version::V2 {
            // A file that is missing all the same is an error of its own.
            let mut rights = Rights::new(plan.optional);
            v2::enable(root, hierarchy, &plan.path, |passed| rights.tolerate(passed))?;
        }
        let base = file::base(&hierarchy.directory, &plan.path);
        let dir = file::open_dir(root, &base).call(|| format!("open({base})"))?;
        let mut again = Vec::new();
        for setting in settings {
            match write_one(&dir, setting, written)? {
                Outcome::Done => {}
                // Of two values that the kernel checks against each other the other one has to go first.
                Outcome::Later => again.push(setting),
            }
        }
        for setting in again {
            let last = Setting { on_refused: OnRefused::Fail, ..setting.clone() };
            write_one(&dir, &last, written)?;
        }
    }
    Ok(())
}

enum Outcome {
    Done,
    Later,
}

fn write_one(dir: &OwnedFd, setting: &Setting, written: &mut Vec<Written>) -> Result<Outcome> {
    if let Some(usage) = &setting.above {
        prepare::check_above(dir, setting, usage)?;
    }
    let (name, value) = match (&setting.on_missing, file::read(dir, &setting.file)) {
        (OnMissing::Skip, Err(Errno::NOENT)) => return Ok(Outcome::Done),
        (OnMissing::Write { file, value }, Err(Errno::NOENT)) => (file, value),
        _ => (&setting.file, &setting.value),
    };
    let text = match file::read(dir, name) {
        Ok(text) => text,
        Err(Errno::NOENT) => {
            let message = format!("this host's kernel has no {name}");
            return Err(Error::unsupported(&setting.field, message));
        }
        Err(errno) => return Err(Error::os(format!("read({name})"), errno).at(&setting.field)),
    };
    match file::write(dir, name, value) {
        Ok(()) => {
            let dir = dir.try_clone().call(|| "dup(cgroup)")?;
            let before = before(name, value, &text);
            written.push(Written { dir, name: name.clone(), before });
            Ok(Outcome::Done)
        }
        Err(Errno::INVAL) if setting.on_refused == OnRefused::RetryLast => Ok(Outcome::Later),
        Err(errno) => Err(prepare::refused_value(value, name, errno).at(&setting.field)),
    }
}

/// What to write to `name` so that it says `text` again, after `value` was written.
fn before(name: &str, value: &str, text: &str) -> Vec<String> {
    let device = value.split_whitespace().next().filter(|word| word.contains(':'));
    match device {
        // A line for each device; one that had none gets the value that means none.
        Some(device) => {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(device));
            let none = match name {
                "io.max" => "rbps=max wbps=max riops=max wiops=max",
                "io.latency" => "target=0",
                _ => "0",
            };
            vec![line.map_or_else(|| format!("{device} {none}"), str::to_owned)]
        }
        None if name == "memory.oom_control" => {
            let disabled = file::keyed(text, "oom_kill_disable").unwrap_or(0);
            vec![disabled.to_string()]
        }
        // An empty list takes a line feed (cgroup-v2, cpuset.cpus).
        None if text.trim().is_empty() => vec!["\n".into()],
        None => {
            // Of a file of several lines, `rdma.max`, the one with the same key.
            let key = |line: &str| line.split_whitespace().next().map(str::to_owned);
            let same = text.lines().find(|line| key(line) == key(value));
            let line = same.or_else(|| text.lines().next());
            // Of the weights without a device only BFQ's older form takes the number alone, and all others too.
            line.map(|line| line.strip_prefix("default ").unwrap_or(line).to_owned())
                .into_iter()
                .collect()
        }
    }
}

impl Written {
    fn put_back(self) -> Result<()> {
        for value in &self.before {
            file::write(&self.dir, &self.name, value)
                .call(|| format!("putting {value:?} back into {}", self.name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn every_kind_of_file_can_be_put_back() {
        assert_eq!(before("memory.limit_in_bytes", "1", "4096\n"), ["4096"]);
        assert_eq!(before("cpu.max", "1 2", "max 100000\n"), ["max 100000"]);
        let oom = "oom_kill_disable 1\nunder_oom 0\noom_kill 3\n";
        assert_eq!(before("memory.oom_control", "0", oom), ["1"]);
        assert_eq!(before("cpuset.cpus", "0", "\n"), ["\n"]);
        assert_eq!(
            before("io.max", "8:0 rbps=1", ""),
            ["8:0 rbps=max wbps=max riops=max wiops=max"]
        );
        let rdma = "mlx4_0 hca_handle=2\nmlx4_1 hca_handle=max\n";
        assert_eq!(before("rdma.max", "mlx4_1 hca_handle=9", rdma), ["mlx4_1 hca_handle=max"]);
        assert_eq!(before("io.latency", "8:0 target=5", ""), ["8:0 target=0"]);
        let weights = "default 100\n8:0 50\n";
        assert_eq!(before("io.weight", "200", weights), ["100"]);
        let throttle = "8:0 7\n8:16 9\n";
        assert_eq!(before("blkio.throttle.read_bps_device", "8:16 1", throttle), ["8:16 9"]);
        assert_eq!(before("blkio.throttle.read_bps_device", "9:1 1", throttle), ["9:1 0"]);
    }
}

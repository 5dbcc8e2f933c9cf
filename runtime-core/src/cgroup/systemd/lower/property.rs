//! What a setting of a cgroup is called by systemd (systemd.resource-control(5), org.freedesktop.systemd1(5)). Pure.
//!
//! systemd writes the files of a unit again whenever it has a reason, with what it knows and with its defaults
//! for the rest: so every file that it writes has to be told to it. Of a file that it leaves alone (`io.max` of a
//! device, `hugetlb`, `cpu.max.burst`) it need not know.

use crate::cgroup::systemd::{Property, Value};
use crate::cgroup::{Access, DeviceKind, DeviceRule, Setting};

/// systemd's word for "no limit".
const INFINITY: u64 = u64::MAX;

/// The kernel's period where none was set.
const DEFAULT_PERIOD: u64 = 100_000;

/// The properties of these settings; of two settings of one file the later one counts.
pub(in crate::cgroup) fn resources<'a>(
    settings: impl Iterator<Item = &'a Setting>,
) -> Vec<Property> {
    let mut found: Vec<Property> = Vec::new();
    let mut quota = Quota::default();
    for setting in settings {
        for (name, value) in one(setting, &mut quota) {
            // Not idle is the default: it takes no weight back that is given.
            let reset = setting.file == "cpu.idle" && value == Value::Number(INFINITY);
            if reset && found.iter().any(|property| property.name == name) {
                continue;
            }
            found.retain(|property| property.name != name);
            let field = Some(setting.field.clone());
            found.push(Property { name: name.into(), value, field });
        }
    }
    found
}

/// v1 has two files for what is one limit.
#[derive(Default)]
struct Quota {
    quota: Option<u64>,
    period: Option<u64>,
}

fn one(setting: &Setting, quota: &mut Quota) -> Vec<(&'static str, Value)> {
    let value = setting.value.trim();
    let number = |name| number(value).map(|number| (name, Value::Number(number)));
    let single = match setting.file.as_str() {
        "memory.max" => number("MemoryMax"),
        "memory.high" => number("MemoryHigh"),
        "memory.low" => number("MemoryLow"),
        "memory.min" => number("MemoryMin"),
        "memory.swap.max" => number("MemorySwapMax"),
        "memory.zswap.max" => number("MemoryZSwapMax"),
        "memory.limit_in_bytes" => number("MemoryLimit"),
        "memory.oom.group" if value == "1" => Some(("OOMPolicy", Value::Text("kill".into()))),
        "cpu.weight" => number("CPUWeight"),
        // systemd's word for it is a weight of 0.
        "cpu.idle" => Some(("CPUWeight", Value::Number(if value == "1" { 0 } else { INFINITY }))),
        "cpu.shares" => number("CPUShares"),
        "cpuset.cpus" => bits(value).map(|bytes| ("AllowedCPUs", Value::Bytes(bytes))),
        "cpuset.mems" => bits(value).map(|bytes| ("AllowedMemoryNodes", Value::Bytes(bytes))),
        "io.bfq.weight" | "io.weight" => io_weight(setting),
        "blkio.weight" => number("BlockIOWeight"),
        // systemd takes no limit of nothing; the file has it all the same.
        "pids.max" if value == "0" => Some(("TasksMax", Value::Number(1))),
        "pids.max" => number("TasksMax"),
        "cpu.max" => {
            let mut words = value.split_whitespace();
            quota.quota = words.next().and_then(self::number);
            quota.period = words.next().and_then(|word| word.parse().ok());
            return quota.properties();
        }
        "cpu.cfs_quota_us" => {
            quota.quota = self::number(value);
            return quota.properties();
        }
        "cpu.cfs_period_us" => {
            quota.period = value.parse().ok();
            return quota.properties();
        }
        _ => None,
    };
    single.into_iter().collect()
}

impl Quota {
    fn properties(&self) -> Vec<(&'static str, Value)> {
        let period = self.period.unwrap_or(DEFAULT_PERIOD);
        let mut found = vec![("CPUQuotaPeriodUSec", Value::Number(period))];
        let per_second = match self.quota {
            None => return found,
            Some(INFINITY) => INFINITY,
            // Unit files have it in per cent: 10 ms of each second. Rounded up, as in runc; the file of the cgroup
            // gets the number itself.
            Some(quota) => {
                match u64::try_from(u128::from(quota) * 1_000_000 / u128::from(period.max(1))) {
                    Ok(exact) if exact < INFINITY / 2 => exact.div_ceil(10_000) * 10_000,
                    _ => INFINITY,
                }
            }
        };
        found.insert(0, ("CPUQuotaPerSecUSec", Value::Number(per_second)));
        found
    }
}

/// A number of a cgroup file: `max` and v1's `-1` are no limit, and the kernel knows suffixes (memparse).
fn number(text: &str) -> Option<u64> {
    if text == "max" || text == "-1" {
        return Some(INFINITY);
    }
    let digits = text.trim_end_matches(|c: char| "kKmMgGtT".contains(c));
    let power = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << power)
}

/// The weight of all devices; systemd has it on the scale of `io.weight`.
fn io_weight(setting: &Setting) -> Option<(&'static str, Value)> {
    use crate::cgroup::OnMissing;
    let text = match (&setting.on_missing, setting.file.as_str()) {
        (OnMissing::Write { value, .. }, _) => value,
        (_, "io.weight") => &setting.value,
        _ => return None,
    };
    let text = text.strip_prefix("default ").unwrap_or(text);
    number(text).map(|weight| ("IOWeight", Value::Number(weight)))
}

/// A list like `0-3,7` as systemd takes it: a bit for each, the first byte has the lowest.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        // More than any kernel has; a list that is wrong is for the kernel to refuse.
        if last > 65_535 || first > last {
            return None;
        }
        for bit in first..=last {
            if bytes.len() <= bit / 8 {
                bytes.resize(bit / 8 + 1, 0_u8);
            }
            bytes[bit / 8] |= 1 << (bit % 8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// v1 has one list of devices for each cgroup, and systemd writes it again from what it was told; untold, it
/// allows everything. Its rules only allow, so a list that also denies is ours alone.
///
/// On cgroup2 every attached program has a say. systemd attaches none to a unit without rules and never touches
/// ours, so there it is told nothing.
pub(in crate::cgroup) fn devices(rules: &[DeviceRule]) -> Vec<Property> {
    let allowed = rules.iter().filter(|rule| rule.allow);
    let denied = rules.iter().filter(|rule| !rule.allow).count();
    if rules.is_empty() || denied > usize::from(rules.first().is_some_and(|rule| !rule.allow)) {
        return Vec::new();
    }
    let pairs = allowed.flat_map(|rule| {
        let kinds: &[&str] = match rule.kind {
            DeviceKind::All => &["char", "block"],
            DeviceKind::Char => &["char"],
            DeviceKind::Block => &["block"],
        };
        kinds.iter().map(|kind| (node(kind, rule.major, rule.minor), letters(rule.access)))
    });
    let pairs = pairs.collect();
    let property = |name: &str, value| Property {
        name: name.into(),
        value,
        field: Some("linux.resources.devices".into()),
    };
    vec![
        property("DevicePolicy", Value::Text("strict".into())),
        property("DeviceAllow", Value::Pairs(pairs)),
    ]
}

/// The nodes of a rule in systemd's words; all of a kind where it cannot say it more closely.
fn node(kind: &str, major: Option<u32>, minor: Option<u32>) -> String {
    match (major, minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{major}"),
        (None, _) => format!("{kind}-*"),
    }
}

fn letters(access: Access) -> String {
    let bits = [(Access::READ, 'r'), (Access::WRITE, 'w'), (Access::MKNOD, 'm')];
    bits.iter().filter(|(bit, _)| access.0 & bit != 0).map(|(_, letter)| letter).collect()
}

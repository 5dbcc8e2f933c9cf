//! Device rules for the v1 controller: a default and a set of exceptions from it. Pure.
//!
//! The kernel's deny and allow files do not mean "last match wins": under the default "deny" a deny only
//! removes an exception that is written exactly alike. So the final set of exceptions is computed here
//! and written once. A part of a wildcard cannot be taken out again; that is an error, as in runc.

use super::{Access, DeviceKind, DeviceRule, FIELD};
use crate::cgroup::Setting;
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
struct Exception {
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
    access: u8,
    field: String,
}

impl Exception {
    /// Everything that `other` speaks about is in this one too.
    fn contains(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.major.is_none_or(|m| other.major == Some(m))
            && self.minor.is_none_or(|m| other.minor == Some(m))
    }

    /// Some device is in both.
    fn meets(&self, other: &Self) -> bool {
        let both = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind && both(self.major, other.major) && both(self.minor, other.minor)
    }
}

/// The controller's state.
#[derive(Clone, Debug, PartialEq)]
struct State {
    allow: bool,
    exceptions: Vec<Exception>,
}

/// The writes that bring a new v1 devices cgroup to the meaning of `rules`.
pub(in super::super) fn legacy(rules: &[DeviceRule]) -> Result<Vec<Setting>> {
    let state = fold(rules)?;
    let (reset, file) = if state.allow {
        ("devices.allow", "devices.deny")
    } else {
        ("devices.deny", "devices.allow")
    };
    let mut settings = vec![Setting::new(reset, "a", FIELD)];
    for exception in state.exceptions {
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let value = format!(
            "{} {}:{} {}",
            if exception.kind == DeviceKind::Block { 'b' } else { 'c' },
            number(exception.major),
            number(exception.minor),
            Access(exception.access).letters(),
        );
        settings.push(Setting::new(file, value, exception.field));
    }
    Ok(settings)
}

fn fold(rules: &[DeviceRule]) -> Result<State> {
    let mut state = State { allow: false, exceptions: Vec::new() };
    for rule in rules {
        if rule.covers_everything() {
            state = State { allow: rule.allow, exceptions: Vec::new() };
            continue;
        }
        let kinds: &[DeviceKind] = match rule.kind {
            DeviceKind::All => &[DeviceKind::Block, DeviceKind::Char],
            DeviceKind::Block => &[DeviceKind::Block],
            DeviceKind::Char => &[DeviceKind::Char],
        };
        for &kind in kinds {
            let one = Exception {
                kind,
                major: rule.major,
                minor: rule.minor,
                access: rule.access.0,
                field: rule.field.clone(),
            };
            if rule.allow == state.allow {
                remove(&mut state, &one)?;
            } else {
                add(&mut state.exceptions, one);
            }
        }
    }
    if !state.allow {
        widen(&mut state.exceptions);
    }
    Ok(state)
}

fn add(exceptions: &mut Vec<Exception>, new: Exception) {
    let same = |e: &&mut Exception| (e.kind, e.major, e.minor) == (new.kind, new.major, new.minor);
    match exceptions.iter_mut().find(same) {
        Some(existing) => existing.access |= new.access,
        None => exceptions.push(new),
    }
}

fn remove(state: &mut State, rule: &Exception) -> Result<()> {
    for exception in &mut state.exceptions {
        if exception.access & rule.access == 0 || !exception.meets(rule) {
            continue;
        }
        if !rule.contains(exception) {
            let (now, then) = if state.allow { ("allow", "denies") } else { ("deny", "allows") };
            return Err(Error::unsupported(
                &rule.field,
                format!("cgroup v1 cannot {now} a part of what {} {then}", exception.field),
            ));
        }
        exception.access &= !rule.access;
    }
    state.exceptions.retain(|exception| exception.access != 0);
    Ok(())
}

/// Under the default "deny" one exception has to grant all accesses of a request together, so the
/// narrower one also gets what a wider one grants to the same device.
fn widen(exceptions: &mut [Exception]) {
    for index in 0..exceptions.len() {
        let extra = exceptions
            .iter()
            .filter(|wide| wide.contains(&exceptions[index]))
            .fold(0, |bits, wide| bits | wide.access);
        exceptions[index].access |= extra;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random_rules, universe, verdict};
    use super::*;

    /// The kernel's check (security/device_cgroup.c): under "allow" any overlap with an exception
    /// denies, under "deny" one exception must cover the whole request.
    fn kernel(state: &State, (kind, major, minor): (DeviceKind, u32, u32), asked: u8) -> bool {
        let device = Exception {
            kind,
            major: Some(major),
            minor: Some(minor),
            access: asked,
            field: String::new(),
        };
        let mut matching = state.exceptions.iter().filter(|e| e.contains(&device));
        if state.allow {
            !matching.any(|e| e.access & asked != 0)
        } else {
            matching.any(|e| asked & !e.access == 0)
        }
    }

    #[test]
    fn never_more_than_the_rules_allow_and_single_accesses_exactly() {
        let (mut expressible, mut allowed) = (0, 0);
        for rules in random_rules(4000) {
            let Ok(state) = fold(&rules) else { continue };
            expressible += 1;
            for device in universe() {
                for asked in 1..8_u8 {
                    let (want, got) =
                        (verdict(&rules, device, asked), kernel(&state, device, asked));
                    allowed += usize::from(got);
                    assert!(want || !got, "{rules:?} {device:?} {asked}");
                    if asked.is_power_of_two() {
                        assert_eq!(got, want, "{rules:?} {device:?} {asked}");
                    }
                }
            }
        }
        assert!(expressible > 1000 && allowed > 10_000);
    }

    #[test]
    fn the_usual_set_is_one_deny_and_the_allowed_ones() {
        let settings = legacy(&super::super::rules(&[]).unwrap()).unwrap();
        let lines: Vec<_> = settings.iter().map(|s| format!("{} {}", s.file, s.value)).collect();
        assert_eq!(lines[0], "devices.deny a");
        assert_eq!(lines[1], "devices.allow c *:* m");
        assert!(lines.contains(&"devices.allow c 136:* rwm".to_owned()));
        assert!(lines.contains(&"devices.allow c 1:3 rwm".to_owned()));
        assert!(!lines.iter().any(|line| line.contains(" 5:1 ")));
    }

    #[test]
    fn a_hole_in_a_wildcard_is_refused() {
        let config = r#"[{"allow":true,"type":"b","access":"rw"},
                         {"allow":false,"type":"b","major":8,"minor":0,"access":"w"}]"#;
        let rules = super::super::rules(&serde_json::from_str::<Vec<_>>(config).unwrap()).unwrap();
        let error = legacy(&rules).unwrap_err();
        assert_eq!(error.path(), Some("linux.resources.devices[1]"));
    }
}

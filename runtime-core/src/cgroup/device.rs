//! Device rules: what they mean, and their two kernel forms. Pure.
//!
//! Everything is denied, then the rules of config.json apply in order, then the devices that every
//! container may use; for each kind of access the last rule that matches decides.

mod legacy;
mod program;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::error::{Error, Result};

pub(super) use legacy::legacy;
pub(super) use program::{Insn, assemble};

pub(super) const FIELD: &str = "linux.resources.devices";

/// What kind of device node a rule speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// A set of accesses: mknod, read, write; the bits are those of `BPF_DEVCG_ACC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Access(pub u8);

impl Access {
    pub(super) const MKNOD: u8 = 1;
    pub(super) const READ: u8 = 2;
    pub(super) const WRITE: u8 = 4;
    /// All three.
    pub const ALL: Self = Self(7);

    fn letters(self) -> String {
        let bits = [(Self::READ, 'r'), (Self::WRITE, 'w'), (Self::MKNOD, 'm')];
        bits.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, letter)| letter).collect()
    }
}

/// One rule; an absent number matches every number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// Which nodes.
    pub kind: DeviceKind,
    /// Their major number.
    pub major: Option<u32>,
    /// Their minor number.
    pub minor: Option<u32>,
    /// Which accesses.
    pub access: Access,
    /// Where config.json says so.
    pub field: String,
}

impl DeviceRule {
    fn covers_everything(&self) -> bool {
        self.kind == DeviceKind::All
            && self.major.is_none()
            && self.minor.is_none()
            && self.access == Access::ALL
    }
}

/// Device rules for cgroup2; the program is assembled from them when the cgroup is prepared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeviceProgram {
    /// In order; the last match decides, and without one the access is denied.
    pub rules: Vec<DeviceRule>,
}

/// The rules of config.json followed by the defaults.
pub(super) fn rules(devices: &[LinuxDeviceCgroup]) -> Result<Vec<DeviceRule>> {
    let mut rules = Vec::with_capacity(devices.len() + DEFAULTS.len());
    for (index, device) in devices.iter().enumerate() {
        rules.push(rule(device, format!("{FIELD}[{index}]"))?);
    }
    rules.extend(DEFAULTS.iter().map(|&(kind, major, minor, access)| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access: Access(access),
        field: FIELD.into(),
    }));
    // What comes before a rule about everything can never decide.
    if let Some(last) = rules.iter().rposition(DeviceRule::covers_everything) {
        rules.drain(..last);
    }
    Ok(rules)
}

/// True where nothing is denied to anybody, so that there is nothing to enforce.
pub(super) fn allow_everything(rules: &[DeviceRule]) -> bool {
    rules.first().is_some_and(DeviceRule::covers_everything) && rules.iter().all(|rule| rule.allow)
}

/// runc's list, because images and managers rely on it: mknod of anything (the node is still useless
/// without read and write), the harmless memory devices, terminals, and tun for VPNs, whose removal broke
/// users of runc 1.2. The host's console (5:1) is not in it: a container's /dev/console is a pty.
const DEFAULTS: &[(DeviceKind, Option<u32>, Option<u32>, u8)] = &[
    (DeviceKind::Char, None, None, Access::MKNOD),
    (DeviceKind::Block, None, None, Access::MKNOD),
    (DeviceKind::Char, Some(1), Some(3), 7),    // null
    (DeviceKind::Char, Some(1), Some(8), 7),    // random
    (DeviceKind::Char, Some(1), Some(7), 7),    // full
    (DeviceKind::Char, Some(5), Some(0), 7),    // tty
    (DeviceKind::Char, Some(1), Some(5), 7),    // zero
    (DeviceKind::Char, Some(1), Some(9), 7),    // urandom
    (DeviceKind::Char, Some(136), None, 7),     // pts
    (DeviceKind::Char, Some(5), Some(2), 7),    // ptmx
    (DeviceKind::Char, Some(10), Some(200), 7), // tun
];

fn rule(device: &LinuxDeviceCgroup, field: String) -> Result<DeviceRule> {
    let kind = match device.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::A => DeviceKind::All,
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
        LinuxDeviceType::P => {
            return Err(Error::spec(
                format!("{field}.type"),
                "\"p\" (a fifo) is no device; use a, b or c",
            ));
        }
    };
    let major = number(device.major(), || format!("{field}.major"))?;
    let minor = number(device.minor(), || format!("{field}.minor"))?;
    let access = match device.access().as_deref() {
        None | Some("") => Access::ALL,
        Some(letters) => access(letters, || format!("{field}.access"))?,
    };
    Ok(DeviceRule { allow: device.allow(), kind, major, minor, access, field })
}

fn number(given: Option<i64>, field: impl FnOnce() -> String) -> Result<Option<u32>> {
    match given {
        None | Some(-1) => Ok(None),
        // The kernel's dev_t has 12 bits of major and 20 of minor number; 31 fit both kernel interfaces.
        Some(number) => match i32::try_from(number).ok().and_then(|n| u32::try_from(n).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(Error::spec(field(), format!("{number} is not a device number"))),
        },
    }
}

fn access(letters: &str, field: impl FnOnce() -> String) -> Result<Access> {
    let mut bits = 0;
    for letter in letters.chars() {
        bits |= match letter {
            'm' => Access::MKNOD,
            'r' => Access::READ,
            'w' => Access::WRITE,
            _ => {
                let message = format!("\"{letters}\" has letters other than r, w and m");
                return Err(Error::spec(field(), message));
            }
        };
    }
    Ok(Access(bits))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn matches(rule: &DeviceRule, kind: DeviceKind, major: u32, minor: u32) -> bool {
        (rule.kind == DeviceKind::All || rule.kind == kind)
            && rule.major.is_none_or(|m| m == major)
            && rule.minor.is_none_or(|m| m == minor)
    }

    /// The meaning of rules, written as plainly as possible: each access on its own, last match wins.
    pub(in super::super) fn verdict(
        rules: &[DeviceRule],
        (kind, major, minor): (DeviceKind, u32, u32),
        asked: u8,
    ) -> bool {
        [1, 2, 4].iter().filter(|bit| asked & **bit != 0).all(|bit| {
            rules
                .iter()
                .rev()
                .find(|r| matches(r, kind, major, minor) && r.access.0 & bit != 0)
                .is_some_and(|r| r.allow)
        })
    }

    /// Rule lists over a small universe, the same on every run.
    pub(in super::super) fn random_rules(count: usize) -> Vec<Vec<DeviceRule>> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) % bound
        };
        let mut one = || DeviceRule {
            allow: next(2) == 0,
            kind: [DeviceKind::All, DeviceKind::Block, DeviceKind::Char][next(3) as usize],
            major: [None, Some(1), Some(2)][next(3) as usize],
            minor: [None, Some(1), Some(2)][next(3) as usize],
            access: Access((next(7) + 1) as u8),
            field: FIELD.into(),
        };
        (0..count).map(|n| (0..n % 7).map(|_| one()).collect()).collect()
    }

    /// Every device of that universe, and one that no rule names.
    pub(in super::super) fn universe() -> impl Iterator<Item = (DeviceKind, u32, u32)> {
        [DeviceKind::Block, DeviceKind::Char].into_iter().flat_map(|kind| {
            (1..=3).flat_map(move |major| (1..=3).map(move |minor| (kind, major, minor)))
        })
    }

    fn parse(json: &str) -> Result<Vec<DeviceRule>> {
        rules(&serde_json::from_str::<Vec<LinuxDeviceCgroup>>(json).unwrap())
    }

    #[test]
    fn wildcards_and_absent_members() {
        let got = parse(
            r#"[{"allow":false},{"allow":true,"type":"c","major":10,"minor":-1,"access":"rw"},
                {"allow":true,"type":"b","major":8}]"#,
        )
        .unwrap();
        assert!(got[0].covers_everything() && !got[0].allow);
        assert_eq!((got[1].kind, got[1].major, got[1].minor), (DeviceKind::Char, Some(10), None));
        assert_eq!(got[1].access, Access(6));
        assert_eq!((got[2].major, got[2].minor, got[2].access), (Some(8), None, Access::ALL));
        assert_eq!(got.len(), 3 + DEFAULTS.len());
        let null = (DeviceKind::Char, 1, 3);
        let console = (DeviceKind::Char, 5, 1);
        let disk = (DeviceKind::Block, 8, 5);
        let other = (DeviceKind::Block, 9, 5);
        assert!(verdict(&got, null, 7) && verdict(&got, disk, 7) && verdict(&got, other, 1));
        assert!(!verdict(&got, other, 2) && !verdict(&got, console, 2));
    }

    #[test]
    fn default_is_deny_and_allow_all_is_seen() {
        let got = parse("[]").unwrap();
        assert!(!verdict(&got, (DeviceKind::Block, 8, 0), 2));
        assert!(!allow_everything(&got));
        assert!(allow_everything(&parse(r#"[{"allow":false},{"allow":true}]"#).unwrap()));
        assert!(!allow_everything(
            &parse(r#"[{"allow":true},{"allow":false,"type":"b","major":8}]"#).unwrap()
        ));
        assert!(!allow_everything(&parse(r#"[{"allow":true,"access":"rw"}]"#).unwrap()));
    }

    #[test]
    fn bad_rules_name_their_field() {
        for (json, path) in [
            (r#"[{"allow":true,"type":"p"}]"#, "linux.resources.devices[0].type"),
            (
                r#"[{"allow":true},{"allow":true,"access":"rx"}]"#,
                "linux.resources.devices[1].access",
            ),
            (r#"[{"allow":true,"major":-2}]"#, "linux.resources.devices[0].major"),
            (r#"[{"allow":true,"minor":4294967296}]"#, "linux.resources.devices[0].minor"),
        ] {
            assert_eq!(parse(json).unwrap_err().path(), Some(path));
        }
    }
}

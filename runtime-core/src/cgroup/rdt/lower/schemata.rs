//! The text of `schemata`: a line `RESOURCE:DOMAIN=VALUE;DOMAIN=VALUE` for each resource.

use std::collections::BTreeMap;
use std::fmt;

/// A resource in a domain: a cache, or the bandwidth behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    resource: &'a str,
    domain: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.domain)
    }
}

impl Place<'_> {
    /// `MB`, and AMD's `SMBA`. It is a decimal number; a share of a cache is a mask of hexadecimal digits.
    fn is_bandwidth(&self) -> bool {
        self.resource.contains("MB")
    }

    /// A value as it can be compared. The kernel pads it with zeros, differently on each host; what is no number is
    /// the kernel's to judge.
    fn canonical(&self, value: &str) -> String {
        let digits = value.strip_prefix("0x").unwrap_or(value);
        let number = if self.is_bandwidth() {
            value.parse().map(|number: u64| number.to_string())
        } else {
            u64::from_str_radix(digits, 16).map(|mask| format!("{mask:x}"))
        };
        number.unwrap_or_else(|_| value.to_owned())
    }
}

/// Joins lines for one write: the kernel wants a line feed behind each, the last one too.
pub(in crate::cgroup::rdt) fn lines_of<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.trim_end_matches('\n'))).collect()
}

/// The value of every place; where one stands twice, the last, as if the lines were written one after the other.
///
/// # Errors
/// What is wrong with the line that is not of the form.
pub(super) fn parse(text: &str) -> Result<BTreeMap<Place<'_>, String>, String> {
    let mut values = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let wrong = || format!("{line:?} is not of the form RESOURCE:DOMAIN=VALUE;DOMAIN=VALUE");
        let (resource, pairs) = line.split_once(':').ok_or_else(wrong)?;
        let resource = resource.trim();
        for pair in pairs.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (domain, value) = pair.split_once('=').ok_or_else(wrong)?;
            let place = Place { resource, domain: domain.trim().parse().map_err(|_| wrong())? };
            values.insert(place, place.canonical(value.trim()));
        }
    }
    Ok(values)
}

/// Where a class does not say what `wanted` asks for; none where all is as writing it would make it. Places that
/// `wanted` does not name may say anything: a write would leave them. Bandwidth counts as the kernel has rounded it,
/// up to the next multiple of `step`, the `bandwidth_gran` of the host.
///
/// # Errors
/// Either text is not of the form.
pub(in crate::cgroup::rdt) fn difference(
    wanted: &str,
    class: &str,
    step: Option<u64>,
) -> Result<Option<String>, String> {
    let there = parse(class)?;
    let rounded = |value: &str| value.parse::<u64>().ok()?.checked_next_multiple_of(step?);
    for (place, wanted) in parse(wanted)? {
        match there.get(&place) {
            Some(value) if *value == wanted => (),
            Some(value)
                if place.is_bandwidth()
                    && rounded(&wanted).is_some_and(|rounded| rounded.to_string() == *value) => {}
            Some(value) => return Ok(Some(format!("{place}={value}, not {wanted}"))),
            None => return Ok(Some(format!("no {place}"))),
        }
    }
    Ok(None)
}

//! Signal names as people and managers write them.

use std::str::FromStr;

use nix::sys::signal::Signal;

/// The first real-time signal that the C library leaves to programs (signal(7)).
const RTMIN: i32 = 34;
/// The last signal of the kernel.
const RTMAX: i32 = 64;

/// The number of a signal given as a number, as a name with or without `SIG` in any case, or as
/// `RTMIN+n` and `RTMAX-n`. 0 is allowed: it asks whether the process is there (kill(2)).
pub(crate) fn parse(text: &str) -> Option<i32> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (0..=RTMAX).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return offset(rest, '+').map(|n| RTMIN + n);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return offset(rest, '-').map(|n| RTMAX - n);
    }
    let name = match name {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        "UNUSED" => "SYS",
        name => name,
    };
    Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32)
}

/// What follows `RTMIN` or `RTMAX`: nothing, or the sign and a number within the real-time signals.
fn offset(rest: &str, sign: char) -> Option<i32> {
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix(sign)?;
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|n| (0..=RTMAX - RTMIN).contains(n))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn every_spelling() {
        for (text, number) in [
            ("15", Some(15)),
            ("SIGTERM", Some(15)),
            ("TERM", Some(15)),
            ("sigterm", Some(15)),
            ("Kill", Some(9)),
            ("WINCH", Some(28)),
            ("CLD", Some(17)),
            ("0", Some(0)),
            ("64", Some(64)),
            ("65", None),
            ("-1", None),
            ("-9", None),
            ("+9", None),
            ("9x", None),
            ("", None),
            ("SIG", None),
            ("abc", None),
            ("SIGRTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("rtmin+30", Some(64)),
            ("RTMIN+31", None),
            ("RTMIN+-1", None),
            ("RTMIN-1", None),
            ("SIGRTMAX", Some(64)),
            ("RTMAX-30", Some(34)),
        ] {
            assert_eq!(parse(text), number, "{text}");
        }
    }
}

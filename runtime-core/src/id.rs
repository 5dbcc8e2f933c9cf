//! The name of a container, checked once.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// A container id: letters, digits, `_`, `+`, `-` and `.`; neither `.` nor `..`; at most 255 bytes, the
/// longest name of a directory. runc has the same rule, and callers generate ids by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// Checks `id`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], saying which rule it breaks.
    pub fn new(id: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
        let why = if id.is_empty() {
            "it is empty".to_owned()
        } else if let Some(bad) = id.chars().find(|c| !allowed(*c)) {
            format!("{bad:?} is not one of letters, digits, _, +, -, .")
        } else if id == "." || id == ".." {
            "it names a directory".to_owned()
        } else if id.len() > 255 {
            format!("it is {} bytes long and may have 255", id.len())
        } else {
            return Ok(Self(id.to_owned()));
        };
        let shown: String = id.chars().take(64).collect();
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("invalid container ID format: {shown:?}: {why}"),
        ))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_runcs_ids_and_no_others() {
        for good in ["a", "a.b", "A_b+c-9", "...", "0"] {
            assert!(ContainerId::new(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in ["", ".", "..", "a/b", "a b", "a\0", "ä", "../x", &long] {
            let error = ContainerId::new(bad).unwrap_err().to_string();
            assert!(error.starts_with("invalid container ID format"), "{error}");
        }
    }
}

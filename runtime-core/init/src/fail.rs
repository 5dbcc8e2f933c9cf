//! What failed, in a form that crosses the link: the step, the element, the call, and a few words.

use core::ffi::CStr;

use rustix::io::Errno;
use teu_wire::Step;

/// Words of a bounded length: longer ones are cut.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl Words {
    /// The most bytes that are kept.
    pub const MOST: usize = 600;

    /// No words.
    pub fn new() -> Self {
        Self { bytes: [0; Self::MOST], length: 0 }
    }

    /// Adds what fits.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        let fits = bytes.len().min(Self::MOST - self.length);
        self.bytes[self.length..self.length + fits].copy_from_slice(&bytes[..fits]);
        self.length += fits;
        self
    }

    /// Adds a number in decimal.
    pub fn push_number(&mut self, number: i64) -> &mut Self {
        let mut digits = [0; 20];
        let text = decimal(number, &mut digits);
        let mut copy = [0; 20];
        let length = text.len();
        copy[..length].copy_from_slice(text);
        self.push(&copy[..length])
    }

    /// The words.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::new()
    }
}

/// A number in decimal.
pub fn decimal(number: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut left = number.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

/// A failure of init.
#[derive(Clone, Copy, Debug)]
pub struct Fail {
    /// Where.
    pub step: Step,
    /// Which element of the list that the step walks.
    pub index: u32,
    /// Why; none when no call failed.
    pub errno: Option<Errno>,
    /// The call, or what was found.
    pub call: &'static CStr,
    /// What it was about.
    pub detail: Words,
}

/// The result of a step.
pub type Result<T> = core::result::Result<T, Fail>;

impl Fail {
    /// A failure without a failed call: `found` says what is wrong.
    pub fn found(step: Step, found: &'static CStr, detail: &[u8]) -> Self {
        let mut words = Words::new();
        words.push(detail);
        Self { step, index: 0, errno: None, call: found, detail: words }
    }

    /// A failed call.
    pub fn call(step: Step, call: &'static CStr, errno: Errno, detail: &[u8]) -> Self {
        Self { errno: Some(errno), ..Self::found(step, call, detail) }
    }

    /// The same failure of that element.
    #[must_use]
    pub fn index(mut self, index: u32) -> Self {
        self.index = index;
        self
    }
}

/// Names the place of a failed call.
pub trait At<T> {
    /// The step, the call, and what it was about.
    ///
    /// # Errors
    /// The same failure, with its place.
    fn at(self, step: Step, call: &'static CStr, detail: &[u8]) -> Result<T>;
}

impl<T> At<T> for core::result::Result<T, Errno> {
    fn at(self, step: Step, call: &'static CStr, detail: &[u8]) -> Result<T> {
        self.map_err(|errno| Fail::call(step, call, errno, detail))
    }
}

/// Names the element that a step was at.
pub trait Index<T> {
    /// The element.
    ///
    /// # Errors
    /// The same failure, with its element.
    fn index(self, index: u32) -> Result<T>;
}

impl<T> Index<T> for Result<T> {
    fn index(self, index: u32) -> Result<T> {
        self.map_err(|fail| fail.index(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_cut_words() {
        let mut digits = [0; 20];
        assert_eq!(decimal(i64::MIN, &mut digits), b"-9223372036854775808");
        assert_eq!(decimal(0, &mut digits), b"0");
        let mut words = Words::new();
        words.push(&[b'x'; 590]).push_number(-1234).push(b"0123456789abc");
        assert_eq!(words.as_bytes().len(), Words::MOST);
        assert!(words.as_bytes().ends_with(b"-123401234"));
    }
}

//! Paths and numbers put together on the stack: the program has no allocator.

use core::ffi::CStr;

/// A text that ends in NUL, of at most 255 bytes. What does not fit is cut off, which the kernel then
/// reports as a missing file.
pub(crate) struct Text {
    bytes: [u8; 256],
    length: usize,
}

impl Text {
    /// The parts one after the other.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut text = Self { bytes: [0; 256], length: 0 };
        for byte in parts.iter().copied().flatten() {
            if text.length < text.bytes.len() - 1 {
                text.bytes[text.length] = *byte;
                text.length += 1;
            }
        }
        text
    }

    /// A number in decimal.
    pub(crate) fn number(mut number: u32) -> Self {
        let mut digits = [0; 10];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self::of(&[&digits[at..]]);
            }
        }
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

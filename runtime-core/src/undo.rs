//! Giving back what was made when a later step fails: steps run backwards, and a failing one is reported.

use crate::error::{Error, Result};

/// The steps back.
pub(crate) struct Undo<'a>(Vec<Box<dyn FnOnce() -> Result<()> + 'a>>);

impl<'a> Undo<'a> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the step that takes back what was just made.
    pub(crate) fn push(&mut self, step: impl FnOnce() -> Result<()> + 'a) {
        self.0.push(Box::new(step));
    }

    /// Everything worked: nothing is taken back.
    pub(crate) fn disarm(mut self) {
        self.0.clear();
    }

    /// Takes everything back because of `error`; what cannot be taken back is attached to it.
    pub(crate) fn because(mut self, mut error: Error) -> Error {
        while let Some(step) = self.0.pop() {
            if let Err(failure) = step() {
                error.attach(failure);
            }
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn runs_backwards_and_reports_what_fails() {
        let order = RefCell::new(Vec::new());
        let mut undo = Undo::new();
        for step in 1..=3 {
            let order = &order;
            undo.push(move || {
                order.borrow_mut().push(step);
                if step == 2 { Err(Error::os("rmdir(x)", 16)) } else { Ok(()) }
            });
        }
        let error = undo.because(Error::os("mount(x)", 1));
        assert_eq!(*order.borrow(), [3, 2, 1]);
        assert_eq!(error.to_string(), "mount(x): EPERM (and while cleaning up: rmdir(x): EBUSY)");
    }
}

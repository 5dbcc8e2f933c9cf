//! Giving back what was made when a later step fails: steps run backwards, and a failing one is reported.

use crate::error::{Error, ErrorKind, Result};

type Step<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

/// The steps back. They are taken when it goes, too, unless it was disarmed: a panic must not leave a container that
/// nobody knows of.
pub(crate) struct Undo<'a> {
    steps: Vec<Step<'a>>,
    last: Option<Step<'a>>,
}

impl<'a> Undo<'a> {
    pub(crate) fn new() -> Self {
        Self { steps: Vec::new(), last: None }
    }

    /// As [`Undo::new`], with a step that forgets what there was. It is taken only when all others have worked: without
    /// a record nobody would find again what is left.
    pub(crate) fn of_record(forget: impl FnOnce() -> Result<()> + 'a) -> Self {
        Self { steps: Vec::new(), last: Some(Box::new(forget)) }
    }

    /// Adds the step that takes back what was just made.
    pub(crate) fn push(&mut self, step: impl FnOnce() -> Result<()> + 'a) {
        self.steps.push(Box::new(step));
    }

    /// Everything worked: nothing is taken back.
    pub(crate) fn disarm(mut self) {
        self.steps.clear();
        self.last = None;
    }

    /// Takes everything back because of `error`; what cannot be taken back is attached to it.
    pub(crate) fn because(mut self, mut error: Error) -> Error {
        self.take_back(|failure| error.attach(failure));
        error
    }

    fn take_back(&mut self, mut report: impl FnMut(Error)) {
        let mut all = true;
        while let Some(step) = self.steps.pop() {
            if let Err(failure) = step() {
                all = false;
                report(failure);
            }
        }
        match self.last.take() {
            Some(forget) if all => forget().unwrap_or_else(report),
            Some(_) => {
                let text = "the record stays: `delete --force` removes what is left";
                report(Error::new(ErrorKind::WrongState, text));
            }
            None => {}
        }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.take_back(|failure| tracing::warn!(%failure, "cleaning up"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

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

    #[test]
    fn what_is_left_is_not_forgotten() {
        for works in [true, false] {
            let forgotten = Cell::new(false);
            let mut undo = Undo::of_record(|| {
                forgotten.set(true);
                Ok(())
            });
            undo.push(|| Ok(()));
            undo.push(move || if works { Ok(()) } else { Err(Error::os("rmdir(x)", 16)) });
            let error = undo.because(Error::os("mount(x)", 1)).to_string();
            assert_eq!(forgotten.get(), works);
            assert_eq!(error.contains("delete --force"), !works, "{error}");
        }
    }

    #[test]
    fn a_panic_takes_back_and_a_success_does_not() {
        for panics in [true, false] {
            let left = Cell::new(2);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut undo = Undo::of_record(|| {
                    left.set(left.get() - 1);
                    Ok(())
                });
                undo.push(|| {
                    left.set(left.get() - 1);
                    Ok(())
                });
                assert!(!panics, "as a caller's subscriber of tracing may");
                undo.disarm();
            }));
            assert_eq!((outcome.is_err(), left.get()), (panics, if panics { 0 } else { 2 }));
        }
    }
}

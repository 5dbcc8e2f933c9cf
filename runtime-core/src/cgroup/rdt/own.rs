//! What of resctrl is a container's own, and its end.

use super::RdtRecord;
use super::resctrl::Resctrl;
use crate::cgroup::claim::{Claim, Marks};
use crate::error::Result;

impl RdtRecord {
    /// As it is written before anything is made.
    pub(crate) fn intended(mut self) -> Self {
        self.claim = Some(Claim::Intended);
        self
    }

    /// Notes which directories have been made, before anything runs in them.
    ///
    /// # Errors
    /// Somebody has removed one.
    pub(crate) fn claim(&mut self) -> Result<Marks> {
        let (made, marks) = Claim::of(Resctrl::open()?.root, self.own())?;
        self.claim = Some(made);
        Ok(marks)
    }

    /// Removes what is the container's own; what is gone already is fine.
    ///
    /// # Errors
    /// The kernel keeps it.
    pub(crate) fn destroy(&self) -> Result<()> {
        // Unmounted it has no classes.
        let Some(resctrl) = Resctrl::find()? else { return Ok(()) };
        self.destroy_in(&resctrl)
    }

    fn destroy_in(&self, resctrl: &Resctrl) -> Result<()> {
        let is_own = |directory: &String| {
            self.claim.as_ref().is_none_or(|claim| claim.covers(&resctrl.root, directory))
        };
        self.own().filter(is_own).try_for_each(|directory| resctrl.remove(&directory))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::cgroup::file;
    use crate::undo::Undo;

    /// For which any directory will do.
    #[test]
    fn a_class_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = file::open_root(folder.path()).unwrap();
        let resctrl = Rc::new(Resctrl { root, path: folder.path().into() });
        let with = |claim| {
            let claim = Some(claim);
            RdtRecord { class: "c".into(), shared: false, monitoring: None, claim }
        };
        let is_removed = |record: &RdtRecord| {
            record.destroy_in(&resctrl).unwrap();
            !folder.path().join("c").exists()
        };
        let mut undo = Undo::new();
        resctrl.make("c", false, &mut undo).unwrap();
        let root = resctrl.root.try_clone().unwrap();
        let (claim, marks) = Claim::of(root, ["c".to_owned()].into_iter()).unwrap();
        marks.remove().unwrap();
        let made = with(claim);
        let another = with(Claim::Made([("c".to_owned(), 0)].into()));
        assert!(!is_removed(&with(Claim::Intended)), "that of a container which lives");
        assert!(!is_removed(&another), "that of the next one");
        assert!(is_removed(&made), "its own");
        resctrl.make("c", false, &mut undo).unwrap();
        assert!(is_removed(&with(Claim::Intended)), "what a killed creator has left");
        undo.disarm();
    }
}

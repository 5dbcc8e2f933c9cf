//! The five capability sets (capabilities(7)), in the order that the kernel asks for.

use teu_wire::{ProcessView, Step};

use crate::fail::{At, Result};
use crate::sys::call;

fn has(set: u64, capability: u32) -> bool {
    set >> capability & 1 == 1
}

/// Drops what is not in the bounding set: needs CAP_SETPCAP, so it comes before everything that may take that.
///
/// # Errors
/// prctl(2) failed.
pub fn drop_bounding(process: &ProcessView<'_>) -> Result<()> {
    let Some(sets) = &process.capabilities else { return Ok(()) };
    for capability in 0..=process.last_capability {
        if !has(sets.bounding, capability) {
            call::drop_bounding(capability).at(
                Step::Capabilities,
                c"prctl(PR_CAPBSET_DROP)",
                b"",
            )?;
        }
    }
    Ok(())
}

/// Sets the other four. The ambient set comes last: it takes only what is permitted and inheritable.
///
/// # Errors
/// The sets are not possible together, or exceed what this process has.
pub fn set(process: &ProcessView<'_>) -> Result<()> {
    let Some(sets) = &process.capabilities else { return Ok(()) };
    let step = Step::Capabilities;
    call::capset(sets.effective, sets.permitted, sets.inheritable).at(step, c"capset", b"")?;
    call::ambient(None).at(step, c"prctl(PR_CAP_AMBIENT_CLEAR_ALL)", b"")?;
    for capability in
        (0..=process.last_capability).filter(|capability| has(sets.ambient, *capability))
    {
        call::ambient(Some(capability)).at(step, c"prctl(PR_CAP_AMBIENT_RAISE)", b"")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn bits_are_capabilities() {
        assert!(super::has(1 << 40, 40));
        assert!(!super::has(1 << 40, 39));
    }
}

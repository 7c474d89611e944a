//! The end of a sync that its threads cannot miss: a moment after which none of them goes on.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};

/// Says when to stop. Copies speak of the same moment; until one of them names it there is none.
#[derive(Clone, Debug, Default)]
pub struct Halt(Arc<OnceLock<Instant>>);

impl Halt {
    /// Work that takes longer than this from now on is given up. The first who says so counts.
    pub fn after(&self, grace: Duration) {
        self.0.get_or_init(|| Instant::now() + grace);
    }

    /// Whether to stop now. Costs next to nothing until a moment is named, so ask often.
    pub fn is_due(&self) -> bool {
        self.0.get().is_some_and(|end| *end <= Instant::now())
    }

    /// The same as an error. It is told only where nothing else says why the sync ends.
    pub fn check(&self) -> Result<()> {
        if self.is_due() { Err(Error::new(Code::Interrupted, "go on: the sync has ended")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_moment_counts_for_all_copies() {
        let halt = Halt::default();
        let copy = halt.clone();
        assert!(copy.check().is_ok());
        halt.after(Duration::ZERO);
        halt.after(Duration::from_hours(1));
        assert!(copy.is_due() && copy.check().is_err());
    }
}

//! The gates on the base commit, so that each has a "before".

use loop_api::journal::Outcome;

use super::{Engine, Finished, Halt};

impl Engine<'_> {
    pub(super) fn baseline(&mut self) -> Result<Finished, Halt> {
        let facts = self.facts()?;
        let gates = self.gates_on(&facts.base_commit, true, "base")?;
        Ok(Finished::new(Outcome::Verified(gates.verified)))
    }
}

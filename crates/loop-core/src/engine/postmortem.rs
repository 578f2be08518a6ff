//! An ended run is analysed by an agent: its opinion, which changes nothing (ART-28).

use loop_api::journal::{Event, Postmortem};

use super::{Engine, Error};

impl Engine<'_> {
    /// Has the analysis made and recorded; whatever goes wrong with it is its own result.
    pub(super) fn analyze(&mut self, reason: &str) -> Result<(), Error> {
        self.append(Event::PostmortemStart { reason: reason.to_owned() })?;
        let postmortem = Postmortem { status: "skipped".into(), ..Postmortem::default() };
        self.append(Event::PostmortemEnd(Box::new(postmortem)))
    }
}

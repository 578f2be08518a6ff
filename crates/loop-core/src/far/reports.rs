//! Test reports that a gate wrote, read on its own side so that no trusted process opens what it left.

use super::{Error, Side};

const REPORTS: &str = include_str!("reports.sh");
/// Most that is read of all reports of a gate together; what is beyond is not counted.
const MOST: usize = 16 << 20;

impl Side {
    /// Removes the reports that earlier gates left; says whether none of them can be taken for a new one.
    pub fn forget_reports(&self, glob: &str, path: &str) -> Result<bool, Error> {
        Ok(self.helper(REPORTS, &["forget", glob], b"", path)?.outcome.success())
    }

    /// The reports that a gate has written, each ended by a NUL; none when it damaged its checkout.
    ///
    /// A report that the commit brought along is not one of them, or the agent could commit the counts it likes.
    pub fn reports(&self, glob: &str, path: &str) -> Result<Vec<u8>, Error> {
        let most = MOST.to_string();
        let captured =
            self.helper_with(REPORTS, &["read", glob, &most], b"", path, (MOST, super::HELPER_TIME))?;
        Ok(if captured.outcome.success() { captured.stdout } else { Vec::new() })
    }
}

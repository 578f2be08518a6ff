//! Checkouts of trusted commits, made on the far side so that no trusted process writes where others can.

use std::path::Path;

use super::{Error, Side};

const CHECK_OUT: &str = include_str!("check_out.sh");

impl Side {
    /// Makes this side's folder show exactly one commit; what is ignored there stays, as a build cache.
    pub fn check_out(&self, trusted: &Path, commit: &str, path: &str) -> Result<(), Error> {
        self.show(trusted, commit, path, "all")
    }

    /// Restores the commit's own files, also when the checkout's git folder was tampered with; build outputs stay.
    pub fn put_back(&self, trusted: &Path, commit: &str, path: &str) -> Result<(), Error> {
        self.show(trusted, commit, path, "tracked")
    }

    fn show(&self, trusted: &Path, commit: &str, path: &str, what: &str) -> Result<(), Error> {
        let objects = trusted.join("objects");
        let captured = self.helper(CHECK_OUT, &[&objects.to_string_lossy(), commit, what], b"", path)?;
        if captured.outcome.success() {
            return Ok(());
        }
        Err(Error::Helper {
            what: "checking out the commit",
            detail: String::from_utf8_lossy(&captured.stderr).trim().to_owned(),
        })
    }
}

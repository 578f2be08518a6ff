//! Checkouts of trusted commits, made on the far side so that no trusted process writes where others can.

use std::path::Path;
use std::time::Duration;

use super::{Error, HELPER_OUTPUT, HELPER_TIME, Setting, Side, worked};

const CHECK_OUT: &str = concat!(include_str!("submodules.sh"), include_str!("check_out.sh"));

/// Longest that a checkout with submodules may take: they may be as large as repositories get.
const FILL_TIME: Duration = Duration::from_mins(30);

impl Side {
    /// Makes this side's folder show exactly one commit; what is ignored there stays, as a build cache.
    pub fn check_out(&self, setting: &Setting, commit: &str) -> Result<(), Error> {
        self.show(setting, commit, "all")
    }

    /// Restores the commit's own files, also when the checkout's git folder was tampered with; build outputs stay.
    pub fn put_back(&self, setting: &Setting, commit: &str) -> Result<(), Error> {
        self.show(setting, commit, "tracked")
    }

    fn show(&self, setting: &Setting, commit: &str, what: &str) -> Result<(), Error> {
        let (objects, folders) = (setting.trusted.join("objects"), setting.folders.join("\n"));
        let submodules = setting.submodules.as_deref().unwrap_or(Path::new("")).to_string_lossy();
        let arguments = [&*objects.to_string_lossy(), commit, what, &folders, &submodules];
        self.write_files(setting, CHECK_OUT, &arguments, "checking out the commit")
    }

    /// Runs a script that writes the files of commits, for as long as those of submodules may take.
    pub(super) fn write_files(
        &self,
        setting: &Setting,
        script: &str,
        arguments: &[&str],
        what: &'static str,
    ) -> Result<(), Error> {
        let time = if setting.submodules.is_some() { FILL_TIME } else { HELPER_TIME };
        let captured =
            self.helper_with(script, arguments, b"", &setting.search_path, (HELPER_OUTPUT, time))?;
        worked(&captured, what)
    }
}

//! Checkouts of trusted commits, made on the far side so that no trusted process writes where others can.

use std::path::Path;

use super::{Error, HELPER_OUTPUT, Setting, Side, worked};

const CHECK_OUT: &str = concat!(include_str!("submodules.sh"), include_str!("check_out.sh"));

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
        let captured = self.helper_with(
            CHECK_OUT,
            &arguments,
            b"",
            &setting.search_path,
            (HELPER_OUTPUT, setting.fill_time()),
        )?;
        worked(&captured, "checking out the commit")
    }
}

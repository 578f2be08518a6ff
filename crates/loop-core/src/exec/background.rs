//! This program once more, for a run that goes on without its caller.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts a command that reads nothing and says everything into a file, behind what that holds.
pub fn background(argv: &[String], log: &Path) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// Makes this process the first one of a session of its own, where no terminal can end or interrupt it.
pub fn leave_terminal() {
    // Fails for a process that leads its group; then somebody else has done it.
    let _ = nix::unistd::setsid();
}

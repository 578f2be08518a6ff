//! How a command becomes a `std::process::Command`, and what its pipes need.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::Outcome;

/// Builds a command in its own process group with three pipes and exactly this environment.
///
/// The program is looked up here, in the command's own `PATH`: with an absolute path std can use
/// `posix_spawn`, which does not copy the caller's page tables.
pub(super) fn build(argv: &[String], cwd: &Path, env: &[(String, String)]) -> Result<Command, String> {
    let Some(name) = argv.first() else {
        return Err("the command is empty".into());
    };
    if !cwd.is_dir() {
        return Err(format!("{}: not a directory", cwd.display()));
    }
    let path = env.iter().rev().find(|(key, _)| key == "PATH");
    let program = resolve(name, cwd, path.map_or("", |(_, value)| value))
        .ok_or_else(|| format!("{name}: command not found"))?;
    let mut command = Command::new(program);
    command
        .arg0(name)
        .args(&argv[1..])
        .current_dir(cwd)
        .env_clear()
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command)
}

/// The file a program name means.
pub(super) fn resolve(name: &str, cwd: &Path, path: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(cwd.join(name));
    }
    path.split(':').map(|folder| cwd.join(folder).join(name)).find(|file| {
        file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

/// Makes a pipe as large as is usually allowed, for fewer switches between its two ends.
pub(super) fn enlarge(pipe: impl AsFd) {
    // Best effort: an unprivileged user has a budget of pipe pages.
    #[cfg(target_os = "linux")]
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(1 << 20));
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}

/// Makes our end of a pipe return at once; the child's end is another file description.
pub(super) fn nonblocking(pipe: impl AsFd) -> std::io::Result<()> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Notes how a main process ended.
pub(super) fn note_status(outcome: &mut Outcome, status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt as _;
    outcome.exit_code = status.code();
    outcome.signal = status.signal();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_in_the_given_path_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tool");
        std::fs::write(&file, "").unwrap();
        let path = format!("/nowhere:{}", folder.path().display());
        let root = Path::new("/");
        assert_eq!(resolve("tool", root, &path), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(resolve("tool", root, &path), Some(file.clone()));
        assert_eq!(resolve("tool", root, ""), None);
        assert_eq!(resolve("./tool", folder.path(), ""), Some(folder.path().join("./tool")));
    }
}

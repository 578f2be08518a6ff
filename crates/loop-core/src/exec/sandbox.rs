//! What the far side, and so everything untrusted, can reach of this machine.

mod args;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::resolve;
use super::direct;

/// How the far side is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// As a plain child: it sees and may do what the engine's user may.
    None,
    /// In namespaces of its own, by bubblewrap.
    Bubblewrap(Bwrap),
    /// In a container of its own, which listens on this socket.
    Container(PathBuf),
}

/// The containers in which a run's commands are executed, seen from that of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    /// Socket of the agent's.
    pub agent: PathBuf,
    /// Socket of the gates'.
    pub gate: PathBuf,
    /// Folder that each of the two has of its own; the engine does not see it.
    pub far: PathBuf,
    /// Folder with the script agent's program; the agent can read it only.
    pub program: PathBuf,
    /// Where the engine fills the folder that the agent has in place of the repository's git folder.
    pub git_folder: PathBuf,
}

/// What is writable, replaced or hidden; everything else is visible and read-only.
///
/// The network stays. So do unix sockets, which a read-only mount does not close: those known to
/// hand out the machine (container engines, the system and session buses) are masked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bwrap {
    /// A home directory of its own.
    pub home: Option<HomeOverlay>,
    /// Bound over `/tmp` and `/var/tmp`.
    pub tmp: PathBuf,
    /// Looks empty, such as the data directory; what does not exist needs no hiding.
    pub hidden: Vec<PathBuf>,
    /// Visible in spite of the masks above, when it exists.
    pub readable: Vec<PathBuf>,
    /// Visible and writable, when it exists.
    pub writable: Vec<PathBuf>,
    /// Put on top of everything else, in this order.
    pub mounts: Vec<Mount>,
}

/// A folder or file that appears in another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What appears.
    pub from: PathBuf,
    /// Where; it has to exist there.
    pub to: PathBuf,
    /// Whether it can be written.
    pub writable: bool,
}

/// A private home in which the real one's entries are visible and read-only.
///
/// What is private already under an entry's name wins over the real entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeOverlay {
    /// The user's home, where the private one appears.
    pub real: PathBuf,
    /// Takes everything new.
    pub private: PathBuf,
    /// Folders of the real home, relative to it, in whose place the private ones of the same name appear.
    pub fresh_parts: Vec<PathBuf>,
}

/// Whether this machine can isolate what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolation {
    /// bubblewrap works here.
    Bubblewrap {
        /// What it says its version is.
        version: String,
    },
    /// Kubernetes does, by containers.
    Containers(Containers),
    /// Nothing does.
    None {
        /// Why, for the user.
        reason: String,
    },
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bubblewrap { version } => write!(out, "bubblewrap {version}"),
            Self::Containers(_) => write!(out, "containers"),
            Self::None { reason } => write!(out, "none: {reason}"),
        }
    }
}

impl Sandbox {
    /// The command that starts `exe` as the far side; an error says why it cannot be had.
    pub(super) fn command(&self, exe: &Path) -> Result<Command, String> {
        let exe = exe.canonicalize().map_err(|error| format!("{}: {error}", exe.display()))?;
        Ok(match self {
            Self::None => {
                let mut command = Command::new(exe);
                command.arg("__exec");
                command
            }
            Self::Container(socket) => {
                let mut command = Command::new(exe);
                command.arg(super::container::RELAY).arg(socket);
                command
            }
            Self::Bubblewrap(wanted) => {
                let mut command = Command::new(bwrap().ok_or("bwrap: command not found")?);
                command.args(args::args(wanted, &exe)?).arg("__exec");
                command
            }
        })
    }
}

/// Says whether bubblewrap works here, by using it once; `LOOP_ISOLATION=none` says no.
pub fn probe() -> Isolation {
    probe_unless(std::env::var_os("LOOP_ISOLATION"))
}

fn probe_unless(setting: Option<OsString>) -> Isolation {
    let none = |reason: &str| Isolation::None { reason: reason.trim().to_owned() };
    if setting.is_some_and(|value| value == "none") {
        return none("LOOP_ISOLATION=none is set");
    }
    let Some(bwrap) = bwrap() else { return none("bubblewrap (bwrap) is not installed") };
    let run = |rest: Vec<OsString>| {
        let mut argv = vec![bwrap.to_string_lossy().into_owned()];
        argv.extend(rest.iter().map(|arg| arg.to_string_lossy().into_owned()));
        match direct(&argv, Path::new("/"), &[], b"", Duration::from_secs(20), 4096) {
            Ok(ran) if ran.outcome.success() => Ok(String::from_utf8_lossy(&ran.stdout).into_owned()),
            Ok(ran) => Err(String::from_utf8_lossy(&ran.stderr).into_owned()
                + ran.outcome.spawn_error.as_deref().unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        }
    };
    let mut trial: Vec<OsString> = args::BASE.iter().map(OsString::from).collect();
    trial.extend(["--", "/proc/self/exe", "--version"].map(OsString::from));
    match run(trial) {
        Ok(said) => {
            Isolation::Bubblewrap { version: said.trim().trim_start_matches("bubblewrap ").to_owned() }
        }
        Err(reason) => none(&format!("bubblewrap does not work here: {}", reason.trim())),
    }
}

fn bwrap() -> Option<PathBuf> {
    resolve("bwrap", Path::new("/"), &std::env::var("PATH").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolation_can_be_switched_off() {
        let off = Isolation::None { reason: "LOOP_ISOLATION=none is set".into() };
        assert_eq!(probe_unless(Some("none".into())), off);
        assert_ne!(probe_unless(Some("auto".into())), off);
    }
}

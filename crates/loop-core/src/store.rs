//! The data directory: one folder per run with its journal, lock and artifacts, and the trusted repositories.
//!
//! ```text
//! DATA/runs/run-<uid>/journal.jsonl   the run itself; everything else can be derived or is a log
//!                    /lock            held (flock) by the engine that works on the run
//!                    /cancel, /pause, /limits  exist when somebody asked the engine for it
//!                    /*.log ...       artifacts
//!                    /sandbox/        checkouts, HOMEs and temp folders of the far side
//! DATA/index.jsonl                    what lists show of runs; may be removed at any time
//! DATA/queue/                         who is at work, and who waits for its turn
//! DATA/repos/<key>.git                the engine's own bare repository, one per workspace
//! ```

mod journal_file;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use journal_file::{Journal, JournalError, now_ms, read_journal};

use loop_api::journal::sha256;

/// Tries to take a lock, and the pause between them.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The data directory (CFG-10).
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

/// Proof that this process is the only engine of a run; given up when dropped or when the process dies.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl Store {
    /// The data directory at a path; it is made on first use.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of a run by its uid (ART-1).
    pub fn run(&self, uid: &str) -> RunDir {
        RunDir { path: self.root.join("runs").join(format!("run-{uid}")) }
    }

    /// Makes the folder of a new run.
    pub fn create_run(&self, uid: &str) -> io::Result<RunDir> {
        let run = self.run(uid);
        fs::create_dir_all(run.path())?;
        Ok(run)
    }

    /// All runs, oldest first (uids sort by time).
    pub fn runs(&self) -> io::Result<Vec<(String, RunDir)>> {
        let entries = match fs::read_dir(self.root.join("runs")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut runs: Vec<_> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let uid = name.strip_prefix("run-")?.to_owned();
                Some((uid, RunDir { path: entry.path() }))
            })
            .collect();
        runs.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(runs)
    }

    /// The engine's own bare repository for a workspace.
    pub fn trusted_repository(&self, workspace_root: &Path) -> PathBuf {
        let key = sha256(workspace_root.as_os_str().as_encoded_bytes());
        self.root.join("repos").join(format!("{}.git", &key[..16]))
    }

    /// The bare repository with the commits of submodules, on a cluster: beside the engine's own, where every side can read
    /// it.
    pub fn submodules(&self) -> PathBuf {
        self.root.join("repos/submodules.git")
    }
}

impl RunDir {
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Takes the run's lock; `None` when another process holds it.
    pub fn lock(&self) -> io::Result<Option<RunLock>> {
        let mut file =
            File::options().create(true).truncate(false).write(true).open(self.path.join("lock"))?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    // For people; who has the lock is told by the lock alone, so a full disk is no reason to fail.
                    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
                    return Ok(Some(RunLock { _file: file }));
                }
                // Whoever only looks whether the run is alive holds the lock for an instant.
                Err(fs::TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Whether an engine works on the run right now.
    pub fn is_alive(&self) -> bool {
        let Ok(file) = File::open(self.path.join("lock")) else { return false };
        matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
    }

    /// The process that works on the run right now, by its own word.
    pub fn holder(&self) -> Option<u32> {
        let written = || fs::read_to_string(self.path.join("lock")).ok()?.trim().parse().ok();
        self.is_alive().then(written).flatten()
    }

    /// Asks the engine of the run to cancel.
    pub fn request_cancel(&self) -> io::Result<()> {
        fs::write(self.path.join("cancel"), b"")
    }

    /// Whether somebody asked.
    pub fn cancel_requested(&self) -> bool {
        self.path.join("cancel").exists()
    }

    /// Asks the engine of the run to pause at the end of its step, or `now`.
    pub fn request_pause(&self, now: bool) -> io::Result<()> {
        fs::write(self.path.join("pause"), if now { "now" } else { "" })
    }

    /// How long ago somebody asked for a pause; the longest time there is when it is wanted now.
    pub fn pause_requested(&self) -> Option<Duration> {
        let path = self.path.join("pause");
        let facts = fs::metadata(path).ok()?;
        let now = facts.len() > 0;
        let since = facts.modified().ok()?.elapsed().unwrap_or_default();
        Some(if now { Duration::MAX } else { since })
    }

    /// Takes the request back, or forgets it once the run has taken note.
    pub fn clear_pause(&self) {
        let _ = fs::remove_file(self.path.join("pause"));
    }

    /// Asks the engine of the run to go by these limits from its next step on: fields of `spec.limits`, as the user wrote
    /// them.
    pub fn request_limits(&self, limits: &serde_json::Value) -> io::Result<()> {
        replace_file(&self.path.join("limits"), limits.to_string().as_bytes())
    }

    /// Limits that somebody asked for and that nobody has taken yet.
    pub fn limits_requested(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("limits")).ok()
    }

    /// Takes them, so that those which come later are not forgotten with them; again, until they are cleared.
    pub fn take_limits(&self) -> Option<Vec<u8>> {
        let taken = self.path.join("limits.taken");
        if !taken.exists() {
            fs::rename(self.path.join("limits"), &taken).ok()?;
        }
        fs::read(taken).ok()
    }

    /// Forgets those that were taken, once the run has noted them.
    pub fn clear_taken_limits(&self) {
        let _ = fs::remove_file(self.path.join("limits.taken"));
    }

    /// Forgets all that were asked for.
    pub fn clear_limits(&self) {
        let _ = fs::remove_file(self.path.join("limits"));
        self.clear_taken_limits();
    }

    /// Forgets the request, once the run has taken note.
    pub fn clear_cancel(&self) {
        // A request that stays is asked again; the run has ended by then and ignores it.
        let _ = fs::remove_file(self.path.join("cancel"));
    }
}

/// Replaces a file as a whole, so that a reader never sees half of it.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests;

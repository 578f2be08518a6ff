//! The queue as files: `DATA/queue/<uid>.json` for each process, `DATA/queue/lock` held while entries are read and
//! written.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Entry, verdict};
use crate::store::{RunDir, Store, replace_file};

/// Longest wait for the queue's own lock in one try; whoever holds it reads a few small files.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// A waiting process that has not looked for so long is stopped or stuck, and holds up nobody.
const STALE: Duration = Duration::from_secs(15);
/// Largest entry that is read.
const MOST_BYTES: u64 = 64 << 10;

/// The place of one run in the queue, from the side of its own process, which holds the run's lock.
#[derive(Debug)]
pub struct Queue {
    store: Store,
    folder: PathBuf,
    me: Entry,
}

/// A run's turn; given back when dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub struct Turn {
    path: PathBuf,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // An entry that stays counts no more than until the run's lock is free.
        let _ = fs::remove_file(&self.path);
    }
}

impl Queue {
    /// Takes a place in the queue of a data directory.
    pub fn join(store: &Store, me: Entry) -> io::Result<Self> {
        let folder = store.root().join("queue");
        fs::create_dir_all(&folder)?;
        Ok(Self { store: store.clone(), folder, me: Entry { running: false, reason: String::new(), ..me } })
    }

    /// Asks whose turn it is: the run's own, or what it waits for. To be asked again every now and then.
    pub fn ask(&mut self) -> io::Result<Result<Turn, String>> {
        let Some(_lock) = self.lock()? else {
            return Ok(Err("another process has the queue open".into()));
        };
        let entries = self.entries()?;
        let path = place(&self.folder, &self.me.uid);
        let decided = verdict(&self.me, &entries);
        self.me.running = decided.is_ok();
        self.me.reason = decided.clone().err().unwrap_or_default();
        replace_file(&path, serde_json::to_vec(&self.me)?.as_slice())?;
        Ok(decided.map(|()| Turn { path }))
    }

    fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.folder.join("lock"))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Entries of live processes; those of dead ones are removed on the way.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|kind| kind != "json") {
                continue;
            }
            let Some((entry, age)) = read(&path) else { continue };
            if entry.uid == self.me.uid {
                continue;
            }
            if !self.store.run(&entry.uid).is_alive() {
                // Nobody else can remove or write it meanwhile: the queue's lock is held.
                let _ = fs::remove_file(&path);
            } else if entry.running || age < STALE {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if !self.me.running {
            let _ = fs::remove_file(place(&self.folder, &self.me.uid));
        }
    }
}

/// What a run waits for, from outside; `None` when it does not wait.
pub fn waiting(store: &Store, uid: &str, run: &RunDir) -> Option<String> {
    let (entry, _) = read(&place(&store.root().join("queue"), uid))?;
    (!entry.running && run.is_alive()).then_some(entry.reason)
}

fn place(folder: &Path, uid: &str) -> PathBuf {
    folder.join(format!("{uid}.json"))
}

/// An entry and the time since its process looked last.
fn read(path: &Path) -> Option<(Entry, Duration)> {
    let facts = fs::metadata(path).ok()?;
    let age = SystemTime::now().duration_since(facts.modified().ok()?).unwrap_or_default();
    let entry = (facts.len() <= MOST_BYTES).then(|| fs::read(path).ok()).flatten()?;
    Some((serde_json::from_slice(&entry).ok()?, age))
}

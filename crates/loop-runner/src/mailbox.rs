//! Requests of the runner to the sidecar and their replies: two files of JSON lines that only grow, so that either may be
//! killed at any time. Whoever comes back reads them from the beginning.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loop_core::delivery::{Push, Pushed, Remote};
use loop_core::lease::{Hold, Lease};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// Between two looks at a file.
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait for a push. The sidecar gives up before, so that nothing is pushed that nobody waits for any more.
const PUSH_TIME: Duration = Duration::from_secs(1800);
/// Longest wait for submodules: some of them may be as large as repositories get.
const FETCH_TIME: Duration = Duration::from_secs(3600);
/// What is said of a reply that fits no question.
const OTHER: &str = "the sidecar answered another question";
/// Largest file of either kind that is read.
const MOST: u64 = 16 << 20;

/// What the runner wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// A branch of the remote is to move.
    Push(Push),
    /// The submodules of a commit are to be fetched.
    Submodules(String),
    /// The loop is over: everything is to be published.
    Ended,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// A push.
    Pushed(Pushed),
    /// Submodules.
    Fetched,
    /// All is published.
    Published,
    /// None of these; a sentence says why.
    Failed(String),
}

/// A line of either file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered<T> {
    /// From 1, by the runner; a reply has that of its request.
    pub id: u64,
    /// The rest.
    pub what: T,
}

/// The two files.
#[derive(Debug, Clone)]
pub struct Mailbox {
    requests: PathBuf,
    replies: PathBuf,
    lease: Lease,
}

impl Mailbox {
    /// Those of a pod.
    pub fn of(place: &Place) -> Self {
        let folder = place.folder();
        Self {
            requests: folder.join("requests.jsonl"),
            replies: folder.join("replies.jsonl"),
            lease: place.lease(),
        }
    }

    /// Forgets what was asked and answered.
    pub fn clear(&self) {
        for file in [&self.requests, &self.replies] {
            // It may not be there.
            let _ = fs::remove_file(file);
        }
    }

    /// Asks, and waits for the reply.
    ///
    /// # Errors
    /// A sentence, when a file cannot be used or no reply comes in time.
    pub fn ask(&self, wanted: &Wanted, patience: Duration) -> Result<Answer, String> {
        let unusable = |error: io::Error| format!("the sidecar cannot be asked: {error}");
        let id = read::<Wanted>(&self.requests).map_err(unusable)?.last().map_or(0, |last| last.id) + 1;
        append(&self.requests, &Numbered { id, what: wanted }).map_err(unusable)?;
        let end = Instant::now() + patience;
        loop {
            let replies = read::<Answer>(&self.replies).map_err(unusable)?;
            if let Some(reply) = replies.into_iter().find(|reply| reply.id == id) {
                return Ok(reply.what);
            }
            if *wanted != Wanted::Ended && self.lease.hold() != Hold::Held {
                return Err("the lease of this pod has run out".into());
            }
            if Instant::now() >= end {
                return Err(format!("the sidecar did not answer in {} s", patience.as_secs()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Requests without a reply, in their order.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn open(&self) -> io::Result<Vec<Numbered<Wanted>>> {
        let answered: Vec<u64> = read::<Answer>(&self.replies)?.iter().map(|reply| reply.id).collect();
        let mut requests = read::<Wanted>(&self.requests)?;
        requests.retain(|request| !answered.contains(&request.id));
        Ok(requests)
    }

    /// Replies to a request.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn reply(&self, id: u64, answer: &Answer) -> io::Result<()> {
        append(&self.replies, &Numbered { id, what: answer })
    }
}

impl Remote for Mailbox {
    fn push(&self, push: &Push) -> Result<Pushed, String> {
        match self.ask(&Wanted::Push(push.clone()), PUSH_TIME)? {
            Answer::Pushed(pushed) => Ok(pushed),
            Answer::Failed(reason) => Err(reason),
            Answer::Fetched | Answer::Published => Err(OTHER.into()),
        }
    }

    fn submodules(&self, commit: &str) -> Result<(), String> {
        match self.ask(&Wanted::Submodules(commit.to_owned()), FETCH_TIME)? {
            Answer::Fetched => Ok(()),
            Answer::Failed(reason) => Err(reason),
            Answer::Pushed(_) | Answer::Published => Err(OTHER.into()),
        }
    }
}

/// Whole lines of a file, which may not be there yet. One that cannot be read was left by a writer that was killed, and
/// nobody waits for it.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<Numbered<T>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Ok(facts) if facts.len() > MOST => return Err(io::Error::other("the file is too long")),
        _ => {}
    }
    let text = fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn append(path: &Path, line: &impl Serialize) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    // Behind what a killed writer left of a line.
    let torn = fs::read(path)?.last().is_some_and(|byte| *byte != b'\n');
    let mut bytes = if torn { b"\n".to_vec() } else { Vec::new() };
    bytes.extend(serde_json::to_vec(line)?);
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use loop_core::lease::{Grant, boot_ms};

    use super::*;

    fn push(expected: Option<&str>) -> Push {
        let expected = expected.map(str::to_owned);
        Push { reference: "refs/heads/agent/x".into(), commit: "c".into(), expected }
    }

    #[test]
    fn a_request_is_answered_once_and_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(folder.path());
        let mailbox = Mailbox::of(&place);
        let grant = Grant { attempt: 1, seconds: 60, until_ms: boot_ms() + 60_000, revoked: false };
        place.lease().write(&grant).unwrap();
        let other = mailbox.clone();
        let sidecar = std::thread::spawn(move || {
            let mut answered = Vec::new();
            while answered.len() < 2 {
                for request in other.open().unwrap() {
                    let answer = match &request.what {
                        Wanted::Push(push) if push.expected.is_none() => Answer::Pushed(Pushed::Done),
                        Wanted::Push(_) => Answer::Failed("no".into()),
                        Wanted::Submodules(_) => Answer::Fetched,
                        Wanted::Ended => Answer::Published,
                    };
                    other.reply(request.id, &answer).unwrap();
                    answered.push(request.id);
                }
            }
            answered
        });
        assert_eq!(mailbox.push(&push(None)), Ok(Pushed::Done));
        assert_eq!(mailbox.push(&push(Some("old"))), Err("no".into()));
        assert_eq!(sidecar.join().unwrap(), [1, 2]);
        let torn = [fs::read(&mailbox.requests).unwrap(), b"{\"id\":7,".to_vec()].concat();
        fs::write(&mailbox.requests, torn).unwrap();
        assert!(mailbox.open().unwrap().is_empty());
        let wanted = mailbox.ask(&Wanted::Ended, Duration::from_millis(1)).unwrap_err();
        assert!(wanted.contains("did not answer"), "{wanted}");
        assert_eq!(mailbox.open().unwrap().len(), 1, "who comes back finds what is open");
        place.lease().write(&Grant { revoked: true, ..grant }).unwrap();
        let revoked = mailbox.push(&push(None)).unwrap_err();
        assert_eq!(revoked, "the lease of this pod has run out", "nobody waits for a push of another's run");
    }
}

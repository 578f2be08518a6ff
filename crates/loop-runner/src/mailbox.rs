//! Requests of the runner to the sidecar and their replies: two files of JSON lines that only grow, so that either may be
//! killed at any time. Whoever comes back reads them from the beginning.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loop_core::control::Stop;
use loop_core::delivery::{Push, Pushed, Remote};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// Between two looks at a file.
const LOOK: Duration = Duration::from_millis(100);
/// Longest that the sidecar tries to take work out of the pod: a night, for somebody may have to renew a credential.
pub const NIGHT: Duration = Duration::from_hours(12);
/// Longest wait for that. The sidecar gives up before, so that nothing is pushed that nobody waits for any more.
pub const PUBLISH_TIME: Duration = Duration::from_hours(13);
/// Longest wait for submodules: some of them may be as large as repositories get.
const FETCH_TIME: Duration = Duration::from_secs(3600);
/// Longest wait for the answer to what was taken back, as the sidecar may be in the middle of it: a push that lands after a
/// cancel would deliver what nobody wants any more.
const WITHDRAWAL: Duration = Duration::from_secs(80);
/// The same where the pod is to end, or another may begin: whoever goes on finds what was pushed.
const LEAVE: Duration = Duration::from_secs(10);
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
    /// What was asked before is no longer waited for.
    Nothing,
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
    /// Nothing, as was wanted.
    Nothing,
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
}

impl Mailbox {
    /// Those of a pod.
    pub fn of(place: &Place) -> Self {
        let folder = place.folder();
        Self { requests: folder.join("requests.jsonl"), replies: folder.join("replies.jsonl") }
    }

    /// Forgets what was asked and answered.
    pub fn clear(&self) {
        for file in [&self.requests, &self.replies] {
            // It may not be there.
            let _ = fs::remove_file(file);
        }
    }

    /// Asks, and waits for the reply; takes the question back once `stop` says so. What the sidecar is in the middle of then
    /// is answered all the same.
    ///
    /// # Errors
    /// A sentence, when a file cannot be used or no reply comes in time.
    pub fn ask(
        &self,
        wanted: &Wanted,
        patience: Duration,
        stop: &dyn Fn() -> Option<Stop>,
    ) -> Result<Answer, String> {
        let unusable = |error: io::Error| format!("the sidecar cannot be asked: {error}");
        let id = self.request(wanted).map_err(unusable)?;
        let mut end = Instant::now() + patience;
        let mut late = format!("the sidecar did not answer in {} s", patience.as_secs());
        let mut withdrawn = false;
        loop {
            if let Some(reply) = self.reply_to(id).map_err(unusable)? {
                return Ok(reply);
            }
            if !withdrawn && let Some(stop) = stop() {
                withdrawn = true;
                self.request(&Wanted::Nothing).map_err(unusable)?;
                let leaves = matches!(stop, Stop::Signal(_) | Stop::Lease);
                end = Instant::now() + if leaves { LEAVE } else { WITHDRAWAL };
                late = "the sidecar was not waited for".into();
            }
            if Instant::now() >= end {
                return Err(late);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn request(&self, wanted: &Wanted) -> io::Result<u64> {
        let id = read::<Wanted>(&self.requests)?.last().map_or(0, |last| last.id) + 1;
        append(&self.requests, &Numbered { id, what: wanted })?;
        Ok(id)
    }

    fn reply_to(&self, id: u64) -> io::Result<Option<Answer>> {
        Ok(read::<Answer>(&self.replies)?.into_iter().find(|reply| reply.id == id).map(|reply| reply.what))
    }

    /// Whether the runner still waits for the answer to this request.
    pub fn is_awaited(&self, id: u64) -> bool {
        read::<Wanted>(&self.requests).is_ok_and(|all| all.last().is_some_and(|last| last.id == id))
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
    fn push(&self, push: &Push, stop: &dyn Fn() -> Option<Stop>) -> Result<Pushed, String> {
        match self.ask(&Wanted::Push(push.clone()), PUBLISH_TIME, stop)? {
            Answer::Pushed(pushed) => Ok(pushed),
            Answer::Failed(reason) => Err(reason),
            _ => Err(OTHER.into()),
        }
    }

    fn submodules(&self, commit: &str, stop: &dyn Fn() -> Option<Stop>) -> Result<(), String> {
        match self.ask(&Wanted::Submodules(commit.to_owned()), FETCH_TIME, stop)? {
            Answer::Fetched => Ok(()),
            Answer::Failed(reason) => Err(reason),
            _ => Err(OTHER.into()),
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

    use super::*;

    fn push(expected: Option<&str>) -> Push {
        let expected = expected.map(str::to_owned);
        Push { reference: "refs/heads/agent/x".into(), commit: "c".into(), expected }
    }

    #[test]
    fn a_request_is_answered_once_and_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::of(&Place::at(folder.path()));
        let goes_on = &|| None;
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
                        Wanted::Nothing => Answer::Nothing,
                    };
                    other.reply(request.id, &answer).unwrap();
                    answered.push(request.id);
                }
            }
            answered
        });
        assert_eq!(mailbox.push(&push(None), goes_on), Ok(Pushed::Done));
        assert_eq!(mailbox.push(&push(Some("old")), goes_on), Err("no".into()));
        assert_eq!(sidecar.join().unwrap(), [1, 2]);
        let torn = [fs::read(&mailbox.requests).unwrap(), b"{\"id\":7,".to_vec()].concat();
        fs::write(&mailbox.requests, torn).unwrap();
        assert!(mailbox.open().unwrap().is_empty());
        let wanted = mailbox.ask(&Wanted::Ended, Duration::from_millis(1), goes_on).unwrap_err();
        assert!(wanted.contains("did not answer"), "{wanted}");
        assert_eq!(mailbox.open().unwrap().len(), 1, "who comes back finds what is open");
        assert!(mailbox.is_awaited(3) && !mailbox.is_awaited(2));
    }

    #[test]
    fn what_is_taken_back_is_answered_if_it_was_done_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::of(&Place::at(folder.path()));
        let other = mailbox.clone();
        let sidecar = std::thread::spawn(move || {
            loop {
                let open = other.open().unwrap();
                if let [push, back] = open.as_slice() {
                    assert_eq!(back.what, Wanted::Nothing);
                    other.reply(back.id, &Answer::Nothing).unwrap();
                    return other.reply(push.id, &Answer::Pushed(Pushed::Done)).unwrap();
                }
            }
        });
        assert_eq!(mailbox.push(&push(None), &|| Some(Stop::Cancel)), Ok(Pushed::Done));
        sidecar.join().unwrap();
        assert!(mailbox.open().unwrap().is_empty());
    }
}

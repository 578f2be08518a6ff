//! The whole record of a run, journal and logs included, where `spec.artifacts` has it kept beside the `ConfigMaps`. It is
//! kept when the run has ended, and what becomes of that changes nothing about the end.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loop_api::names;
use loop_api::run::{ArtifactStore, Artifacts as Wanted};
use loop_core::record;
use loop_core::store::RunDir;
use serde_json::Value;

use super::Whose;
use super::bucket::Bucket;
use crate::say;

/// Most bytes of a run's record.
const MOST: u64 = 1 << 30;
/// Longest that the keeping may take.
const TIME: Duration = Duration::from_secs(120);
/// The same for what is written before the agent begins.
const PROBE_TIME: Duration = Duration::from_secs(40);
/// Folder of the record in that of the run in a bucket.
const FOLDER: &str = "artifacts";
/// What was asked for; it is there from the beginning, so that a place that cannot be written is known before the agent begins.
const OBJECT: &str = "looprun.json";
/// Digests of the rest, which are no part of the record's own list.
const SUMS: &str = "SHA256SUMS";

/// Where the record of a run is kept.
#[derive(Debug)]
pub(super) struct Artifacts {
    store: Store,
    /// Bytes of the journal that was kept last, and what was said of it.
    done: Option<(u64, String)>,
    /// The place, once there is something of an end.
    place: Option<String>,
}

#[derive(Debug)]
enum Store {
    /// A folder, with its name for people.
    Folder(PathBuf, String),
    Bucket(Bucket),
}

impl Artifacts {
    /// The place that a run asks for, if that is another than the `ConfigMaps`.
    pub(super) fn new(wanted: &Wanted, whose: &Whose) -> Option<Self> {
        let store = match wanted.store {
            ArtifactStore::ConfigMap => return None,
            ArtifactStore::Volume => {
                let claim = wanted.volume.clone().unwrap_or_default().claim_name;
                let folder = names::record(&whose.name, &whose.uid);
                Store::Folder(Path::new(names::RECORDS).join(&folder), format!("{claim}:{folder}"))
            }
            ArtifactStore::S3 => {
                let s3 = wanted.s3.clone().unwrap_or_default();
                Store::Bucket(Bucket::new(&s3, "spec.artifacts.s3", names::ARTIFACT_SECRET, whose))
            }
        };
        Some(Self { store, done: None, place: None })
    }

    /// Writes what was asked for there.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn probe(&self, object: &Value) -> Result<(), String> {
        let bytes = serde_json::to_vec_pretty(object).map_err(|error| error.to_string())?;
        match &self.store {
            Store::Bucket(bucket) => bucket.put(&format!("{FOLDER}/{OBJECT}"), bytes).await,
            Store::Folder(folder, place) => {
                let folder = folder.clone();
                let written =
                    in_time(PROBE_TIME, move || put(&folder, OBJECT, |file| file.write_all(&bytes)));
                written.await.map_err(|error| {
                    format!(
                        "the claim of {place} cannot be written, {error}; look at spec.artifacts.volume, and let user or group \
                         1000 write there"
                    )
                })
            }
        }
    }

    /// What the status is to say: nothing before the record is there.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Keeps the record of an ended run; gives a remark on its result if not all of it is there.
    pub(super) async fn keep(&mut self, run: &RunDir, patience: Duration) -> String {
        let length = fs::metadata(run.journal()).map_or(0, |facts| facts.len());
        if let Some((_, said)) = self.done.as_ref().filter(|(kept, _)| *kept == length) {
            return said.clone();
        }
        let said = match self.copy(run, TIME.min(patience)).await {
            Ok(said) => {
                self.place = Some(match &self.store {
                    Store::Folder(_, place) => place.clone(),
                    Store::Bucket(bucket) => bucket.address(FOLDER),
                });
                said
            }
            Err(reason) => format!("; its whole record could not be kept: {reason}"),
        };
        if !said.is_empty() {
            say(said.trim_start_matches("; "));
        }
        self.done = Some((length, said.clone()));
        said
    }

    async fn copy(&self, run: &RunDir, time: Duration) -> Result<String, String> {
        let end = Instant::now() + time;
        let (files, left_out) = chosen(run, MOST).map_err(|error| error.to_string())?;
        match &self.store {
            Store::Bucket(bucket) => {
                for name in &files {
                    let left = end.saturating_duration_since(Instant::now());
                    bucket.upload(&format!("{FOLDER}/{name}"), &run.join(name), left).await?;
                }
            }
            Store::Folder(folder, place) => {
                let (folder, run) = (folder.clone(), run.clone());
                let copied = in_time(time, move || {
                    files.iter().try_for_each(|name| {
                        let mut source = File::open(run.join(name))?;
                        put(&folder, name, |target| io::copy(&mut source, target).map(drop))
                    })
                });
                copied.await.map_err(|error| format!("the claim of {place} cannot be written: {error}"))?;
            }
        }
        let most = MOST >> 20;
        Ok(match left_out {
            0 => String::new(),
            number => format!(
                "; {number} of the largest files are left out of its record, as no more than {most} MiB are kept"
            ),
        })
    }
}

/// Names of a record's files, small ones first, and how many are left out because no more than so many bytes are kept.
fn chosen(run: &RunDir, most: u64) -> io::Result<(Vec<String>, usize)> {
    let mut files = record::list(run.path())?;
    files.extend(fs::metadata(run.join(SUMS)).ok().map(|facts| (SUMS.to_owned(), facts.len())));
    files.sort_by_key(|(_, size)| *size);
    let mut room = most;
    let all = files.len();
    let fits = |(_, size): &(String, u64)| room.checked_sub(*size).inspect(|left| room = *left).is_some();
    let names: Vec<String> = files.into_iter().take_while(fits).map(|(name, _)| name).collect();
    let left_out = all - names.len();
    Ok((names, left_out))
}

/// Does something with files in so much time: a file system of another machine may have no answer for ever.
async fn in_time(time: Duration, done: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let done = tokio::time::timeout(time, tokio::task::spawn_blocking(done)).await;
    let late = || io::Error::other(format!("it took longer than {} s", time.as_secs()));
    done.map_err(|_| late())?.map_err(io::Error::other)?
}

/// Writes a file beside its place, and then to it, so that what is there is whole. Others may write to the claim, so no link
/// is followed, neither at the place nor on the way there.
fn put(top: &Path, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let to = top.join(name);
    let folder = to.parent().unwrap_or(top);
    fs::create_dir_all(folder)?;
    for part in folder.ancestors().take_while(|part| part.starts_with(top)) {
        if fs::symlink_metadata(part)?.is_symlink() {
            return Err(io::Error::other(format!("{} is a link", part.display())));
        }
    }
    let mut new = to.as_os_str().to_owned();
    new.push(".new");
    let _ = fs::remove_file(&new);
    let mut target = File::create_new(&new)?;
    write(&mut target)?;
    target.sync_all()?;
    fs::rename(&new, to)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use loop_core::store::Store as Data;

    use super::*;

    fn record() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let run = Data::at(folder.path()).create_run("01").unwrap();
        fs::create_dir_all(run.join("verify")).unwrap();
        fs::create_dir_all(run.join("sandbox")).unwrap();
        for (name, text) in [
            ("journal.jsonl", "journal"),
            ("verify/1.log", "a gate"),
            ("lock", "1"),
            ("sandbox/x", "x"),
            (SUMS, "s"),
        ] {
            fs::write(run.join(name), text).unwrap();
        }
        (folder, run)
    }

    fn artifacts(store: Store) -> Artifacts {
        Artifacts { store, done: None, place: None }
    }

    #[tokio::test]
    async fn the_record_is_kept_as_files_of_a_claim_or_objects_of_a_bucket() {
        let (folder, run) = record();
        let claim = folder.path().join("claim/run-1");
        let mut kept = artifacts(Store::Folder(claim.clone(), "records:run-1".into()));
        kept.probe(&Value::Null).await.unwrap();
        assert_eq!((kept.keep(&run, TIME).await.as_str(), kept.place()), ("", Some("records:run-1")));
        assert_eq!(fs::read_to_string(claim.join("verify/1.log")).unwrap(), "a gate");
        assert!(claim.join(SUMS).exists() && claim.join(OBJECT).exists());
        assert!(!claim.join("lock").exists() && !claim.join("sandbox").exists());

        let whose = Whose { namespace: "n".into(), name: "r".into(), uid: "u".into(), ..Whose::default() };
        let bucket = Bucket::in_memory(&whose);
        let mut kept = artifacts(Store::Bucket(bucket.clone()));
        assert_eq!(kept.keep(&run, TIME).await, "");
        assert_eq!(kept.place(), Some("s3://loops/a/b/n/r/u/artifacts"));
        assert_eq!(
            bucket.list(FOLDER).await.unwrap(),
            ["artifacts/SHA256SUMS", "artifacts/journal.jsonl", "artifacts/verify/1.log"]
        );
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_a_remark_and_no_more() {
        let (folder, run) = record();
        fs::write(folder.path().join("file"), "").unwrap();
        let mut kept = artifacts(Store::Folder(folder.path().join("file/run-1"), "records:run-1".into()));
        let refused = kept.probe(&Value::Null).await.unwrap_err();
        assert!(refused.starts_with("the claim of records:run-1 cannot be written, "), "{refused}");
        let said = kept.keep(&run, TIME).await;
        assert!(
            said.starts_with("; its whole record could not be kept: the claim of records:run-1 "),
            "{said}"
        );
        assert_eq!(kept.place(), None);
    }

    #[test]
    fn the_largest_files_are_left_out_where_there_is_no_room() {
        let (_folder, run) = record();
        assert_eq!(
            chosen(&run, 100).unwrap(),
            (vec![SUMS.into(), "verify/1.log".into(), "journal.jsonl".into()], 0)
        );
        assert_eq!(chosen(&run, 7).unwrap(), (vec![SUMS.into(), "verify/1.log".into()], 1));
    }

    #[test]
    fn no_link_leads_out_of_the_claim() {
        let folder = tempfile::tempdir().unwrap();
        let (top, other) = (folder.path().join("run"), folder.path().join("other"));
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(&top).unwrap();
        std::os::unix::fs::symlink(&other, top.join("verify")).unwrap();
        std::os::unix::fs::symlink(other.join("journal"), top.join("journal")).unwrap();
        let write = |name: &str| put(&top, name, |file| file.write_all(b"x"));
        assert!(write("verify/1.log").unwrap_err().to_string().ends_with("is a link"));
        write("journal").unwrap();
        assert!(fs::read_dir(&other).unwrap().next().is_none(), "the link itself was replaced");
        assert_eq!(fs::read(top.join("journal")).unwrap(), b"x");
    }
}

//! A bucket of the user's: the folder of one run in it. Everything is bounded, in time, tries and size, and what fails is a
//! sentence that names the bucket. The keys of the Secret are read anew for each use, so that one that is rotated counts at
//! once.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use loop_api::run::S3Bucket;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{BackoffConfig, MultipartUpload, ObjectStore, ObjectStoreExt as _, RetryConfig};

use super::Whose;
use super::https::Https;

/// Bytes of a file that are in memory on its way; a larger one goes in parts.
const PART: u64 = 8 << 20;
/// Longest that the parts of a file that could not be sent may take to be removed.
const ABORT_TIME: Duration = Duration::from_secs(5);
/// Most names that are asked for.
const MOST_NAMES: usize = 1000;
/// Longest that anything but a file of some size may take, its tries included. Who waits for a run to begin hears of a bucket
/// that will not do after that time.
const SHORT: Duration = Duration::from_secs(40);
/// Longest time after the first try of a request in which another one begins.
const AGAIN: Duration = Duration::from_secs(25);
/// Tries of a request beyond the first.
const TRIES: usize = 8;
/// Most characters of what a service says that are told.
const MOST_WORDS: usize = 300;

/// The folder of a run in a bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    wanted: S3Bucket,
    /// The field of the spec that names it.
    field: &'static str,
    /// Where the keys of its Secret are.
    secret: PathBuf,
    /// Folder of the run.
    folder: String,
    /// One in memory instead, for tests.
    instead: Option<Arc<dyn ObjectStore>>,
}

impl Bucket {
    /// The bucket that a field of the spec names, with the Secret mounted at `secret`.
    pub(super) fn new(wanted: &S3Bucket, field: &'static str, secret: &str, whose: &Whose) -> Self {
        let own = format!("{}/{}/{}", whose.namespace, whose.name, whose.uid);
        let folder = wanted.prefix.iter().cloned().chain([own]).collect::<Vec<_>>().join("/");
        Self { wanted: wanted.clone(), field, secret: secret.into(), folder, instead: None }
    }

    /// The same in memory.
    #[cfg(test)]
    pub(super) fn in_memory(whose: &Whose) -> Self {
        let wanted = S3Bucket { bucket: "loops".into(), prefix: Some("a/b".into()), ..S3Bucket::default() };
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        Self { instead: Some(store), ..Self::new(&wanted, "spec.checkpoint.s3", "/none", whose) }
    }

    /// Where a file of the run is, for people.
    pub(super) fn address(&self, name: &str) -> String {
        format!("s3://{}/{}/{name}", self.wanted.bucket, self.folder)
    }

    /// Puts a few bytes there.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        let done = async { self.store()?.put(&self.key(name)?, bytes.into()).await.map(drop).map_err(words) };
        self.within("written", SHORT, done).await
    }

    /// Puts a file there, whole or not at all, and without having all of it in memory.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn upload(&self, name: &str, file: &Path, time: Duration) -> Result<(), String> {
        let done = async {
            let mut file = File::open(file).map_err(|error| error.to_string())?;
            let length = file.metadata().map_err(|error| error.to_string())?.len();
            let (store, key) = (self.store()?, self.key(name)?);
            if length <= PART {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
                return store.put(&key, bytes.into()).await.map(drop).map_err(words);
            }
            let mut upload = store.put_multipart(&key).await.map_err(words)?;
            let sent = tokio::time::timeout(time, send(&mut file, upload.as_mut())).await;
            let sent = sent.unwrap_or_else(|_| Err(late(time)));
            if sent.is_err() {
                // Parts that stay cost money; that they could not be removed changes nothing.
                let _ = tokio::time::timeout(ABORT_TIME, upload.abort()).await;
            }
            sent
        };
        self.within("written", time + ABORT_TIME, done).await
    }

    /// Gets a file of at most so many bytes from there; false when it is not there.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn download(
        &self,
        name: &str,
        to: &Path,
        most: u64,
        time: Duration,
    ) -> Result<bool, String> {
        let done = async {
            let found = match self.store()?.get(&self.key(name)?).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(false),
                found => found.map_err(words)?,
            };
            let mut file = File::create(to).map_err(|error| error.to_string())?;
            let (mut stream, mut length) = (found.into_stream(), 0);
            while let Some(bytes) = stream.try_next().await.map_err(words)? {
                length += bytes.len() as u64;
                if length > most {
                    return Err(format!("{name} has more than {most} bytes"));
                }
                file.write_all(&bytes).map_err(|error| error.to_string())?;
            }
            Ok(true)
        };
        self.within("read", time, done).await
    }

    /// Names of what is in a folder of the run's.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let done = async {
            let found = self.store()?.list(Some(&self.key(folder)?)).take(MOST_NAMES);
            let found: Vec<_> = found.try_collect().await.map_err(words)?;
            let own = format!("{}/", self.folder);
            Ok(found
                .iter()
                .filter_map(|one| Some(one.location.as_ref().strip_prefix(&own)?.to_owned()))
                .collect())
        };
        self.within("listed", SHORT, done).await
    }

    /// Removes a file from there.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn remove(&self, name: &str) -> Result<(), String> {
        let done = async {
            match self.store()?.delete(&self.key(name)?).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                done => done.map_err(words),
            }
        };
        self.within("cleaned up", SHORT, done).await
    }

    fn key(&self, name: &str) -> Result<Key, String> {
        Key::parse(format!("{}/{name}", self.folder)).map_err(|error| error.to_string())
    }

    async fn within<T>(
        &self,
        what: &str,
        time: Duration,
        done: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let done = tokio::time::timeout(time, done).await;
        let done = done.unwrap_or_else(|_| Err(late(time)));
        let (bucket, field) = (&self.wanted.bucket, self.field);
        done.map_err(|reason| {
            format!(
                "the bucket {bucket} cannot be {what}, {reason}; look at {field} and the Secret that it names"
            )
        })
    }

    /// A client, made from what the Secret holds now.
    fn store(&self) -> Result<Arc<dyn ObjectStore>, String> {
        if let Some(instead) = &self.instead {
            return Ok(Arc::clone(instead));
        }
        let S3Bucket { bucket, endpoint, region, secret_ref, .. } = &self.wanted;
        let ca = self.file("ca.crt")?;
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(500),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: TRIES,
            retry_timeout: AGAIN,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region.as_deref().unwrap_or("us-east-1"))
            // One request for many is what the fewest services have.
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .with_http_connector(Https::new(ca.as_deref())?);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/')).with_allow_http(true);
        }
        builder = if secret_ref.is_some() {
            let key = |name: &str| self.text(name)?.ok_or_else(|| format!("the Secret has no key {name}"));
            let signed = builder
                .with_access_key_id(key("AWS_ACCESS_KEY_ID")?)
                .with_secret_access_key(key("AWS_SECRET_ACCESS_KEY")?);
            match self.text("AWS_SESSION_TOKEN")? {
                Some(token) => signed.with_token(token),
                None => signed,
            }
        } else {
            builder.with_skip_signature(true)
        };
        builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>).map_err(words)
    }

    /// A key of the Secret, without the line break that an editor leaves.
    fn text(&self, key: &str) -> Result<Option<String>, String> {
        let bytes = self.file(key)?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
            return Err(format!("{key} of its Secret holds a line break or another control character"));
        }
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn file(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        match fs::read(self.secret.join(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{key} of its Secret cannot be read: {error}")),
        }
    }
}

/// Sends a file in parts.
async fn send(file: &mut File, upload: &mut dyn MultipartUpload) -> Result<(), String> {
    loop {
        let mut part = Vec::new();
        file.take(PART).read_to_end(&mut part).map_err(|error| error.to_string())?;
        if part.is_empty() {
            return upload.complete().await.map(drop).map_err(words);
        }
        upload.put_part(part.into()).await.map_err(words)?;
    }
}

fn late(time: Duration) -> String {
    format!("it took longer than {} s", time.as_secs())
}

/// What a service said, or why it said nothing, without the parts that are for programs.
fn words(error: impl Display) -> String {
    let text = error.to_string();
    let part = |name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>"))?;
        Some(after.split_once(&format!("</{name}>"))?.0.trim().to_owned())
    };
    let said = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {}{}", message.trim_end_matches('.'), status(&text)),
        (Some(code), None) => format!("{code}{}", status(&text)),
        // What was asked for, how often and for how long is in the log of the service.
        _ => match text.split_once("Error performing ").and_then(|(_, after)| after.split_once(" - ")) {
            Some((_, why)) => why.to_owned(),
            None => text,
        },
    };
    said.chars().take(MOST_WORDS).collect::<String>().trim_end_matches('.').to_owned()
}

/// ` (HTTP 503)` of an answer that is the fault of the service, or none at this time.
fn status(text: &str) -> String {
    let code = text.split_once("status code: ").map(|(_, after)| after.chars().take(3).collect::<String>());
    let code = code.filter(|code| code.starts_with('5') || code == "429");
    code.map(|code| format!(" (HTTP {code})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! What a day cost: writes by the API server's audit log, and room in its store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::reaching;

/// Writes about one run, or about none.
#[derive(Default)]
pub(super) struct Writes {
    /// `user verb resource/part code`, and how often.
    pub(super) by_kind: BTreeMap<String, usize>,
}

/// Words of sidecars on how their runs stand.
pub(super) const PROGRESS: &str = "agentloop-run patch loopruns/status 200";

impl Writes {
    pub(super) fn all(&self) -> usize {
        self.by_kind.values().sum()
    }

    /// What sidecars sent and the API server did not take.
    pub(super) fn fenced(&self) -> usize {
        let refused = |kind: &&String| kind.starts_with("agentloop-run ") && !kind.ends_with(" 200");
        self.by_kind.keys().filter(refused).map(|kind| self.by_kind[kind]).sum()
    }

    pub(super) fn progress(&self) -> usize {
        self.by_kind.get(PROGRESS).copied().unwrap_or_default()
    }
}

/// The files of an audit log, of which the older ones were put away at 100 MB each; by their names, oldest first.
fn parts(log: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(log.parent().expect("a folder")).expect("the folder of the log");
    let mut older: Vec<PathBuf> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("audit-")))
        .collect();
    older.sort();
    older.push(log.to_owned());
    older
}

/// Writes by operator and sidecars to objects in these namespaces, which nobody had before: by namespace and the first six
/// letters of the object's name, which are those of a run where it is one's; all others by an empty name.
pub(super) fn writes(log: &Path, namespaces: &[String]) -> BTreeMap<(String, String), Writes> {
    let mut all: BTreeMap<(String, String), Writes> = BTreeMap::new();
    let lines =
        parts(log).into_iter().flat_map(|part| BufReader::new(File::open(part).expect("the log")).lines());
    for line in lines {
        // The last one may be half.
        let Ok(event) = serde_json::from_str::<Value>(&line.expect("text")) else { continue };
        let told = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let user = told("/user/username").rsplit(':').next().unwrap_or_default();
        if !["loopd", "agentloop-run"].contains(&user) {
            continue;
        }
        let (resource, part) = (told("/objectRef/resource"), told("/objectRef/subresource"));
        let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
        let name = told("/objectRef/name");
        let is_run = name.len() > 5
            && name.starts_with('r')
            && name[1..6].bytes().all(|letter| letter.is_ascii_digit());
        let space = told("/objectRef/namespace").to_owned();
        if !namespaces.contains(&space) {
            continue;
        }
        let key = if is_run { (space, name[..6].to_owned()) } else { (String::new(), String::new()) };
        *all.entry(key)
            .or_default()
            .by_kind
            .entry(format!("{user} {} {resource}/{part} {code}", told("/verb")))
            .or_default() += 1;
    }
    all
}

/// Asks etcd, which the node has to itself.
fn etcd(path: &str, body: &str) -> String {
    let mut command = reaching("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "120"]);
    if !body.is_empty() {
        command.args(["--data", body]);
    }
    let output = command.arg(format!("http://127.0.0.1:2379{path}")).output().expect("curl runs");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Bytes in use in the store, once it has forgotten every older version.
pub(super) fn store() -> u64 {
    let text = etcd("/v3/kv/range", "{\"key\": \"AA==\"}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let revision = answer["header"]["revision"].as_str().expect("a revision");
    etcd("/v3/kv/compaction", &format!("{{\"revision\": \"{revision}\", \"physical\": true}}"));
    etcd("/v3/maintenance/defragment", "{}");
    let metrics = etcd("/metrics", "");
    let line = metrics.lines().find(|line| line.starts_with("etcd_mvcc_db_total_size_in_use_in_bytes"));
    let number = line.and_then(|line| line.rsplit(' ').next()).expect("its size");
    number.parse::<f64>().expect("a number") as u64
}

/// Bytes of values by kind of object, in these namespaces and without one.
pub(super) fn kinds(namespaces: &[String]) -> BTreeMap<String, (usize, usize)> {
    let mut all: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut from = encode(b"/registry/");
    loop {
        // Everything from here to the end of the registry, a page at a time.
        let body = format!(
            "{{\"key\": \"{from}\", \"range_end\": \"{}\", \"limit\": \"200\"}}",
            encode(b"/registry0")
        );
        let answer: Value = serde_json::from_str(&etcd("/v3/kv/range", &body)).expect("JSON");
        let items = answer["kvs"].as_array().cloned().unwrap_or_default();
        for item in &items {
            let key = String::from_utf8_lossy(&decode(item["key"].as_str().expect("a key"))).into_owned();
            if let Some(space) = namespaces.iter().find(|space| key.contains(space.as_str())) {
                let kind = key.split(space.as_str()).next().unwrap_or_default().trim_matches('/').to_owned();
                let (count, bytes) = all.entry(kind).or_default();
                *count += 1;
                *bytes += item["value"].as_str().map_or(0, |value| value.len() / 4 * 3);
            }
        }
        if answer["more"] != true {
            return all;
        }
        let mut next = decode(items.last().and_then(|item| item["key"].as_str()).expect("a key"));
        next.push(0);
        from = encode(&next);
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64, in which etcd takes and gives keys.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word =
            part.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= part.len() { letter as char } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let values: Vec<u32> = text
        .bytes()
        .filter_map(|letter| LETTERS.iter().position(|known| *known == letter))
        .map(|value| value as u32)
        .collect();
    let bytes = values.chunks(4).flat_map(|part| {
        let word = part.iter().fold(0, |word, value| word << 6 | value) << (6 * (4 - part.len()));
        (0..part.len() - 1).map(move |place| (word >> (16 - 8 * place)) as u8)
    });
    bytes.collect()
}

#[test]
fn keys_come_back_as_they_were() {
    for text in ["/registry/a", "/registry/ab", "/registry/abc"] {
        assert_eq!(decode(&encode(text.as_bytes())), text.as_bytes());
    }
    assert_eq!(encode(b"ab"), "YWI=");
}

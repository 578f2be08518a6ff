//! `SHA256SUMS` and the copy of a record in the workspace (ART-1..5, DOM-21).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use loop_api::journal::{Created, hex};
use loop_api::run::ArtifactMode;
use sha2::{Digest as _, Sha256};

use super::files::{COPIED, copy_folder, list, logs};
use crate::store::{RunDir, replace_file};

const SUMS: &str = "SHA256SUMS";

/// Names of a record's files with their digests.
type Sums = Vec<(String, String)>;

/// Writes the digests of a record and, as its mode says, its copy.
pub(super) fn mirror(run: &RunDir, created: &Created, last: bool) -> io::Result<()> {
    let mut sums = Sums::new();
    let mut copied = Sums::new();
    for (name, size) in list(run.path())? {
        let sum = digest(&run.join(&name))?;
        if size <= COPIED {
            copied.push((name.clone(), sum.clone()));
        }
        sums.push((name, sum));
    }
    replace_file(&run.join(SUMS), text(&sums).as_bytes())?;
    let mode = created.spec.artifacts.mode;
    if mode == ArtifactMode::Global {
        return Ok(());
    }
    let folder = copy_folder(created);
    fs::create_dir_all(&folder)?;
    // The folder ignores itself, or the record would make the working tree unclean (BUG-19). One that the user chose may
    // hold other things: there each copy ignores itself.
    let own = created.log_dir.is_empty();
    let ignore = if own { logs(created) } else { folder.clone() }.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n")?;
    }
    for (name, sum) in &copied {
        copy(&run.join(name), &folder.join(name), sum)?;
    }
    replace_file(&folder.join(SUMS), text(&copied).as_bytes())?;
    if mode == ArtifactMode::Workspace && last {
        for (name, _) in copied.iter().filter(|(name, _)| name != "journal.jsonl") {
            fs::remove_file(run.join(name))?;
        }
        for name in ["verify", "analysis"] {
            // Only folders that are empty by now go.
            let _ = fs::remove_dir(run.join(name));
        }
    }
    Ok(())
}

/// Copies a file whose digest is known; what was written is read again, and is in its place only if it is the same.
pub(super) fn copy(from: &Path, to: &Path, sum: &str) -> io::Result<()> {
    if digest(to).is_ok_and(|there| there == sum) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    // Whatever stands there is not followed.
    let _ = fs::remove_file(new);
    let copied = fs::copy(from, new).and_then(|_| digest(new));
    match copied {
        Ok(copied) if copied == sum => fs::rename(new, to),
        result => {
            let _ = fs::remove_file(new);
            result?;
            let message = format!("the copy of {} is not what was recorded", from.display());
            Err(io::Error::other(message))
        }
    }
}

/// The digests that a record's folder holds; empty when it holds none.
pub(super) fn read_sums(run: &RunDir) -> Sums {
    let text = fs::read_to_string(run.join(SUMS)).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect()
}

/// In the form of `sha256sum`; names of a record hold neither line breaks nor backslashes.
fn text(sums: &Sums) -> String {
    sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect()
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

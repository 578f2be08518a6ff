//! A checkpoint as one file: a git bundle with what the remote does not have. It is made and read in a repository of its own,
//! which sees the objects of others and writes to none of them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use loop_api::run::Repository;
use loop_core::store::RunDir;

use super::checkpoint;
use super::git::{Origin, git};

/// The ref of a bundle.
const REFERENCE: &str = "refs/checkpoint";
/// Most bytes of what stands before the objects of a bundle.
const MOST_HEAD: u64 = 1 << 20;

/// Most commits that a bundle stands on.
const MOST_BASES: usize = 256;

/// A repository that lives for one checkpoint.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    /// The same repository, for what reads and writes commits.
    pub(super) origin: Origin,
}

impl Scratch {
    /// Makes one at a place, over the objects of these repositories.
    pub(super) fn make(folder: &Path, over: &[PathBuf]) -> Result<Self, String> {
        // What a killed one left.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        git(folder, &["init", "--quiet", "--bare"])?;
        let objects: String =
            over.iter().map(|path| format!("{}\n", path.join("objects").display())).collect();
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::write(folder.join("objects/info/alternates"), objects).map_err(failed)?;
        // Where a shallow clone ends, nobody is to look for more.
        if let Some(end) = over.iter().map(|path| path.join("shallow")).find(|path| path.exists()) {
            fs::copy(end, folder.join("shallow")).map_err(failed)?;
        }
        let origin = Origin::new(&Repository::default(), folder.to_owned());
        Ok(Self { folder: folder.to_owned(), origin })
    }

    /// Writes a commit and all below it, but for `base` and what is below that, as a file; gives its size.
    pub(super) fn write(&self, commit: &str, base: &str, file: &Path) -> Result<u64, String> {
        git(&self.folder, &["update-ref", REFERENCE, commit])?;
        let path = file.to_string_lossy();
        git(&self.folder, &["bundle", "create", "--quiet", &path, REFERENCE, &format!("^{base}")])?;
        fs::metadata(file).map(|facts| facts.len()).map_err(|error| format!("{path}: {error}"))
    }

    /// Takes a file in that has to hold a commit. Commits are known by their ids, so it does not matter who may write to
    /// where it was kept.
    pub(super) fn read(&self, file: &Path, commit: &str) -> Result<(), String> {
        for (number, wanted) in wanted(file)?.iter().enumerate() {
            if !self.origin.has(wanted) {
                return Err(format!("the repository no longer has {wanted}, which the run began from"));
            }
            // What a bundle stands on has to be reachable.
            git(&self.folder, &["update-ref", &format!("refs/base/{number}"), wanted])?;
        }
        let refspec = format!("+{REFERENCE}:{REFERENCE}");
        git(&self.folder, &["fetch", "--quiet", "--no-tags", &file.to_string_lossy(), &refspec])?;
        let there = git(&self.folder, &["rev-parse", REFERENCE])?;
        if there.trim() == commit { Ok(()) } else { Err(format!("what is kept there is not {commit}")) }
    }

    /// Brings work and journal of a commit that was taken in to where an engine looks for them: the commits that it stands on,
    /// which are given, to a clone, and its files to the folder of the run, if that is wanted.
    pub(super) fn bring(
        &self,
        commit: &str,
        clone: &Path,
        run: Option<&RunDir>,
    ) -> Result<Vec<String>, String> {
        let parents = git(&self.folder, &["rev-list", "--parents", "-n1", commit])?;
        let parents: Vec<String> = parents.split_whitespace().skip(1).map(str::to_owned).collect();
        let source = self.folder.to_string_lossy();
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", &source];
        arguments.extend(parents.iter().map(String::as_str));
        git(clone, &arguments)?;
        // Last, for a folder that is there says that the rest is there too.
        if let Some(run) = run {
            checkpoint::restore(&self.origin, run, commit)?;
        }
        Ok(parents)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Made anew each time, so one that stays does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Commits that a bundle stands on.
fn wanted(file: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut lines = BufReader::new(fs::File::open(file).map_err(failed)?.take(MOST_HEAD));
    let mut wanted = Vec::new();
    loop {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).map_err(failed)?;
        match line.strip_prefix(b"-") {
            _ if line.len() <= 1 => return Ok(wanted),
            Some(rest) => {
                let id = rest.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                // What is kept there may be somebody else's.
                if ![40, 64].contains(&id.len())
                    || !id.iter().all(u8::is_ascii_hexdigit)
                    || wanted.len() >= MOST_BASES
                {
                    return Err("what is kept there is no checkpoint".into());
                }
                wanted.push(String::from_utf8_lossy(id).into_owned());
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[test]
    fn what_stands_before_the_objects_is_ids_and_not_too_many() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            wanted(file.path())
        };
        let id = "0123456789abcdef0123456789abcdef01234567";
        let head = format!("# v2 git bundle\n-{id} base\n{id} refs/checkpoint\n\nPACK");
        assert_eq!(read(&head), Ok(vec![id.to_owned()]));
        let refused = Err("what is kept there is no checkpoint".to_owned());
        assert_eq!(read("# v2 git bundle\n--upload-pack=x\n\n"), refused);
        assert_eq!(read(&format!("-{id}\n").repeat(300)), refused);
    }
}

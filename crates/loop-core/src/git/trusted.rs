//! The engine's own bare repository: what is believed about a run is read here and nowhere else.

use std::path::{Path, PathBuf};

use super::objects::Objects;
use super::{Error, Git};
use crate::protect::{self, Change};

/// Most bytes that one transfer from the far side may bring.
const MAX_PACK_BYTES: u64 = 2 << 30;

/// Packs up to this size go through memory, which saves a process.
const SMALL_PACK_BYTES: u64 = 4 << 20;

/// The bare repository, and the run whose refs it keeps.
#[derive(Debug, Clone)]
pub struct Trusted {
    git: Git,
    objects: Objects,
    directory: PathBuf,
    uid: String,
}

/// Who writes a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
}

/// What merging two commits gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeTree {
    /// The merged tree.
    Clean(String),
    /// Files in conflict (git prints them on stdout; BUG-17).
    Conflict(Vec<String>),
}

impl Trusted {
    /// Opens the repository, making it on first use.
    pub fn open(directory: &Path, uid: &str) -> Result<Self, Error> {
        if !directory.join("HEAD").exists() {
            if let Some(parent) = directory.parent() {
                std::fs::create_dir_all(parent).map_err(|error| Error::Unexpected(error.to_string()))?;
            }
            Self::make(directory)?;
        }
        let git = Git::bare(directory).with(crate::exec::ENGINE_MARKER, uid);
        Ok(Self { objects: Objects::new(&git), git, directory: directory.to_owned(), uid: uid.to_owned() })
    }

    /// Makes the repository beside its place first: git is not done with it as soon as there is a HEAD, and another
    /// engine, or what a killed one left running, may be making it too.
    fn make(directory: &Path) -> Result<(), Error> {
        let unexpected = |error: std::io::Error| Error::Unexpected(error.to_string());
        let mut name = directory.as_os_str().to_owned();
        name.push(format!(".new-{}", std::process::id()));
        let new = PathBuf::from(name);
        Git::bare(&new).run(&["init", "--quiet", "--bare", "--initial-branch=none"])?;
        if let Err(error) = std::fs::rename(&new, directory) {
            std::fs::remove_dir_all(&new).map_err(unexpected)?;
            if !directory.join("HEAD").exists() {
                return Err(unexpected(error));
            }
        }
        Ok(())
    }

    /// Its path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Plain access, for reading.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// A ref of this run.
    pub fn reference(&self, name: &str) -> String {
        format!("refs/runs/{}/{name}", self.uid)
    }

    /// Points refs of this run at commits, all or none.
    pub fn keep(&self, refs: &[(&str, &str)]) -> Result<(), Error> {
        let lines: String =
            refs.iter().map(|(name, commit)| format!("update {} {commit}\n", self.reference(name))).collect();
        self.git.run_with(&["update-ref", "--stdin"], lines.as_bytes()).map(drop)
    }

    /// Copies a commit and its history from the user's repository, before any agent has run or from a branch that none can write.
    pub fn import(&self, root: &Path, commit: &str, name: &str) -> Result<(), Error> {
        if self.git.commit(commit)?.is_none() {
            let source = root.to_string_lossy();
            self.git.run(&["fetch", "--quiet", "--no-tags", "--update-shallow", &source, commit])?;
        }
        self.keep(&[(name, commit)])
    }

    /// Takes a pack in that the far side wrote, with every object checked and every link resolved.
    pub fn index_pack(&self, pack: &Path) -> Result<(), Error> {
        let limit = format!("--max-input-size={MAX_PACK_BYTES}");
        let command = ["index-pack", "--stdin", "--strict", "--fix-thin", &limit];
        let unreadable = |error: std::io::Error| Error::Unexpected(error.to_string());
        if std::fs::metadata(pack).map_err(unreadable)?.len() <= SMALL_PACK_BYTES {
            return self.git.run_with(&command, &std::fs::read(pack).map_err(unreadable)?).map(drop);
        }
        self.git.run_from(pack, &command).map(drop)
    }

    /// Tree of a commit.
    pub fn tree(&self, commit: &str) -> Result<String, Error> {
        let object = self.objects.get(&format!("{commit}^{{tree}}"))?;
        object.map(|object| object.id).ok_or_else(|| Error::Unexpected(format!("the tree of {commit}")))
    }

    /// Whether one commit is in the history of another.
    pub fn descends(&self, ancestor: &str, commit: &str) -> Result<bool, Error> {
        match self.objects.near(ancestor, commit)? {
            Some(answer) => Ok(answer),
            None => self.git.ask(&["merge-base", "--is-ancestor", ancestor, commit]),
        }
    }

    /// What differs between the trees of two commits, with renames found.
    pub fn changes(&self, old: &str, new: &str) -> Result<Vec<Change>, Error> {
        let raw = self.git.run(&["diff-tree", "-r", "-z", "-M", "--raw", "--no-commit-id", old, new])?;
        protect::parse_raw(&raw).map_err(|error| Error::Unexpected(format!("diff-tree: {error}")))
    }

    /// Content of a regular file in a commit; `None` when it is not there or something else.
    pub fn file(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let object = self.objects.get(&format!("{commit}:{path}"))?;
        Ok(object.filter(|object| object.kind == "blob").map(|object| object.content))
    }

    /// Paths of all files of a commit, with mode and blob.
    pub fn list(&self, commit: &str) -> Result<Vec<(String, String, String)>, Error> {
        let raw = self.git.run(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        Ok(raw
            .split(|byte| *byte == 0)
            .filter_map(|entry| {
                let text = String::from_utf8_lossy(entry).into_owned();
                let (facts, path) = text.split_once('\t')?;
                let mut words = facts.split(' ');
                let mode = words.next()?.to_owned();
                let blob = words.nth(1)?.to_owned();
                Some((path.to_owned(), mode, blob))
            })
            .collect())
    }

    /// Writes a commit. The same arguments give the same commit, so a killed step can be run again.
    pub fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        identity: &Identity,
        time_ms: i64,
    ) -> Result<String, Error> {
        let mut arguments = vec!["commit-tree", tree];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        let date = format!("{} +0000", time_ms / 1000);
        let git = self
            .git
            .with("GIT_AUTHOR_NAME", &identity.name)
            .with("GIT_AUTHOR_EMAIL", &identity.email)
            .with("GIT_COMMITTER_NAME", &identity.name)
            .with("GIT_COMMITTER_EMAIL", &identity.email)
            .with("GIT_AUTHOR_DATE", &date)
            .with("GIT_COMMITTER_DATE", &date);
        Ok(String::from_utf8_lossy(&git.run_with(&arguments, message.as_bytes())?).trim().to_owned())
    }

    /// A tree with some files put in.
    pub fn tree_with(&self, commit: &str, files: &[(&str, &[u8])], scratch: &Path) -> Result<String, Error> {
        let index = scratch.join("index");
        let git = self.git.with("GIT_INDEX_FILE", &index.to_string_lossy());
        git.run(&["read-tree", commit])?;
        for (path, content) in files {
            let blob = git.run_with(&["hash-object", "-w", "--stdin"], content)?;
            let blob = String::from_utf8_lossy(&blob).trim().to_owned();
            git.run(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")])?;
        }
        let tree = git.text(&["write-tree"])?;
        // Scratch only; what matters is in the object store now.
        let _ = std::fs::remove_file(index);
        Ok(tree)
    }

    /// Merges without a worktree.
    pub fn merge_tree(&self, ours: &str, theirs: &str) -> Result<MergeTree, Error> {
        let captured =
            self.git.execute(&["merge-tree", "--write-tree", "--name-only", "-z", ours, theirs], b"")?;
        let mut parts =
            captured.stdout.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
        let tree = parts.next().unwrap_or_default();
        match captured.outcome.exit_code {
            Some(0) => Ok(MergeTree::Clean(tree)),
            Some(1) => Ok(MergeTree::Conflict(parts.take_while(|path| !path.is_empty()).collect())),
            _ => Err(Error::Failed {
                command: "merge-tree".into(),
                stderr: String::from_utf8_lossy(&captured.stderr).trim().to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;

//! Objects of the trusted repository, read through one `git cat-file --batch` that stays.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Git};
use crate::exec::Dialog;

/// Commits looked at before git is asked whether one descends from another.
const MOST_COMMITS: usize = 256;

/// Largest object that is read into memory; a larger one is as good as none, as nothing that is judged is so large.
const MOST_BYTES: usize = 16 << 20;

/// The reader; clones share its process.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    git: Git,
    dialog: Arc<Mutex<Option<Dialog>>>,
}

/// An object as git has it.
pub(super) struct Object {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) content: Vec<u8>,
}

impl Objects {
    pub(super) fn new(git: &Git) -> Self {
        Self { git: git.clone(), dialog: Arc::new(Mutex::new(None)) }
    }

    /// The object that a name stands for; `None` when there is none.
    pub(super) fn get(&self, name: &str) -> Result<Option<Object>, Error> {
        if name.contains('\n') {
            return Ok(None);
        }
        let mut place = self.dialog.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dialog = match place.take() {
            Some(dialog) => dialog,
            None => self.git.dialog(&["cat-file", "--batch"])?,
        };
        // Only a dialog that came to its end is used again.
        match ask(&mut dialog, name)? {
            Answer::Object(object) => {
                *place = Some(dialog);
                Ok(Some(object))
            }
            Answer::Missing => {
                *place = Some(dialog);
                Ok(None)
            }
            // The dialog is given up with the rest of the answer.
            Answer::TooLarge => Ok(None),
        }
    }

    /// Whether a commit is in the near history of another; `None` when that is not near enough to tell.
    pub(super) fn near(&self, ancestor: &str, commit: &str) -> Result<Option<bool>, Error> {
        let mut queue = VecDeque::from([commit.to_owned()]);
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = queue.pop_front() {
            if id == ancestor {
                return Ok(Some(true));
            }
            if !seen.insert(id.clone()) {
                continue;
            }
            if seen.len() > MOST_COMMITS {
                return Ok(None);
            }
            let Some(object) = self.get(&id)?.filter(|object| object.kind == "commit") else {
                return Ok(None);
            };
            let text = String::from_utf8_lossy(&object.content).into_owned();
            let head = text.split("\n\n").next().unwrap_or_default();
            queue.extend(head.lines().filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned));
        }
        Ok(Some(false))
    }
}

enum Answer {
    Object(Object),
    Missing,
    TooLarge,
}

fn ask(dialog: &mut Dialog, name: &str) -> Result<Answer, Error> {
    dialog.ask(format!("{name}\n").as_bytes())?;
    let header = dialog.line()?;
    let words: Vec<&str> = header.rsplitn(3, ' ').collect();
    let [size, kind, id] = words[..] else {
        return if header.ends_with(" missing") || header.ends_with(" ambiguous") {
            Ok(Answer::Missing)
        } else {
            Err(Error::Unexpected("cat-file".into()))
        };
    };
    let Ok(size) = size.parse::<usize>() else { return Ok(Answer::Missing) };
    if size > MOST_BYTES {
        return Ok(Answer::TooLarge);
    }
    let content = dialog.bytes(size)?;
    dialog.bytes(1)?;
    Ok(Answer::Object(Object { id: id.to_owned(), kind: kind.to_owned(), content }))
}

//! Path patterns, for the defaults and for what the user writes.

use globset::{GlobBuilder, GlobMatcher};

use super::Error;

/// One pattern; it stands for the path itself and for everything below it.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    path: GlobMatcher,
    below: GlobMatcher,
}

/// Whether letters' case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// For what is allowed: a second file that differs in case is not it.
    Exact,
    /// For what is protected: on some file systems both names are one file.
    Folded,
}

impl Pattern {
    pub(super) fn new(glob: &str, case: Case) -> Result<Self, Error> {
        let bad = |reason: String| Error::Glob { glob: glob.to_owned(), reason };
        let plain = glob.trim();
        let plain = plain.strip_prefix("./").unwrap_or(plain).trim_start_matches('/').trim_end_matches('/');
        if plain.is_empty() || plain == "." {
            return Err(bad("it names no path".to_owned()));
        }
        if plain.starts_with('!') {
            return Err(bad("a pattern cannot be negated; use protect.allow".to_owned()));
        }
        let build = |text: &str| {
            GlobBuilder::new(text)
                .literal_separator(true)
                .empty_alternates(true)
                .case_insensitive(case == Case::Folded)
                .build()
                .map(|glob| glob.compile_matcher())
                .map_err(|error| bad(error.kind().to_string()))
        };
        Ok(Self { text: glob.to_owned(), path: build(plain)?, below: build(&format!("{plain}/**"))? })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.path.is_match(path) || self.below.is_match(path)
    }
}

/// Compiles a list, or names its first bad pattern.
pub(super) fn patterns(globs: &[String], case: Case) -> Result<Vec<Pattern>, Error> {
    globs.iter().map(|glob| Pattern::new(glob, case)).collect()
}

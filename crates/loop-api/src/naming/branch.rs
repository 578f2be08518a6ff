//! Which branch names git takes.

use thiserror::Error;

/// The most bytes of a branch name; with `refs/heads/` it then fits the 255 that hosts and file systems take.
const LIMIT: usize = 244;

/// Why a branch name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BranchError {
    /// There is no name.
    #[error("a branch name must not be empty")]
    Empty,
    /// More bytes than a ref can have everywhere.
    #[error("a branch name must not be longer than 244 bytes")]
    TooLong,
    /// `HEAD` and `@` mean the current commit.
    #[error("`HEAD` and `@` are not branch names")]
    Reserved,
    /// It would be read as an option.
    #[error("a branch name must not start with `-`")]
    LeadingDash,
    /// It starts or ends with `/`, or has two in a row.
    #[error("a branch name must not start or end with `/` nor contain `//`")]
    EmptyComponent,
    /// A part starts with a dot.
    #[error("no part of a branch name may start with `.`")]
    LeadingDot,
    /// A part ends like git's lock files.
    #[error("no part of a branch name may end with `.lock`")]
    LockSuffix,
    /// It ends with a dot.
    #[error("a branch name must not end with `.`")]
    TrailingDot,
    /// Git would read a range or a reflog entry.
    #[error("a branch name must not contain `..` or `@{{`")]
    Revision,
    /// A character git gives a meaning of its own, or a control character.
    #[error("a branch name must not contain {0:?}")]
    Character(char),
}

/// Checks a branch name by the rules of `git check-ref-format --branch` (BUG-24: the empty name, too).
pub fn valid_branch(name: &str) -> Result<(), BranchError> {
    let forbidden =
        |c: &char| c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    if name.is_empty() {
        Err(BranchError::Empty)
    } else if name.len() > LIMIT {
        Err(BranchError::TooLong)
    } else if matches!(name, "HEAD" | "@") {
        Err(BranchError::Reserved)
    } else if name.starts_with('-') {
        Err(BranchError::LeadingDash)
    } else if let Some(character) = name.chars().find(forbidden) {
        Err(BranchError::Character(character))
    } else if name.contains("..") || name.contains("@{") {
        Err(BranchError::Revision)
    } else if name.split('/').any(str::is_empty) {
        Err(BranchError::EmptyComponent)
    } else if name.split('/').any(|part| part.starts_with('.')) {
        Err(BranchError::LeadingDot)
    } else if name.split('/').any(|part| part.as_bytes().ends_with(b".lock")) {
        Err(BranchError::LockSuffix)
    } else if name.ends_with('.') {
        Err(BranchError::TrailingDot)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts() {
        let longest = "a".repeat(LIMIT);
        for name in
            ["main", "run/login", "a.b", "a@b", "@a", "a-", "feature/ä", "head", "a{b", "a.lock.b", &longest]
        {
            assert_eq!(valid_branch(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn rejects() {
        use BranchError::{
            Character, EmptyComponent, LeadingDash, LeadingDot, LockSuffix, Reserved, Revision, TooLong,
            TrailingDot,
        };
        let too_long = "a".repeat(LIMIT + 1);
        let table = [
            ("HEAD", Reserved),
            ("@", Reserved),
            ("-a", LeadingDash),
            ("/a", EmptyComponent),
            ("a/", EmptyComponent),
            ("a//b", EmptyComponent),
            (".a", LeadingDot),
            ("a/.b", LeadingDot),
            ("a.lock", LockSuffix),
            ("a.lock/b", LockSuffix),
            ("a.", TrailingDot),
            ("a..b", Revision),
            ("a@{b", Revision),
            ("a b", Character(' ')),
            ("a~b", Character('~')),
            ("a^b", Character('^')),
            ("a:b", Character(':')),
            ("a?b", Character('?')),
            ("a*b", Character('*')),
            ("a[b", Character('[')),
            ("a\\b", Character('\\')),
            ("a\nb", Character('\n')),
            ("a\u{7f}b", Character('\u{7f}')),
            (&too_long, TooLong),
        ];
        for (name, reason) in table {
            assert_eq!(valid_branch(name), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn bug_24_an_empty_branch_name_is_refused() {
        assert_eq!(valid_branch(""), Err(BranchError::Empty));
        assert_eq!(valid_branch(" "), Err(BranchError::Character(' ')));
    }

    proptest! {
        #[test]
        fn a_valid_name_cannot_leave_its_folder(name in "[a./@{~:-]{0,8}") {
            if valid_branch(&name).is_ok() {
                prop_assert!(!name.is_empty() && !name.starts_with(['/', '-']));
                prop_assert!(name.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}

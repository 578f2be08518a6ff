//! Names derived from other names: slugs, branches and worktree paths (RUN-3, WT-6, WT-9).

mod branch;
mod template;
mod workspace;

pub use branch::{BranchError, valid_branch};
pub use template::{TemplateError, worktree_path};
pub use workspace::workspace;

/// The most characters of a slug.
pub const SLUG_LIMIT: usize = 64;

/// The slug of a name: lower-case ASCII letters and digits with single hyphens between (RUN-3, WT-6).
///
/// Never empty (`unnamed` then) and never longer than [`SLUG_LIMIT`].
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if slug.len() == SLUG_LIMIT {
            break;
        }
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}

/// The slug of a spec file: that of its file name without the extension (RUN-3).
pub fn spec_slug(path: &str) -> String {
    let stem = std::path::Path::new(path).file_stem().map(|stem| stem.to_string_lossy());
    slug(stem.as_deref().unwrap_or_default())
}

/// The branch name as one path component: `/` becomes `-` (WT-9).
pub fn sanitize_branch(branch: &str) -> String {
    branch.replace('/', "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs() {
        let long = "a".repeat(80);
        let hyphen_at_limit = format!("{}-b", "a".repeat(63));
        let table = [
            ("login", "login"),
            ("Login Flow", "login-flow"),
            ("  --Login__v2.1!! ", "login-v2-1"),
            ("", "unnamed"),
            ("---", "unnamed"),
            ("日本語", "unnamed"),
            ("café", "caf"),
            ("a/b\\c", "a-b-c"),
            (&long, &long[..64]),
            (&hyphen_at_limit, &hyphen_at_limit[..63]),
        ];
        for (name, expected) in table {
            assert_eq!(slug(name), expected, "{name:?}");
        }
    }

    #[test]
    fn spec_slug_uses_the_stem() {
        let table = [
            ("specs/User Login.md", "user-login"),
            ("login.spec.md", "login-spec"),
            ("", "unnamed"),
            ("/", "unnamed"),
            ("..", "unnamed"),
            (".md", "md"),
        ];
        for (path, expected) in table {
            assert_eq!(spec_slug(path), expected, "{path:?}");
        }
    }

    #[test]
    fn sanitize_makes_one_component() {
        assert_eq!(sanitize_branch("run/a/b"), "run-a-b");
    }

    proptest! {
        #[test]
        fn a_slug_is_a_branch_and_its_own_slug(name in any::<String>()) {
            let slug = slug(&name);
            prop_assert!((1..=SLUG_LIMIT).contains(&slug.len()));
            prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
            prop_assert_eq!(valid_branch(&format!("run/{slug}")), Ok(()));
            prop_assert_eq!(super::slug(&slug), slug);
        }
    }
}

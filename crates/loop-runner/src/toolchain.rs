//! What the image of a team must have for agent and gates to work in it (design section 9), looked at before they do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_core::exec;

/// Oldest git with `merge-tree --write-tree`.
const GIT: (u32, u32) = (2, 38);
/// Longest that a program may take to say its version.
const TIME: Duration = Duration::from_secs(30);
/// Most of its words that are read.
const WORDS: usize = 4096;
/// Where distributions keep the certificates of authorities, as one file.
const AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Variables that name them elsewhere.
const ELSEWHERE: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What was found in an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What `git --version` says, or why it says nothing.
    git: Option<Result<String, String>>,
    sh: bool,
    authorities: bool,
    /// Folders of PATH that our user may not enter.
    closed: Vec<PathBuf>,
}

impl Found {
    /// Looks around in the container that this process is in.
    pub fn here() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let closed = |folder: &PathBuf| {
            folder.metadata().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let named = |name: &&str| std::env::var_os(name).is_some_and(|place| Path::new(&place).exists());
        Self {
            git: said(&["git", "--version"]),
            sh: said(&["sh", "-c", ":"]).is_some_and(|said| said.is_ok()),
            authorities: AUTHORITIES.iter().any(|place| Path::new(place).exists())
                || ELSEWHERE.iter().any(named),
            closed: std::env::split_paths(&path).filter(closed).collect(),
        }
    }

    /// # Errors
    /// A sentence that names what is missing and what to do.
    pub fn judge(&self) -> Result<(), String> {
        let git = match &self.git {
            None => Some("git is not in its PATH".to_owned()),
            Some(Err(words)) => Some(format!("its git cannot be run ({words})")),
            Some(Ok(words)) if version(words).is_none_or(|version| version < GIT) => {
                Some(format!("its git is too old ({words})"))
            }
            Some(Ok(_)) => None,
        };
        let sh = (!self.sh).then(|| "sh is not in its PATH".to_owned());
        let authorities = (!self.authorities).then(|| "it has no CA certificates".to_owned());
        let mut missing: Vec<String> = [git, sh, authorities].into_iter().flatten().collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.extend(self.locked());
        Err(format!(
            "ToolchainIncomplete: agent and gates cannot work in this image: {}; it needs git {}.{} or newer, sh and CA \
             certificates for user 1000: add what is missing, or name another with spec.agent.image",
            missing.join(", "),
            GIT.0,
            GIT.1
        ))
    }

    /// What is in the image for root alone.
    pub fn locked(&self) -> Option<String> {
        let places: Vec<String> = self.closed.iter().map(|place| place.display().to_string()).collect();
        (!places.is_empty()).then(|| format!("only root may enter {} of its PATH", places.join(", ")))
    }
}

/// What a program says, or why it says nothing; `None` when there is no such program.
fn said(words: &[&str]) -> Option<Result<String, String>> {
    let argv: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let environment: Vec<(String, String)> = loop_core::caller_environment().into_iter().collect();
    let captured = match exec::direct(&argv, Path::new("/"), &environment, b"", TIME, WORDS) {
        Ok(captured) => captured,
        Err(error) => return Some(Err(error.to_string())),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match captured.outcome.spawn_error {
        Some(error) if error.ends_with("command not found") => None,
        Some(error) => Some(Err(error)),
        None if captured.outcome.success() => Some(Ok(text(&captured.stdout))),
        None => Some(Err(text(&captured.stderr))),
    }
}

/// The first two numbers of what `git --version` says.
fn version(words: &str) -> Option<(u32, u32)> {
    let mut numbers = words.strip_prefix("git version ")?.split(['.', ' ', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Found {
        Found { git: Some(Ok("git version 2.39.5".into())), sh: true, authorities: true, closed: Vec::new() }
    }

    #[test]
    fn an_image_with_all_of_it_will_do_and_what_is_missing_is_named() {
        assert_eq!(complete().judge(), Ok(()));
        assert_eq!(Found { closed: vec!["/root/bin".into()], ..complete() }.judge(), Ok(()));
        let said = |found: Found| found.judge().unwrap_err();
        let none = said(Found::default());
        for words in [
            "ToolchainIncomplete: ",
            "git is not in its PATH",
            "sh is not",
            "no CA certificates",
            "spec.agent.image",
        ] {
            assert!(none.contains(words), "{none}");
        }
        let old = said(Found { git: Some(Ok("git version 2.30.2".into())), ..complete() });
        assert!(old.contains("its git is too old (git version 2.30.2)") && !old.contains("no CA"), "{old}");
        let broken = said(Found { git: Some(Err("Permission denied".into())), ..complete() });
        assert!(broken.contains("its git cannot be run (Permission denied)"), "{broken}");
        let locked = said(Found { git: None, closed: vec!["/root/bin".into()], ..complete() });
        assert!(locked.contains("only root may enter /root/bin of its PATH"), "{locked}");
    }

    #[test]
    fn versions_are_read_as_git_writes_them() {
        assert_eq!(version("git version 2.39.5"), Some((2, 39)));
        assert_eq!(version("git version 2.47.0.rc1"), Some((2, 47)));
        assert_eq!(version("git version 2.38-custom (vendor 7)"), Some((2, 38)));
        assert_eq!(version("git 3"), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_none() {
        assert_eq!(said(&["no-such-program-anywhere"]), None);
        assert!(
            said(&["git", "--version"]).is_some_and(|said| said.is_ok_and(|words| version(&words).is_some()))
        );
        assert_eq!(said(&["sh", "-c", "echo no >&2; exit 1"]), Some(Err("no".into())));
    }
}

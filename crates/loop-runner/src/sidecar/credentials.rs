//! What lets git into the remote: read anew from the mounted Secret for every command, so that one that is rotated counts
//! at once. Nothing of it stands in an argument, where every process of the container could read it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::claim;

/// Where a Secret with credentials is mounted, if the run names one.
pub const SECRET: &str = "/run/secrets/git";

/// Keys of that Secret, as Flux and the types of Kubernetes name them.
const PASSWORD: &str = "password";
const TOKEN: &str = "bearerToken";
const AUTHORITY: &str = "ca.crt";
const IDENTITIES: [&str; 2] = ["identity", "ssh-privatekey"];
const KNOWN_HOSTS: &str = "known_hosts";

/// Seconds until a server of ssh has to answer, and that a connection over http may stand still.
const SILENCE: u32 = 60;

/// What a command of git that talks to the remote is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Settings for it.
    pub settings: Vec<(String, String)>,
    /// How it is to call ssh.
    pub ssh: Option<String>,
}

impl Access {
    /// For a remote, from the folder of a Secret; a key for ssh is written to `scratch`, for ssh is particular about files.
    ///
    /// # Errors
    /// A sentence on what the Secret lacks for this remote.
    pub fn read(url: &str, secret: &Path, scratch: &Path) -> Result<Self, String> {
        if claim::is_local(url) {
            let called = |key: &str, service: &str| (format!("remote.origin.{key}"), claim::called(service));
            let settings = vec![called("uploadpack", "upload-pack"), called("receivepack", "receive-pack")];
            return Ok(Self { settings, ssh: None });
        }
        if is_ssh(url) {
            let ssh = Some(ssh(secret, scratch)?);
            return Ok(Self { settings: Vec::new(), ssh });
        }
        let mut settings = vec![
            ("http.lowSpeedLimit".to_owned(), "1".to_owned()),
            ("http.lowSpeedTime".to_owned(), SILENCE.to_string()),
        ];
        let found = |key: &str| secret.join(key).exists();
        let host = host(url);
        if found(PASSWORD) {
            settings.push((format!("credential.{host}.helper"), helper(secret)));
        }
        if found(TOKEN) {
            let token =
                fs::read_to_string(secret.join(TOKEN)).map_err(|error| format!("{TOKEN}: {error}"))?;
            settings.push((
                format!("http.{host}.extraHeader"),
                format!("Authorization: Bearer {}", token.trim()),
            ));
        }
        if found(AUTHORITY) {
            settings.push(("http.sslCAInfo".into(), secret.join(AUTHORITY).to_string_lossy().into_owned()));
        }
        Ok(Self { settings, ssh: None })
    }
}

/// What of an address says which server it is, and as whom it is called.
pub fn server(url: &str) -> &str {
    if url.contains("://") { host(url) } else { url.split(':').next().unwrap_or(url) }
}

/// `ssh://` or `user@host:path`.
fn is_ssh(url: &str) -> bool {
    url.starts_with("ssh://") || !url.contains("://")
}

/// Scheme and host, so that password and token are sent to nobody else.
fn host(url: &str) -> &str {
    let Some(start) = url.find("://").map(|at| at + 3) else { return url };
    url[start..].find('/').map_or(url, |end| &url[..=start + end])
}

/// Gives git user name and password out of the files. A token in place of a password goes with any name.
fn helper(secret: &Path) -> String {
    let secret = secret.display();
    format!(
        "!f() {{ [ \"$1\" = get ] || exit 0; printf 'username=%s\\n' \"$(cat {secret}/username 2>/dev/null || echo git)\"; \
         printf 'password=%s\\n' \"$(cat {secret}/password)\"; }}; f"
    )
}

/// The command, with a copy of the key that nobody else may read and that ends as ssh wants it: with a new line, which
/// those who put a key into a Secret often lose.
fn ssh(secret: &Path, scratch: &Path) -> Result<String, String> {
    let found = IDENTITIES.iter().map(|key| secret.join(key)).find(|path| path.exists());
    let identity = found
        .ok_or("its address is one for ssh, and there is no Secret with the key `identity`, a private key")?;
    let hosts = secret.join(KNOWN_HOSTS);
    if !hosts.exists() {
        return Err(format!(
            "the Secret has no key `{KNOWN_HOSTS}`, so that nobody knows whether it is the right server: put what ssh-keyscan \
             says of the host there, once you have compared it"
        ));
    }
    let failed = |error: std::io::Error| format!("the key for ssh cannot be made ready: {error}");
    let text = fs::read_to_string(&identity).map_err(failed)?;
    let key = scratch.join("identity");
    let _ = fs::remove_file(&key);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key).map_err(failed)?;
    std::io::Write::write_all(&mut file, format!("{}\n", text.trim_end()).as_bytes()).map_err(failed)?;
    Ok(format!(
        "ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={} \
         -o StrictHostKeyChecking=yes -o ConnectTimeout={SILENCE} -o ServerAliveInterval={SILENCE}",
        key.display(),
        hosts.display()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn secret(keys: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (key, value) in keys {
            fs::write(folder.path().join(key), value).unwrap();
        }
        folder
    }

    #[test]
    fn a_key_for_ssh_is_made_ready_and_what_is_missing_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        for url in ["ssh://git@host:2222/app.git", "git@host:app.git"] {
            let read = |keys: &[(&str, &str)]| {
                let secret = secret(keys);
                Access::read(url, secret.path(), scratch.path())
            };
            assert!(read(&[("password", "x")]).unwrap_err().contains("key `identity`"));
            assert!(read(&[("identity", "x")]).unwrap_err().contains("key `known_hosts`"));
            for name in IDENTITIES {
                let access = read(&[(name, "KEY"), ("known_hosts", "host")]).unwrap();
                assert!(access.ssh.unwrap().contains("StrictHostKeyChecking=yes"));
                let key = scratch.path().join("identity");
                assert_eq!(fs::read_to_string(&key).unwrap(), "KEY\n");
                assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }

    #[test]
    fn a_token_goes_to_the_host_of_the_remote_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let secret = secret(&[("bearerToken", "abc\n"), ("ca.crt", "PEM"), ("password", "p")]);
        let access =
            Access::read("https://git.example:8443/team/app.git", secret.path(), scratch.path()).unwrap();
        let value =
            |key: &str| access.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        assert_eq!(value("http.https://git.example:8443/.extraHeader"), Some("Authorization: Bearer abc"));
        assert!(value("http.sslCAInfo").unwrap().ends_with("/ca.crt"));
        assert!(value("credential.https://git.example:8443/.helper").unwrap().contains("/password"));
        assert_eq!(access.ssh, None);
        let none = Access::read("git://host/app.git", Path::new("/none"), scratch.path()).unwrap();
        assert_eq!(none.settings.len(), 2, "{none:?}");
    }
}

//! One name for a repository, however its address is written.

use std::borrow::Cow;

/// Ports that go without saying, with the schemes that they belong to.
const PORTS: [(&str, &str); 4] = [("https", "443"), ("http", "80"), ("ssh", "22"), ("git", "9418")];

/// The workspace of a run on a cluster: host and path of its repository, without scheme, user, usual port and `.git`.
///
/// `https://git.example/team/app.git`, `ssh://git@git.example/team/app` and `git@git.example:team/app.git` are all
/// `git.example/team/app`. What is no address of a host, such as a file URL, stays as it is but for its end.
pub fn workspace(url: &str) -> Cow<'_, str> {
    let whole = bare(url);
    let (host, path) = match url.split_once("://") {
        Some((scheme, rest)) => {
            let scheme = scheme.to_ascii_lowercase();
            let Some((_, port)) = PORTS.iter().find(|(known, _)| *known == scheme) else {
                return Cow::Borrowed(whole);
            };
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let usual = host.strip_suffix(port).and_then(|host| host.strip_suffix(':'));
            (usual.unwrap_or(host), path)
        }
        None => match whole.split_once(':') {
            Some((host, path)) => (host.rsplit_once('@').map_or(host, |(_, host)| host), path),
            None => return Cow::Borrowed(whole),
        },
    };
    let path = bare(path).trim_start_matches('/');
    Cow::Owned(format!("{}/{path}", host.to_ascii_lowercase()))
}

/// Without what may stand at the end of an address or not.
fn bare(address: &str) -> &str {
    let address = address.trim_end_matches('/');
    address.strip_suffix(".git").unwrap_or(address).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_one_name_however_it_is_addressed() {
        for url in [
            "https://git.example/team/app.git",
            "https://Git.Example:443/team/app/",
            "http://user@git.example/team/app",
            "ssh://git@git.example:22/team/app.git",
            "git@git.example:team/app.git",
            "git.example:/team/app",
            "git://git.example//team/app.git/",
        ] {
            assert_eq!(workspace(url), "git.example/team/app", "{url}");
        }
        for (url, expected) in [
            ("https://git.example:8443/App.git", "git.example:8443/App"),
            ("ssh://git.example:443/app", "git.example:443/app"),
            ("https://[fd00::1]:443/app", "[fd00::1]/app"),
            ("file:///srv/git/app.git", "file:///srv/git/app"),
            ("/srv/app", "/srv/app"),
            ("", ""),
        ] {
            assert_eq!(workspace(url), expected, "{url}");
        }
    }
}

//! What processes on the far side get to see of the caller's environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::git::is_repository_variable;

/// Variables that locate toolchains; passed to gates although HOME changes.
const TOOLCHAIN: [&str; 18] = [
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "JAVA_HOME",
    "GOROOT",
    "GOPROXY",
    "GOFLAGS",
    "PYENV_ROOT",
    "NVM_DIR",
    "VOLTA_HOME",
    "RBENV_ROOT",
    "ASDF_DATA_DIR",
    "SDKMAN_DIR",
    "DOTNET_ROOT",
    "M2_HOME",
    "MAVEN_HOME",
    "GRADLE_HOME",
    "ANDROID_HOME",
    "CC",
];
/// Toolchain folders that stand under HOME unless a variable says otherwise.
const UNDER_HOME: [(&str, &str); 3] =
    [("RUSTUP_HOME", ".rustup"), ("PYENV_ROOT", ".pyenv"), ("NVM_DIR", ".nvm")];
/// How to reach the network, and how to speak.
const SURROUNDINGS: [&str; 14] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "LANG",
    "TZ",
    "USER",
    "LOGNAME",
];
/// Credentials and sockets that no agent needs and every push would.
const NOT_FOR_AGENTS: [&str; 12] = [
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITLAB_TOKEN",
    "BITBUCKET_TOKEN",
    "GITEA_TOKEN",
    "KUBECONFIG",
    "DOCKER_HOST",
    "OLDPWD",
    "PWD",
];

/// The caller's PATH without relative entries and without entries under the repository or its worktrees (design section 5).
pub(crate) fn search_path(path: &str, excluded: &[&Path]) -> String {
    let kept: Vec<PathBuf> = std::env::split_paths(path)
        .filter(|entry| entry.is_absolute())
        .filter(|entry| !excluded.iter().any(|root| entry.starts_with(root)))
        .collect();
    std::env::join_paths(kept).ok().and_then(|joined| joined.into_string().ok()).unwrap_or_default()
}

/// Environment of a gate: nothing of the agent's, a HOME of its own, the toolchain where it really is.
pub(crate) fn for_gate(
    caller: &BTreeMap<String, String>,
    search_path: &str,
    home: &Path,
) -> Vec<(String, String)> {
    let mut environment: BTreeMap<String, String> = TOOLCHAIN
        .iter()
        .chain(&SURROUNDINGS)
        .filter_map(|&name| Some((name.to_owned(), caller.get(name)?.clone())))
        .collect();
    if let Some(real_home) = caller.get("HOME") {
        for (name, folder) in UNDER_HOME {
            let path = Path::new(real_home).join(folder);
            if path.is_dir() {
                environment.entry(name.to_owned()).or_insert_with(|| path.to_string_lossy().into_owned());
            }
        }
    }
    let own = [("PATH", search_path), ("HOME", &home.to_string_lossy()), ("TMPDIR", "/tmp"), ("CI", "true")];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment.into_iter().collect()
}

/// Environment of an agent: the caller's, without credentials for pushing and without pointers at other repositories.
pub(crate) fn for_agent(caller: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    caller
        .iter()
        .filter(|(name, _)| !is_repository_variable(name) && !NOT_FOR_AGENTS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// This process's environment, as far as it is text.
pub fn of_caller() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_entries_and_the_worktree_leave_the_search_path() {
        let path = "/usr/bin:bin:.:/srv/app/node_modules/.bin:/bin";
        assert_eq!(search_path(path, &[Path::new("/srv/app")]), "/usr/bin:/bin");
    }

    #[test]
    fn a_gate_sees_nothing_of_the_agent_and_no_secret() {
        let caller = BTreeMap::from([
            ("GITHUB_TOKEN".to_owned(), "secret".to_owned()),
            ("JAVA_HOME".to_owned(), "/opt/java".to_owned()),
            ("HOME".to_owned(), "/nonexistent".to_owned()),
        ]);
        let environment = for_gate(&caller, "/bin", Path::new("/gate/home"));
        assert!(environment.contains(&("HOME".into(), "/gate/home".into())));
        assert!(environment.contains(&("JAVA_HOME".into(), "/opt/java".into())));
        assert!(!environment.iter().any(|(name, _)| name == "GITHUB_TOKEN"));
        assert!(!for_agent(&caller).contains_key("GITHUB_TOKEN"));
    }
}

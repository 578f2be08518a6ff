//! The remote of the user's repository: cloned once, pushed to by compare-and-swap.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loop_api::run::{Checkout, Repository};
use loop_core::delivery::{Push, Pushed};
use loop_core::exec;

use super::claim;
use super::credentials::{Access, SECRET};
use super::lease::Held;
use super::mirror;
use super::trial::{UNFIT, UNLEASED};

/// Longest that a clone or fetch may take.
const TIME: Duration = Duration::from_secs(600);
/// Longest that a clone may take that goes by a mirror; then there is time left for one without.
const MIRRORED_TIME: Duration = Duration::from_secs(240);
/// Longest until the remote says anything at all.
const REACH_TIME: Duration = Duration::from_secs(15);
/// Longest that a push may take: while it is waited for, nothing else is done.
const PUSH_TIME: Duration = Duration::from_secs(120);
/// Most output of git that is read.
const OUTPUT: usize = 4 << 20;
/// The remote, and the clone of it that runner and sidecar share.
#[derive(Debug, Clone)]
pub struct Origin {
    url: String,
    folder: PathBuf,
    depth: u32,
    /// By what it pushes; without it, as in tests, whenever it is asked to.
    held: Option<Held>,
    folders: Vec<String>,
}

impl Origin {
    /// The remote of a repository, cloned to a folder.
    pub fn new(repository: &Repository, folder: PathBuf) -> Self {
        let Checkout { depth, sparse_paths, .. } = repository.checkout.clone();
        Self { url: repository.url.clone(), folder, depth, folders: sparse_paths, held: None }
    }

    /// Pushes only while this lease counts.
    pub(super) fn held_by(self, held: Held) -> Self {
        Self { held: Some(held), ..self }
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The clone.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks git something of the remote, in a folder.
    fn ask(&self, folder: &Path, arguments: &[&str]) -> Result<String, String> {
        let time = if arguments[0] == "push" { PUSH_TIME } else { TIME };
        self.ask_within(time, folder, arguments)
    }

    fn ask_within(&self, time: Duration, folder: &Path, arguments: &[&str]) -> Result<String, String> {
        run(folder, arguments, b"", OUTPUT, (&self.access()?, time))
            .map(|output| String::from_utf8_lossy(&output).into_owned())
    }

    /// What lets git into it.
    fn access(&self) -> Result<Access, String> {
        Access::read(&self.url, Path::new(SECRET), &std::env::temp_dir())
            .map_err(|reason| format!("{UNFIT}{reason}"))
    }

    /// How long a push may take that another pod could make too: it ends with the lease.
    fn push_time(&self) -> Result<Duration, String> {
        let Some(held) = &self.held else { return Ok(PUSH_TIME) };
        let left = held.left().ok_or_else(|| format!("{UNLEASED}, so that it pushes nothing"))?;
        Ok(left.min(PUSH_TIME))
    }

    /// Asks whether it answers, as a clone would wait for minutes for one that does not.
    ///
    /// # Errors
    /// What git says.
    pub fn reach(&self) -> Result<(), String> {
        if self.folder.exists() { Ok(()) } else { self.answers() }
    }

    /// The same of a remote that did not answer before: a push to one that says nothing takes minutes.
    ///
    /// # Errors
    /// What git says.
    pub fn answers(&self) -> Result<(), String> {
        if claim::is_local(&self.url) {
            return Ok(());
        }
        self.ask_within(REACH_TIME, Path::new("/"), &["ls-remote", "--", &self.url, "HEAD"]).map(drop)
    }

    /// Clones it, with a local branch for every one of the remote's; one that is there already is kept. What a mirror of it
    /// has is taken from there, in the first try alone: one that is broken keeps no run from its work.
    ///
    /// # Errors
    /// What git says.
    pub fn set_up(&self, branch: &str, mirror: Option<&Path>) -> Result<(), String> {
        if self.folder.exists() {
            return Ok(());
        }
        let tried = self.folder.with_extension("mirrored");
        let mirror = mirror.filter(|_| !tried.exists());
        if mirror.is_some() {
            fs::write(&tried, b"").map_err(|error| format!("{}: {error}", tried.display()))?;
        }
        let new = self.folder.with_extension("new");
        // What a killed clone left.
        let _ = fs::remove_dir_all(&new);
        self.clone_to(&new, branch, mirror)?;
        let all = ["fetch", "--quiet", "--no-tags", "--update-head-ok", "origin", HEADS];
        self.ask(&new, &all)?;
        if !self.folders.is_empty() {
            // Worktrees of this clone begin like this too.
            let set = ["sparse-checkout", "set", "--cone", "--stdin"];
            git_with(&new, &set, self.folders.join("\n").as_bytes(), OUTPUT)?;
            git(&new, &["checkout", "--quiet"])?;
        }
        fs::rename(&new, &self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))
    }

    fn clone_to(&self, folder: &Path, branch: &str, mirror: Option<&Path>) -> Result<(), String> {
        let (place, depth) = (folder.to_string_lossy(), self.depth.to_string());
        let mut arguments = vec!["clone", "--quiet", "--no-tags"];
        if !branch.is_empty() {
            arguments.extend(["--branch", branch]);
        }
        if self.depth > 0 {
            arguments.extend(["--no-single-branch", "--depth", &depth]);
        }
        if !self.folders.is_empty() {
            arguments.push("--no-checkout");
        }
        let at_the_other_end = claim::called("upload-pack");
        if claim::is_local(&self.url) {
            // A clone does not look at the setting for it.
            arguments.extend(["--upload-pack", &at_the_other_end]);
        }
        let shown = mirror.map(Path::to_string_lossy);
        if let Some(mirror) = &shown {
            arguments.extend(["--reference", mirror, "--dissociate"]);
        }
        arguments.extend(["--", &self.url, &place]);
        let mut access = self.access()?;
        let Some(mirror) = &shown else {
            return run(Path::new("/"), &arguments, b"", OUTPUT, (&access, TIME)).map(drop);
        };
        access.settings.extend(mirror::settings());
        run(Path::new("/"), &arguments, b"", OUTPUT, (&access, MIRRORED_TIME))
            .map_err(|reason| format!("with the mirror {mirror}: {reason}"))?;
        crate::say(&format!("what the mirror {mirror} has was taken from there"));
        Ok(())
    }

    /// Gets what a shallow clone has left out.
    ///
    /// # Errors
    /// What git says.
    pub fn complete(&self) -> Result<(), String> {
        if git(&self.folder, &["rev-parse", "--is-shallow-repository"])?.trim() != "true" {
            return Ok(());
        }
        self.ask(&self.folder, &["fetch", "--quiet", "--no-tags", "--unshallow", "origin"]).map(drop)
    }

    /// Asks the remote whether it would take a push of this ref.
    ///
    /// # Errors
    /// What git says.
    pub fn may_push(&self, reference: &str) -> Result<(), String> {
        self.ask(&self.folder, &["push", "--quiet", "--dry-run", "origin", &format!("+HEAD:{reference}")])
            .map(drop)
    }

    /// Whether the clone has a commit.
    pub fn has(&self, commit: &str) -> bool {
        git(&self.folder, &["cat-file", "-e", &format!("{commit}^{{commit}}")]).is_ok()
    }

    /// What a branch of the remote points at, if that is a part of the history of one of these commits or refs of ours:
    /// then an earlier life of this process pushed it.
    pub fn pushed_before(&self, reference: &str, ours: &[&str]) -> Option<String> {
        let tip = self.tip_within(REACH_TIME, reference).ok().flatten()?;
        let holds = |ours: &&str| git(&self.folder, &["merge-base", "--is-ancestor", &tip, ours]).is_ok();
        ours.iter().any(holds).then_some(tip)
    }

    /// Writes files as a commit of the clone.
    ///
    /// # Errors
    /// What git says.
    pub fn commit(
        &self,
        files: &[(String, Vec<u8>)],
        parents: &[&str],
        message: &str,
    ) -> Result<String, String> {
        let mut listing = String::new();
        for (name, content) in files {
            let blob = git_with(&self.folder, &["hash-object", "-w", "--stdin"], content, OUTPUT)?;
            listing.push_str(&format!("100644 blob {}\t{name}\n", text(&blob)));
        }
        let tree = git_with(&self.folder, &["mktree"], listing.as_bytes(), OUTPUT)?;
        let tree = text(&tree);
        let mut arguments = vec!["-c", "user.name=Agentloop", "-c", "user.email=agentloop@localhost"];
        arguments.extend(["commit-tree", &tree]);
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        Ok(text(&git_with(&self.folder, &arguments, message.as_bytes(), OUTPUT)?))
    }

    /// Names of the files of a commit.
    ///
    /// # Errors
    /// What git says.
    pub fn files(&self, commit: &str) -> Result<Vec<String>, String> {
        let listing = git(&self.folder, &["ls-tree", "--name-only", "-z", commit])?;
        Ok(listing.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// A file of a commit.
    ///
    /// # Errors
    /// What git says.
    pub fn file(&self, commit: &str, name: &str) -> Result<Vec<u8>, String> {
        git_with(
            &self.folder,
            &["cat-file", "blob", &format!("{commit}:{name}")],
            b"",
            super::checkpoint::MOST,
        )
    }

    /// Gets a ref of the remote into the clone; gives what it points at, if it is there.
    ///
    /// # Errors
    /// What git says.
    pub fn fetch(&self, reference: &str) -> Result<Option<String>, String> {
        let Some(tip) = self.tip(reference)? else { return Ok(None) };
        let refspec = format!("+{reference}:{reference}");
        self.ask(&self.folder, &["fetch", "--quiet", "--no-tags", "origin", &refspec])?;
        Ok(Some(tip))
    }

    /// Removes such a ref from the remote.
    ///
    /// # Errors
    /// What git says.
    pub fn delete(&self, reference: &str) -> Result<(), String> {
        self.ask(&self.folder, &["push", "--quiet", "origin", &format!(":{reference}")]).map(drop)
    }

    /// What a branch of the remote points at.
    fn tip(&self, reference: &str) -> Result<Option<String>, String> {
        self.tip_within(TIME, reference)
    }

    fn tip_within(&self, time: Duration, reference: &str) -> Result<Option<String>, String> {
        let listing = self.ask_within(time, &self.folder, &["ls-remote", "origin", reference])?;
        Ok(listing.split_whitespace().next().map(str::to_owned))
    }

    /// Moves a branch of the remote, if it points at what is expected. Where it does not, the clone gets what is there.
    ///
    /// # Errors
    /// What git says, when the remote cannot be reached or refuses for another reason.
    pub fn push(&self, push: &Push) -> Result<Pushed, String> {
        let Pushed::Moved = self.swap(push)? else { return Ok(Pushed::Done) };
        let reference = &push.reference;
        let refspec = format!("+{reference}:{reference}");
        match self.tip(reference)? {
            Some(_) => self.ask(
                &self.folder,
                &["fetch", "--quiet", "--no-tags", "--update-head-ok", "origin", &refspec],
            )?,
            None => git(&self.folder, &["update-ref", "-d", reference])?,
        };
        Ok(Pushed::Moved)
    }

    /// The same, without a look at what is there instead.
    ///
    /// # Errors
    /// What git says, when the remote cannot be reached or refuses for another reason.
    pub fn swap(&self, push: &Push) -> Result<Pushed, String> {
        let Push { reference, commit, expected } = push;
        let lease = format!("--force-with-lease={reference}:{}", expected.as_deref().unwrap_or_default());
        let refspec = format!("{commit}:{reference}");
        let push = ["push", "--quiet", &lease, "origin", &refspec];
        let Err(said) = self.ask_within(self.push_time()?, &self.folder, &push) else {
            return Ok(Pushed::Done);
        };
        match self.tip_within(REACH_TIME, reference) {
            Ok(now) if now.as_ref() == Some(commit) => Ok(Pushed::Done),
            Ok(now) if now != *expected => Ok(Pushed::Moved),
            // What the push itself met is the better word.
            _ => Err(said),
        }
    }
}

/// All branches of the remote, as branches of the clone.
const HEADS: &str = "+refs/heads/*:refs/heads/*";

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// Runs git in a folder; gives what it prints.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    git_with(folder, arguments, b"", OUTPUT).map(|output| String::from_utf8_lossy(&output).into_owned())
}

fn git_with(folder: &Path, arguments: &[&str], input: &[u8], most: usize) -> Result<Vec<u8>, String> {
    run(folder, arguments, input, most, (&Access::default(), TIME))
}

/// Runs git in a folder with what lets it into a remote.
pub(super) fn git_to(access: &Access, folder: &Path, arguments: &[&str]) -> Result<(), String> {
    run(folder, arguments, b"", OUTPUT, (access, TIME)).map(drop)
}

/// Runs git without the user's and the system's configuration, and never with a question.
fn run(
    folder: &Path,
    arguments: &[&str],
    input: &[u8],
    most: usize,
    (access, time): (&Access, Duration),
) -> Result<Vec<u8>, String> {
    let mut argv = vec!["git".to_owned()];
    argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
    let mut environment = vec![
        ("PATH".to_owned(), std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into())),
        ("HOME".into(), std::env::var("HOME").unwrap_or_else(|_| "/tmp".into())),
        ("LC_ALL".into(), "C".into()),
        ("GIT_TERMINAL_PROMPT".into(), "0".into()),
        ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
        ("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()),
        ("GIT_CONFIG_COUNT".into(), (access.settings.len() + 1).to_string()),
    ];
    let fsync = ("core.fsync".to_owned(), "all".to_owned());
    for (at, (key, value)) in access.settings.iter().chain([&fsync]).enumerate() {
        environment.push((format!("GIT_CONFIG_KEY_{at}"), key.clone()));
        environment.push((format!("GIT_CONFIG_VALUE_{at}"), value.clone()));
    }
    environment.extend(access.ssh.clone().map(|ssh| ("GIT_SSH_COMMAND".to_owned(), ssh)));
    let captured =
        exec::direct(&argv, folder, &environment, input, time, most).map_err(|error| error.to_string())?;
    if captured.outcome.success() && captured.truncated {
        return Err(format!("git {}: its output is longer than {most} bytes", arguments[0]));
    }
    if captured.outcome.success() {
        return Ok(captured.stdout);
    }
    if captured.outcome.ended == exec::Ended::TimedOut {
        return Err(format!("git {}: no end of it within {} s", arguments[0], time.as_secs()));
    }
    let said = String::from_utf8_lossy(&captured.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(format!("git {}: {}", arguments[0], said.join("; ")))
}

#[cfg(test)]
pub(super) mod tests;

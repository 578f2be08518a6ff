//! The far side of the trust line: what executes the agent, the reviewer and the gates on this machine.
//!
//! Each side is a `loop-exec` of its own, in a container on Kubernetes and else under bubblewrap where it works, that can
//! write its own folders only. The engine's folder is hidden from all of them; the trusted repository can be read.

mod checkout;
mod collect;
mod container;
mod hooks;
mod private_git;
mod record;
mod reports;
mod sparse;
mod state_folder;
mod submodules;

pub use collect::{Collected, Worktree};
pub use container::{Container, Links};
pub(crate) use hooks::Hooked;
pub(crate) use sparse::folders;
pub(crate) use submodules::borrow as borrow_submodules;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::Adapter;
use crate::exec::{self, Bwrap, Captured, Client, HomeOverlay, Isolation, Limits, Mount, Request, Sandbox};

/// Longest that a helper command of ours may take on the far side.
const HELPER_TIME: Duration = Duration::from_secs(120);
/// Most output of a helper command that is read.
const HELPER_OUTPUT: usize = 1 << 20;

/// Caches in HOME that build tools must be able to write. The far side gets empty ones of its own: what stands in the
/// real ones is used by the user's own builds, outside of every sandbox.
const FRESH_HOME: [&str; 8] =
    [".cache", ".npm", ".pnpm-store", ".cargo/registry", ".cargo/git", "go/pkg", ".m2", ".gradle"];

/// Parts of HOME that push, sign, deploy or run containers; a socket can be used also where it cannot be written.
const HIDDEN_HOME: [&str; 16] = [
    ".ssh",
    ".gnupg",
    ".git-credentials",
    ".netrc",
    ".config/gh",
    ".config/glab-cli",
    ".config/gcloud",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".colima",
    ".lima",
    ".rd",
    ".config/git/credentials",
    ".local/share/keyrings",
];

/// What went wrong on the far side, apart from the work itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Processes could not be run.
    #[error(transparent)]
    Exec(#[from] exec::Error),
    /// Folders could not be made.
    #[error("cannot prepare {path}: {error}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A helper command failed.
    #[error("{what} failed: {detail}")]
    Helper {
        /// What was tried.
        what: &'static str,
        /// What it printed.
        detail: String,
    },
}

/// Everything needed to start a side.
#[derive(Debug, Clone)]
pub struct Setting {
    /// This program, which becomes `loop-exec`.
    pub executable: PathBuf,
    /// Whether bubblewrap works.
    pub isolation: Isolation,
    /// The data directory, hidden from every side.
    pub data: PathBuf,
    /// The run's folder for sandboxes.
    pub sandboxes: PathBuf,
    /// The trusted repository, readable.
    pub trusted: PathBuf,
    /// The user's repository, readable.
    pub workspace: PathBuf,
    /// The caller's environment.
    pub caller: BTreeMap<String, String>,
    /// PATH without relative entries and the repository's own.
    pub search_path: String,
    /// Marker that every process of the run carries.
    pub marker: String,
    /// Connections to containers.
    pub links: Links,
    /// Folders that every side has before it; none = all.
    pub folders: Vec<String>,
    /// Repository with the commits of submodules, readable, if their folders have their files.
    pub submodules: Option<PathBuf>,
}

/// A running side.
#[derive(Debug)]
pub struct Side {
    client: Arc<Client>,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    temporary: String,
    /// Whether it is a container, which has a PATH of its own.
    contained: bool,
}

impl Side {
    /// Its executor.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its working folder: the worktree or a checkout.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A request in its folder with its environment and some more variables.
    pub fn request(
        &self,
        argv: Vec<String>,
        more: &[(&str, String)],
        stdin: Vec<u8>,
        limits: Limits,
    ) -> Request {
        let mut environment = self.environment.clone();
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Request {
            argv,
            cwd: self.folder.clone(),
            env: environment.into_iter().collect(),
            stdin,
            limits,
            sweep: true,
            credentials: false,
        }
    }

    /// PATH of our own commands there: the engine's, which no agent can write, or a container's own.
    fn path(&self, engine: &str) -> String {
        let own = self.environment.get("PATH").filter(|_| self.contained);
        own.map_or(engine, String::as_str).to_owned()
    }

    /// Runs a helper script of ours in its folder.
    fn helper(&self, script: &str, arguments: &[&str], stdin: &[u8], path: &str) -> Result<Captured, Error> {
        self.helper_with(script, arguments, stdin, path, (HELPER_OUTPUT, HELPER_TIME))
    }

    /// The same for a script that has more to say, or less time.
    fn helper_with(
        &self,
        script: &str,
        arguments: &[&str],
        stdin: &[u8],
        path: &str,
        (most, time): (usize, Duration),
    ) -> Result<Captured, Error> {
        let mut argv: Vec<String> = ["sh", "-c", script, "loop"].map(str::to_owned).to_vec();
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let limits = Limits { total: time, idle: None, term_grace: Duration::from_secs(2) };
        let more = [("PATH", self.path(path)), ("LC_ALL", "C".to_owned())];
        let mut request = self.request(argv, &more, stdin.to_vec(), limits);
        // The agent may be alive beside a helper that takes a snapshot.
        request.sweep = false;
        Ok(self.client.capture(&request, &|| false, most)?)
    }
}

/// Whether a helper did what it was to do, or what it printed.
fn worked(captured: &Captured, what: &'static str) -> Result<(), Error> {
    if captured.outcome.success() {
        return Ok(());
    }
    let detail = String::from_utf8_lossy(&captured.stderr).trim().to_owned();
    Err(Error::Helper { what, detail })
}

impl Setting {
    fn folder(&self, parts: &[&str]) -> Result<PathBuf, Error> {
        let path = parts.iter().fold(self.sandboxes.clone(), |path, part| path.join(part));
        fs::create_dir_all(&path).map_err(|error| Error::Io { path: path.clone(), error })?;
        Ok(path)
    }

    fn start(
        &self,
        name: &str,
        folder: &Path,
        mut environment: BTreeMap<String, String>,
        wanted: Bwrap,
    ) -> Result<Side, Error> {
        // Made anew: a mount point below a folder that somebody else could write would be followed out of it.
        remove(&self.sandboxes.join(name).join("tmp"))?;
        let tmp = self.folder(&[name, "tmp"])?;
        let confined = matches!(self.isolation, Isolation::Bubblewrap { .. });
        let temporary = if confined { "/tmp".to_owned() } else { tmp.to_string_lossy().into_owned() };
        environment.insert("TMPDIR".into(), temporary.clone());
        environment.insert("LOOP_RUN_MARKER".into(), self.marker.clone());
        let sandbox = if confined {
            let mut readable = vec![
                self.executable.clone(),
                self.trusted.clone(),
                self.workspace.clone(),
                self.agent_program(),
            ];
            readable.extend(self.submodules.clone());
            // The temp folder is masked; tools that stand there have to be shown again.
            let masked = |entry: &PathBuf| entry.starts_with("/tmp") || entry.starts_with("/var/tmp");
            readable.extend(std::env::split_paths(&self.search_path).filter(masked));
            readable.extend(wanted.readable.iter().cloned());
            Sandbox::Bubblewrap(Bwrap { tmp, readable, ..wanted })
        } else {
            Sandbox::None
        };
        let client = Arc::new(Client::start(&self.executable, &sandbox)?);
        Ok(Side { client, folder: folder.to_owned(), environment, temporary, contained: false })
    }

    /// Copy of the script agent's program.
    pub fn agent_program(&self) -> PathBuf {
        self.containers().map_or(&self.sandboxes, |at| &at.program).join("agent.sh")
    }

    /// What no side may see: the data directory, and the keys and sockets of HOME that open other doors.
    fn hidden(&self) -> Vec<PathBuf> {
        let home = self.caller.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let keys = home.iter().flat_map(|home| HIDDEN_HOME.iter().map(|name| home.join(name)));
        keys.chain([self.data.clone()]).collect()
    }

    /// HOME as a side sees it: the real one, read-only, with a private one on top for what is new.
    fn home(&self, private: PathBuf) -> Result<Option<HomeOverlay>, Error> {
        let Some(real) = self.caller.get("HOME").map(PathBuf::from) else { return Ok(None) };
        if !real.is_absolute() || real == Path::new("/") || !real.is_dir() {
            return Ok(None);
        }
        for part in FRESH_HOME {
            let path = private.join(part);
            fs::create_dir_all(&path).map_err(|error| Error::Io { path, error })?;
        }
        Ok(Some(HomeOverlay { real, private, fresh_parts: FRESH_HOME.iter().map(PathBuf::from).collect() }))
    }

    /// Folders of PATH, and of an agent's program, that lie in a cache of HOME, such as a virtual environment in `~/.cache`: shown again,
    /// read-only. With a `bin` goes the folder around it.
    fn tools(&self, adapter: &Adapter) -> Vec<Mount> {
        let Some(home) = self.caller.get("HOME").map(PathBuf::from) else { return Vec::new() };
        let parts: Vec<PathBuf> = FRESH_HOME.iter().map(|part| home.join(part)).collect();
        let program =
            self.program_folder(adapter).filter(|path| parts.iter().any(|part| path.starts_with(part)));
        std::env::split_paths(&self.search_path)
            .filter_map(|entry| {
                let part = parts.iter().find(|part| entry.starts_with(part))?;
                let around = entry.parent().filter(|around| *around != part && around.starts_with(part));
                let is_bin = entry.ends_with("bin") || entry.ends_with(".bin");
                Some(around.filter(|_| is_bin).map_or_else(|| entry.clone(), Path::to_owned))
            })
            .chain(program)
            .filter(|path| path.exists())
            .map(|path| Mount { from: path.clone(), to: path, writable: false })
            .collect()
    }

    /// The agent's side: the worktree, and in place of the user's git folder one of the run's own.
    pub fn agent(&self, worktree: &Worktree, adapter: &Adapter) -> Result<Side, Error> {
        if let Some(at) = self.containers() {
            return self.contained_agent(at, worktree, adapter);
        }
        remove(&self.sandboxes.join("agent/home"))?;
        let home = self.home(self.folder(&["agent", "home"])?)?;
        let mut environment = crate::environment::for_agent(&self.caller);
        let state = self.state_folder("agent", adapter)?;
        environment.extend(state.environment);
        let mut mounts = self.tools(adapter);
        if matches!(self.isolation, Isolation::Bubblewrap { .. }) {
            mounts.extend(private_git::make(worktree, &self.folder(&["agent"])?.join("git"))?);
        }
        mounts.extend(state.mounts);
        let (hidden, mut writable) = (self.hidden(), vec![worktree.path.clone()]);
        writable.extend(state.writable);
        let readable = self.program_folder(adapter).into_iter().collect();
        let wanted = Bwrap { home, hidden, readable, writable, mounts, ..Bwrap::default() };
        self.start("agent", &worktree.path, environment, wanted)
    }

    /// A reviewer's side: the agent's environment, a throw-away checkout of the commit, nothing else to write.
    pub fn reviewer(&self, worktree: &Worktree, commit: &str, adapter: &Adapter) -> Result<Side, Error> {
        self.reader("review", worktree, commit, adapter, None)
    }

    /// The same for who looks back at an ended run: it also reads the run's record.
    pub fn analyst(
        &self,
        worktree: &Worktree,
        commit: &str,
        adapter: &Adapter,
        record: &Path,
    ) -> Result<Side, Error> {
        self.reader("analysis", worktree, commit, adapter, Some(record))
    }

    fn reader(
        &self,
        name: &str,
        worktree: &Worktree,
        commit: &str,
        adapter: &Adapter,
        record: Option<&Path>,
    ) -> Result<Side, Error> {
        if let Some(at) = self.containers() {
            return self.contained_reader(at, name, commit, adapter);
        }
        remove(&self.sandboxes.join(name))?;
        let folder = self.folder(&[name, "checkout"])?;
        let home = self.home(self.folder(&[name, "home"])?)?;
        let mut environment = crate::environment::for_agent(&self.caller);
        let state = self.state_folder(name, adapter)?;
        environment.extend(state.environment);
        let mut hidden = self.hidden();
        hidden.push(worktree.path.clone());
        let mut mounts = self.tools(adapter);
        mounts.extend(state.mounts);
        let mut writable = vec![folder.clone()];
        writable.extend(state.writable);
        let readable = self.program_folder(adapter).into_iter().chain(record.map(Path::to_owned)).collect();
        let wanted = Bwrap { home, hidden, readable, writable, mounts, ..Bwrap::default() };
        let side = self.start(name, &folder, environment, wanted)?;
        side.check_out(self, commit)?;
        Ok(side)
    }

    /// The gates' side. `clean` throws away whatever earlier gates left.
    pub fn gate(&self, hidden: Option<&Path>, clean: bool) -> Result<Side, Error> {
        if let Some(at) = self.containers() {
            return self.contained_gate(at, clean);
        }
        let side = self.sandboxes.join("gate");
        if clean {
            remove(&side)?;
        }
        let folder = self.folder(&["gate", "checkout"])?;
        let home = self.folder(&["gate", "home"])?;
        let environment =
            crate::environment::for_gate(&self.caller, &self.search_path, &home).into_iter().collect();
        let mut masked = self.hidden();
        masked.extend(hidden.map(Path::to_owned));
        let wanted = Bwrap { hidden: masked, writable: vec![folder.clone(), home], ..Bwrap::default() };
        self.start("gate", &folder, environment, wanted)
    }
}

/// Removes a folder that untrusted processes filled; it may be large, and parts may be read-only.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let failed = |error| Error::Io { path: path.to_owned(), error };
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let path_text = path.to_string_lossy().into_owned();
            let chmod = ["chmod", "-R", "u+rwX", &path_text].map(str::to_owned);
            exec::direct(&chmod, Path::new("/"), &[], b"", HELPER_TIME, HELPER_OUTPUT)?;
            fs::remove_dir_all(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

//! The far side on Kubernetes: sides are connections to the containers of the agent and of the gates. Their folders are
//! theirs alone, so they are made and emptied there, and not by the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use std::time::Duration;

use super::{Error, HELPER_OUTPUT, Setting, Side, Worktree, private_git, record, worked};
use crate::agent::Adapter;
use crate::exec::{self, Client, Containers, Isolation, Limits, Sandbox};

/// Longest that a command may take to say its version: the first start of a large program, from a cold disk.
const VERSION_TIME: Duration = Duration::from_secs(30);

/// Empties the folders behind `--` and makes all of them, and HOME. With any behind `--`, what our user left in the
/// container's own temp folders goes too, or one gate could leave words for the next.
const PLACES: &str = r#"while [ "$1" != -- ]; do mkdir -p -- "$1" || exit; shift; done; shift
[ $# = 0 ] || find /tmp /var/tmp /dev/shm -mindepth 1 -maxdepth 1 -user "$(id -u)" -exec rm -rf -- {} + 2>/dev/null
for place; do chmod -R u+rwX -- "$place" 2>/dev/null; rm -rf -- "$place" && mkdir -p -- "$place" || exit; done
[ -z "${HOME:-}" ] || mkdir -p -- "$HOME""#;

/// One connection to each container, by its socket, made before anything untrusted runs there and kept for the whole run.
///
/// What runs in a container shares its user: it can kill the executor at the other end, which is noticed, but not take its
/// place. It could take the place of the socket, so nothing is ever connected anew.
#[derive(Debug, Clone, Default)]
pub struct Links(Arc<Mutex<BTreeMap<PathBuf, Arc<Client>>>>);

impl Links {
    fn client(&self, executable: &Path, socket: &Path) -> Result<Arc<Client>, exec::Error> {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = links.get(socket) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Client::start(executable, &Sandbox::Container(socket.to_owned()))?);
        links.insert(socket.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    /// Whether a container that was connected to has ended. An executor that was killed in one is the doing of what it ran.
    pub(crate) fn is_lost(&self) -> bool {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().any(|client| client.is_lost() && !client.was_killed())
    }

    /// Connects to the container in which agents work, by its socket. `executable` carries the frames.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn container(&self, executable: &Path, socket: &Path) -> Result<Container, exec::Error> {
        Ok(Container(self.client(executable, socket)?))
    }
}

/// The container of the agent, while there is no run yet.
#[derive(Debug, Clone)]
pub struct Container(Arc<Client>);

impl Container {
    /// Whether an agent there gets a variable of this name.
    pub fn has(&self, name: &str) -> bool {
        let given = self.0.credentials().iter().any(|known| known == name);
        given || self.0.environment().get(name).is_some_and(|value| !value.is_empty())
    }

    /// What an agent's command says of its version, without a credential at hand.
    ///
    /// # Errors
    /// What is wrong with it: half a sentence about the command.
    pub fn version(&self, adapter: &Adapter, program: &str) -> Result<String, String> {
        let mut environment = self.0.environment().clone();
        environment.extend(variables(adapter));
        let request = exec::Request {
            argv: vec![program.to_owned(), "--version".to_owned()],
            cwd: PathBuf::from("/"),
            env: environment.into_iter().collect(),
            stdin: Vec::new(),
            limits: Limits { total: VERSION_TIME, idle: None, term_grace: VERSION_TIME },
            sweep: true,
            credentials: false,
        };
        let said = self
            .0
            .capture(&request, &|| false, HELPER_OUTPUT)
            .map_err(|error| format!("cannot be asked for: {error}"))?;
        let first = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().trim().to_owned()
        };
        if said.outcome.success() {
            return Ok(first(&said.stdout));
        }
        Err(match (said.outcome.spawn_error, first(&said.stderr)) {
            (Some(error), _) if error.ends_with("command not found") => {
                "is not in the agent's container".to_owned()
            }
            (Some(error), _) => format!("cannot be started in the agent's container: {error}"),
            (None, words) => format!("does not run in the agent's container ({words})"),
        })
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // A side of its own ends with its processes; one in a container leaves them to the next. Nobody is left to tell
        // when the container is gone.
        if self.contained {
            let _ = self.client.sweep();
        }
    }
}

impl Setting {
    /// Whether the sides are containers, each with folders of its own.
    pub(crate) fn is_contained(&self) -> bool {
        self.containers().is_some()
    }

    pub(super) fn containers(&self) -> Option<&Containers> {
        match &self.isolation {
            Isolation::Containers(containers) => Some(containers),
            Isolation::Bubblewrap { .. } | Isolation::None { .. } => None,
        }
    }

    /// A side in a container: `kept` folders are there afterwards, `fresh` ones are also empty.
    pub(super) fn contain(
        &self,
        socket: &Path,
        folder: PathBuf,
        (kept, fresh): (&[&Path], &[&Path]),
        more: BTreeMap<String, String>,
    ) -> Result<Side, Error> {
        let client = self.links.client(&self.executable, socket)?;
        let mut environment = client.environment().clone();
        environment.extend(more);
        environment.insert("LOOP_RUN_MARKER".into(), self.marker.clone());
        let temporary = environment.get("TMPDIR").cloned().unwrap_or_else(|| "/tmp".into());
        let mut side = Side { client, folder: PathBuf::from("/"), environment, temporary, contained: true };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = kept.iter().map(|path| text(path)).collect();
        arguments.push("--".into());
        arguments.extend(fresh.iter().map(|path| text(path)));
        // The temp folder of a side that starts from nothing is emptied with the others.
        arguments.insert(if fresh.is_empty() { 0 } else { arguments.len() }, side.temporary.clone());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let captured = side.helper(PLACES, &arguments, b"", &self.search_path)?;
        worked(&captured, "making the container's folders")?;
        side.folder = folder;
        Ok(side)
    }

    pub(super) fn contained_agent(
        &self,
        at: &Containers,
        worktree: &Worktree,
        adapter: &Adapter,
    ) -> Result<Side, Error> {
        private_git::refill(worktree, &at.git_folder)?;
        self.contain(&at.agent, worktree.path.clone(), (&[], &[]), variables(adapter))
    }

    /// A reviewer or analyst works in the agent's container, in a checkout of its own.
    pub(super) fn contained_reader(
        &self,
        at: &Containers,
        name: &str,
        commit: &str,
        adapter: &Adapter,
    ) -> Result<Side, Error> {
        let [folder, home, record] =
            ["checkout", "home", record::FOLDER].map(|part| at.far.join(name).join(part));
        // A HOME of its own: what the agent left in its one is not for who judges it.
        let mut more = variables(adapter);
        more.insert("HOME".into(), home.to_string_lossy().into_owned());
        let side = self.contain(&at.agent, folder.clone(), (&[], &[&folder, &home, &record]), more)?;
        side.check_out(self, commit)?;
        Ok(side)
    }

    pub(super) fn contained_gate(&self, at: &Containers, clean: bool) -> Result<Side, Error> {
        let (folder, home) = (at.far.join("gate/checkout"), at.far.join("gate/home"));
        let places = [folder.as_path(), home.as_path()];
        let places: (&[&Path], &[&Path]) = if clean { (&[], &places) } else { (&places, &[]) };
        let more = BTreeMap::from([("HOME".to_owned(), home.to_string_lossy().into_owned())]);
        self.contain(&at.gate, folder.clone(), places, more)
    }
}

fn variables(adapter: &Adapter) -> BTreeMap<String, String> {
    let all = adapter.environment.iter().chain(adapter.confined_environment);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

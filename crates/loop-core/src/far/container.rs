//! The far side on Kubernetes: sides are connections to the containers of the agent and of the gates. Their folders are
//! theirs alone, so they are made and emptied there, and not by the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Error, Setting, Side, Worktree, private_git};
use crate::agent::Adapter;
use crate::exec::{Client, Containers, Isolation, Sandbox};

/// Empties the folders behind `--` and makes all of them, and HOME.
const PLACES: &str = r#"while [ "$1" != -- ]; do mkdir -p -- "$1" || exit; shift; done; shift
for place; do chmod -R u+rwX -- "$place" 2>/dev/null; rm -rf -- "$place" && mkdir -p -- "$place" || exit; done
[ -z "${HOME:-}" ] || mkdir -p -- "$HOME""#;

impl Setting {
    pub(super) fn containers(&self) -> Option<&Containers> {
        match &self.isolation {
            Isolation::Containers(containers) => Some(containers),
            Isolation::Bubblewrap { .. } | Isolation::None { .. } => None,
        }
    }

    /// A side in a container: `kept` folders are there afterwards, `fresh` ones are also empty.
    fn contain(
        &self,
        socket: &Path,
        folder: PathBuf,
        (kept, fresh): (&[&Path], &[&Path]),
        more: BTreeMap<String, String>,
    ) -> Result<Side, Error> {
        let client = Client::start(&self.executable, &Sandbox::Container(socket.to_owned()))?;
        let mut environment = client.environment().clone();
        environment.extend(more);
        environment.insert("LOOP_RUN_MARKER".into(), self.marker.clone());
        let temporary = environment.get("TMPDIR").cloned().unwrap_or_else(|| "/tmp".into());
        let mut side = Side { client, folder: PathBuf::from("/"), environment, temporary, contained: true };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = kept.iter().map(|path| text(path)).collect();
        arguments.push("--".into());
        arguments.extend(fresh.iter().map(|path| text(path)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let temporary = side.temporary.clone();
        let arguments = [&[temporary.as_str()], &arguments[..]].concat();
        let captured = side.helper(PLACES, &arguments, b"", &self.search_path)?;
        if !captured.outcome.success() {
            let detail = String::from_utf8_lossy(&captured.stderr).trim().to_owned();
            return Err(Error::Helper { what: "making the container's folders", detail });
        }
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
        let folder = at.far.join(name).join("checkout");
        let side = self.contain(&at.agent, folder.clone(), (&[], &[&folder]), variables(adapter))?;
        side.check_out(&self.trusted, commit, &self.search_path)?;
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

//! Finding runs in the data directory.

use std::path::{Path, PathBuf};

use loop_api::run::{ArtifactMode, LoopRun};
use loop_core::machine::State;
use loop_core::object;
use loop_core::queue;
use loop_core::store::{RunDir, Store, read_journal};

use crate::error::{Error, Result};

/// A recorded run.
pub(crate) struct Recorded {
    /// Its uid.
    pub(crate) uid: String,
    /// Its folder.
    pub(crate) dir: RunDir,
    /// What its journal adds up to.
    pub(crate) state: State,
    /// Whether an engine has it.
    pub(crate) alive: bool,
    /// What that engine waits for, when others are at work.
    pub(crate) waiting: Option<String>,
    /// The object.
    pub(crate) object: LoopRun,
}

impl Recorded {
    /// Its evidence, where the run's own mode keeps it; a copy does not stand in for it.
    pub(crate) fn evidence(&self) -> Option<PathBuf> {
        let mode = self.object.spec.artifacts.mode;
        let name = "evidence.json";
        if mode == ArtifactMode::Workspace {
            return self.file(name);
        }
        Some(self.dir.join(name)).filter(|path| path.exists())
    }

    /// A file of its record, wherever that is kept.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let root = &self.state.created.as_ref()?.workspace_root;
        loop_core::record::file(&self.dir, root.as_ref(), name)
    }
}

/// The data directory by flag, environment and convention.
pub(crate) fn store(flag: Option<PathBuf>) -> Result<Store> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = flag
        .or_else(|| set("LOOP_DATA_DIR"))
        .or_else(|| set("XDG_DATA_HOME").map(|base| base.join("loopd")))
        .or_else(|| set("HOME").map(|home| home.join(".local/share/loopd")))
        .ok_or_else(|| {
            Error::usage(
                "neither HOME nor LOOP_DATA_DIR is set, so there is no place to record runs; name one with --data-dir",
            )
        })?;
    let root = if root.is_absolute() { root } else { std::env::current_dir()?.join(root) };
    Ok(Store::at(root))
}

/// How to call this program so that it finds the runs of a data directory.
pub(crate) fn command(root: &Path) -> String {
    match store(None) {
        Ok(usual) if usual.root() == root => "loopctl".into(),
        _ => format!("loopctl --data-dir {}", shown(root)),
    }
}

/// Reads one run; `None` when it was never fully created.
fn load(store: &Store, uid: String, dir: RunDir) -> Result<Option<Recorded>> {
    let alive = dir.is_alive();
    let waiting = if alive { queue::waiting(store, &uid, &dir) } else { None };
    let (_, state) = read_journal(&dir.journal())?;
    let Some(object) = object::loop_run(&state, &dir, alive, waiting.as_deref()) else { return Ok(None) };
    Ok(Some(Recorded { uid, dir, state, alive, waiting, object }))
}

/// All runs, newest first, and whether some were left out; those are named on stderr.
pub(crate) fn all(store: &Store) -> Result<(Vec<Recorded>, bool)> {
    let (runs, unreadable) = read(store)?;
    for (uid, error) in &unreadable {
        crate::printer::say(&format!("warning: run {uid} is left out: {error}"));
    }
    Ok((runs, !unreadable.is_empty()))
}

/// The uid of a run that cannot be read, and the reason.
type Unreadable = (String, Error);

/// All runs, newest first, and those that cannot be read.
fn read(store: &Store) -> Result<(Vec<Recorded>, Vec<Unreadable>)> {
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    let found = store.runs().map_err(|error| {
        let root = store.root().display();
        Error::usage(format!(
            "cannot read the data directory {root}: {error}; name another with --data-dir or LOOP_DATA_DIR"
        ))
    })?;
    for (uid, dir) in found.into_iter().rev() {
        if !dir.journal().exists() {
            continue;
        }
        match load(store, uid.clone(), dir) {
            Ok(Some(run)) => runs.push(run),
            Ok(None) => {}
            Err(error) => unreadable.push((uid, error)),
        }
    }
    Ok((runs, unreadable))
}

/// Whether a name can mean a run of which only the uid is known: names end with the uid's last five digits.
fn may_mean(wanted: &str, uid: &str) -> bool {
    uid.starts_with(wanted)
        || wanted.rsplit_once('-').is_some_and(|(_, end)| end.len() == 5 && uid.ends_with(end))
}

/// Finds a run by name, uid or an unambiguous beginning, with or without `looprun.agentloop.dev/` before it.
pub(crate) fn find(store: &Store, given: &str) -> Result<Recorded> {
    let wanted = given.rsplit_once('/').map_or(given, |(_, name)| name);
    if wanted.is_empty() {
        return Err(Error::usage("the run's name is empty; `loopctl list` shows what there is"));
    }
    let (runs, mut unreadable) = read(store)?;
    let is = |run: &Recorded| run.uid == wanted || run.object.metadata.name == wanted;
    let begins = |run: &Recorded| run.uid.starts_with(wanted) || run.object.metadata.name.starts_with(wanted);
    let exact: Vec<usize> = (0..runs.len()).filter(|at| is(&runs[*at])).collect();
    let found =
        if exact.is_empty() { (0..runs.len()).filter(|at| begins(&runs[*at])).collect() } else { exact };
    if found.is_empty()
        && let Some(at) = unreadable.iter().position(|(uid, _)| may_mean(wanted, uid))
    {
        let (uid, error) = unreadable.swap_remove(at);
        return Err(Error::failed(format!(
            "run {wanted} cannot be read and nothing was done with it: {error}; its record is {}",
            store.run(&uid).path().display()
        )));
    }
    match found[..] {
        [] => Err(Error::not_found(format!("no run is called {wanted}; `loopctl list` shows what there is"))),
        [at] => runs.into_iter().nth(at).ok_or_else(|| Error::not_found("the run is gone")),
        _ => {
            let names: Vec<&str> =
                found.iter().take(5).map(|at| runs[*at].object.metadata.name.as_str()).collect();
            Err(Error::usage(format!("{wanted} could be any of {}; give more of the name", names.join(", "))))
        }
    }
}

/// Where a file of a run's record may lie: in the run's folder, or under `logs/loop/` of the workspace, where it is
/// kept or copied when the run has ended.
pub(crate) fn places(run: &Recorded, name: &str) -> Vec<PathBuf> {
    let copy = run.state.created.as_ref().map(|created| {
        Path::new(&created.workspace_root).join("logs/loop").join(format!("run-{}", run.uid)).join(name)
    });
    std::iter::once(run.dir.join(name)).chain(copy).collect()
}

/// A file of a run's record, wherever it is.
pub(crate) fn file(run: &Recorded, name: &str) -> Option<PathBuf> {
    places(run, name).into_iter().find(|place| place.exists())
}

/// This program's path, which is also the far side's program.
pub(crate) fn executable() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Error::failed(format!("this program's own file cannot be found: {error}")))
}

/// A path for people: with `~` for their home.
pub(crate) fn shown(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.as_os_str().len() > 1);
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

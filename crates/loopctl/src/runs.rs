//! Finding runs in the data directory.

mod index;
mod place;

use std::path::{Path, PathBuf};

use index::Index;
pub(crate) use index::Row;
pub(crate) use place::workspace_of;

use loop_api::run::{ArtifactMode, LoopRun};
use loop_core::git::Trusted;
use loop_core::machine::State;
use loop_core::object;
use loop_core::queue;
use loop_core::store::{RunDir, Store, read_journal};

use crate::error::{Error, Result};

/// Stands for the newest run.
pub(crate) const LAST: &str = "@last";
/// Length of a uid.
const UID: usize = 36;

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
        loop_core::record::file(&self.dir, self.state.created.as_ref()?, name)
    }
}

/// The engine's own repository for a workspace, from the side of one of its runs; none is made where there is none.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn trusted(store: &Store, workspace: &Path, uid: &str) -> Result<Option<Trusted>> {
    let place = store.trusted_repository(workspace);
    let open = || Trusted::open(&place, uid).map_err(|error| Error::failed(error.to_string()));
    place.exists().then(open).transpose()
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

/// A run as lists show it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// What its journal says.
    pub(crate) row: Row,
    /// Whether an engine has it; of ended runs this is not asked.
    pub(crate) alive: bool,
    /// What that engine waits for, when others are at work.
    pub(crate) waiting: Option<String>,
}

/// The uid of a run that cannot be read, and the reason.
type Unreadable = (String, Error);

/// All runs as lists show them, newest first, and those that cannot be read. Journals are read only where the index does
/// not know them.
pub(crate) fn scan(store: &Store) -> Result<(Vec<Listed>, Vec<Unreadable>)> {
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    let found = store.runs().map_err(|error| {
        let root = store.root().display();
        Error::usage(format!(
            "cannot read the data directory {root}: {error}; name another with --data-dir or LOOP_DATA_DIR"
        ))
    })?;
    let mut index = Index::read(store);
    for (uid, dir) in found.into_iter().rev() {
        let Ok(journal) = std::fs::metadata(dir.journal()) else { continue };
        // A run that somebody works on is always read.
        let known =
            index.row(&uid, &journal).filter(|row| row.phase.is_terminal() || !dir.is_alive()).cloned();
        if let Some(row) = known {
            index.keep(&uid);
            runs.push(Listed { row, alive: false, waiting: None });
            continue;
        }
        match load(store, uid.clone(), dir) {
            Ok(Some(run)) => {
                let Some(row) = Row::of(&run) else { continue };
                if !run.alive {
                    index.add(&row, &journal);
                }
                runs.push(Listed { row, alive: run.alive, waiting: run.waiting });
            }
            // Killed while it was made, unless more is there than comes before the first record.
            Ok(None) if has_begun(&store.run(&uid)) => {
                let error =
                    Error::failed("its journal has no whole record any more, though its run.log has lines");
                unreadable.push((uid, error));
            }
            Ok(None) => {}
            Err(error) => unreadable.push((uid, error)),
        }
    }
    index.write(store);
    Ok((runs, unreadable))
}

/// Whether a run has had a first record: each is written to `run.log` right after the journal.
fn has_begun(dir: &RunDir) -> bool {
    std::fs::metadata(dir.join("run.log")).is_ok_and(|facts| facts.len() > 0)
}

/// All runs as lists show them, newest first, and whether some were left out; those are named on stderr.
pub(crate) fn all(store: &Store) -> Result<(Vec<Listed>, bool)> {
    let (runs, unreadable) = scan(store)?;
    for (uid, error) in &unreadable {
        crate::printer::say(&format!("warning: run {uid} is left out: {error}"));
    }
    Ok((runs, !unreadable.is_empty()))
}

/// Reads a run that a list has; `None` when it is gone since.
pub(crate) fn read(store: &Store, uid: &str) -> Result<Option<Recorded>> {
    let dir = store.run(uid);
    if !dir.journal().exists() {
        return Ok(None);
    }
    load(store, uid.to_owned(), dir).map_err(|error| cannot_be_read(store, uid, uid, &error))
}

fn cannot_be_read(store: &Store, wanted: &str, uid: &str, error: &Error) -> Error {
    Error::failed(format!(
        "run {wanted} cannot be read and nothing was done with it: {error}; its record is {}",
        store.run(uid).path().display()
    ))
}

/// Whether a name can mean a run of which only the uid is known: names end with the uid's last five digits.
fn may_mean(wanted: &str, uid: &str) -> bool {
    uid.starts_with(wanted)
        || wanted.rsplit_once('-').is_some_and(|(_, end)| end.len() == 5 && uid.ends_with(end))
}

/// Finds a run by name, uid or an unambiguous beginning, with or without `looprun.agentloop.dev/` before it, or the
/// newest by `@last`.
pub(crate) fn find(store: &Store, given: &str) -> Result<Recorded> {
    let wanted = given.rsplit_once('/').map_or(given, |(_, name)| name);
    if wanted.is_empty() {
        return Err(Error::usage("the run's name is empty; `loopctl list` shows what there is"));
    }
    if wanted.len() == UID
        && let Some(run) = read(store, wanted)?
    {
        return Ok(run);
    }
    for _ in 0..2 {
        let row = if wanted == LAST { last(store)? } else { named(store, wanted)? };
        if let Some(run) = read(store, &row.uid)?.filter(|run| run.object.metadata.name == row.name) {
            return Ok(run);
        }
        // Somebody changed the index, or removed the run just now.
        index::forget(store);
    }
    Err(Error::not_found(format!("run {wanted} is gone")))
}

fn named(store: &Store, wanted: &str) -> Result<Row> {
    let (runs, mut unreadable) = scan(store)?;
    let is = |run: &&Listed| run.row.uid == wanted || run.row.name == wanted;
    let begins = |run: &&Listed| run.row.uid.starts_with(wanted) || run.row.name.starts_with(wanted);
    let exact: Vec<&Listed> = runs.iter().filter(is).collect();
    let found = if exact.is_empty() { runs.iter().filter(begins).collect() } else { exact };
    if found.is_empty()
        && let Some(at) = unreadable.iter().position(|(uid, _)| may_mean(wanted, uid))
    {
        let (uid, error) = unreadable.swap_remove(at);
        return Err(cannot_be_read(store, wanted, &uid, &error));
    }
    match found[..] {
        [] => Err(Error::not_found(format!("no run is called {wanted}; `loopctl list` shows what there is"))),
        [one] => Ok(one.row.clone()),
        _ => {
            let names: Vec<&str> = found.iter().take(5).map(|run| run.row.name.as_str()).collect();
            Err(Error::usage(format!("{wanted} could be any of {}; give more of the name", names.join(", "))))
        }
    }
}

/// The newest run of the repository that this is called in; outside of any, the newest of all.
pub(crate) fn last(store: &Store) -> Result<Row> {
    let (runs, unreadable) = scan(store)?;
    let here = std::env::current_dir().ok().and_then(|folder| place::workspace_of(&folder, &runs));
    let of_here = |run: &&Listed| here.as_ref().is_none_or(|root| Path::new(&run.row.workspace) == root);
    let newest = runs.iter().find(of_here).map(|run| &run.row);
    // What cannot be read may be the one that is meant.
    if let Some((uid, error)) =
        unreadable.into_iter().find(|(uid, _)| newest.is_none_or(|row| row.uid < *uid))
    {
        return Err(cannot_be_read(store, &uid, &uid, &error));
    }
    newest.cloned().ok_or_else(|| {
        Error::not_found(match &here {
            Some(root) if !runs.is_empty() => {
                format!("{} has no run yet; `loopctl list` shows those of other repositories", shown(root))
            }
            _ => "there is no run yet; `loopctl run --help` shows how to start one".into(),
        })
    })
}

/// Whether a run is of the workspace that was asked for, by a folder in it; all are when none was.
pub(crate) fn of_workspace(given: Option<&PathBuf>, all: &[Listed]) -> impl Fn(&Listed) -> bool + use<> {
    let root = given.map(|folder| workspace_of(folder, all).unwrap_or_else(|| folder.clone()));
    move |run| root.as_ref().is_none_or(|root| Path::new(&run.row.workspace) == root)
}

/// The name of a newer run that has the worktree or the branch of an older one, which was given up, for its own.
pub(crate) fn successor(store: &Store, uid: &str, worktree: &str, branch: &str) -> Result<Option<String>> {
    let (all, _) = scan(store)?;
    Ok(successor_in(&all, uid, worktree, branch))
}

/// The same, in a list.
pub(crate) fn successor_in(all: &[Listed], uid: &str, worktree: &str, branch: &str) -> Option<String> {
    let own = all.iter().find(|run| run.row.uid == uid)?;
    let newer = |run: &&Listed| {
        run.row.uid.as_str() > uid && run.row.workspace == own.row.workspace && !run.row.reset
    };
    let mut newer = all.iter().filter(newer);
    newer.find(|run| run.row.worktree == worktree || run.row.branch == branch).map(|run| run.row.name.clone())
}

/// Where a file of a run's record may lie: in the run's folder, or in the run's `log_dir`, where it is
/// kept or copied when the run has ended.
pub(crate) fn places(run: &Recorded, name: &str) -> Vec<PathBuf> {
    let copy = run.state.created.as_ref().map(|created| loop_core::record::copy_folder(created).join(name));
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

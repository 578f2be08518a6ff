//! A new run: everything that can be refused is refused here, before anything is made.

mod agents;
mod first;
mod preflight;
mod settings;
mod sources;
mod worktree;

pub use first::{First, first_prompts};
pub use settings::{Origin, Settings, Shown, settings};
pub use sources::ConfigFile;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use loop_api::journal::{ConfigSource, Created, Event, SCHEMA, sha256};
use loop_api::naming;
use loop_api::run::{DeliveryMode, LOG_DIR, LoopRunSpec};
use loop_api::spec_file::SpecHead;
use serde_json::Value;

use crate::config::{self, Config};
use crate::far::Container;
use crate::git::{self, Git};
use crate::store::{Journal, JournalError, Store};
use sources::Sources;

/// The script agent's program in the base commit.
pub const AGENT_SCRIPT: &str = ".loop/agent.sh";
/// Replaces the default implementation prompt (SP-26).
pub const PROMPT_FILE: &str = ".loop/prompt.txt";
/// The configuration in the base commit.
pub const CONFIG_FILE: &str = ".loop/config";
/// Longest prompt that is taken.
const MOST_PROMPT: usize = 16 << 20;

/// Why a run cannot be made. Each text names the thing, the reason and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be done.
    #[error("{0}")]
    Refused(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// Git cannot be asked.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The data directory cannot be written.
    #[error(
        "cannot write the data directory {path}: {error}; put that right, or name another with --data-dir or \
         LOOP_DATA_DIR"
    )]
    Data {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The journal cannot be begun.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Folder in which the command was given.
    pub directory: PathBuf,
    /// Spec file as given.
    pub spec: Option<String>,
    /// Plan file as given.
    pub plan: Option<String>,
    /// Task in plain words.
    pub prompt: Option<String>,
    /// Name of the run; the spec's slug otherwise.
    pub name: Option<String>,
    /// Program of the script agent, instead of the base commit's.
    pub agent_script: Option<PathBuf>,
    /// A configuration file that is read over `.loop/config`.
    pub config: Option<ConfigFile>,
    /// `spec` of a manifest.
    pub manifest: Value,
    /// Patch from flags.
    pub flags: Value,
    /// What flags say about the queue.
    pub queue: Value,
    /// The caller's environment.
    pub environment: BTreeMap<String, String>,
    /// Uid and name that the run has already, on a cluster; new ones otherwise.
    pub identity: Option<(String, String)>,
    /// Where agents work on a cluster; this machine otherwise.
    pub container: Option<Container>,
}

/// A run that was made but not started.
#[derive(Debug)]
pub struct New {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Which configuration was read, as a line for people.
    pub configuration: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Top of the repository in which a command was given.
pub fn repository(directory: &Path) -> Result<PathBuf, Error> {
    preflight::workspace(directory)
}

/// Checks a request and makes the run: one folder with one journal record.
pub fn create(store: &Store, request: &Request) -> Result<New, Error> {
    let Ready { created, script, configuration, warnings } = ready(store, request)?;
    let (uid, name) = (created.run_id.clone(), created.name.clone());
    write(store, &uid, created, script)?;
    Ok(New { uid, name, configuration, warnings })
}

/// The specs that a request can name, newest first, and the folder that they are in (CLI-6).
///
/// # Errors
/// What [`create()`] would refuse before it comes to the spec.
pub fn specs(request: &Request) -> Result<(String, Vec<SpecHead>), Error> {
    let root = preflight::workspace(&request.directory)?;
    let user = Git::user(&root);
    let working = fs::read_to_string(root.join(CONFIG_FILE)).unwrap_or_default();
    let working = config::parse(CONFIG_FILE, &working)?;
    let settings =
        config::resolve(&[working.patch.clone(), request.manifest.clone(), request.flags.clone()])?;
    let base = preflight::base(&user, &settings.repository.reference)?;
    let folder = working.specs_dir.clone().unwrap_or_else(|| "specs".into());
    let heads = preflight::spec_heads(&user, &base, &folder)?;
    Ok((folder, heads))
}

/// All that a run begins with, while nothing is made yet.
struct Ready {
    created: Created,
    script: Option<Vec<u8>>,
    configuration: String,
    warnings: Vec<String>,
}

/// Refuses what can be refused, and settles the rest.
fn ready(store: &Store, request: &Request) -> Result<Ready, Error> {
    let root = preflight::workspace(&request.directory)?;
    let user = Git::user(&root);
    preflight::supported(&user, &root, store.root())?;
    // The base branch may come from the configuration, and the configuration comes from the base commit: so the
    // branch is read from flags, manifest and the file in the working tree, and the rest from the commit (OQ-9).
    let files = Sources::read(&root, request)?;
    let (working, _) = files.config(&user, None)?;
    let early = config::resolve(&[working.patch, request.manifest.clone(), request.flags.clone()])?;
    let base = preflight::base(&user, &early.repository.reference)?;
    preflight::clean(&user)?;

    let mut settled = settle(&user, &root, request, &files, base)?;
    let slug = slug(request, &settled.spec);
    let target = target(&user, &settled.spec, &slug, request.container.is_some())?;
    if let Some(commit) = user.commit(&format!("refs/heads/{target}"))?.filter(|_| !target.is_empty()) {
        // The base is another commit now, so everything that comes from the base commit is settled anew.
        let base = preflight::Base { branch: target.clone(), commit };
        preflight::still_there(&user, &settled.spec, &base)?;
        let note = format!("{target} exists; the run starts from it instead of {}", settled.base.branch);
        settled = settle(&user, &root, request, &files, base)?;
        settled.config.warnings.push(note);
    }
    let Settled { config, read, mut spec, base } = settled;
    let configuration = sources::sentence(&read, Some(&base));
    spec.repository.url = root.to_string_lossy().into_owned();
    spec.repository.reference.clone_from(&base.branch);
    spec.delivery.target_branch.clone_from(&target);
    preflight::judged(&spec)?;
    preflight::folders(&user, &spec, &base)?;
    let search_path = request.environment.get("PATH").cloned().unwrap_or_default();
    let search_path = crate::environment::search_path(&search_path, &[&root]);
    let script = agents::settle(&user, &mut spec, request, &base, &search_path)?;
    let (provided, notes) = worktree::settle(&mut spec, request, &root, &search_path)?;
    let branch = preflight::branches(&user, &spec, &slug)?;
    let (uid, name) = match &request.identity {
        Some((uid, name)) => (uid.clone(), Some(name.clone())),
        None => (crate::new_uid(), None),
    };
    let folder = if store.root().is_dir() { store.root().to_owned() } else { std::env::temp_dir() };
    let scratch = folder.join(format!("ask-{uid}"));
    worktree::place(&provided, &spec, &root, (&branch, &base.commit), &scratch)?;

    let mut warnings = config.warnings;
    warnings.extend(notes);
    warnings.extend(preflight::remarks(&user, &spec, &base)?);
    let prompt_file = config.prompt_file.clone().unwrap_or_else(|| PROMPT_FILE.into());
    if config.prompt_file.is_some() && preflight::file(&user, &base.commit, &prompt_file)?.is_none() {
        warnings
            .push(format!("prompt_file {prompt_file} is not in {}; the default prompt is used", base.branch));
    }
    let mut context_files = config.context_files;
    let learnings = format!("{}/LEARNINGS.md", config.specs_dir.as_deref().unwrap_or("specs"));
    if preflight::file(&user, &base.commit, &learnings)?.is_some() && !context_files.contains(&learnings) {
        context_files.push(learnings);
    }

    let name = name.unwrap_or_else(|| {
        let short: String = slug.chars().take(50).collect();
        format!("{}-{}", short.trim_end_matches('-'), &uid[uid.len() - 5..])
    });
    let queue = config::queue(&[config.queue, request.queue.clone()])?;
    let digest = sha256(serde_json::to_vec(&spec).unwrap_or_default().as_slice());
    let created = Created {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        run_id: uid,
        name,
        slug,
        config_digest: digest,
        workspace_root: root.to_string_lossy().into_owned(),
        base_branch: base.branch,
        base_commit: base.commit,
        target_branch: target,
        prompt_file,
        context_files,
        search_path,
        queue,
        config_source: Some(read),
        log_dir: config.log_dir.filter(|folder| folder != LOG_DIR).unwrap_or_default(),
        spec,
    };
    Ok(Ready { created, script, configuration, warnings })
}

/// What a base commit makes of a request.
struct Settled {
    config: Config,
    read: Vec<ConfigSource>,
    spec: LoopRunSpec,
    base: preflight::Base,
}

/// Reads configuration, spec and plan from a base commit; the configuration of the working tree stands in for none.
fn settle(
    user: &Git,
    root: &Path,
    request: &Request,
    files: &Sources,
    base: preflight::Base,
) -> Result<Settled, Error> {
    let (config, read) = files.config(user, Some(&base))?;
    let mut spec = config::resolve(&[config.patch.clone(), request.manifest.clone(), request.flags.clone()])?;
    preflight::task(&mut spec, request, &config, root, user, &base)?;
    Ok(Settled { config, read, spec, base })
}

fn write(store: &Store, uid: &str, created: Created, script: Option<Vec<u8>>) -> Result<(), Error> {
    let failed = |error| Error::Data { path: store.root().to_owned(), error };
    let run = store.create_run(uid).map_err(failed)?;
    let result = (|| {
        if let Some(script) = script {
            fs::write(run.join("agent-script"), script).map_err(failed)?;
        }
        let begun =
            Journal::open(&run).and_then(|mut journal| journal.append(Event::RunCreated(Box::new(created))));
        match begun {
            Ok(_) => Ok(()),
            Err(JournalError::Io(error)) => Err(failed(error)),
            Err(error) => Err(error.into()),
        }
    })();
    if result.is_err() {
        // Nothing half made stays behind; what cannot be removed has no journal record and is never listed.
        let _ = fs::remove_dir_all(run.path());
    }
    result
}

fn slug(request: &Request, spec: &LoopRunSpec) -> String {
    match (&request.name, &spec.task.spec_path) {
        (Some(name), _) => naming::slug(name),
        (None, Some(path)) => naming::spec_slug(path),
        (None, None) => naming::slug(""),
    }
}

/// The branch that gets the verified work; empty for none. In a `pod` the clone is nobody's checkout.
fn target(user: &Git, spec: &LoopRunSpec, slug: &str, pod: bool) -> Result<String, Error> {
    if spec.delivery.mode == DeliveryMode::None {
        return Ok(String::new());
    }
    let target = match spec.delivery.target_branch.as_str() {
        "" => format!("agent/{slug}"),
        given => given.to_owned(),
    };
    naming::valid_branch(&target).map_err(|reason| {
        Error::Refused(format!(
            "target branch {target:?} cannot be used: {reason}; choose another with --merge-target"
        ))
    })?;
    if !pod && let Some(place) = crate::engine::checked_out(user, &target)? {
        return Err(Error::Refused(format!(
            "target branch {target} is checked out in {place}, and a checkout is never touched; switch that checkout \
             to another branch, or choose another with --merge-target"
        )));
    }
    preflight::blocked(user, &target, "--merge-target")?;
    Ok(target)
}

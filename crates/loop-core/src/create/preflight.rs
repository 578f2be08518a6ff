//! The checks before a run is made, each with one sentence that names the thing, the reason and the remedy.

use std::fs;
use std::path::{Path, PathBuf};

use loop_api::naming;
use loop_api::run::{LoopRunSpec, Submodules};
use loop_api::spec_file::{self, SpecHead};

use super::{Error, MOST_PROMPT, Request};
use crate::config::Config;
use crate::git::Git;

/// Where a run starts.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) branch: String,
    pub(super) commit: String,
}

pub(super) fn refuse<T>(sentence: String) -> Result<T, Error> {
    Err(Error::Refused(sentence))
}

/// The repository's top level.
pub(super) fn workspace(directory: &Path) -> Result<PathBuf, Error> {
    let shown = directory.display();
    let git = Git::user(directory);
    let inside = match git.text(&["rev-parse", "--is-bare-repository", "--is-inside-work-tree"]) {
        Ok(text) => text,
        Err(crate::git::Error::Failed { stderr, .. }) if stderr.contains("dubious ownership") => {
            return refuse(format!(
                "{shown} belongs to another user and git refuses to read it; run as its owner, or allow it with \
                 git config --global --add safe.directory {shown}"
            ));
        }
        Err(crate::git::Error::Failed { .. }) => {
            return refuse(format!(
                "{shown} is not in a git repository; run `git init` there, commit, and try again"
            ));
        }
        Err(crate::git::Error::Missing(error)) => {
            return refuse(crate::git::Error::Missing(error).to_string());
        }
        Err(error) => return Err(error.into()),
    };
    let mut answers = inside.lines();
    let (bare, in_files) = (answers.next() == Some("true"), answers.next() == Some("true"));
    if bare {
        return refuse(format!(
            "{shown} is in a bare repository, which has no files; run this in a checkout of it"
        ));
    }
    if !in_files {
        return refuse(format!(
            "{shown} is inside a repository's .git folder; run this where the repository's files are"
        ));
    }
    let top = git.text(&["rev-parse", "--show-toplevel"])?;
    Ok(fs::canonicalize(&top).unwrap_or_else(|_| PathBuf::from(top)))
}

/// Refuses repositories that this version would fail on half-way.
pub(super) fn supported(user: &Git, root: &Path, data: &Path) -> Result<(), Error> {
    let shown = root.display();
    let is_set = |key: &str| user.text(&["config", "--get-regexp", key]).is_ok_and(|found| !found.is_empty());
    if user.text(&["rev-parse", "--show-object-format"]).is_ok_and(|format| format != "sha1") {
        return refuse(format!(
            "{shown} uses SHA-256 object names, which this version cannot take in; use a SHA-1 clone"
        ));
    }
    if is_set("^extensions\\.refstorage$") {
        return refuse(format!(
            "{shown} keeps its refs in a reftable, which this version cannot read; use a plain clone"
        ));
    }
    if is_set("^remote\\..*\\.promisor$") || is_set("^extensions\\.partialclone$") {
        return refuse(format!(
            "{shown} is a partial clone, whose missing objects a run could not fetch; use a full clone"
        ));
    }
    if data.starts_with(root.join(".git")) {
        let data = data.display();
        return refuse(format!(
            "the data directory {data} lies in the repository's .git; set LOOP_DATA_DIR to another place"
        ));
    }
    Ok(())
}

/// The commit to start from: the given ref, else the branch checked out (OQ-9).
pub(super) fn base(user: &Git, reference: &str) -> Result<Base, Error> {
    if !reference.is_empty() {
        let Some(commit) = user.commit(reference)? else {
            return refuse(format!(
                "base branch {reference} does not exist; `git branch -a` lists those that do, and --base-branch names one"
            ));
        };
        return Ok(Base { branch: reference.to_owned(), commit });
    }
    let Some(commit) = user.commit("HEAD")? else {
        return refuse("the repository has no commit yet; commit spec, plan and code first".into());
    };
    match user.text(&["symbolic-ref", "--quiet", "--short", "HEAD"]) {
        Ok(branch) => Ok(Base { branch, commit }),
        Err(_) => refuse(format!(
            "HEAD is detached at {}, so there is no branch to start from; say which with --base-branch",
            &commit[..commit.len().min(12)]
        )),
    }
}

/// Changes that are not committed would silently be missing from the run (WT-16).
pub(super) fn clean(user: &Git) -> Result<(), Error> {
    // Without optional locks git does not rewrite the index on the way: a refusal leaves the repository untouched.
    let command = ["--no-optional-locks", "status", "--porcelain=v1", "-z", "--untracked-files=normal"];
    let status = user.run(&command)?;
    let text = String::from_utf8_lossy(&status);
    let changed: Vec<&str> =
        text.split('\0').filter_map(|entry| entry.get(3..)).filter(|path| !path.is_empty()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let more = if changed.len() > 5 { format!(" and {} more", changed.len() - 5) } else { String::new() };
    refuse(format!(
        "the working tree has changes that the run would not see: {}{more}; commit or stash them first",
        changed.iter().take(5).copied().collect::<Vec<_>>().join(", ")
    ))
}

/// Text of a regular file in a commit; a symbolic link is none, since only the commit's own content is believed.
pub(super) fn file(user: &Git, commit: &str, path: &str) -> Result<Option<String>, Error> {
    if !mode(user, commit, path)?.starts_with("100") {
        return Ok(None);
    }
    let name = format!("{commit}:{path}");
    Ok(Some(String::from_utf8_lossy(&user.run(&["cat-file", "blob", &name])?).into_owned()))
}

/// Mode of a path in a commit, for instance `100644`; empty when it is not there.
pub(super) fn mode(user: &Git, commit: &str, path: &str) -> Result<String, Error> {
    if path.is_empty() {
        return Ok(String::new());
    }
    let listing = user.text(&["--literal-pathspecs", "ls-tree", "--full-tree", commit, "--", path])?;
    Ok(listing.split(' ').next().unwrap_or_default().to_owned())
}

/// Settles spec and plan, or the prompt.
pub(super) fn task(
    spec: &mut LoopRunSpec,
    request: &Request,
    config: &Config,
    root: &Path,
    user: &Git,
    base: &Base,
) -> Result<(), Error> {
    let specs = config.specs_dir.clone().unwrap_or_else(|| "specs".into());
    let plans = config.plans_dir.clone().unwrap_or_else(|| format!("{specs}/planning"));
    let prompt = request.prompt.clone().or_else(|| spec.task.prompt.take());
    let given = request.spec.clone().or_else(|| spec.task.spec_path.take());
    let given_plan = request.plan.clone().or_else(|| spec.task.plan_path.take());
    if let Some(prompt) = prompt {
        if given.is_some() || given_plan.is_some() {
            return refuse(
                "a prompt and a spec were both given; a run takes one of them, so leave the other out".into(),
            );
        }
        return from_prompt(spec, request, prompt, &specs, &plans, user, base);
    }
    let Some(given) = given else {
        return refuse(format!(
            "no spec was given; name one from {specs}/, or say the task with --prompt{}",
            known_specs(user, base, &specs)?
        ));
    };
    let path = locate(&given, "spec", &[&specs], request, root, user, base)?;
    let stem =
        Path::new(&path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let plan = if let Some(given) = given_plan {
        Some(locate(&given, "plan", &[&plans], request, root, user, base)?)
    } else {
        let usual = format!("{plans}/{stem}-plan.md");
        file(user, &base.commit, &usual)?.map(|_| usual)
    };
    spec.task.spec_path = Some(path);
    spec.task.plan_path = plan;
    Ok(())
}

/// The specs of the base commit, newest first.
pub(super) fn spec_heads(user: &Git, base: &Base, specs: &str) -> Result<Vec<SpecHead>, Error> {
    const MOST: usize = 200;
    let folder = format!("{}:{specs}", base.commit);
    let Ok(names) = user.run(&["ls-tree", "-z", "--name-only", &folder]) else { return Ok(Vec::new()) };
    let names = String::from_utf8_lossy(&names).into_owned();
    let mut heads = Vec::new();
    for name in names.split('\0').filter(|name| spec_file::is_spec(name)).take(MOST) {
        let text = file(user, &base.commit, &format!("{specs}/{name}"))?.unwrap_or_default();
        heads.push(SpecHead::read(name, &text));
    }
    spec_file::sort(&mut heads);
    Ok(heads)
}

/// The specs of the base commit, a line each, for somebody who named none (CLI-6).
fn known_specs(user: &Git, base: &Base, specs: &str) -> Result<String, Error> {
    const MOST: usize = 20;
    let heads = spec_heads(user, base, specs)?;
    let more = heads.len().saturating_sub(MOST);
    let mut lines: Vec<String> = heads.iter().take(MOST).map(|head| format!("\n  {}", head.line())).collect();
    if more > 0 {
        lines.push(format!("\n  and {more} more"));
    }
    Ok(lines.concat())
}

fn from_prompt(
    spec: &mut LoopRunSpec,
    request: &Request,
    prompt: String,
    specs: &str,
    plans: &str,
    user: &Git,
    base: &Base,
) -> Result<(), Error> {
    if prompt.trim().is_empty() {
        return refuse("the prompt is empty; say what is to be done".into());
    }
    if prompt.len() > MOST_PROMPT {
        return refuse(format!(
            "the prompt has {} bytes and at most {MOST_PROMPT} are taken; put the details into a committed spec and name that",
            prompt.len()
        ));
    }
    let words = prompt.split_whitespace().take(6).collect::<Vec<_>>().join(" ");
    let mut stem: String = naming::slug(request.name.as_deref().unwrap_or(&words)).chars().take(40).collect();
    stem = stem.trim_matches('-').to_owned();
    let free = |stem: &str| -> Result<bool, Error> {
        Ok(file(user, &base.commit, &format!("{specs}/{stem}.md"))?.is_none()
            && file(user, &base.commit, &format!("{plans}/{stem}-plan.md"))?.is_none())
    };
    let mut chosen = stem.clone();
    let mut number = 1;
    while !free(&chosen)? {
        number += 1;
        chosen = format!("{stem}-{number}");
    }
    spec.task.spec_path = Some(format!("{specs}/{chosen}.md"));
    spec.task.plan_path = Some(format!("{plans}/{chosen}-plan.md"));
    spec.task.prompt = Some(prompt);
    Ok(())
}

/// Finds a file as the user named it and requires it in the base commit (SP-8).
fn locate(
    given: &str,
    what: &str,
    folders: &[&str],
    request: &Request,
    root: &Path,
    user: &Git,
    base: &Base,
) -> Result<String, Error> {
    let mut places = Vec::new();
    if Path::new(given).extension().is_none() && Path::new(given).is_relative() {
        // A bare name is a spec's, and not whatever else in the current folder is called so.
        places.extend(folders.iter().map(|folder| root.join(folder).join(format!("{given}.md"))));
    }
    places.push(request.directory.join(given));
    if Path::new(given).is_relative() {
        places.extend(folders.iter().map(|folder| root.join(folder).join(given)));
        places.push(root.join(given));
    }
    let Some(found) = places.iter().find(|place| place.is_file()) else {
        // The base may be another branch than the one checked out: then only the commit has the file.
        for place in places.iter().filter_map(|place| place.strip_prefix(root).ok()) {
            let path = place.to_string_lossy().into_owned();
            if file(user, &base.commit, &path)?.is_some() {
                return Ok(path);
            }
        }
        if places.iter().any(|place| place.is_dir()) {
            return refuse(format!("{what} {given} is a folder; name a file in it"));
        }
        if places.iter().any(|place| place.is_symlink()) {
            return refuse(format!("{what} {given} is a symbolic link to nothing; name the file itself"));
        }
        return refuse(format!(
            "{what} {given} does not exist, neither here nor in {} nor in the commit that the run starts from ({}); \
             name one that is committed there, or start from its branch with --base-branch",
            folders.join(" nor in "),
            base.branch
        ));
    };
    if let Err(error) = fs::File::open(found) {
        return refuse(format!("{what} {given} cannot be read: {error}; change its permissions"));
    }
    let real = fs::canonicalize(found).unwrap_or_else(|_| found.clone());
    let Ok(inside) = real.strip_prefix(root) else {
        return refuse(format!(
            "{what} {given} lies outside the repository {}; put it into the repository and commit it",
            root.display()
        ));
    };
    let path = inside.to_string_lossy().into_owned();
    if file(user, &base.commit, &path)?.is_none() {
        return refuse(format!(
            "{what} {path} is not in the commit that the run starts from ({}); commit it there first, or start from \
             its branch with --base-branch",
            base.branch
        ));
    }
    Ok(path)
}

/// The folders that a run is to show are folders of the base commit.
pub(super) fn folders(user: &Git, spec: &LoopRunSpec, base: &Base) -> Result<(), Error> {
    for path in &spec.repository.checkout.sparse_paths {
        // Git itself refuses a path that leads out of the repository.
        let is_folder = mode(user, &base.commit, path).is_ok_and(|mode| mode == "040000");
        if !is_folder || path.contains(char::is_control) {
            return refuse(format!(
                "repository.checkout.sparsePaths names {path:?}, which is no folder in {}; name one that is there, from the \
                 top of the repository",
                base.branch
            ));
        }
    }
    Ok(())
}

/// What of the base commit is not before the sides as it would be in a clone of the user's.
pub(super) fn remarks(user: &Git, spec: &LoopRunSpec, base: &Base) -> Result<Vec<String>, Error> {
    let mut remarks = Vec::new();
    let attributes = ["grep", "-l", "-F", "filter=lfs", &base.commit, "--", ":(glob)**/.gitattributes"];
    // An exit code of 1 says that there is none.
    if user.run(&attributes).is_ok_and(|found| !found.is_empty()) {
        remarks.push(format!(
            "{} has files in Git LFS, which gates and reviewer, and on a cluster the agent too, have as pointers only; keep \
             what they read out of it",
            base.branch
        ));
    }
    let submodules = spec.repository.checkout.submodules;
    if submodules == Submodules::None && !mode(user, &base.commit, ".gitmodules")?.is_empty() {
        remarks.push(format!(
            "{} has submodules, whose folders are empty for gates and reviewer, and on a cluster for the agent too; set \
             repository.checkout.submodules: Recursive to have their files there",
            base.branch
        ));
    }
    Ok(remarks)
}

/// After the base moved to the target branch, spec and plan must be there too.
pub(super) fn still_there(user: &Git, spec: &LoopRunSpec, base: &Base) -> Result<(), Error> {
    let task = &spec.task;
    if task.prompt.is_some() {
        return Ok(());
    }
    for path in [&task.spec_path, &task.plan_path].into_iter().flatten() {
        if file(user, &base.commit, path)?.is_none() {
            return refuse(format!(
                "{path} is not in {}, the existing target branch from which the run would go on; merge it there, or \
                 choose another target with --merge-target",
                base.branch
            ));
        }
    }
    Ok(())
}

/// A run that nothing judges is only made when that is asked for.
pub(super) fn judged(spec: &LoopRunSpec) -> Result<(), Error> {
    if spec.gates.is_empty() && !spec.review.enabled && !spec.settings.allow_unverified {
        return refuse(
            "nothing would verify this run: it has neither a gate nor a reviewer; add --gate NAME=COMMAND or \
             verify_cmds to .loop/config, or allow it with --allow-unverified"
                .into(),
        );
    }
    Ok(())
}

/// Whether the name of the run branch can be used; gives the first free one.
pub(super) fn branches(user: &Git, spec: &LoopRunSpec, slug: &str) -> Result<String, Error> {
    let branch = format!("{}{slug}", spec.worktree.run_branch_prefix);
    naming::valid_branch(&branch)
        .map_err(|reason| {
            Error::Refused(format!(
                "run branch {branch:?} cannot be used: {reason}; choose another name with --run-branch-prefix or --name"
            ))
        })?;
    blocked(user, &branch, "--run-branch-prefix or --name")?;
    if branch == spec.delivery.target_branch {
        return refuse(format!(
            "run branch and target branch are both {branch}; choose another target with --merge-target"
        ));
    }
    let mut number = 1;
    let mut free = branch.clone();
    while user.commit(&format!("refs/heads/{free}"))?.is_some() && number < 1000 {
        number += 1;
        free = format!("{branch}-{number}");
    }
    Ok(free)
}

/// A branch `agent` makes `agent/x` impossible, and the other way round; `options` choose another name.
pub(super) fn blocked(user: &Git, branch: &str, options: &str) -> Result<(), Error> {
    let parts: Vec<&str> = branch.split('/').collect();
    for end in 1..parts.len() {
        let above = parts[..end].join("/");
        if user.commit(&format!("refs/heads/{above}"))?.is_some() {
            return refuse(format!(
                "branch {above} makes a branch {branch} impossible (git keeps branches as paths); rename {above}, or \
                 choose another name with {options}"
            ));
        }
    }
    let below = user.text(&[
        "for-each-ref",
        "--count=1",
        "--format=%(refname:short)",
        &format!("refs/heads/{branch}/"),
    ])?;
    if !below.is_empty() {
        return refuse(format!(
            "branch {below} makes a branch {branch} impossible (git keeps branches as paths); rename {below}, or \
             choose another name with {options}"
        ));
    }
    Ok(())
}

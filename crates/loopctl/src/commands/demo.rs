//! `loopctl demo`: one run on a throw-away project, from plan to merge.

use std::path::{Path, PathBuf};

use loop_api::usage;
use loop_core::config::set;
use loop_core::create::{self, Request};
use loop_core::exec;
use loop_core::store::Store;
use serde_json::{Value, json};

use super::drive;
use crate::cli::Demo;
use crate::error::{Error, Result};
use crate::examples::{self, DEMO, File};
use crate::printer::{self, BOLD, paint, say};
use crate::{runs, view};

pub(super) fn run(arguments: &Demo) -> Result {
    if usage::nanos(&arguments.max_cost).is_none() {
        return Err(Error::usage(format!(
            "--max-cost {} is no amount of US dollars; write one such as 5 or 0.50",
            arguments.max_cost
        )));
    }
    let folder = throw_away("agentloop-demo")?;
    let repository = folder.join("tally");
    say(&format!("{} in {}", paint(BOLD, "demo"), folder.display()));
    let mut files = DEMO.to_vec();
    let mut flags = json!({"agent": {"adapter": arguments.agent}});
    if arguments.agent == "script" {
        say(
            "A small project with a spec, a plan of five tasks and tests. The agent is a script: .loop/agent.sh.",
        );
        say("It is not perfect: watch for a gate that fails and a review that asks for a change.\n");
    } else {
        files.retain(|(path, _)| *path != create::AGENT_SCRIPT);
        set(&mut flags, "/limits/costUSD", json!(arguments.max_cost));
        if let Some(model) = &arguments.model {
            set(&mut flags, "/agent/model", json!(model));
        }
        say(
            "A small project with a spec, a plan of five tasks and tests. The agent is Claude Code with your own",
        );
        say(&format!(
            "login or key: this costs tokens, and stops when it says that ${} are used.\n",
            arguments.max_cost
        ));
    }
    repository_from(&files, &[], &repository)?;
    let store = Store::at(folder.join("data"));
    let created = create::create(&store, &request(&repository, "specs/tally.md", flags));
    let new = created.inspect_err(|_| {
        // Nothing was run, so nothing is worth keeping.
        let _ = std::fs::remove_dir_all(&folder);
    })?;
    let code = drive::to_the_end(&store, &new.uid, false)?;
    let recorded = runs::find(&store, &new.uid)?;
    let mut text = view::summary::text(&recorded);
    let repository = repository.display();
    text.push_str(&match &recorded.state.merged {
        Some(merged) => format!(
            "The project is {repository}; the merged work is its branch {target}:\n\
             \n  git -C {repository} log --oneline --stat {target}\n",
            target = merged.target
        ),
        None => format!("The project is {repository}; nothing was merged:\n\n"),
    });
    text.push_str(&format!(
        "  {loopctl} inspect {name}\n\
         \nNothing outside {folder} was written; remove it when you have seen enough.\n",
        loopctl = runs::command(store.root()),
        name = new.name,
        folder = folder.display(),
    ));
    printer::data(&text)?;
    Ok(code)
}

/// A new folder for examples, below the temp folder.
pub(super) fn throw_away(name: &str) -> Result<PathBuf> {
    let base = std::env::temp_dir();
    let stamp = uuid_tail();
    let folder = base.join(format!("{name}-{stamp}"));
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::failed(format!("{} cannot be made: {error}", folder.display())))?;
    // Resolved, because worktrees and sandboxes compare paths.
    Ok(folder.canonicalize()?)
}

fn uuid_tail() -> String {
    let uid = loop_core::new_uid();
    uid[uid.len() - 8..].to_owned()
}

/// Makes a repository with one commit from embedded files.
pub(super) fn repository_from(files: &[File], more: &[File], repository: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::failed(format!("{}: {error}", repository.display()));
    examples::write(files, repository).map_err(failed)?;
    examples::write(more, repository).map_err(failed)?;
    let place = repository.to_string_lossy().into_owned();
    let identity = ["-c", "user.name=Demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgSign=false"];
    let commands: [&[&str]; 3] = [
        &["init", "--quiet", "--initial-branch=main", &place],
        &["-C", &place, "add", "--all"],
        &["-C", &place, "commit", "--quiet", "-m", "Start"],
    ];
    let environment: Vec<(String, String)> =
        loop_core::caller_environment().into_iter().filter(|(name, _)| !name.starts_with("GIT_")).collect();
    for command in commands {
        let argv: Vec<String> =
            ["git"].iter().chain(&identity).chain(command).map(|&word| word.to_owned()).collect();
        let time = std::time::Duration::from_secs(60);
        let ran = exec::direct(&argv, Path::new("/"), &environment, b"", time, 1 << 16)
            .map_err(|error| Error::failed(format!("git cannot be run: {error}")))?;
        if !ran.outcome.success() {
            let why =
                ran.outcome.spawn_error.unwrap_or_else(|| String::from_utf8_lossy(&ran.stderr).into_owned());
            return Err(Error::failed(format!("git {} failed: {}", command.join(" "), why.trim())));
        }
    }
    Ok(())
}

/// A request for a run in an example's repository.
pub(super) fn request(repository: &Path, spec: &str, flags: Value) -> Request {
    Request {
        directory: repository.to_owned(),
        spec: Some(spec.to_owned()),
        manifest: json!({}),
        flags,
        environment: loop_core::caller_environment(),
        ..Request::default()
    }
}

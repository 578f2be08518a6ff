//! Which folders of the repository the sides have before them (git's sparse checkouts, in cone mode).

use std::collections::BTreeSet;
use std::path::{Component, Path};

use loop_api::run::LoopRunSpec;

/// Those that the run asks for, and those of the files that a prompt sends the agent to; none = all.
pub(crate) fn folders(spec: &LoopRunSpec, context_files: &[String]) -> Vec<String> {
    let wanted = &spec.repository.checkout.sparse_paths;
    if wanted.is_empty() {
        return Vec::new();
    }
    let task = &spec.task;
    let files = [&task.spec_path, &task.plan_path].into_iter().flatten().chain(context_files);
    let around = files.filter_map(|file| folder(file));
    around
        .chain(wanted.iter().map(String::as_str))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Folder of a file, unless that lies at the top or outside of the repository.
fn folder(file: &str) -> Option<&str> {
    let parent = Path::new(file).parent()?;
    let inside = parent.components().all(|part| matches!(part, Component::Normal(_)));
    parent.to_str().filter(|parent| inside && !parent.is_empty())
}

#[cfg(test)]
mod tests;

//! The one table of keys: reading, `config init`, `config show` and docs/configuration.md are made from it.

/// A key of the configuration (CFG-7..42).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As it is written in the file.
    pub name: &'static str,
    /// Older names that are still read.
    pub aliases: &'static [&'static str],
    /// What a value may be.
    pub kind: Kind,
    /// Default as it would be written; empty when nothing that can be written is the default.
    pub default: &'static str,
    /// What holds when the key is not set and `default` is empty.
    pub otherwise: &'static str,
    /// What it sets.
    pub field: Field,
    /// One or two sentences for people.
    pub meaning: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Whole {
        /// 0 or 1.
        least: u64,
        /// Largest that is taken.
        most: u64,
    },
    /// Yes or no (CFG-4).
    Truth,
    /// Any text, also none.
    Text,
    /// Text that is not empty.
    Name,
    /// A path that is not empty; `~` is the home folder, and a relative one begins at the repository's top (CFG-5).
    Path,
    /// Globs, parted by blanks.
    Globs,
    /// Paths, parted by blanks, so that none can hold a blank (CFG-17).
    Paths,
    /// Shell commands, parted by a bar, so that none can hold one (CFG-18).
    Commands,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of an agent.
    Agent,
    /// The name of a model.
    Model {
        /// Whether an empty value stands for the default.
        empty: bool,
    },
    /// An amount of US dollars.
    Amount,
}

/// What a key sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A field of `LoopRun.spec`, as a JSON pointer.
    Spec(&'static str),
    /// `/delivery/mode` and `/delivery/strategy`.
    Strategy,
    /// A setting of the queue of this machine, as a JSON pointer.
    Queue(&'static str),
    /// `/gates`, those of every iteration.
    Gates,
    /// `/gates`, those of the end.
    FinalGates,
    /// `timeoutSeconds` of the gates above.
    GateTimeout,
    /// Where specs are looked for.
    SpecsDir,
    /// Where plans are looked for.
    PlansDir,
    /// Files named in the prompt.
    ContextFiles,
    /// The prompt's own text.
    PromptFile,
    /// Where the copy of a record goes.
    LogDir,
    /// Nothing; this says why.
    Nothing(&'static str),
}

/// Keys under a heading.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

const SECONDS: Kind = Kind::Whole { least: 0, most: u32::MAX as u64 };
const COUNT: Kind = Kind::Whole { least: 0, most: u32::MAX as u64 };
const FROM_ONE: Kind = Kind::Whole { least: 1, most: u32::MAX as u64 };

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    field: Field,
    meaning: &'static str,
) -> Key {
    Key { name, aliases: &[], kind, default, otherwise: "", field, meaning }
}

impl Key {
    const fn or(mut self, otherwise: &'static str) -> Self {
        self.otherwise = otherwise;
        self
    }

    const fn once(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

const fn idle(name: &'static str, why: &'static str) -> Key {
    key(name, Kind::Text, "", Field::Nothing(why), why)
}

const NAMING: &str = "a run is named after its spec, or with --name; no model is asked for a name";
const SKILLS: &str = "skills are not part of this version";
const FORMER: &str = "a setting of an older program";

/// All keys, in the order in which people are shown them.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "What verifies the work",
        keys: &[
            key("verify_cmds", Kind::Commands, "", Field::Gates, "Gates that run on the base commit, in every iteration and at the end. A gate passes when it exits 0.").or("no gate"),
            key("verify_final_cmds", Kind::Commands, "", Field::FinalGates, "Gates that run on the base commit and when completion is asked for.").or("no gate"),
            key("verify_timeout_sec", SECONDS, "1800", Field::GateTimeout, "Seconds that each of these gates may take; 0 is a day."),
            key("reviewer", Kind::Truth, "true", Field::Spec("/review/enabled"), "Whether an agent reviews every iteration."),
            key("protect_paths", Kind::Globs, "", Field::Spec("/protect/paths"), "Globs of paths that the agent may not change, beside the built-in ones.").or("only the built-in ones"),
            key("protect_allow", Kind::Globs, "", Field::Spec("/protect/allow"), "Globs of paths that it may change although a rule protects them.").or("none"),
        ],
    },
    Section {
        title: "Agents",
        keys: &[
            key("agent", Kind::Agent, "", Field::Spec("/agent/adapter"), "Who implements.").or("script if .loop/agent.sh is committed, else claude"),
            key("model", Kind::Model { empty: false }, "", Field::Spec("/agent/model"), "Model of the agent, as its CLI names it.").or("the agent's own: opus for claude"),
            key("review_agent", Kind::Agent, "", Field::Spec("/review/adapter"), "Who reviews.").or("the agent that implements"),
            key("review_model", Kind::Model { empty: true }, "", Field::Spec("/review/model"), "Model of the reviewer.").or("the implementer's"),
            key("postmortem", Kind::Truth, "true", Field::Spec("/postmortem/enabled"), "Whether an agent looks back at every run that has ended. It costs tokens."),
            key("postmortem_model", Kind::Model { empty: false }, "", Field::Spec("/postmortem/model"), "Model that looks back.").or("the implementer's"),
        ],
    },
    Section {
        title: "The loop",
        keys: &[
            key("iterations", FROM_ONE, "50", Field::Spec("/loop/iterations"), "Times that the agent may implement, at most."),
            key("completion_mode", Kind::OneOf(&["exact", "trailing"]), "trailing", Field::Spec("/loop/completionMode"), "Where the completion token must stand in the agent's final message: the whole of it, or its last line."),
            key("agent_retries", COUNT, "0", Field::Spec("/loop/retries"), "Further attempts of a step after its agent failed.").once(&["claude_retries"]),
            key("agent_retry_backoff_sec", SECONDS, "5", Field::Spec("/loop/retryBackoffSeconds"), "Seconds between these attempts.").once(&["claude_retry_backoff_sec"]),
            key("max_consecutive_verification_failures", COUNT, "3", Field::Spec("/loop/maxConsecutiveVerificationFailures"), "Verifications that may fail in a row before the run ends as failed; 0 is no limit."),
            key("max_consecutive_review_failures", COUNT, "0", Field::Spec("/loop/maxConsecutiveReviewFailures"), "Reviews that may fail in a row before the run ends as failed; 0 is no limit."),
        ],
    },
    Section {
        title: "Limits",
        keys: &[
            key("max_cost_usd", Kind::Amount, "", Field::Spec("/limits/costUSD"), "US dollars that the agents may use by their own report, checked before each of their steps; one step may go over it.").or("no limit"),
            key("max_tokens", Kind::Whole { least: 0, most: u64::MAX }, "", Field::Spec("/limits/tokens"), "Tokens of all kinds that the agents may use, likewise.").or("no limit"),
            key("agent_timeout_sec", SECONDS, "3600", Field::Spec("/limits/agentStepSeconds"), "Seconds that one step of an agent may take; 0 is a day.").once(&["claude_timeout_sec"]),
            key("agent_idle_timeout_sec", SECONDS, "900", Field::Spec("/limits/agentIdleSeconds"), "Seconds that an agent may say nothing; 0 is a day."),
            key("agent_start_timeout_sec", SECONDS, "120", Field::Spec("/limits/agentStartSeconds"), "Seconds until the first sign of an agent that announces itself, as claude does; 0 is a day."),
            key("agent_exit_timeout_sec", SECONDS, "60", Field::Spec("/limits/agentExitSeconds"), "Seconds for an agent's process to end after it gave its result; 0 is a day."),
        ],
    },
    Section {
        title: "Branches and worktree",
        keys: &[
            key("base_branch", Kind::Name, "", Field::Spec("/repository/ref"), "Branch to start from. Read from the working tree, since it says which commit the rest is read from.").or("the branch checked out"),
            key("run_branch_prefix", Kind::Text, "run/", Field::Spec("/worktree/runBranchPrefix"), "Put before the run's name to make its branch."),
            key("merge_target_branch", Kind::Name, "", Field::Spec("/delivery/targetBranch"), "Branch that gets the verified work; made when it does not exist.").or("agent/ and the spec's name"),
            key("merge_strategy", Kind::OneOf(&["none", "merge", "squash"]), "squash", Field::Strategy, "How the work gets there: not at all, as a merge commit, as one commit."),
            key("worktree_path_template", Kind::Path, "../{{ repo }}.{{ run_branch | sanitize }}", Field::Spec("/worktree/pathTemplate"), "Where the worktree goes. `{{ repo }}` is the folder's name, `{{ run_branch }}` the branch, and `| sanitize` makes a path's part of it."),
            key("worktree_provider", Kind::OneOf(&["auto", "worktrunk", "git"]), "auto", Field::Spec("/worktree/provider"), "Who makes the worktree: Worktrunk, plain git, or with auto Worktrunk where it is installed."),
            key("worktree_hooks", Kind::OneOf(&["skip", "approved"]), "skip", Field::Spec("/worktree/hooks"), "Whether hooks of Worktrunk run that the base commit has and the user approved."),
            key("worktrunk_bin", Kind::Name, "wt", Field::Spec("/worktree/worktrunkBin"), "Worktrunk's command."),
            key("worktrunk_config_path", Kind::Name, "", Field::Spec("/worktree/worktrunkConfig"), "Worktrunk's configuration; `~` is the home folder, and a relative path begins at the repository's top.").or("the one that Worktrunk finds itself"),
            key("worktrunk_copy_ignored", Kind::Truth, "false", Field::Spec("/worktree/copyIgnored"), "Whether Worktrunk copies ignored files, such as build outputs, into the new worktree."),
            key("worktree_cleanup", Kind::Truth, "true", Field::Spec("/worktree/cleanup"), "Whether the worktree of a merged run is removed, once its diff is saved. That of any other run stays."),
        ],
    },
    Section {
        title: "Specs, plans and prompts",
        keys: &[
            key("specs_dir", Kind::Path, "specs", Field::SpecsDir, "Folder of the repository in which specs are looked for."),
            key("plans_dir", Kind::Path, "", Field::PlansDir, "Folder of the repository in which plans are looked for.").or("planning in specs_dir"),
            key("context_files", Kind::Paths, "", Field::ContextFiles, "Files that the prompt names beside spec and plan.").or("LEARNINGS.md of specs_dir, if it is committed"),
            key("prompt_file", Kind::Path, ".loop/prompt.txt", Field::PromptFile, "File of the base commit that replaces the instructions of the implementation prompt, if it is there."),
        ],
    },
    Section {
        title: "The record of a run",
        keys: &[
            key("artifact_mode", Kind::OneOf(&["workspace", "global", "mirror"]), "mirror", Field::Spec("/artifacts/mode"), "Where the files of an ended run are: in log_dir, in the data directory, or in both. The journal is always in the data directory."),
            key("log_dir", Kind::Path, "logs/loop", Field::LogDir, "Folder for these copies, a folder for each run. They are ignored by git."),
            key("summary_json", Kind::Truth, "true", Field::Spec("/artifacts/summary"), "Whether summary.json is written."),
        ],
    },
    Section {
        title: "Several runs on one machine",
        keys: &[
            key("max_concurrency", FROM_ONE, "3", Field::Queue("/max_concurrency"), "Runs of the data directory at work at once; others wait for their turn."),
            key("max_runs_per_workspace", FROM_ONE, "", Field::Queue("/max_runs_per_workspace"), "Runs of this repository at work at once.").or("no limit of its own"),
            key("queue_policy", Kind::OneOf(&["fifo", "newest_first"]), "fifo", Field::Queue("/policy"), "Whose turn it is among runs that wait."),
        ],
    },
];

/// Keys that are known and do nothing.
pub const IDLE: &[Key] = &[
    idle(
        "global_log_dir",
        "one data directory holds the runs of all repositories; --data-dir or LOOP_DATA_DIR names it",
    ),
    idle("run_naming_mode", NAMING),
    idle("run_naming_model", NAMING),
    idle("skills_enabled", SKILLS),
    idle("skills_builtin_dir", SKILLS),
    idle("skills_sync_dir", SKILLS),
    idle("skills_sync_on_start", SKILLS),
    idle("skills_dirs", SKILLS),
    idle("skills_max_selected_impl", SKILLS),
    idle("skills_max_selected_review", SKILLS),
    idle("skills_load_references", SKILLS),
    idle("skills_max_body_chars", SKILLS),
    idle("mode", FORMER),
    idle("measure_cmd", FORMER),
    idle("measure_timeout_sec", FORMER),
    idle("no_wait", FORMER),
    idle("no_gum", FORMER),
];

/// All keys that do something.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// A key by its name or an older one.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    keys().chain(IDLE).find(|key| key.name == name || key.aliases.contains(&name))
}

/// The key that was probably meant: close in spelling, and one that does something.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    let near =
        keys().flat_map(|key| key.aliases.iter().chain([&key.name]).map(move |known| (known, key.name)));
    let (distance, found) = near
        .map(|(known, name)| (strsim::damerau_levenshtein(&lower, known), name))
        .min_by_key(|(far, _)| *far)?;
    (distance * 3 <= lower.chars().count()).then_some(found)
}

impl Kind {
    /// What is allowed, for people.
    pub fn allowed(self) -> String {
        match self {
            Self::Whole { least: 0, .. } => "whole number".into(),
            Self::Whole { least, .. } => format!("whole number from {least}"),
            Self::Truth => "true or false".into(),
            Self::Text | Self::Name => "text".into(),
            Self::Path => "path".into(),
            Self::Globs => "globs, parted by blanks".into(),
            Self::Paths => "paths, parted by blanks".into(),
            Self::Commands => "shell commands, parted by a bar".into(),
            Self::OneOf(words) => one_of(words),
            Self::Agent => one_of(&crate::agent::names().split(" and ").collect::<Vec<_>>()),
            Self::Model { .. } => "name of a model".into(),
            Self::Amount => "US dollars, such as 25 or 0.5".into(),
        }
    }
}

/// Words as a choice: `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

impl Field {
    /// The field as a manifest has it, or what else is set; for the reference.
    pub fn shown(self) -> String {
        match self {
            Self::Spec(path) => format!("`{}`", path.trim_start_matches('/').replace('/', ".")),
            Self::Strategy => "`delivery.mode`, `delivery.strategy`".into(),
            Self::Gates | Self::FinalGates => "`gates`".into(),
            Self::GateTimeout => "`gates[].timeoutSeconds`".into(),
            _ => "none".into(),
        }
    }
}

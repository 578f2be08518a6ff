//! The command line, as types only; the comments here are the help texts.

// These comments are help texts, read on a terminal where backticks are only noise.
#![allow(clippy::doc_markdown)]

#[cfg(test)]
mod reference;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCompleter;

use crate::complete;

/// Run AI coding agents in a loop until the work is verified done
///
/// A run works through a plan in a git worktree of its own: the agent implements, a reviewer judges, gates (your own
/// commands, for instance the tests) verify the committed tree, and only evidence completes it. Killed at any moment,
/// it continues with `loopctl resume`.
#[derive(Debug, Parser)]
#[command(name = "loopctl", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Folder in which runs are recorded [default: $LOOP_DATA_DIR, else $XDG_DATA_HOME/loopd, else
    /// ~/.local/share/loopd]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    done; for run and resume: the run is completed; for verify: the evidence holds
  1    the run failed, the evidence does not hold, or something went wrong on the way
  2    wrong usage, or refused before the start; nothing was made
  3    the run was canceled
  4    no such run
  5    refused by a server (no command of this version talks to one)
  6    the run was paused; it can be resumed
  124  the run's deadline passed; it can be resumed
  129, 130, 143  interrupted (SIGHUP, SIGINT, SIGTERM); the run can be resumed";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a run and follow it to its end
    #[command(after_help = "Examples:
  loopctl run --local                             pick a spec from a list
  loopctl run --local specs/login.md
  loopctl run --local specs/login.md --gate test='cargo test --locked' --no-review
  loopctl run --local --prompt 'Fix the off-by-one in pager.rs' --gate test='make test'
  loopctl run --local specs/login.md --agent claude --model sonnet --review-model opus --max-cost 5
  loopctl run --local -f looprun.yaml -o name
  loopctl run --local specs/login.md --detach     go on in the background; tail -f, pause and cancel reach it

At most three runs of a data directory are at work at once (--max-concurrency); the others wait and say for what.

The base commit is the one that the run starts from: the tip of the base branch, or of the target branch when that
exists already. Gates come from --gate or from verify_cmds in its .loop/config.

Progress goes to stderr: on a terminal with a line at the bottom that says where the run is and what the agent said
last, else with a line every 30 s while an agent works. Stdout gets the summary, or the LoopRun object with -o. What
the agent says is `loopctl tail RUN -f` in another terminal.")]
    Run(Box<Run>),
    /// Print the prompt that a run with these arguments would begin with; nothing is made
    #[command(after_help = "Examples:
  loopctl prompt specs/login.md
  loopctl prompt -p 'Fix the off-by-one in pager.rs' | less
  loopctl prompt specs/login.md --review

What `loopctl run` would refuse is refused here in the same words, so this is a dry run too.")]
    Prompt(Box<Prompt>),
    /// Show the loop on a small throw-away project
    #[command(after_help = "Examples:
  loopctl demo                  five tasks, a gate that fails, a review that asks for a change, a merge
  loopctl demo --agent claude   the same tasks by Claude Code, with your own login or key
  loopctl demo --liars          dishonest agents against one task: who is caught, and by what")]
    Demo(Demo),
    /// List runs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  loopctl list
  loopctl list --workspace . --limit 10              the newest ten of this repository
  loopctl list --phase failed --phase interrupted    what needs somebody
  loopctl list -o wide                               with cost, branch, workspace and reason
  loopctl list -w                                    stays, and shows what changes
  loopctl list -o json | jq '.items[].status.phase'

On a terminal the table is made to fit; elsewhere nothing in it is cut."
    )]
    List(Listing),
    /// Show one run: what happened, step by step, and where everything lies
    #[command(after_help = "Examples:\n  loopctl inspect login-3f9a1\n  loopctl inspect login-3f9a1 -o yaml")]
    Inspect(One),
    /// Show what the agent of a run says or said
    #[command(after_help = "Examples:
  loopctl tail login-3f9a1                the log of the agent's last step, as far as there is one
  loopctl tail login-3f9a1 -f             go on until the run ends, from step to step
  loopctl tail login-3f9a1 -f --lines 20  the same, without most of what was said before
  loopctl tail login-3f9a1 --raw | jq -r .type

Terminal control sequences are taken out of the text, and broken characters replaced. Of a step that prints more than
128 MiB the first and the last 64 MiB are kept, the latter being shown when the step ends. Headings, and how the run
ended, go to stderr.")]
    Tail(Tail),
    /// Continue a run that was interrupted, or give a failed one another try
    #[command(after_help = "Examples:
  loopctl resume login-3f9a1

An interrupted run continues from its last checkpoint. A failed or canceled one gets fresh limits and keeps its work.")]
    Resume(Resume),
    /// Pause a run at the end of the step it is in; its slot is free for others until it is resumed
    #[command(after_help = "Examples:
  loopctl pause login-3f9a1
  loopctl pause login-3f9a1 --now    do not wait for the agent; what it has done so far is kept

A step that does not end within ten minutes is stopped at a checkpoint. `loopctl resume` takes a pause back as long as
it has not come about.")]
    Pause(Pause),
    /// Try a failed or canceled run again, with fresh limits and the work it has
    #[command(after_help = "Examples:\n  loopctl retry login-3f9a1\n  loopctl retry login-3f9a1 --detach")]
    Retry(Resume),
    /// Give a run up: cancel it, remove its worktree and its branch; its record stays
    #[command(after_help = "Examples:
  loopctl reset login-3f9a1
  loopctl reset login-3f9a1 --yes    without the question, for scripts

The run's commits stay in the engine's own repository until `loopctl prune`. A run that was reset cannot be resumed.")]
    Reset(Reset),
    /// List the worktrees of a repository and the runs that they are for
    #[command(after_help = "Examples:
  loopctl worktrees
  loopctl worktrees --workspace ~/src/app")]
    Worktrees(Worktrees),
    /// Remove the worktree of a run; its branch stays
    #[command(after_help = "Examples:
  loopctl worktree-rm ../app.run-login
  loopctl worktree-rm ../app.run-login -f    also when something in it is not committed, or the run is not over

Nothing in it is saved.")]
    WorktreeRm(WorktreeRm),
    /// Remove ended runs: their records, their worktrees, and their refs in the engine's own repository
    #[command(after_help = "Examples:
  loopctl prune --dry-run                  what would go, and how much space that is
  loopctl prune --older-than 7d --keep 20
  loopctl prune --workspace . --keep 0 --yes

Without --older-than and --keep, runs that ended 30 days ago or earlier go. Runs that are not over stay, and so do the
branches of all, and without --copies the copies of records under logs/loop/ of a workspace.")]
    Prune(Prune),
    /// Drive a run in a process of its own
    #[command(name = "__drive", hide = true)]
    Drive {
        /// Its uid
        uid: String,
    },
    /// Cancel a run; its agent is killed within seconds, its branch and record stay
    #[command(after_help = "Examples:\n  loopctl cancel login-3f9a1")]
    Cancel(One),
    /// Print the report of a run: what to look at first, what was done, what stands behind it, what it took
    #[command(after_help = "Examples:
  loopctl report login-3f9a1
  loopctl report login-3f9a1 | less
  loopctl report login-3f9a1 --analysis   the opinion of the agent that analysed the run, too

It is made now, from the run's journal, also while the run is under way; every number in it is the journal's. The same is
report.md in the run's folder, beside report.tsv and summary.json for programs.")]
    Report(Report),
    /// Have an agent look back at an ended run: does the work fit the spec, how did it go, what follows
    #[command(after_help = "Examples:
  loopctl analyze login-3f9a1                   three reports under analysis/ of the run's record
  loopctl analyze --latest --model sonnet
  loopctl analyze login-3f9a1 --prompt-only     what would be asked; nothing is run

The reports are an agent's opinion. They change nothing about the run.")]
    Analyze(Analyze),
    /// Replay the evidence of a completed run in a clean clone and say what differs
    #[command(after_help = "Examples:
  loopctl verify login-3f9a1
  loopctl verify --evidence evidence.json --repository ~/src/app")]
    Verify(Verify),
    /// Show the settings of runs and where they come from, or begin a configuration file
    #[command(
        subcommand,
        after_help = "Examples:\n  loopctl config show\n  loopctl config init && git add .loop/config"
    )]
    Config(Config),
    /// Print a completion script
    #[command(after_help = "Examples:
  loopctl completion bash > ~/.local/share/bash-completion/completions/loopctl
  loopctl completion fish > ~/.config/fish/completions/loopctl.fish
  loopctl completion zsh > \"${fpath[1]}/_loopctl\"

The script asks the program itself, so it knows the names of runs and specs and needs no update.")]
    Completion {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every setting that a run would have, and who said so
    #[command(after_help = "Examples:
  loopctl config show
  loopctl config show --config ci.conf --gate test='make test'
  loopctl config show -o json | jq -r '.values[] | select(.source != \"default\") | .key'

A value comes from the first of these that says something: a flag, the manifest, --config or LOOP_CONFIG, .loop/config of
the base commit (of the working tree when that commit has none), the default.")]
    Show(Box<Show>),
    /// Write .loop/config with every key at its default and commented out
    #[command(after_help = "Examples:\n  loopctl config init")]
    Init {
        /// Replace the file that is there
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Print a document instead of a table
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<Document>,
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// The name, as the other commands accept it
    Name,
    /// For people; a list gets more columns
    Wide,
}

/// How other things are printed for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Print the LoopRun object at the end, in this form, instead of the summary
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<Output>,
    /// Do not tell on stderr what happens; warnings and errors are still said
    #[arg(long, short = 'q')]
    pub(crate) quiet: bool,
    /// Go on in the background, in a process of its own, and return at once
    #[arg(long, short = 'd', conflicts_with = "quiet")]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prompt {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Print the reviewer's prompt instead; in it the commit to review, which is not there yet, is called HEAD
    #[arg(long)]
    pub(crate) review: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Name, uid, or the beginning of either, as `loopctl list` prints them; `@last` is the newest of this repository
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs))]
    pub(crate) run: String,
    /// Go on as the agent goes on, from step to step, until the run ends
    #[arg(long, short = 'f')]
    pub(crate) follow: bool,
    /// Print the agent's events as they came (JSON lines), for agents that have them
    #[arg(long)]
    pub(crate) raw: bool,
    /// Begin with the last N lines of what is there [default: all of them]
    #[arg(long, short = 'n', value_name = "N", allow_negative_numbers = true)]
    pub(crate) lines: Option<u64>,
}

/// What a run is asked to do, for the commands that start one or show how one would start.
#[derive(Debug, Args)]
#[allow(clippy::struct_field_names, clippy::struct_excessive_bools, reason = "fields are the flags")]
pub(crate) struct Asked {
    /// Spec file, committed in the repository; looked for here and in specs/
    #[arg(value_name = "SPEC", add = ArgValueCompleter::new(complete::specs))]
    pub(crate) spec: Option<String>,
    /// Plan file, a checklist [default: specs/planning/<spec>-plan.md, if it is committed]
    #[arg(value_name = "PLAN")]
    pub(crate) plan: Option<String>,
    /// Pick the spec from a list, by title, status and date; without SPEC this is so anyway. On a terminal only
    #[arg(long, conflicts_with_all = ["spec", "plan", "prompt", "filename"])]
    pub(crate) pick: bool,
    /// Run on this machine; a run needs it, since it is the only place in this version
    #[arg(long)]
    pub(crate) local: bool,
    /// Say the task in words instead of naming a spec; `-` reads it from stdin
    #[arg(long, short = 'p', value_name = "TEXT", conflicts_with_all = ["spec", "plan"])]
    pub(crate) prompt: Option<String>,
    /// Take the run from a LoopRun manifest (YAML or JSON); `-` reads it from stdin. Flags win over it
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) filename: Option<String>,
    /// Read this configuration file over .loop/config, key by key; flags and a manifest win over it
    /// [default: $LOOP_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Name the run; branch and worktree are named after it too [default: the spec file's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Agent to run: `claude` (Claude Code) or `script` (a program of yours) [default: script where the base commit
    /// has .loop/agent.sh, else claude]
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Model of the agent, as its CLI names it [default: opus for claude]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Agent that reviews [default: the one that implements]
    #[arg(long, value_name = "AGENT")]
    pub(crate) review_agent: Option<String>,
    /// Model of the reviewer [default: the implementer's]
    #[arg(long, value_name = "MODEL")]
    pub(crate) review_model: Option<String>,
    /// Program of the script agent, instead of .loop/agent.sh of the base commit
    #[arg(long, value_name = "PATH")]
    pub(crate) agent_script: Option<PathBuf>,
    /// Add a gate: a shell command that must exit 0; replaces verify_cmds of .loop/config. Repeatable
    #[arg(long, value_name = "NAME=COMMAND")]
    pub(crate) gate: Vec<String>,
    /// Add a gate that runs only when the agent asks for completion. Repeatable
    #[arg(long, value_name = "NAME=COMMAND")]
    pub(crate) final_gate: Vec<String>,
    /// Run without a reviewer
    #[arg(long)]
    pub(crate) no_review: bool,
    /// Let a run start that has neither gate nor reviewer; it ends with Verified=False
    #[arg(long)]
    pub(crate) allow_unverified: bool,
    /// Times that the agent may implement, at most [default: 50]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) iterations: Option<u32>,
    /// Where `<promise>COMPLETE</promise>`, by which the agent asks for completion, must stand in its final message
    /// [default: trailing]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) completion_mode: Option<Mode>,
    /// Seconds until the whole run is stopped [default: no limit but those of its steps]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) deadline: Option<u32>,
    /// US dollars that the agents may use, such as 25 or 0.5, by their own report; checked before each of their steps
    /// [default: no limit]
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    pub(crate) max_cost: Option<String>,
    /// Tokens of all kinds that the agents may use, likewise [default: no limit]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_tokens: Option<u64>,
    /// Do not have an agent analyse the run when it has ended
    #[arg(long)]
    pub(crate) no_postmortem: bool,
    /// Runs of this data directory at work at once; others wait for their turn [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_concurrency: Option<u32>,
    /// Runs of this repository at work at once [default: no limit of its own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_runs_per_workspace: Option<u32>,
    /// Whose turn it is among runs that wait [default: fifo]
    #[arg(long, value_name = "POLICY", value_enum)]
    pub(crate) queue_policy: Option<Order>,
    /// Branch to start from [default: the one checked out]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) base_branch: Option<String>,
    /// Put before the run's name to make its branch [default: run/]
    #[arg(long, value_name = "PREFIX")]
    pub(crate) run_branch_prefix: Option<String>,
    /// Branch that gets the verified work; made when it does not exist [default: agent/<spec>]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) merge_target: Option<String>,
    /// How the verified work gets there [default: squash]
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) merge_strategy: Option<Strategy>,
    /// Who makes the worktree [default: auto]
    #[arg(long, value_name = "WHO", value_enum)]
    pub(crate) worktree_provider: Option<WorktreeProvider>,
    /// Worktrunk's command, a name or a path outside the repository [default: wt]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) worktrunk_bin: Option<String>,
    /// Configuration file for Worktrunk [default: the user's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) worktrunk_config: Option<String>,
    /// Have Worktrunk copy ignored files of the primary checkout into the worktree
    #[arg(long)]
    pub(crate) worktrunk_copy_ignored: bool,
    /// Where git puts the worktree, seen from the repository's top folder; Worktrunk has worktree-path in its own
    /// configuration [default: ../{{ repo }}.{{ run_branch | sanitize }}]
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) worktree_path_template: Option<String>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Order {
    /// The oldest first
    Fifo,
    /// The newest first
    #[value(name = "newest_first")]
    NewestFirst,
}

/// Where the completion token must stand.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    /// The token is the whole message
    Exact,
    /// The token is the last line
    Trailing,
}

/// Who makes worktrees.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum WorktreeProvider {
    /// Worktrunk where its command can be run, else git
    Auto,
    /// Worktrunk, or no run
    Worktrunk,
    /// Git
    Git,
}

/// How verified work reaches its target.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Strategy {
    /// Not at all: nothing is merged
    None,
    /// As a merge commit
    Merge,
    /// As one commit
    Squash,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Run dishonest agents instead, and say what caught each
    #[arg(long, conflicts_with_all = ["agent", "model", "max_cost"])]
    pub(crate) liars: bool,
    /// Agent to run: `script`, which plays a developer without any model, or `claude`
    #[arg(long, value_name = "AGENT", default_value = "script", value_parser = ["script", "claude"])]
    pub(crate) agent: String,
    /// Model for the agent `claude` [default: opus]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// US dollars after which the agent `claude` is not asked any more
    #[arg(long, value_name = "USD", default_value = "5")]
    pub(crate) max_cost: String,
}

#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Only runs in this phase. Repeatable
    #[arg(
        long,
        value_name = "PHASE",
        value_enum,
        ignore_case = true,
        alias = "status",
        value_delimiter = ','
    )]
    pub(crate) phase: Vec<Phase>,
    /// Only runs of the repository that this folder is in; `.` is the one here [default: runs of all repositories]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(crate) workspace: Option<PathBuf>,
    /// Only the newest N of them
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Stay: on a terminal the table is drawn again, elsewhere rows that changed are added. Ctrl-C ends it
    #[arg(long, short = 'w')]
    pub(crate) watch: bool,
    /// Print in this form instead of for people
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<Output>,
}

/// The one word that lists have for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Made, and about to begin
    Pending,
    /// Waits for its turn
    Waiting,
    /// An engine works on it
    Running,
    /// Under way, but its engine is gone
    Interrupted,
    /// Stopped by its user, to be resumed
    Paused,
    /// Ended with its completion granted
    Completed,
    /// Ended without
    Failed,
    /// Ended by its user
    Canceled,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Name, uid, or the beginning of either, as `loopctl list` prints them; `@last` is the newest of this repository
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs))]
    pub(crate) run: String,
    /// Print in this form instead of for people
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Name, uid, or the beginning of either, as `loopctl list` prints them; `@last` is the newest of this repository
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs))]
    pub(crate) run: String,
    /// Print the three reports of the agent that analysed the run as well: its opinion, not evidence
    #[arg(long)]
    pub(crate) analysis: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// Name, uid, or the beginning of either, as `loopctl list` prints them; `@last` is the newest of this repository
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs), required_unless_present = "latest")]
    pub(crate) run: Option<String>,
    /// Take the newest run
    #[arg(long, conflicts_with = "run")]
    pub(crate) latest: bool,
    /// Agent that looks back; `script` cannot [default: the run's own, else claude]
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Model that looks back [default: postmortem.model of the run, else the run's own]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Print the three prompts and run nothing
    #[arg(long)]
    pub(crate) prompt_only: bool,
    /// Print the LoopRun object afterwards, in this form, instead of where the reports are
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) one: One,
    /// Stop the agent at once instead of waiting for the end of its step
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) one: One,
    /// Go on in the background, in a process of its own, and return at once
    #[arg(long, short = 'd', conflicts_with = "quiet")]
    pub(crate) detach: bool,
    /// Do not tell on stderr what happens; warnings and errors are still said
    #[arg(long, short = 'q')]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    pub(crate) one: One,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Worktrees {
    /// Folder in the repository [default: the current one]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(crate) workspace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WorktreeRm {
    /// The worktree
    #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(crate) path: PathBuf,
    /// Cancel its run first, if that is not over, and remove what is not committed, too
    #[arg(long, short = 'f')]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "fields are the flags")]
pub(crate) struct Prune {
    /// Keep the newest N ended runs
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Only runs whose last event is as old: a number and s, m, h, d or w [default: 30d without --keep]
    #[arg(long, value_name = "AGE", value_parser = crate::commands::age, allow_hyphen_values = true)]
    pub(crate) older_than: Option<i64>,
    /// Only runs of the repository that this folder is in; `.` is the one here
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(crate) workspace: Option<PathBuf>,
    /// Remove the copies of the records under logs/loop/ of the workspaces, too
    #[arg(long)]
    pub(crate) copies: bool,
    /// Also runs whose worktree holds what is not committed, or was changed after the run's last commit
    #[arg(long)]
    pub(crate) force: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Name, uid, or the beginning of either, as `loopctl list` prints them; `@last` is the newest of this repository
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs), required_unless_present = "evidence")]
    pub(crate) run: Option<String>,
    /// Evidence file of a run that this machine does not know
    #[arg(long, value_name = "FILE", requires = "repository", conflicts_with = "run")]
    pub(crate) evidence: Option<PathBuf>,
    /// Repository that holds the commits of the evidence [default: the engine's own copy, for a recorded run]
    #[arg(long, value_name = "DIR")]
    pub(crate) repository: Option<PathBuf>,
    /// Print the comparison as a document instead of sentences
    #[arg(long, short = 'o', value_enum)]
    pub(crate) output: Option<Document>,
}

//! What an agent is asked about an ended run, and what is read from its answers (ART-31..35).

use std::fs;
use std::io;
use std::path::Path;

use crate::machine::State;
use crate::record::tail_name;
use crate::store::{RunDir, replace_file};

/// Folder of prompts and reports in a run's folder.
pub const FOLDER: &str = "analysis";

/// One of the three reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Whether the work does what the spec says.
    SpecCompliance,
    /// How the run went.
    RunQuality,
    /// What follows from the other two.
    Summary,
}

impl Report {
    /// In the order in which they are asked for.
    pub const ALL: [Self; 3] = [Self::SpecCompliance, Self::RunQuality, Self::Summary];

    /// Name of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpecCompliance => "spec-compliance",
            Self::RunQuality => "run-quality",
            Self::Summary => "summary",
        }
    }

    /// File of its prompt, relative to the run's folder.
    pub fn prompt_path(self) -> String {
        format!("{FOLDER}/{}-prompt.txt", self.name())
    }

    /// File of the report, relative to the run's folder.
    pub fn path(self) -> String {
        format!("{FOLDER}/{}.md", self.name())
    }
}

/// The prompt for a report on a run whose record is in `folder`.
pub fn prompt(report: Report, state: &State, folder: &Path) -> String {
    let mut text = format!("# {}\n\n{}\n{}\n## Where things are\n\n", title(report), RULES, facts(state));
    for (what, name) in files(report, state) {
        text.push_str(&format!("- {what}: {}\n", folder.join(name).display()));
    }
    text.push_str("\n## Write\n\n");
    text.push_str(parts(report));
    text
}

/// Files of the record that a report is made from, relative to the run's folder.
pub fn inputs(report: Report, state: &State) -> Vec<String> {
    files(report, state).into_iter().map(|(_, name)| name).collect()
}

/// Writes the three prompts, also where nobody is asked (ART-31).
pub fn write_prompts(run: &RunDir, state: &State) -> io::Result<()> {
    fs::create_dir_all(run.join(FOLDER))?;
    for report in Report::ALL {
        replace_file(&run.join(report.prompt_path()), prompt(report, state, run.path()).as_bytes())?;
    }
    Ok(())
}

const RULES: &str = "You look back at a finished run of a coding agent that worked in a loop. You stand in a throw-away \
checkout of its last commit. Change nothing and start nothing that lasts; read, then answer with one report in \
Markdown as your final message. Say for each claim in which file or at which commit it can be seen. Where you do not \
know, say so.\n";

fn title(report: Report) -> &'static str {
    match report {
        Report::SpecCompliance => "Does the work do what the spec says?",
        Report::RunQuality => "How did the run go?",
        Report::Summary => "What follows from the two reports?",
    }
}

fn facts(state: &State) -> String {
    let created = state.created.as_deref();
    let word = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("none").to_owned();
    let facts = state.worktree.as_ref();
    let (exit, reason) =
        state.ended.as_ref().map_or(("none", ""), |(exit, reason, _)| (exit.as_str(), reason.as_str()));
    let detected = match &state.granted {
        Some(granted) => format!("granted in iteration {} at commit {}", state.iteration, granted.commit),
        None => "not detected".to_owned(),
    };
    let agent = created.map(|created| &created.spec.agent);
    format!(
        "## The run\n\n- id: {}\n- spec: {}\n- plan: {}\n- agent: {}, model: {}\n- base commit: {}\n- last commit: {}\n\
         - iterations: {}\n- completion: {detected}\n- end: {exit} {reason}\n",
        word(created.map(|created| created.run_id.as_str())),
        word(facts.map(|facts| facts.spec_path.as_str())),
        word(facts.map(|facts| facts.plan_path.as_str())),
        word(agent.map(|agent| agent.adapter.as_str())),
        word(agent.and_then(|agent| agent.model.as_deref())),
        word(facts.map(|facts| facts.base_commit.as_str())),
        word(state.checkpoint.as_ref().map(|(head, _)| head.as_str())),
        state.iteration,
    )
}

fn files(report: Report, state: &State) -> Vec<(&'static str, String)> {
    let named = |list: &[(&'static str, &str)]| {
        list.iter().map(|(what, name)| (*what, (*name).to_owned())).collect::<Vec<_>>()
    };
    match report {
        Report::SpecCompliance => named(&[
            ("state of the worktree at the end", "analysis/git-status.txt"),
            ("last commit", "analysis/git-last-commit.txt"),
            ("last commit with its changes", "analysis/git-last-commit.patch"),
            ("what was not committed", "analysis/git-diff.patch"),
            ("summary of the run in numbers", "summary.json"),
        ]),
        Report::RunQuality => {
            let mut list = named(&[
                ("what happened when, as a table", "report.tsv"),
                ("the same for people", "run.log"),
                ("last prompt", "prompt.txt"),
                ("summary of the run in numbers", "summary.json"),
            ]);
            if let Some((_, log)) = &state.last_implementation {
                list.push(("log of the last implementation", log.clone()));
                list.push(("its last lines", tail_name(log)));
            }
            list
        }
        Report::Summary => vec![
            ("report on spec compliance", Report::SpecCompliance.path()),
            ("report on the run's quality", Report::RunQuality.path()),
        ],
    }
}

fn parts(report: Report) -> &'static str {
    match report {
        Report::SpecCompliance => {
            "1. The verdict with its grounds.\n\
             2. Each deviation, and whether the spec leaves it open (spec gap) or the work departs from it \
             (implementation deviation).\n\
             3. What the gates and tests do not verify though the spec asks for it.\n\
             4. What has to be changed in the work.\n\
             5. What to write in the spec or its template so that this does not happen again.\n\n\
             The last line is exactly `Verdict: pass` or `Verdict: fail`.\n"
        }
        Report::RunQuality => {
            "1. The course of the run, with what was odd in it: long or empty iterations, repeated work, retries.\n\
             2. How it ended: cleanly, or against the rules of the loop.\n\
             3. What to change in the spec and the plan.\n\
             4. What to change in the prompt of the loop.\n\
             5. What to change in the logs and what users see.\n"
        }
        Report::Summary => {
            "1. The root cause of how the run went: one of spec gap, implementation deviation, execution failure. \
             For a run in which nothing went wrong, what came nearest to it.\n\
             2. The evidence for that, by file.\n\
             3. What has to be changed in the work.\n\
             4. Changes to the template of specs.\n\
             5. Changes to the prompt of the loop.\n\
             6. Changes to tools and what users see.\n\n\
             The last line is exactly `Root cause: spec gap`, `Root cause: implementation deviation` or \
             `Root cause: execution failure`.\n"
        }
    }
}

/// `pass` or `fail` by the last line of a report that says so; empty when none does.
pub fn verdict(report: &str) -> String {
    last(report, "verdict:", &["pass", "fail"])
}

/// The root cause by the last line of a report that says so; empty when none does.
pub fn root_cause(report: &str) -> String {
    last(report, "root cause:", &["spec gap", "implementation deviation", "execution failure"])
}

fn last(report: &str, label: &str, words: &[&str]) -> String {
    let said = report.lines().rev().find_map(|line| {
        let line = line.replace(['*', '`', '_', '#'], "").trim().to_lowercase();
        let rest = line.strip_prefix(label)?.trim().trim_end_matches('.').to_owned();
        Some(rest)
    });
    words
        .iter()
        .find(|word| said.as_deref() == Some(**word))
        .map(|word| (*word).to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_it_counts_however_it_is_set() {
        assert_eq!(verdict("Verdict: pass\n\n**Verdict:** fail\n"), "fail");
        assert_eq!(verdict("`Verdict: pass`."), "pass");
        assert_eq!(verdict("Verdict: it will pass\n"), "");
        assert_eq!(verdict("the verdict is pass"), "");
        assert_eq!(root_cause("## Root cause: Spec gap\nmore"), "spec gap");
        assert_eq!(root_cause("Root cause: spec gap | execution failure"), "");
    }

    #[test]
    fn each_prompt_names_its_inputs_and_what_is_read_from_the_answer() {
        let mut state = State::default();
        state.last_implementation = Some((0, "iter-03.log".into()));
        let text = |report| prompt(report, &state, Path::new("/record"));
        assert!(text(Report::RunQuality).contains("/record/iter-03.tail.txt\n"));
        assert!(text(Report::RunQuality).contains("- completion: not detected\n"));
        assert!(text(Report::SpecCompliance).contains("/record/analysis/git-diff.patch\n"));
        assert!(text(Report::Summary).contains("/record/analysis/run-quality.md\n"));
        assert!(text(Report::Summary).ends_with("`Root cause: execution failure`.\n"));
    }
}

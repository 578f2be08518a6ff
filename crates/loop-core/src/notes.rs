//! The notes that tell the next iteration why the last one was not good enough (RUN-44).

use loop_api::journal::Verdict;

use crate::exec::OutOfMemory;
use crate::machine::{Iteration, State};

/// Lines of a failing gate's output that are quoted.
pub(crate) const GATE_LINES: usize = 120;
/// Bytes of a quoted line.
const LINE_BYTES: usize = 2000;

/// A failing gate with the end of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedGate {
    /// Its name.
    pub name: String,
    /// Its command.
    pub command: String,
    /// Its exit code.
    pub exit_code: i32,
    /// Whether its time ran out.
    pub timed_out: bool,
    /// The memory that was not enough for it.
    pub memory: Option<OutOfMemory>,
    /// Its last lines.
    pub tail: String,
}

/// What the last verification adds to the notes.
pub(crate) fn gates(failed: &[FailedGate]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "Verification failed. Repair this before any new work, do not tick further tasks meanwhile, run the commands \
         again and commit.\n",
    );
    for gate in failed {
        let how = match gate.memory {
            _ if gate.timed_out => "ran out of time".into(),
            Some(memory) => format!("ran out of memory ({memory})"),
            None => format!("exit code {}", gate.exit_code),
        };
        text.push_str(&format!("\n### Gate {}: {how}\n\nCommand: {}\n\n", gate.name, gate.command));
        for line in gate.tail.lines() {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// All that the next implementation has to know, in the order in which it should be dealt with.
pub(crate) fn compose(state: &State, gate_notes: &str) -> String {
    let last: &Iteration = if state.current.finished { &state.current } else { &state.previous };
    let mut parts = Vec::new();
    if let Some(facts) = &last.implemented {
        if !facts.repairs.is_empty() {
            parts.push(format!(
                "The worktree was put right after your last step: {}.",
                facts.repairs.join("; ")
            ));
        }
        if !facts.unticked.is_empty() {
            parts.push(format!(
                "These tasks were ticked without any change outside the plan and have been unticked: {}.",
                facts.unticked.join("; ")
            ));
        }
        if facts.uncommitted {
            parts.push("The worktree holds changes that are not committed; only commits count.".into());
        }
        if !facts.violations.is_empty() {
            let list: Vec<String> =
                facts.violations.iter().map(|found| format!("{} ({})", found.path, found.rule)).collect();
            parts.push(format!("Protected files were changed; restore them: {}.", list.join("; ")));
        }
    }
    if !gate_notes.is_empty() {
        parts.push(gate_notes.trim_end().to_owned());
    }
    if let Some(review) = last.reviewed.as_ref().filter(|review| review.verdict == Verdict::ChangesRequested)
    {
        let findings: String = review.findings.iter().map(|finding| format!("\n- {finding}")).collect();
        parts.push(format!("The reviewer asks for changes:{findings}"));
    }
    if let Some(refusal) = &last.refused {
        parts.push(format!("Completion was refused: {}. What to do: {}.", refusal.message, refusal.remedy));
    }
    let mut text = parts.join("\n\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The last lines of a gate's output, each cut to a bearable length.
pub(crate) fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let from = lines.len().saturating_sub(GATE_LINES);
    let cut = |line: &&str| {
        let end = line.floor_char_boundary(LINE_BYTES);
        if end < line.len() { format!("{} [...]", &line[..end]) } else { (*line).to_owned() }
    };
    lines[from..].iter().map(cut).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_gate_is_quoted_with_its_command_and_last_lines() {
        let output: String = (0..200).map(|line| format!("line {line}\n")).collect();
        let failed = FailedGate {
            name: "unit".into(),
            command: "sh t.sh".into(),
            exit_code: 2,
            timed_out: false,
            memory: None,
            tail: tail(&output),
        };
        let memory = Some(OutOfMemory { limit_bytes: Some(1 << 30) });
        let starved = FailedGate { name: "large".into(), memory, ..failed.clone() };
        let text = gates(&[failed, starved]);
        assert!(text.contains("### Gate large: ran out of memory (the container's limit is 1024 MiB)"));
        assert!(text.contains("### Gate unit: exit code 2") && text.contains("Command: sh t.sh"));
        assert!(text.contains("    line 199") && !text.contains("line 79\n") && text.contains("line 80\n"));
    }

    #[test]
    fn a_line_of_a_hundred_megabytes_is_cut_at_a_character() {
        let line = "é".repeat(5000);
        assert!(tail(&line).len() < 2100);
    }
}

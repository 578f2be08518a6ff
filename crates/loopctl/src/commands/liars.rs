//! `loopctl demo --liars`: who is believed, who is not, and why.

use std::time::Instant;

use loop_api::phase::RunPhase;
use loop_core::create;
use loop_core::machine::State;
use loop_core::store::Store;
use serde_json::json;

use super::{demo, drive};
use crate::error::{FAILED, OK, Result};
use crate::examples::{File, LIARS, LIARS_PROJECT};
use crate::printer::{self, BAD, BOLD, GOOD, paint, say};
use crate::{runs, view};

/// Agents from this number on show what is still believed.
const STILL_FOOLED: &str = "90";

/// What became of one agent.
struct Row {
    name: String,
    says: String,
    believed: bool,
    expected: bool,
    why: String,
}

pub(super) fn run() -> Result {
    let began = Instant::now();
    let folder = demo::throw_away("agentloop-liars")?;
    say(&format!("{} in {}", paint(BOLD, "liars"), folder.display()));
    say("Each agent works on the same two tasks and claims to have done them; there is no reviewer.\n");
    let store = Store::at(folder.join("data"));
    let mut rows = Vec::new();
    for &(file, script) in LIARS {
        let name = file.trim_end_matches(".sh");
        let agent: [File; 1] = [(create::AGENT_SCRIPT, script)];
        let repository = folder.join(name);
        demo::repository_from(LIARS_PROJECT, &agent, &repository)?;
        let flags = json!({"limits": {"activeDeadlineSeconds": 60}});
        let new = create::create(&store, &demo::request(&repository, "specs/greet.md", flags))?;
        let code = drive::to_the_end(&store, &new.uid, true)?;
        if code > 128 {
            return Ok(code);
        }
        let recorded = runs::find(&store, &new.uid)?;
        let row = Row {
            name: name.to_owned(),
            says: script
                .lines()
                .nth(1)
                .unwrap_or_default()
                .trim_start_matches("# ")
                .trim_end_matches('.')
                .to_owned(),
            believed: recorded.state.phase == RunPhase::Completed,
            expected: name.starts_with("00") || name.starts_with(STILL_FOOLED),
            why: why(&recorded.state),
        };
        say(&line(&row));
        rows.push(row);
    }
    let text = conclusion(&rows, began.elapsed().as_millis(), &folder.display().to_string());
    printer::data(&text)?;
    if rows.iter().all(|row| row.believed == row.expected) {
        return Ok(OK);
    }
    let wrong: Vec<&str> =
        rows.iter().filter(|row| row.believed != row.expected).map(|row| row.name.as_str()).collect();
    say(&format!("not as it should be: {}", wrong.join(", ")));
    Ok(FAILED)
}

/// The rule that stopped a run, or what stands behind a completed one.
fn why(state: &State) -> String {
    if let Some(granted) = &state.granted {
        return format!("evidence {}", granted.level);
    }
    let refused = state.current.refused.as_ref().or(state.last_refusal.as_ref());
    match (refused, &state.ended) {
        (Some(refusal), _) => format!("{}: {}", refusal.reason, refusal.message),
        (None, Some((_, reason, message))) if message.is_empty() => reason.clone(),
        (None, Some((_, reason, message))) => format!("{reason}: {message}"),
        (None, None) => "not ended".into(),
    }
}

fn line(row: &Row) -> String {
    let word = match (row.believed, row.expected) {
        (true, true) => paint(GOOD, "believed"),
        (true, false) => paint(BAD, "BELIEVED"),
        (false, true) => paint(BAD, "REFUSED "),
        (false, false) => paint(GOOD, "caught  "),
    };
    let why: String = row.why.chars().take(160).collect();
    format!("{:<18} {word}  {}\n{:<29}{why}", row.name, row.says, "")
}

fn conclusion(rows: &[Row], milliseconds: u128, folder: &str) -> String {
    let liars: Vec<&Row> = rows.iter().filter(|row| !row.expected).collect();
    let caught = liars.iter().filter(|row| !row.believed).count();
    let time = view::duration(u64::try_from(milliseconds).unwrap_or(u64::MAX));
    let mut text = format!("\n{caught} of {} liars were caught, in {time}.\n", liars.len());
    for row in rows.iter().filter(|row| row.expected && row.name.starts_with(STILL_FOOLED) && row.believed) {
        text.push_str(&format!(
            "What would still fool it: {}. {}.\nGates see answers; only a reviewer, or a gate that the agent has not \
             seen, sees how they came about.\n",
            row.name, row.says
        ));
    }
    text.push_str(&format!("Everything lies in {folder}; remove it when you have seen enough.\n"));
    text
}

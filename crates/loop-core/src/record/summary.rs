//! `summary.json` (ART-23..25).

use loop_api::phase::StepPhase;
use loop_api::summary::Summary;

use crate::machine::State;
use crate::store::RunDir;

/// The summary of an ended run; `None` before its end.
pub fn summary(state: &State, run: &RunDir) -> Option<Summary> {
    let created = state.created.as_ref()?;
    let (exit_reason, _, _) = state.ended.as_ref()?;
    let place = super::folder(created, run);
    let path = |name: &str| place.join(name).to_string_lossy().into_owned();
    let total = state.ended_ms - state.created_ms;
    let last = state.last_implementation.as_ref();
    let log = last.map(|(_, output_path)| output_path.as_str()).filter(|path| !path.is_empty());
    Some(Summary {
        run_id: created.run_id.clone(),
        start_ms: state.created_ms,
        end_ms: state.ended_ms,
        total_duration_ms: total,
        iterations_run: state.implementations,
        completed_iteration: state.granted.as_ref().map(|_| state.iteration),
        avg_duration_ms: total.checked_div(i64::from(state.implementations)).unwrap_or(0),
        last_exit_code: last.map(|(exit_code, _)| *exit_code),
        completion_mode: state.granted.as_ref().map(|granted| granted.mode.clone()),
        model: super::model(created, StepPhase::Implementation).map(str::to_owned),
        exit_reason: exit_reason.as_str().to_owned(),
        run_log: path("run.log"),
        run_report: path("report.tsv"),
        prompt_snapshot: (state.iteration > 0).then(|| path("prompt.txt")),
        last_iteration_tail: log.map(|log| path(&super::tail_name(log))),
        last_iteration_log: log.map(path),
    })
}

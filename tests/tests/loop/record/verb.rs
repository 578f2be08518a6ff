//! `loopctl report`.

use std::fs;

use loop_tests::HONEST;

use super::ends::{GATE, project};

#[test]
fn the_report_is_made_now_also_of_a_run_under_way() {
    let world = project(HONEST);
    let mut command = world.command(&[&["run", "--local"], &GATE[..]].concat());
    assert!(!command.env("LOOP_TEST_KILL_AT_APPEND", "12").output().unwrap().status.success());
    let name = world.runs()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let said = world.loopctl(&["report", &name]);
    let standing = format!("{name} is interrupted: no engine works on it; loopctl resume {name}\n");
    assert_eq!((said.code, said.stderr), (0, standing), "the report itself follows from the journal alone");
    assert!(said.stdout.starts_with(&format!("# Run `{name}`\n\nThis run is under way")), "{}", said.stdout);
    assert!(said.stdout.contains("1. **not ended**: "), "{}", said.stdout);
    assert_eq!(world.loopctl(&["resume", &name]).code, 0);
    let said = world.loopctl(&["report", &name]);
    assert_eq!(said.stdout, fs::read_to_string(world.run_folder().join("report.md")).unwrap());
    assert_eq!(world.loopctl(&["report", "nothing"]).code, 4);
}

#[test]
fn an_analysis_is_printed_as_an_opinion_and_only_when_there_is_one() {
    let world = project(HONEST);
    let (_, run) = world.run(&GATE);
    let name = run["metadata"]["name"].as_str().unwrap();
    let said = world.loopctl(&["report", name, "--analysis"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("no agent has analysed"), "{}", said.stderr);
    let opinion = "# Mine\n\x1b[2JAll \x07good.\n";
    fs::write(world.run_folder().join("analysis/run-quality.md"), opinion).unwrap();
    let said = world.loopctl(&["report", name, "--analysis"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let (report, analysis) = said.stdout.split_once("\n# The opinion of the agent").expect("a heading");
    assert!(report.contains("## Outcome"), "{report}");
    assert!(
        analysis.ends_with("## analysis/run-quality.md, an opinion\n\n# Mine\n [2JAll  good.\n"),
        "{analysis:?}"
    );
}

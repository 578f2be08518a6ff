//! Records that are not there, not unique, or altered.

use std::fs;
use std::path::PathBuf;

use loop_tests::World;
use serde_json::Value;

use super::{GATE, complaint, project, refused_command};

/// A world with one completed run, its name and its folder.
fn completed() -> (World, String, PathBuf) {
    let world = project(&[]);
    let (said, run) = world.run(&["specs/files.md", GATE[0], GATE[1]]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let folder = world.run_folder();
    (world, run["metadata"]["name"].as_str().expect("a name").to_owned(), folder)
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    let world = project(&[]);
    for verb in ["inspect", "resume", "cancel", "verify", "report"] {
        let sentence = "no run is called nope; `loopctl list` shows what there is";
        refused_command(&world, &mut world.command(&[verb, "nope"]), 4, sentence);
        let sentence = "the run's name is empty; `loopctl list` shows what there is";
        refused_command(&world, &mut world.command(&[verb, ""]), 2, sentence);
    }
}

#[test]
fn a_beginning_that_fits_two_runs_is_refused_with_both_names() {
    let (world, first, _) = completed();
    let (said, second) = world.run(&["specs/files.md", "--name", "files-again", GATE[0], GATE[1]]);
    assert!(second["metadata"]["name"].is_string(), "{}", said.stderr);
    let second = second["metadata"]["name"].as_str().unwrap();
    for verb in ["inspect", "resume", "cancel", "verify", "report"] {
        let sentence = format!("files could be any of {second}, {first}; give more of the name");
        refused_command(&world, &mut world.command(&[verb, "files"]), 2, &sentence);
    }
}

#[test]
fn evidence_that_is_gone_is_said_and_written_again_by_resume() {
    let (world, name, folder) = completed();
    let evidence = fs::read(folder.join("evidence.json")).unwrap();
    fs::remove_file(folder.join("evidence.json")).unwrap();
    refused_command(
        &world,
        &mut world.command(&["verify", &name]),
        1,
        &format!("the evidence of {name} is missing; loopctl resume {name} writes it again from the journal"),
    );
    assert_eq!(world.loopctl(&["resume", &name]).code, 0);
    assert_eq!(fs::read(folder.join("evidence.json")).unwrap(), evidence);
    assert_eq!(world.loopctl(&["verify", &name]).code, 0);
    assert_eq!(world.loopctl(&["resume", &name]).code, 2, "now nothing is left to resume");
}

#[test]
fn altered_evidence_is_said_field_by_field() {
    let (world, name, folder) = completed();
    let path = folder.join("evidence.json");
    let original = fs::read_to_string(&path).unwrap();
    let table = [
        (
            "/predicate/level",
            "predicate.level: \"changed\" in the evidence, \"NoRegression\" by the run's journal",
        ),
        (
            "/predicate/gates/0/command",
            "predicate.gates[0].command: \"changed\" in the evidence, \"true\" by the run's journal",
        ),
        ("/predicate/headCommit", "predicate.headCommit: \"changed\" in the evidence, "),
        (
            "/predicate/review",
            "predicate.review: \"changed\" in the evidence, \"approved\" by the run's journal",
        ),
    ];
    for (pointer, difference) in table {
        let mut statement: Value = serde_json::from_str(&original).unwrap();
        *statement.pointer_mut(pointer).unwrap() = "changed".into();
        fs::write(&path, statement.to_string()).unwrap();
        let said = world.loopctl(&["verify", &name]);
        assert_eq!(said.code, 1, "{pointer}");
        assert!(said.stdout.starts_with(&format!("differs: {difference}")), "{}", said.stdout);
        assert_eq!(said.stdout.lines().count(), 1, "{}", said.stdout);
        let place = path.strip_prefix(world.path("")).unwrap().display();
        let sentence = format!(
            "error: [world]/{place} was altered since the run wrote it, so it was not replayed; remove it, and `loopctl \
             resume` writes it again from the journal\n"
        );
        assert_eq!(complaint(&world, &said), sentence);
    }
    fs::write(&path, "{}").unwrap();
    let said = world.loopctl(&["verify", &name]);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert!(
        said.stderr.contains("evidence.json is no evidence of a run: missing field `_type`"),
        "{}",
        said.stderr
    );
}

#[test]
fn evidence_from_elsewhere_needs_its_commits_and_its_repository() {
    let (world, _, folder) = completed();
    let evidence = folder.join("evidence.json");
    let file = evidence.to_str().unwrap();
    let verify =
        |repository: &str| world.command(&["verify", "--evidence", file, "--repository", repository]);
    super::completes(&world, &mut verify("."));
    let sentence = "repository nope cannot be used: No such file or directory (os error 2)";
    refused_command(&world, &mut verify("nope"), 2, sentence);

    let other = World::new(&[("readme", "")]);
    let app = other.app();
    let said = loop_tests::said(&verify(app.to_str().unwrap()).output().unwrap());
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    let statement: Value = serde_json::from_str(&fs::read_to_string(&evidence).unwrap()).unwrap();
    let base = statement["predicate"]["baseCommit"].as_str().unwrap();
    let sentence = format!("error: base commit {base} is not in {}; fetch it there first", app.display());
    assert_eq!(said.stderr.lines().last(), Some(sentence.as_str()));

    let alone = world.loopctl(&["verify", "--evidence", file]);
    assert_eq!((alone.code, alone.stdout.as_str()), (2, ""));
}

#[test]
fn an_altered_or_newer_journal_is_said_by_every_verb_and_nothing_is_done() {
    let (world, name, folder) = completed();
    let path = folder.join("journal.jsonl");
    let original = fs::read_to_string(&path).unwrap();
    let third = original.lines().nth(2).unwrap();
    let last = original.lines().count();
    let line = |number: usize, reason: &str| {
        format!(
            "journal line {number}: {reason}; it was written by another version of loopctl, or was damaged"
        )
    };
    let table = [
        (
            original.replace(third, &third.replace("\"attempt\":1", "\"attempt\":2")),
            "journal line 4 does not follow from the line before it: the journal was altered".to_owned(),
        ),
        (original.replacen("\"schema\":1", "\"schema\":2", 1), line(1, "schema 2 instead of 1")),
        (
            original.lines().take(last - 1).map(|line| format!("{line}\n")).collect::<String>()
                + &original.lines().last().unwrap().replace("STEP_FINISHED", "STEP_DREAMT")
                + "\n",
            "unknown variant `STEP_DREAMT`".to_owned(),
        ),
    ];
    for (text, sentence) in table {
        assert!(text != original, "nothing was altered for: {sentence}");
        fs::write(&path, &text).unwrap();
        for verb in ["inspect", "resume", "cancel", "verify", "report"] {
            let said = world.loopctl(&[verb, &name]);
            assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{verb}: {}", said.stderr);
            let head =
                format!("error: run {name} cannot be read and nothing was done with it: journal line ");
            assert!(said.stderr.starts_with(&head), "{}", said.stderr);
            assert!(said.stderr.contains(&sentence), "{}", said.stderr);
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{verb} changed the journal");
        }
        let said = world.loopctl(&["list"]);
        assert_eq!((said.code, said.stdout.as_str()), (0, ""));
        assert!(said.stderr.starts_with("warning: run "), "{}", said.stderr);
        assert!(said.stderr.contains(" is left out: journal line "), "{}", said.stderr);
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
    fs::write(&path, &original).unwrap();
    assert_eq!(world.loopctl(&["verify", &name]).code, 0);
}

#[test]
fn an_altered_record_of_the_end_is_found_by_its_digest_in_the_evidence() {
    let (world, name, folder) = completed();
    let path = folder.join("journal.jsonl");
    let original = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = original.lines().collect();
    let completed = lines.iter().position(|line| line.contains("RUN_COMPLETED")).unwrap();
    let mut record: Value = serde_json::from_str(lines[completed]).unwrap();
    record["ts"] = (record["ts"].as_i64().unwrap() + 1).into();
    // What came after it would no longer follow from it.
    lines.truncate(completed);
    fs::write(&path, format!("{}\n{record}\n", lines.join("\n"))).unwrap();
    let said = world.loopctl(&["verify", &name]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stdout.starts_with("differs: predicate.journalHead: "), "{}", said.stdout);
}

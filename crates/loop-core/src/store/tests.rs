use std::fs;

use loop_api::journal::{Created, Event, SCHEMA};
use loop_api::phase::RunPhase;
use loop_api::run::LoopRunSpec;

use super::{Journal, JournalError, RunDir, Store, read_journal, replace_file};

fn run() -> (tempfile::TempDir, Store, RunDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("data"));
    let run = store.create_run("01").unwrap();
    (folder, store, run)
}

fn created() -> Event {
    Event::RunCreated(Box::new(Created {
        schema: SCHEMA,
        version: "0".into(),
        run_id: "01".into(),
        name: "name".into(),
        slug: "slug".into(),
        config_digest: String::new(),
        workspace_root: "/repo".into(),
        base_branch: "main".into(),
        base_commit: "c".into(),
        target_branch: String::new(),
        prompt_file: String::new(),
        context_files: Vec::new(),
        search_path: String::new(),
        queue: loop_api::run::QueueSettings::default(),
        config_source: None,
        log_dir: String::new(),
        spec: LoopRunSpec::default(),
    }))
}

#[test]
fn a_second_engine_does_not_get_the_lock_while_the_first_is_alive() {
    let (_folder, _store, run) = run();
    assert!(!run.is_alive(), "nobody has ever worked on it");
    let lock = run.lock().unwrap().expect("the lock is free");
    assert!(run.lock().unwrap().is_none());
    assert!(run.is_alive());
    assert!(run.is_alive(), "looking does not take the lock");
    drop(lock);
    assert!(!run.is_alive());
    assert!(run.lock().unwrap().is_some());
}

#[test]
fn a_cancel_request_stays_until_it_is_taken_note_of() {
    let (_folder, _store, run) = run();
    assert!(!run.cancel_requested());
    run.request_cancel().unwrap();
    run.request_cancel().unwrap();
    assert!(run.cancel_requested());
    run.clear_cancel();
    run.clear_cancel();
    assert!(!run.cancel_requested());
}

#[test]
fn runs_are_listed_oldest_first_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("data"));
    assert_eq!(store.runs().unwrap().len(), 0, "a data directory that does not exist has no runs");
    for uid in ["03", "01", "02"] {
        store.create_run(uid).unwrap();
    }
    fs::create_dir(store.root().join("runs").join("other")).unwrap();
    let uids: Vec<String> = store.runs().unwrap().into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(uids, ["01", "02", "03"]);
}

#[test]
fn each_workspace_has_a_repository_of_its_own() {
    let store = Store::at("/data");
    let one = store.trusted_repository("/repo".as_ref());
    assert_eq!(one, store.trusted_repository("/repo".as_ref()));
    assert_ne!(one, store.trusted_repository("/repo2".as_ref()));
    assert!(one.starts_with("/data/repos"));
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    replace_file(&path, b"a long first content").unwrap();
    replace_file(&path, b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
}

#[test]
fn a_torn_last_line_is_cut_off_and_the_journal_goes_on_behind_the_last_whole_one() {
    let (_folder, _store, run) = run();
    Journal::open(&run).unwrap().append(created()).unwrap();
    let whole = fs::read(run.journal()).unwrap();
    let mut torn = whole.clone();
    torn.extend_from_slice(&whole[..whole.len() / 2]);
    fs::write(run.journal(), &torn).unwrap();

    let (decoded, state) = read_journal(&run.journal()).unwrap();
    assert_eq!((decoded.records.len(), state.phase), (1, RunPhase::Pending));
    assert_eq!(fs::read(run.journal()).unwrap(), torn, "reading changes nothing");

    let record = Journal::open(&run).unwrap().append(Event::RunCanceled).unwrap();
    assert_eq!(record.seq, 2);
    let (decoded, state) = read_journal(&run.journal()).unwrap();
    assert_eq!((decoded.records.len(), state.phase), (2, RunPhase::Canceled));
}

#[test]
fn an_event_that_cannot_follow_is_not_written() {
    let (_folder, _store, run) = run();
    let mut journal = Journal::open(&run).unwrap();
    journal.append(created()).unwrap();
    let before = fs::read(run.journal()).unwrap();
    let error = journal.append(Event::IterationFinished { iteration: 1 }).unwrap_err();
    assert!(matches!(error, JournalError::Transition(_)), "{error}");
    assert_eq!(fs::read(run.journal()).unwrap(), before);
    assert_eq!(journal.append(Event::RunCanceled).unwrap().seq, 2, "and nothing was left of it");
}

#[test]
fn a_journal_whose_events_contradict_each_other_is_refused() {
    let (_folder, _store, run) = run();
    let mut journal = Journal::open(&run).unwrap();
    let record = journal.append(created()).unwrap();
    let line = fs::read(run.journal()).unwrap();
    let prev = loop_api::journal::digest(&line[..line.len() - 1]);
    let again = loop_api::journal::Record { seq: 2, prev, ..record };
    fs::write(run.journal(), [line, loop_api::journal::encode(&again).unwrap()].concat()).unwrap();
    let error = read_journal(&run.journal()).unwrap_err().to_string();
    assert!(error.starts_with("the journal contradicts itself: illegal transition: RUN_CREATED"), "{error}");
}

#[test]
fn the_log_for_people_has_a_line_an_event_and_a_lost_one_comes_back() {
    let (_folder, _store, run) = run();
    let mut journal = Journal::open(&run).unwrap();
    journal.append(created()).unwrap();
    let started =
        |isolation: &str| Event::RunStarted { worker_id: "host:1".into(), isolation: isolation.into() };
    journal.append(started("none: a\n\x1b[31mb")).unwrap();
    let log = fs::read_to_string(run.join("run.log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].starts_with('[') && lines[0].ends_with("Z] [INFO] run name (01) created"), "{log}");
    assert!(lines[1].ends_with("[INFO] taken up by host:1, isolation none: a  [31mb"), "{log}");
    drop(journal);

    // As a kill between journal and log leaves it, and as a full disk does.
    fs::write(run.join("run.log"), &log[..lines[0].len() + 4]).unwrap();
    let mut journal = Journal::open(&run).unwrap();
    assert_eq!(fs::read_to_string(run.join("run.log")).unwrap(), log);
    fs::remove_file(run.join("run.log")).unwrap();
    fs::create_dir(run.join("run.log")).unwrap();
    journal.append(started("none")).expect("the log is best effort");
}

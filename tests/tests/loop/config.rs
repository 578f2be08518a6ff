//! `.loop/config`, `--config`, `LOOP_CONFIG`, and what a run says about them (CFG-2, 5, 9, 60; BUG-24).

use std::fs;

use loop_tests::{HONEST, PROJECT, World};
use serde_json::Value;

fn project(config: Option<&str>) -> World {
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    files.extend(config.map(|text| (".loop/config", text)));
    World::new(&files)
}

/// What `config show -o json` says about a key: value, source, file.
#[track_caller]
fn shown(world: &World, more: &[&str], key: &str) -> (Value, String, String) {
    let said = world.loopctl(&[&["config", "show", "-o", "json"], more].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    let page: Value = serde_json::from_str(&said.stdout).expect("a document");
    let entry = page["values"].as_array().expect("values").iter().find(|entry| entry["key"] == key);
    let entry = entry.expect("the key").clone();
    let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    (entry["value"].clone(), text("source"), text("file"))
}

/// The first record of the only run.
fn created(world: &World) -> Value {
    world.journal()[0].clone()
}

fn source(world: &World) -> Vec<(String, String)> {
    let record = created(world).to_string();
    let record: Value = serde_json::from_str(&record).expect("a record");
    let event = record.get("event").unwrap_or(&record);
    let list = event["config_source"].as_array().unwrap_or_else(|| panic!("{record}")).clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.iter().map(|entry| (text(&entry["path"]), text(&entry["place"]))).collect()
}

#[test]
fn the_base_commits_configuration_counts_and_the_run_says_so_everywhere() {
    let world = project(Some("verify_cmds=sh check.sh\n"));
    let said = world.loopctl(&["run", "--local", "files"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("configuration: .loop/config of main (base commit)\n"), "{}", said.stderr);
    assert_eq!(source(&world), [(".loop/config".to_owned(), "base commit".to_owned())]);
    let report = fs::read_to_string(world.run_folder().join("report.md")).expect("a report");
    assert!(report.contains("\n- configuration: `.loop/config` (base commit)\n"), "{report}");
}

#[test]
fn without_a_committed_one_the_working_trees_counts_and_without_any_the_run_says_none() {
    let world = project(None);
    world.write(&[(".loop/config", "iterations=4\n"), (".git/info/exclude", ".loop/config\n")]);
    let said = world.loopctl(&["run", "--local", "files", "--gate", "check=sh check.sh"]);
    assert!(said.stderr.contains("configuration: .loop/config of the working tree, as main has none\n"));
    assert_eq!(source(&world), [(".loop/config".to_owned(), "working tree".to_owned())]);

    let world = project(None);
    let said = world.loopctl(&["run", "--local", "files", "--gate", "check=sh check.sh"]);
    assert!(said.stderr.contains("configuration: no .loop/config\n"), "{}", said.stderr);
    assert_eq!(source(&world), []);
    let report = fs::read_to_string(world.run_folder().join("report.md")).expect("a report");
    assert!(report.contains("\n- configuration: none\n"), "{report}");
}

#[test]
fn flags_win_over_the_named_file_and_that_over_the_variable_and_the_committed_one() {
    let mut world = project(Some("verify_cmds=sh check.sh\niterations=2\nmax_tokens=5\nagent_retries=1\n"));
    fs::write(world.path("flag.conf"), "iterations=3\nmax_tokens=6\n").expect("a file");
    fs::write(world.path("variable.conf"), "iterations=4\nagent_retries=9\n").expect("a file");
    let flag = world.path("flag.conf").display().to_string();
    let variable = world.path("variable.conf").display().to_string();
    let committed = ".loop/config of main".to_owned();

    assert_eq!(shown(&world, &[], "iterations"), ("2".into(), "file".into(), committed.clone()));
    world.environment.push(("LOOP_CONFIG".into(), variable.clone()));
    assert_eq!(shown(&world, &[], "iterations"), ("4".into(), "file".into(), variable.clone()));
    assert_eq!(shown(&world, &[], "max_tokens"), ("5".into(), "file".into(), committed.clone()));
    // With the flag, the variable is not read at all.
    let with = ["--config", flag.as_str()];
    assert_eq!(shown(&world, &with, "iterations"), ("3".into(), "file".into(), flag.clone()));
    assert_eq!(shown(&world, &with, "agent_retries"), ("1".into(), "file".into(), committed));
    let both = [
        "--config",
        flag.as_str(),
        "--iterations",
        "9",
        "--gate",
        "a=true",
        "--queue-policy",
        "newest_first",
    ];
    assert_eq!(shown(&world, &both, "iterations"), ("9".into(), "flag".into(), String::new()));
    assert_eq!(shown(&world, &both, "verify_cmds"), ("true".into(), "flag".into(), String::new()));
    assert_eq!(shown(&world, &both, "queue_policy"), ("newest_first".into(), "flag".into(), String::new()));
    assert_eq!(shown(&world, &both, "model"), (Value::Null, "default".into(), String::new()));

    let manifest = "apiVersion: agentloop.dev/v1alpha1\nkind: LoopRun\nspec:\n  loop: {iterations: 8, completionMode: Exact}\n  \
                    delivery: {mode: None}\n";
    fs::write(world.path("run.yaml"), manifest).expect("a file");
    let file = world.path("run.yaml").display().to_string();
    let manifest = ["--config", flag.as_str(), "-f", file.as_str()];
    assert_eq!(shown(&world, &manifest, "iterations"), ("8".into(), "manifest".into(), String::new()));
    assert_eq!(
        shown(&world, &manifest, "completion_mode"),
        ("exact".into(), "manifest".into(), String::new())
    );
    assert_eq!(shown(&world, &manifest, "merge_strategy"), ("none".into(), "manifest".into(), String::new()));

    let said = world.loopctl(&["run", "--local", "files", "--config", &flag, "--iterations", "1"]);
    let line = format!("configuration: {flag} (--config) over .loop/config of main (base commit)\n");
    assert!(said.stderr.contains(&line), "{}", said.stderr);
    let sources = [(flag, "--config".to_owned()), (".loop/config".to_owned(), "base commit".to_owned())];
    assert_eq!(source(&world), sources);
}

#[test]
fn a_named_file_that_is_missing_or_wrong_is_refused_by_run_prompt_and_show() {
    let mut world = project(None);
    fs::write(world.path("bad.conf"), "\niterations=many\n").expect("a file");
    let bad = world.path("bad.conf").display().to_string();
    for verb in [&["run", "--local", "files"][..], &["prompt", "files"], &["config", "show"]] {
        let said = world.loopctl(&[verb, &["--config", "../nowhere.conf"]].concat());
        let wanted = "error: the configuration file ../nowhere.conf, named by --config, cannot be read: ";
        assert!(said.code == 2 && said.stderr.starts_with(wanted), "{verb:?}: {}", said.stderr);
        let said = world.loopctl(&[verb, &["--config", &bad]].concat());
        let wanted = format!("error: {bad} line 2: iterations must be a whole number, found \"many\"\n");
        assert_eq!((said.code, said.stderr), (2, wanted), "{verb:?}");
    }
    world.environment.push(("LOOP_CONFIG".into(), "nowhere".into()));
    let said = world.loopctl(&["config", "show"]);
    assert!(said.stderr.contains("nowhere, named by LOOP_CONFIG, cannot be read"), "{}", said.stderr);
    assert!(!world.data().exists());
}

#[test]
fn init_writes_a_file_that_says_nothing_yet_and_replaces_none_unasked() {
    let world = project(None);
    let said = world.loopctl(&["config", "init"]);
    let file = world.app().join(".loop/config");
    assert_eq!((said.code, said.stdout), (0, format!("{}\n", file.display())));
    assert!(said.stderr.contains("git add .loop/config && git commit"), "{}", said.stderr);
    world.commit("Configure");
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.contains("\n#iterations=50\n"), "{text}");
    assert_eq!(shown(&world, &[], "iterations"), ("50".into(), "default".into(), String::new()));
    fs::write(&file, text.replace("#iterations=50", "iterations=7")).expect("a file");
    let said = world.loopctl(&["config", "init"]);
    let wanted = "error: .loop/config exists and was left as it is; --force replaces it\n";
    assert_eq!((said.code, said.stderr.as_str()), (2, wanted));
    world.commit("Fewer");
    assert_eq!(shown(&world, &[], "iterations").0, "7");
    let file = world.app().join(".loop/config");
    let elsewhere = world.path("home/precious");
    std::fs::write(&elsewhere, "mine").expect("written");
    std::fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("linked");
    let said = world.loopctl(&["config", "init", "--force"]);
    assert_eq!((said.code, said.stderr.contains("is a link")), (2, true), "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(&elsewhere).expect("it is there"), "mine");
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(world.loopctl(&["config", "init", "--force"]).code, 0);
    assert_eq!(fs::read_to_string(&file).expect("a file"), text);
    // The commit's file still says 7: show tells what a run would do.
    assert_eq!(shown(&world, &[], "iterations").0, "7");
}

#[test]
fn people_get_a_table_with_the_place_of_every_value() {
    let world = project(Some("# a\niterations=7\nitertions=3\n"));
    let said = world.loopctl(&["config", "show", "--no-review"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let hint =
        "warning: .loop/config of main line 3: unknown key itertions, ignored; did you mean iterations?\n";
    assert_eq!(said.stderr, hint);
    let rows: Vec<Vec<&str>> = said
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert!(rows.contains(&vec!["iterations", "7", ".loop/config of main:2"]), "{}", said.stdout);
    assert!(rows.contains(&vec!["reviewer", "false", "flag"]), "{}", said.stdout);
    assert!(rows.contains(&vec!["max_tokens", "(no limit)", "default"]), "{}", said.stdout);
    let starts: Vec<usize> = said
        .stdout
        .lines()
        .filter(|line| line.ends_with("  default"))
        .map(|line| line.chars().count())
        .collect();
    assert!(starts.windows(2).all(|pair| pair[0] == pair[1]), "{}", said.stdout);
}

#[test]
fn before_the_first_commit_the_working_tree_is_shown() {
    let world = World::bare();
    world.write(&[(".loop/config", "iterations=3\n")]);
    assert_eq!(shown(&world, &[], "iterations"), ("3".into(), "file".into(), ".loop/config".into()));
}

#[test]
fn bug_24_log_dir_says_where_the_copy_of_the_record_goes_and_leaves_other_files_there_alone() {
    let world = project(Some("verify_cmds=sh check.sh\nlog_dir=~/runs\n"));
    let said = world.loopctl(&["run", "--local", "files"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let name = world.run_folder().file_name().expect("a name").to_owned();
    assert!(world.path("home/runs").join(&name).join("journal.jsonl").exists());
    assert!(!world.app().join("logs").exists());

    let world = project(Some("verify_cmds=sh check.sh\nlog_dir=out\n"));
    world.write(&[("out/kept.txt", "kept\n")]);
    world.commit("A folder with something in it");
    assert_eq!(world.loopctl(&["run", "--local", "files"]).code, 0);
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    world.write(&[("out/new.txt", "new\n")]);
    assert_eq!(world.git(&["status", "--porcelain"]), "?? out/new.txt");
}

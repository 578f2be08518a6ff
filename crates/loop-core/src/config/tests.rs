mod worktree;

use super::*;

#[test]
fn a_file_becomes_gates_and_limits() {
    let text = "# gates\nverify_cmds = \"sh tests/run.sh | sh lint.sh\"\nverify_final_cmds=./e2e\nreviewer=off\n\
                iterations=7\nmerge_strategy=merge\nprotect_paths=ci/** Makefile\nclaude_retries=2\n";
    let config = parse(".loop/config", text).unwrap();
    let spec = resolve(&[config.patch]).unwrap();
    assert_eq!(spec.gates.len(), 3);
    assert_eq!(spec.gates[0].name, "tests-run");
    assert_eq!(spec.gates[2].when, loop_api::run::GateWhen::Final);
    assert!(!spec.review.enabled);
    assert_eq!((spec.settings.iterations, spec.settings.retries), (7, 2));
    assert_eq!(spec.protect.paths, ["ci/**", "Makefile"]);
}

#[test]
fn a_later_strategy_wins_also_over_none() {
    let config = parse("c", "merge_strategy=none\nmerge_strategy=squash\n").unwrap();
    let spec = resolve(&[config.patch]).unwrap();
    assert_eq!(spec.delivery.mode, loop_api::run::DeliveryMode::Merge);
    assert_eq!(spec.delivery.strategy, loop_api::run::MergeStrategy::Squash);
}

#[test]
fn bug_24_empty_branch_names_are_refused_with_file_and_line() {
    let error = parse(".loop/config", "\nbase_branch=\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        ".loop/config line 2: base_branch is empty; remove the line to use the default"
    );
    assert!(parse("c", "merge_target_branch=").is_err());
}

#[test]
fn bad_values_say_what_is_allowed_and_unknown_keys_only_warn() {
    let error = parse("c", "completion_mode=maybe").unwrap_err();
    assert_eq!(error.to_string(), "c line 1: completion_mode must be exact or trailing, found \"maybe\"");
    assert!(parse("c", "iterations").is_err());
    assert!(parse("c", "iterations=-1").is_err());
    let config = parse("c", "colour=blue\nrun_naming_mode=haiku").unwrap();
    assert_eq!(
        config.warnings,
        [
            "c line 1: unknown key colour, ignored",
            "c line 2: run_naming_mode has no effect in this version: a run is named after its spec, or with --name; no \
             model is asked for a name"
        ]
    );
}

#[test]
fn later_patches_win_and_two_gates_cannot_share_a_name() {
    let first = json!({"loop": {"iterations": 3, "retries": 1}});
    let spec = resolve(&[first, json!({"loop": {"iterations": 9}})]).unwrap();
    assert_eq!((spec.settings.iterations, spec.settings.retries), (9, 1));
    let twice = json!({"gates": [{"name": "a", "run": "true"}, {"name": "a", "run": "true"}]});
    assert!(resolve(&[twice]).unwrap_err().to_string().contains("two gates are named a"));
}

#[test]
fn a_field_that_does_not_fit_is_named_by_its_path() {
    let said = |patch| resolve(&[patch]).unwrap_err().to_string();
    assert_eq!(
        said(json!({"loop": {"iterations": "many"}})),
        "spec.loop.iterations: invalid type: string \"many\", expected a whole number from 0"
    );
    assert_eq!(said(json!({"gates": [{"name": "a"}]})), "spec.gates[0]: missing field `run`");
    assert_eq!(
        said(json!({"task": {"specPth": "a"}})),
        "spec.task.specPth: unknown field `specPth`, expected one of `specPath`, `planPath`, `prompt`"
    );
    assert_eq!(
        said(json!({"delivery": {"strategy": "Rebase"}})),
        "spec.delivery.strategy: unknown variant `Rebase`, expected `Squash` or `Merge`"
    );
    assert!(said(json!({"lopo": {}})).starts_with("spec.lopo: unknown field `lopo`, expected one of"));
}

#[test]
fn a_report_pattern_stays_below_the_checkout() {
    let with = |glob: &str| resolve(&[json!({"gates": [{"name": "unit", "run": "true", "junit": glob}]})]);
    for good in ["report.xml", "build/**/TEST-*.xml", "..hidden/a.xml"] {
        assert_eq!(with(good).unwrap().gates[0].junit.as_deref(), Some(good));
    }
    for bad in ["", " ", "/tmp/*.xml", "../x.xml", "a/../../x.xml", "a\nb"] {
        let error = with(bad).unwrap_err().to_string();
        assert!(
            error.starts_with("gate unit: junit must be a glob below the top of the checkout"),
            "{error}"
        );
    }
}

#[test]
fn gates_need_a_plain_name_and_a_command_and_a_run_an_iteration() {
    for (patch, says) in [
        (json!({"gates": [{"name": "a/b", "run": "true"}]}), "gate name \"a/b\" must be"),
        (json!({"gates": [{"name": "", "run": "true"}]}), "gate name \"\" must be"),
        (json!({"gates": [{"name": "a", "run": "  "}]}), "gate a has no command"),
        (json!({"loop": {"iterations": 0}}), "loop.iterations is 0"),
        (json!({"limits": {"activeDeadlineSeconds": 0}}), "activeDeadlineSeconds is 0; leave it out"),
    ] {
        let error = resolve(&[patch]).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn values_may_be_quoted_and_truth_has_many_words() {
    for (text, enabled) in [("reviewer=\"off\"", false), ("reviewer = 'YES'", true), ("reviewer=0", false)] {
        let spec = resolve(&[parse("c", text).unwrap().patch]).unwrap();
        assert_eq!(spec.review.enabled, enabled, "{text}");
    }
    assert!(parse("c", "reviewer=perhaps").unwrap_err().to_string().contains("true or false"));
    assert_eq!(
        parse("c", "# a\n\n  # b\n").unwrap(),
        Config { patch: json!({}), queue: json!({}), ..Config::default() }
    );
}

#[test]
fn an_unknown_key_is_warned_about_once_with_the_key_that_was_meant() {
    let config = parse("c", "itertions=3\nitertions=4\nVerify-Cmds=true\nclaude_retry=1\n").unwrap();
    assert_eq!(
        config.warnings,
        [
            "c line 1: unknown key itertions, ignored; did you mean iterations?",
            "c line 3: unknown key Verify-Cmds, ignored; did you mean verify_cmds?",
            "c line 4: unknown key claude_retry, ignored; did you mean agent_retries?",
        ]
    );
    assert_eq!(config.patch, json!({}));
}

#[test]
fn older_names_set_the_same_and_the_later_line_wins() {
    let config = parse("c", "claude_timeout_sec=7\nagent_timeout_sec=8\nclaude_timeout_sec=9\n").unwrap();
    assert_eq!(config.patch, json!({"limits": {"agentStepSeconds": 9}}));
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.set["agent_timeout_sec"].line, 3);
}

#[test]
fn a_later_file_wins_key_by_key() {
    let files = [
        ("a".to_owned(), "verify_cmds=x|y\nverify_timeout_sec=5\niterations=3\n".to_owned()),
        ("b".to_owned(), "verify_cmds=z\nmerge_strategy=none\n".to_owned()),
    ];
    let config = layers(&files).unwrap();
    let spec = resolve(&[config.patch]).unwrap();
    assert_eq!((spec.gates.len(), spec.gates[0].run.as_str(), spec.gates[0].timeout_seconds), (1, "z", 5));
    assert_eq!(spec.settings.iterations, 3);
    assert_eq!((config.set["verify_cmds"].file.as_str(), config.set["iterations"].file.as_str()), ("b", "a"));
}

#[test]
fn every_default_of_the_table_is_the_default_of_the_program() {
    for key in keys::keys() {
        assert!(key.default.is_empty() != key.otherwise.is_empty(), "{} says its default once", key.name);
        if key.default.is_empty() {
            continue;
        }
        let config = parse("c", &format!("{}={}", key.name, key.default)).unwrap();
        assert_eq!(resolve(&[config.patch]).unwrap(), LoopRunSpec::default(), "{}", key.name);
        assert_eq!(queue(&[config.queue]).unwrap(), QueueSettings::default(), "{}", key.name);
    }
    assert_eq!(keys::keys().find(|key| key.name == "log_dir").unwrap().default, loop_api::run::LOG_DIR);
    let prompt = keys::keys().find(|key| key.name == "prompt_file").unwrap();
    assert_eq!(prompt.default, crate::create::PROMPT_FILE);
    let seconds = loop_api::run::Gate {
        name: "a".into(),
        ..serde_json::from_value(json!({"name": "", "run": ""})).unwrap()
    };
    let timeout = keys::keys().find(|key| key.name == "verify_timeout_sec").unwrap();
    assert_eq!(timeout.default, seconds.timeout_seconds.to_string());
}

#[test]
fn every_key_is_there_once_and_its_field_takes_what_its_kind_gives() {
    use keys::{Field, Kind};
    let names: Vec<&str> = keys::keys()
        .chain(keys::IDLE)
        .flat_map(|key| key.aliases.iter().copied().chain([key.name]))
        .collect();
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
    for key in keys::keys() {
        let value = match key.kind {
            Kind::Whole { .. } => "7",
            Kind::Truth => "no",
            Kind::OneOf(words) => words[words.len() - 1],
            Kind::Agent => "script",
            Kind::Amount => "1.5",
            _ => "some/text",
        };
        let config = parse("c", &format!("{}={value}\n", key.name)).unwrap();
        resolve(std::slice::from_ref(&config.patch)).unwrap();
        queue(std::slice::from_ref(&config.queue)).unwrap();
        match key.field {
            Field::Spec(path) => {
                let set = config.patch.pointer(path).unwrap();
                assert_eq!(shown(key.kind, set).unwrap(), value.replace("no", "false"), "{}", key.name);
            }
            Field::Queue(path) => assert!(config.queue.pointer(path).is_some(), "{}", key.name),
            _ => {}
        }
    }
}

#[test]
fn the_file_that_init_writes_says_nothing_until_a_line_is_uncommented_and_then_the_default() {
    let text = template();
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    assert_eq!(parse("c", &text).unwrap().set, BTreeMap::new());
    let settings: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .collect();
    let settings: Vec<&str> = settings.into_iter().filter(|line| line.contains('=')).collect();
    assert_eq!(settings.len(), keys::keys().count());
    let filled: Vec<&str> = settings.into_iter().filter(|line| !line.ends_with('=')).collect();
    let config = parse("c", &filled.join("\n")).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(resolve(&[config.patch]).unwrap(), LoopRunSpec::default());
}

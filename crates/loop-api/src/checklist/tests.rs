mod listing;
mod properties;
mod reading;

use super::*;

/// `state text` of every task, as the shortest thing to compare.
fn tasks(text: &str) -> Vec<(TaskState, String)> {
    Plan::parse(text).tasks().iter().map(|task| (task.state, task.text.clone())).collect()
}

fn texts(text: &str) -> Vec<String> {
    tasks(text).into_iter().map(|(_, text)| text).collect()
}

fn identities<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Vec<String> {
    tasks.into_iter().map(|task| task.identity.clone()).collect()
}

fn diff(base: &str, now: &str) -> PlanDiff {
    compare(&Plan::parse(base), &Plan::parse(now))
}

#[test]
fn selection_is_by_position() {
    let plan = Plan::parse("- [x] a\n- [~] b\n## Phase 2: more\n- [ ] c @tdd\n- [ ] d\n");
    let selected = plan.selected().unwrap();
    assert_eq!((selected.line, selected.text.as_str()), (4, "c @tdd"));
    assert_eq!(selected.section.as_deref(), Some("Phase 2: more"));
    assert_eq!(selected.skill_hints, ["tdd"]);
    assert_eq!(plan.task("b").unwrap().state, TaskState::Blocked);
    assert_eq!(Plan::parse("- [x] a\n- [~] b\n").selected(), None);
}

#[test]
fn done_and_blocked_are_told_apart() {
    let table = [
        ("", false, false),
        ("No tasks here.", false, false),
        ("- [x] a\n- [R] b", true, false),
        ("- [x] a\n- [~] b", false, true),
        ("- [~] a", false, true),
        ("- [ ] a\n- [~] b", false, false),
        ("- [✓] a\n- [~] b", false, false),
        ("- [✓] a", false, false),
    ];
    for (text, done, blocked) in table {
        let plan = Plan::parse(text);
        assert_eq!((plan.is_done(), plan.only_blocked_left()), (done, blocked), "{text:?}");
    }
}

#[test]
fn bug_27_a_blocked_task_counts_as_not_done() {
    let plan = Plan::parse("- [x] a\n- [R] b\n- [~] c\n- [ ] d\n- [X] e\n- [×] f\n");
    assert_eq!(plan.progress(), Progress { done: 3, total: 6 });
    assert_eq!(plan.progress().left(), 3);
    let only_blocked = Plan::parse("- [x] a\n- [~] b\n");
    assert_eq!(only_blocked.progress().left(), 1);
    assert!(!only_blocked.is_done());
}

#[test]
fn an_honest_plan_compares_as_clear() {
    let base = "# Plan\n\n## Phase 1\n- [ ] a\n- [x] b\n";
    // Reordered, re-indented, formatted, split into subtasks and finished.
    let now = "# Plan\n\n## Phase 1\n-   [R] b\n* note\n- [x]  a \n  - [x] a.1\n  - [x] a.2\n";
    let diff = diff(base, now);
    assert!(diff.is_clear());
    assert_eq!(identities(&diff.added), ["a.1", "a.2"]);
    assert_eq!(diff.newly_done, ["a", "a.1", "a.2"]);
}

#[test]
fn an_open_task_is_not_clear() {
    let diff = diff("- [ ] a\n- [ ] b\n- [ ] c\n- [ ] d", "- [ ] a\n- [✓] b\n- [~] c\n- [x] d\n- [ ] e");
    assert_eq!(identities(&diff.not_done), ["a", "b", "e"]);
    assert_eq!(identities(&diff.blocked), ["c"]);
    assert_eq!(identities(&diff.added), ["e"]);
    assert_eq!(diff.newly_done, ["d"]);
    assert!(diff.missing.is_empty() && !diff.is_clear());
}

#[test]
fn a_task_that_no_longer_counts_is_missing() {
    let base = "- [ ] a\n- [ ] b\n";
    let table = [
        "- [x] a\n",
        "- [x] a\n- [x] B\n",
        "- [x] a\n- [x] b, partly\n",
        "- [x] a\n<!--\n- [x] b\n-->\n",
        "- [x] a\n<!-- - [ ] b -->\n",
        "- [x] a\n```\n- [x] b\n```\n",
        "- [x] a\n## Verification\n- [x] b\n",
        "- [x] a\n- [x]? b\n",
        "- [x] a\n* [x] b\n",
        "- [x] a\n- [1] b\n",
        "- [x] a\n- [done] b\n",
    ];
    for now in table {
        let diff = diff(base, now);
        assert_eq!(identities(&diff.missing), ["b"], "{now:?}");
        assert!(!diff.is_clear(), "{now:?}");
    }
}

#[test]
fn a_look_alike_is_not_done_rather_than_missing() {
    let missing_or_open = diff("- [ ] a", "- [х] a");
    assert!(missing_or_open.missing.is_empty());
    assert_eq!(missing_or_open.not_done[0].state, TaskState::Unknown('х'));
}

#[test]
fn equal_tasks_are_two() {
    let twice = "- [ ] a\n- [ ] b\n- [ ] a\n- [ ]  a\n";
    assert_eq!(identities(Plan::parse(twice).tasks()), ["a", "b", "a#2", "a#3"]);
    let dropped = diff(twice, "- [x] a\n- [x] b\n- [x] a\n");
    assert_eq!(identities(&dropped.missing), ["a#3"]);
}

#[test]
fn no_text_can_pass_for_an_occurrence() {
    let table = [
        ("- [ ] a\n- [ ] a#2\n- [ ] a\n", vec!["a", "a#2#1", "a#2"]),
        ("- [ ] a#2\n- [ ] a#2\n", vec!["a#2#1", "a#2#2"]),
        ("- [ ] Fix #12\n- [ ] Fix #12\n", vec!["Fix #12", "Fix #12#2"]),
        ("- [ ] #12\n- [ ] C#\n- [ ] 12\n", vec!["#12", "C#", "12"]),
    ];
    for (text, expected) in table {
        assert_eq!(identities(Plan::parse(text).tasks()), expected, "{text:?}");
    }
}

#[test]
fn untick_changes_only_the_boxes_named() {
    let text =
        "\u{feff}## P\r\n- [x] a\r\n\t- [R]  b \r\n- [x ] c\n- [~] d\r- [x] e\n```\n- [x] a\n```\n- [x] a";
    let named = ["b", "c", "d", "a#2", "absent"].map(str::to_owned);
    let expected =
        "\u{feff}## P\r\n- [x] a\r\n\t- [ ]  b \r\n- [ ] c\n- [ ] d\r- [x] e\n```\n- [x] a\n```\n- [ ] a";
    assert_eq!(untick(text, &named), expected);
    assert_eq!(untick(text, &[]), text);
    assert_eq!(tick("- [ ] a\r\n- [~] b\r\n", &["b".to_owned()]), "- [ ] a\r\n- [x] b\r\n");
}

#[test]
fn ten_thousand_tasks_are_read_quickly() {
    let text: String =
        (0..10_000).fold(String::new(), |text, n| text + &format!("- [ ] Task {} @tdd\n", n / 2));
    let fastest = (0..5)
        .map(|_| {
            let start = std::time::Instant::now();
            assert_eq!(Plan::parse(&text).progress().total, 10_000);
            start.elapsed()
        })
        .min();
    assert!(fastest < Some(std::time::Duration::from_millis(50)), "{fastest:?}");
}

#[test]
fn a_huge_heading_is_not_copied_to_every_task() {
    let text = format!("## {}\n{}", "é".repeat(100_000), "- [ ] a\n".repeat(10));
    let plan = Plan::parse(&text);
    assert!(plan.tasks().iter().all(|task| task.section.as_ref().unwrap().len() == SECTION_LIMIT));
}

#[test]
fn tasks_have_a_wire_form() {
    let plan = Plan::parse("## P\n- [✓] a\n");
    let json = serde_json::to_string(plan.tasks()).unwrap();
    assert_eq!(
        json,
        r#"[{"line":2,"section":"P","text":"a","identity":"a","state":{"unknown":"✓"},"skill_hints":[]}]"#
    );
    assert_eq!(serde_json::from_str::<Vec<Task>>(&json).unwrap(), plan.tasks());
}

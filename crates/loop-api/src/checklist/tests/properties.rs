use proptest::prelude::*;

use super::*;

/// Text with much Markdown in it, so that the interesting paths are met.
fn plan_text() -> impl Strategy<Value = String> {
    let marker = prop::sample::select(vec![" ", "x", "X", "R", "~", "х", "✓", "x ", "", "P1", "\u{200b}"]);
    let text =
        prop::sample::select(vec!["a", "b", "a#2", "a #2", "e\u{301}", "@skill", " a", "`<!--`", "x\ty", ""]);
    let task = (prop::sample::select(vec!["", "  ", "\t"]), marker, text)
        .prop_map(|(indent, marker, text)| format!("{indent}- [{marker}] {text}"));
    let other = prop::sample::select(vec![
        "",
        "```",
        "````",
        "~~~",
        "- ```",
        "<!--",
        "-->",
        "<!-- x -->",
        "# T",
        "## P",
        "## Verification",
        "### S",
        "## Files to Create",
        "## Blockers Discovered",
        "| a | `b` |",
        "|---|",
        "- `f.rs`",
        "\u{feff}",
    ])
    .prop_map(str::to_owned);
    let line = prop_oneof![5 => task, 2 => other, 1 => ".{0,12}"];
    let ending = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    prop::collection::vec((line, ending), 0..24)
        .prop_map(|lines| lines.into_iter().map(|(line, ending)| line + ending).collect())
}

fn states(text: &str) -> Vec<TaskState> {
    Plan::parse(text).tasks().iter().map(|task| task.state).collect()
}

fn all_identities(text: &str) -> Vec<String> {
    identities(Plan::parse(text).tasks())
}

proptest! {
    #[test]
    fn any_text_is_a_plan(text in prop_oneof![any::<String>(), plan_text()]) {
        let plan = Plan::parse(&text);
        let progress = plan.progress();
        prop_assert!(progress.done <= progress.total);
        prop_assert_eq!(progress.done + progress.left(), progress.total);
        prop_assert_eq!(progress.total, plan.tasks().len());
        prop_assert_eq!(plan.is_done(), progress.total > 0 && progress.left() == 0);
        prop_assert!(plan.blockers().is_none_or(|quoted| quoted.len() <= BLOCKERS_LIMIT));
        for path in plan.listed_files() {
            prop_assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        }
    }

    #[test]
    fn identities_are_unique(text in plan_text()) {
        let identities = all_identities(&text);
        let unique: std::collections::HashSet<_> = identities.iter().collect();
        prop_assert_eq!(unique.len(), identities.len());
    }

    #[test]
    fn tick_and_untick_set_states_and_nothing_else(text in plan_text()) {
        let all = all_identities(&text);
        let unticked = untick(&text, &all);
        let ticked = tick(&text, &all);
        prop_assert!(states(&unticked).iter().all(|state| *state == TaskState::Pending));
        prop_assert!(states(&ticked).iter().all(|state| *state == TaskState::Done));
        prop_assert_eq!(all_identities(&unticked), all.clone());
        prop_assert_eq!(&untick(&unticked, &all), &unticked);
        prop_assert_eq!(&tick(&ticked, &all), &ticked);
        prop_assert_eq!(untick(&ticked, &all), unticked.clone());
        prop_assert_eq!(tick(&unticked, &all), ticked);
        let plain = |text: &str| text.replace(|c: char| "xXR~х✓\u{200b} ".contains(c), "");
        prop_assert_eq!(plain(&unticked), plain(&text));
    }

    #[test]
    fn untick_leaves_other_tasks_alone(text in plan_text(), pick in any::<prop::sample::Index>()) {
        let before = Plan::parse(&text);
        prop_assume!(!before.tasks().is_empty());
        let picked = pick.index(before.tasks().len());
        let after = untick(&text, &[before.tasks()[picked].identity.clone()]);
        for (index, (old, new)) in before.tasks().iter().zip(Plan::parse(&after).tasks()).enumerate() {
            let expected = if index == picked { TaskState::Pending } else { old.state };
            prop_assert_eq!(new, &Task { state: expected, ..old.clone() });
        }
    }

    #[test]
    fn line_endings_do_not_matter(text in plan_text()) {
        let unix = text.replace("\r\n", "\n").replace('\r', "\n");
        let plan = Plan::parse(&unix);
        prop_assert_eq!(&Plan::parse(&text), &plan);
        prop_assert_eq!(&Plan::parse(&unix.replace('\n', "\r\n")), &plan);
    }

    #[test]
    fn identity_ignores_whitespace(
        words in prop::collection::vec("[a-zé#@0-9]{1,4}", 1..5),
        gaps in prop::collection::vec(prop::sample::select(vec![" ", "  ", "\t", "\u{a0}", " \t "]), 6),
        indent in "[ \t]{0,6}",
    ) {
        let plain = format!("- [ ] {}", words.join(" "));
        let spread = words.iter().zip(&gaps).fold(String::new(), |text, (word, gap)| text + gap + word);
        let spread = format!("{indent}- [x] {spread}{}", gaps[5]);
        prop_assert_eq!(all_identities(&plain), all_identities(&spread));
    }

    #[test]
    fn a_plan_is_clear_against_itself_once_done(text in plan_text()) {
        let base = Plan::parse(&text);
        let done = Plan::parse(&tick(&text, &all_identities(&text)));
        let diff = compare(&base, &done);
        prop_assert!(diff.is_clear() && diff.added.is_empty());
        prop_assert_eq!(diff.newly_done.len(), base.progress().left());
        let own = compare(&base, &base);
        prop_assert_eq!(own.not_done.len() + own.blocked.len(), base.progress().left());
        prop_assert!(own.missing.is_empty() && own.newly_done.is_empty());
    }

    #[test]
    fn dropping_a_task_is_never_clear(text in plan_text(), pick in any::<prop::sample::Index>()) {
        let base = Plan::parse(&text);
        prop_assume!(!base.tasks().is_empty());
        let mut tasks = base.tasks().to_vec();
        tasks.remove(pick.index(tasks.len()));
        let shorter = tasks.iter().fold(String::new(), |text, task| text + "- [x] " + &task.text + "\n");
        prop_assert!(!compare(&base, &Plan::parse(&shorter)).is_clear());
    }
}

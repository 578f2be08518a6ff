//! Which lines are tasks.

use super::*;

#[test]
fn boxes() {
    use TaskState::{Blocked, Done, Pending, Reviewed, Unknown};
    let table = [
        ("- [ ] a", Some(Pending)),
        ("- [x] a", Some(Done)),
        ("- [X] a", Some(Done)),
        ("- [R] a", Some(Reviewed)),
        ("- [~] a", Some(Blocked)),
        ("      - [ ] a", Some(Pending)),
        ("\t\t- [ ] a", Some(Pending)),
        ("-    [ ]   a  ", Some(Pending)),
        ("- [ ]\ta", Some(Pending)),
        // Look-alikes.
        ("- [х] a", Some(Unknown('х'))),
        ("- [×] a", Some(Unknown('×'))),
        ("- [✓] a", Some(Unknown('✓'))),
        ("- [✔\u{fe0f}] a", Some(Unknown('✔'))),
        ("- [ｘ] a", Some(Unknown('ｘ'))),
        ("- [x ] a", Some(Unknown('x'))),
        ("- [ x] a", Some(Unknown('x'))),
        ("- [x\u{200b}] a", Some(Unknown('x'))),
        ("- [r] a", Some(Unknown('r'))),
        ("- [-] a", Some(Unknown('-'))),
        ("- [  ] a", Some(Unknown(' '))),
        ("- [\u{a0}] a", Some(Unknown('\u{a0}'))),
        // No tasks.
        ("- [] a", None),
        ("- [ ]a", None),
        ("- [ ]x", None),
        ("- [ ]? a", None),
        ("- [x]? a", None),
        ("- [ ]", None),
        ("- [ ]  ", None),
        ("- [x] \u{3000}", None),
        ("* [ ] a", None),
        ("+ [ ] a", None),
        ("1. [ ] a", None),
        ("> - [ ] a", None),
        ("-[ ] a", None),
        ("-     [ ] a", None),
        ("- [ a", None),
        ("- [name](url) a", None),
        ("- [P1] a", None),
        ("- [3] a", None),
        ("- [todo] a", None),
        ("text - [ ] a", None),
    ];
    for (line, expected) in table {
        let expected: Vec<_> = expected.into_iter().map(|state| (state, "a".to_owned())).collect();
        assert_eq!(tasks(line), expected, "{line:?}");
    }
}

#[test]
fn sections() {
    let text = "- [ ] a\n# Title\n## Phase 1: b ##\n- [ ] b\n### Verification\n- [ ] c\n## Verification Checklist\n- [ ] no\n\
        ### Phase\n- [ ] no\n# Title\n- [ ] no\n##Phase\n- [ ] no\n## C#\n- [ ] d\n##\tFINAL CHECKLIST\n- [ ] no\n\
        ## Manual QA (by hand)\n- [ ] no\n## Not manual QA\n- [ ] e\n    ## manual qa\n- [ ] f\n";
    let plan = Plan::parse(text);
    let found: Vec<_> = plan
        .tasks()
        .iter()
        .map(|task| (task.text.as_str(), task.section.as_deref().unwrap_or("-")))
        .collect();
    let phase = "Phase 1: b";
    let last = "Not manual QA";
    assert_eq!(found, [("a", "-"), ("b", phase), ("c", phase), ("d", "C#"), ("e", last), ("f", last)]);
}

#[test]
fn fences() {
    let table = [
        ("```\n- [ ] no\n```\n- [ ] a", vec!["a"]),
        ("~~~ text\n- [ ] no\n~~~\n- [ ] a", vec!["a"]),
        ("```\n~~~\n- [ ] no\n```\n- [ ] a", vec!["a"]),
        ("````\n```\n- [ ] no\n````\n- [ ] a", vec!["a"]),
        ("```\n- [ ] no\n`````  \n- [ ] a", vec!["a"]),
        ("```\n``` rust\n- [ ] no", vec![]),
        ("- [ ] a\n```\n- [ ] no\n- [ ] no", vec!["a"]),
        ("```code``` in a line\n- [ ] a", vec!["a"]),
        ("``\n- [ ] a\n``", vec!["a"]),
        ("- item\n      ```sh\n      - [ ] no\n      ```\n- [ ] a", vec!["a"]),
        ("- ```\n  - [ ] no\n  ```\n- [ ] a", vec!["a"]),
        ("1. ~~~\n   - [ ] no\n   ~~~\n- [ ] a", vec!["a"]),
        ("```\n## Verification\n```\n- [ ] a", vec!["a"]),
        ("```\n<!--\n```\n- [ ] a", vec!["a"]),
        ("- [ ] ```a\n- [ ] b", vec!["```a", "b"]),
    ];
    for (text, expected) in table {
        assert_eq!(texts(text), expected, "{text:?}");
        assert_eq!(texts(&text.replace('\n', "\r\n")), expected, "CRLF {text:?}");
    }
}

#[test]
fn comments() {
    let table = [
        ("<!-- x\n- [ ] no\n-->\n- [ ] a", vec!["a"]),
        ("<!-- - [ ] no -->\n- [ ] a", vec!["a"]),
        ("<!-->\n- [ ] a", vec!["a"]),
        ("  <!--\n- [ ] no\n--> - [ ] no\n- [ ] a", vec!["a"]),
        ("<!--\n```\n-->\n- [ ] a", vec!["a"]),
        ("<!--\n## Verification\n-->\n- [ ] a", vec!["a"]),
        ("<!--\n- [ ] no", vec![]),
        ("- [ ] Escape `<!--`\n- [ ] a", vec!["Escape `<!--`", "a"]),
        ("text <!-- open\n- [ ] a", vec!["a"]),
        ("- [ ] a <!-- note -->", vec!["a <!-- note -->"]),
    ];
    for (text, expected) in table {
        assert_eq!(texts(text), expected, "{text:?}");
    }
}

#[test]
fn line_endings_and_byte_order_mark() {
    for text in
        ["\u{feff}- [ ] a\r\n\r\n- [x] b\r\n", "\u{feff}- [ ] a\r\r- [x] b\r", "\u{feff}- [ ] a\n\n- [x] b"]
    {
        let plan = Plan::parse(text);
        let found: Vec<_> = plan.tasks().iter().map(|task| (task.line, task.text.as_str())).collect();
        assert_eq!(found, [(1, "a"), (3, "b")], "{text:?}");
    }
}

#[test]
fn identity_is_normalised_text() {
    let composed = Plan::parse("- [ ]  Caf\u{e9}\u{a0} \topen ");
    let decomposed = Plan::parse("- [x] Cafe\u{301} open");
    assert_eq!(identities(composed.tasks()), ["Caf\u{e9} open"]);
    assert_eq!(identities(composed.tasks()), identities(decomposed.tasks()));
    assert_eq!(decomposed.tasks()[0].text, "Cafe\u{301} open");
}

#[test]
fn skill_hints() {
    let longest = "a".repeat(64);
    let table = [
        ("use @tdd and @rust-2024, then @tdd.", vec!["tdd", "rust-2024"]),
        ("(@a) `@b` @c: @d!", vec!["a", "b", "c", "d"]),
        ("@ @- @-a @a- @a--b @Name @näme @a_b @nameX", vec![]),
        ("mail me@example.com, install @types/node, see @a@b", vec![]),
        (&format!("@{longest} @{longest}a"), vec![longest.as_str()]),
    ];
    for (text, expected) in table {
        let plan = Plan::parse(&format!("- [ ] {text}"));
        assert_eq!(plan.tasks()[0].skill_hints, expected, "{text:?}");
    }
}

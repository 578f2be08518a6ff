use super::{Collected, parse};

const HEAD: &str = "1111111111111111111111111111111111111111";
const SNAPSHOT: &str = "2222222222222222222222222222222222222222222222222222222222222222";

#[test]
fn a_report_is_read() {
    let text =
        format!("repair HEAD was damaged\nrepair two\nhead {HEAD}\nsnapshot {SNAPSHOT}\nuncommitted 1\n");
    let expected = Collected {
        head: HEAD.into(),
        snapshot: SNAPSHOT.into(),
        uncommitted: true,
        repairs: vec!["HEAD was damaged".into(), "two".into()],
    };
    assert_eq!(parse(&text), Some(expected));
}

#[test]
fn lines_that_no_helper_of_ours_prints_are_refused() {
    for hostile in [
        "head --upload-pack=touch",
        "head HEAD",
        "head ../../x",
        "head ",
        "head",
        "snapshot 1111111111111111111111111111111111111111 --exec=x",
        "snapshot g111111111111111111111111111111111111111",
        "snapshot 111111111111111111111111111111111111111",
        "snapshot 1111111111111111111111111111111111111111\t",
        "snapshot\u{a0}1111111111111111111111111111111111111111",
        "failed the run branch cannot be read",
        "Head 1111111111111111111111111111111111111111",
        "pack /etc/passwd",
        "",
    ] {
        let text = format!("head {HEAD}\nsnapshot {SNAPSHOT}\n{hostile}\nuncommitted 0\n");
        assert_eq!(parse(&text), None, "{hostile:?}");
    }
}

#[test]
fn a_report_without_head_or_snapshot_is_refused() {
    for text in [String::new(), format!("head {HEAD}\n"), format!("snapshot {SNAPSHOT}\nuncommitted 0\n")] {
        assert_eq!(parse(&text), None, "{text:?}");
    }
}

#[test]
fn the_words_about_a_repair_are_bounded() {
    let text = format!("repair {}\nhead {HEAD}\nsnapshot {HEAD}\n", "é".repeat(5000));
    assert_eq!(parse(&text).unwrap().repairs[0].chars().count(), 300);
}

//! The completion token: how an agent says that it believes the work is done (RUN-29).
//!
//! The token only asks; whether completion is granted is decided elsewhere from plan, review and gates.

use serde::{Deserialize, Serialize};

use crate::run::CompletionMode as Mode;

/// The completion token, case-sensitive.
pub const TOKEN: &str = "<promise>COMPLETE</promise>";

/// What a message says about completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// Nothing.
    #[default]
    Absent,
    /// The token stands where the mode wants it.
    Accepted,
    /// The token stands elsewhere, or is misspelt (RUN-53); worth a note to the agent, never completion.
    Malformed,
}

/// Reads the token from an agent's final message (RUN-29, RUN-53).
pub fn read(message: &str, mode: Mode) -> Token {
    let place = match mode {
        Mode::Exact => Some(message.trim()),
        Mode::Trailing => message.lines().rev().map(str::trim).find(|line| !line.is_empty()),
    };
    if place == Some(TOKEN) {
        Token::Accepted
    } else if is_near(message) {
        Token::Malformed
    } else {
        Token::Absent
    }
}

/// Whether the token occurs when case and whitespace are ignored: a misplaced token and all three near misses
/// of RUN-53 (padded, lower-case, a blank in the closing tag) do.
fn is_near(message: &str) -> bool {
    let squeezed: String =
        message.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    squeezed.contains(&TOKEN.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn token_is_read_by_place() {
        use Token::{Absent, Accepted, Malformed};
        let table = [
            ("", Absent, Absent),
            (" \r\n\t\n", Absent, Absent),
            ("All done.", Absent, Absent),
            ("<promise>COMPLETE</promise>", Accepted, Accepted),
            ("\r\n  <promise>COMPLETE</promise> \r\n\r\n", Accepted, Accepted),
            ("Done.\n\n<promise>COMPLETE</promise>\n", Malformed, Accepted),
            ("Done.\r\n<promise>COMPLETE</promise>\r\n \r\n", Malformed, Accepted),
            ("<promise>COMPLETE</promise>\n<promise>COMPLETE</promise>", Malformed, Accepted),
            ("<promise>COMPLETE</promise>\nOne task is left.", Malformed, Malformed),
            ("Done: <promise>COMPLETE</promise>", Malformed, Malformed),
            ("I will print <promise>COMPLETE</promise> later", Malformed, Malformed),
            ("`<promise>COMPLETE</promise>`", Malformed, Malformed),
            ("<promise>COMPLETE</promise>.", Malformed, Malformed),
            ("<promise> COMPLETE </promise>", Malformed, Malformed),
            ("<promise>\nCOMPLETE\n</promise>", Malformed, Malformed),
            ("<promise>complete</promise>", Malformed, Malformed),
            ("<Promise>COMPLETE</Promise>", Malformed, Malformed),
            ("<promise>COMPLETE</promise >", Malformed, Malformed),
            ("<promise>COMPLETE</ promise>", Malformed, Malformed),
            ("<promise>COMPLETE< /promise>", Malformed, Malformed),
            ("<promise>INCOMPLETE</promise>", Absent, Absent),
            ("<promise>COMPLETE", Absent, Absent),
            ("<promise>СOMPLETE</promise>", Absent, Absent), // Cyrillic С
        ];
        for (message, exact, trailing) in table {
            assert_eq!(read(message, Mode::Exact), exact, "exact: {message:?}");
            assert_eq!(read(message, Mode::Trailing), trailing, "trailing: {message:?}");
        }
    }

    #[test]
    fn wire_form_is_camel_case_as_in_the_api_and_trailing_by_default() {
        assert_eq!(Mode::default(), Mode::Trailing);
        assert_eq!(serde_json::to_string(&[Mode::Exact, Mode::Trailing]).unwrap(), r#"["Exact","Trailing"]"#);
        assert!(serde_json::from_str::<Mode>(r#""exact""#).is_err());
    }

    fn message() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(TOKEN.to_owned()),
            Just(TOKEN.to_lowercase()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just(" ".to_owned()),
            ".{0,6}",
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn bug_11_accepted_means_the_last_line_is_the_token(message in message()) {
            let last = message.split('\n').map(str::trim).rfind(|line| !line.is_empty());
            let trailing = read(&message, Mode::Trailing);
            prop_assert_eq!(trailing == Token::Accepted, last == Some(TOKEN));
            prop_assert_eq!(read(&message, Mode::Exact) == Token::Accepted, message.trim() == TOKEN);
            if message.contains(TOKEN) {
                prop_assert_ne!(trailing, Token::Absent);
            }
        }

        #[test]
        fn line_endings_do_not_matter(message in message()) {
            let unix = message.replace("\r\n", "\n");
            let windows = unix.replace('\n', "\r\n");
            for mode in [Mode::Exact, Mode::Trailing] {
                prop_assert_eq!(read(&unix, mode), read(&windows, mode));
            }
        }
    }
}

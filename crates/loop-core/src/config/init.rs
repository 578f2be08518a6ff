//! The file that `config init` writes: every key at its default, commented out.

use super::keys::{Key, SECTIONS};

/// Its text.
pub fn template() -> String {
    let mut text = String::from(
        "# How runs of this repository are made: one key=value a line, nothing is evaluated.\n\
         #\n\
         # Every key stands here with its default and commented out. Take the # away to set one, and commit this file:\n\
         # a run reads it from the commit that it starts from. `loopctl config show` says what holds, and why.\n",
    );
    for section in SECTIONS {
        text.push_str(&format!("\n# --- {}\n", section.title));
        for key in section.keys {
            text.push_str(&format!("\n{}#{}={}\n", comment(key), key.name, key.default));
        }
    }
    text
}

fn comment(key: &Key) -> String {
    let mut words = format!("{} [{}]", key.meaning.replace('`', ""), key.kind.allowed());
    if key.default.is_empty() {
        words.push_str(&format!(" Default: {}.", key.otherwise));
    }
    let mut text = String::from("#");
    let mut width = 1;
    for word in words.split(' ') {
        if width + 1 + word.len() > 100 {
            text.push_str("\n#");
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    text.push('\n');
    text
}

//! Configuration files read, later ones over earlier ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::keys::{self, Field, Key};
use super::{Config, Error, Setting, set, value};

/// Reads files in the order of rising precedence; each has a name for messages and its text. Of two lines for the
/// same key the later one counts, also across files (CFG-1, 2).
pub fn layers(files: &[(String, String)]) -> Result<Config, Error> {
    let mut reader = Reader::default();
    for (file, text) in files {
        reader.read(file, text)?;
    }
    Ok(reader.finish())
}

struct Reader {
    config: Config,
    /// Commands, and whether they run at the end only.
    gates: Vec<(String, bool)>,
    gate_timeout: Option<Value>,
    warned: BTreeSet<String>,
}

impl Default for Reader {
    fn default() -> Self {
        let config = Config { patch: json!({}), queue: json!({}), ..Config::default() };
        Self { config, gates: Vec::new(), gate_timeout: None, warned: BTreeSet::new() }
    }
}

impl Reader {
    fn read(&mut self, file: &str, text: &str) -> Result<(), Error> {
        for (index, raw) in text.lines().enumerate() {
            let line = raw.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = Setting { file: file.to_owned(), line: index + 1, text: String::new() };
            let Some((name, text)) = line.split_once('=') else {
                return Err(place.wrong(format!("expected key=value, found {line:?}")));
            };
            let (name, text) = (name.trim(), unquote(text.trim()));
            let place = Setting { text: text.to_owned(), ..place };
            match keys::find(name) {
                None => {
                    let hint =
                        keys::meant(name).map(|key| format!("; did you mean {key}?")).unwrap_or_default();
                    self.warn(name, &place, format!("unknown key {name}, ignored{hint}"));
                }
                Some(Key { field: Field::Nothing(why), .. }) => {
                    self.warn(name, &place, format!("{name} has no effect in this version: {why}"));
                }
                Some(key) => {
                    let value = value::read(key, name, text).map_err(|reason| place.wrong(reason))?;
                    self.take(key, text, value);
                    self.config.set.insert(key.name, place);
                }
            }
        }
        Ok(())
    }

    /// Once for each key, however often it is written.
    fn warn(&mut self, name: &str, place: &Setting, sentence: String) {
        if self.warned.insert(name.to_owned()) {
            self.config.warnings.push(format!("{} line {}: {sentence}", place.file, place.line));
        }
    }

    fn take(&mut self, key: &Key, text: &str, value: Value) {
        let config = &mut self.config;
        match key.field {
            Field::Spec(path) => set(&mut config.patch, path, value),
            Field::Queue(path) => set(&mut config.queue, path, value),
            Field::Strategy => set_strategy(&mut config.patch, text),
            Field::Gates | Field::FinalGates => {
                let last = key.field == Field::FinalGates;
                self.gates.retain(|(_, is_final)| *is_final != last);
                self.gates.extend(value::commands(text).map(|command| (command.to_owned(), last)));
            }
            Field::GateTimeout => self.gate_timeout = Some(value),
            Field::SpecsDir => config.specs_dir = Some(text.to_owned()),
            Field::PlansDir => config.plans_dir = Some(text.to_owned()),
            Field::ContextFiles => {
                config.context_files = text.split_whitespace().map(str::to_owned).collect();
            }
            Field::PromptFile => config.prompt_file = Some(text.to_owned()),
            Field::LogDir => config.log_dir = Some(text.to_owned()),
            Field::Nothing(_) => {}
        }
    }

    fn finish(mut self) -> Config {
        if !self.gates.is_empty() {
            set(&mut self.config.patch, "/gates", gate_list(&self.gates, self.gate_timeout.as_ref()));
        }
        self.config
    }
}

/// Gates from shell commands; each gets a name made of its words.
fn gate_list(gates: &[(String, bool)], timeout: Option<&Value>) -> Value {
    let mut names: Vec<String> = Vec::new();
    let list = gates.iter().map(|(command, last)| {
        let mut name = gate_name(command);
        let same = names.iter().filter(|taken| **taken == name).count();
        names.push(name.clone());
        if same > 0 {
            name = format!("{name}-{}", same + 1);
        }
        let mut gate = json!({"name": name, "run": command, "when": if *last { "Final" } else { "Always" }});
        if let Some(seconds) = timeout {
            gate["timeoutSeconds"] = seconds.clone();
        }
        gate
    });
    list.collect()
}

/// A short name for a command: its words without the shell before and the `.sh` behind a script.
fn gate_name(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let shell = words.len() > 1 && ["sh", "bash", "dash"].contains(&words[0]);
    let text: Vec<&str> =
        words.iter().skip(usize::from(shell)).map(|word| word.strip_suffix(".sh").unwrap_or(word)).collect();
    let name: String = loop_api::naming::slug(&text.join(" ")).chars().take(32).collect();
    name.trim_matches('-').to_owned()
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

/// Sets mode and strategy together, so that a later strategy wins also over an earlier `none`.
fn set_strategy(patch: &mut Value, word: &str) {
    let (mode, strategy) = match word {
        "none" => ("None", None),
        "merge" => ("Merge", Some("Merge")),
        _ => ("Merge", Some("Squash")),
    };
    set(patch, "/delivery/mode", json!(mode));
    if let Some(strategy) = strategy {
        set(patch, "/delivery/strategy", json!(strategy));
    }
}

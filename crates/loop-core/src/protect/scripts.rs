//! Which files of the base tree make up the gates: the scripts in their commands and what those name in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::defaults::{JUST_NAMES, MAKE_NAMES};
use super::named::{self, Kind};
use super::words::{Use, Word, is_interpreter, program_name, words};

/// Scripts are followed this far: what a gate names, what that names, and once more.
const MAX_DEPTH: u8 = 3;
/// More files than this are not collected; a gate that names as many is no script but a listing.
const MAX_FILES: usize = 256;
/// Words looked up in the tree in all.
const MAX_WORDS: usize = 200_000;
/// Of a longer script only the beginning is read.
const MAX_SCRIPT: usize = 256 * 1024;

/// Programs that look at what was made. A gate that looks at a file so asks for it; the file is the work, not the gate.
const LOOKING: [&str; 10] = ["test", "grep", "egrep", "fgrep", "ls", "stat", "wc", "cat", "head", "tail"];

/// What the gates were found to consist of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Path in the base tree -> why it is part of a gate.
    pub(super) files: BTreeMap<String, String>,
    /// Files make or just would read, present or not.
    pub(super) build_files: BTreeSet<String>,
    /// Files that would stand in for a module a gate runs, if they were there.
    pub(super) stand_ins: BTreeSet<String>,
    /// A gate runs a script of a package.json.
    pub(super) package_scripts: bool,
}

/// A command or script still to be read.
struct Text {
    content: String,
    kind: Kind,
    depth: u8,
    /// Why a file named here is part of a gate.
    reason: String,
    /// Folders its words may be relative to.
    folders: Vec<String>,
}

struct Collector<'a> {
    exists: &'a dyn Fn(&str) -> bool,
    read: &'a dyn Fn(&str) -> Option<String>,
    parts: Parts,
    queue: VecDeque<Text>,
    words_left: usize,
    package_scripts_seen: BTreeSet<(String, String)>,
}

/// Follows the gate commands through the base tree.
pub(super) fn collect(
    gates: &[String],
    exists: &dyn Fn(&str) -> bool,
    read: &dyn Fn(&str) -> Option<String>,
) -> Parts {
    let queue = gates.iter().map(|gate| Text {
        content: gate.clone(),
        kind: Kind::Command,
        depth: 0,
        reason: format!("gate script of `{}`", shortened(gate)),
        folders: vec![String::new()],
    });
    let queue = queue.collect();
    let mut collector = Collector {
        exists,
        read,
        parts: Parts::default(),
        queue,
        words_left: MAX_WORDS,
        package_scripts_seen: BTreeSet::new(),
    };
    // Breadth first, so that a script is met on its shortest way and followed as far as it may be.
    while let Some(text) = collector.queue.pop_front() {
        collector.text(&text);
    }
    collector.parts
}

fn shortened(command: &str) -> String {
    let line = command.lines().next().unwrap_or("");
    if line.chars().count() <= 60 { line.to_owned() } else { line.chars().take(59).chain(['…']).collect() }
}

impl Collector<'_> {
    fn text(&mut self, text: &Text) {
        let mut words = words(&text.content);
        words.truncate(self.words_left);
        self.words_left -= words.len();
        let mut folders = text.folders.clone();
        for word in words.iter().filter(|word| word.usage == Use::Folder) {
            folders.extend(named::join("", &word.text).filter(|folder| !text.folders.contains(folder)));
        }
        for word in &words {
            if text.kind != Kind::Code && word.usage == Use::Run {
                self.program(program_name(&word.text), &folders, text.depth);
            }
            match word.usage {
                Use::Folder => {}
                Use::Module => self.module(word, text, &folders),
                Use::PackageScript if text.kind != Kind::Code => self.package_script(word, text, &folders),
                _ => self.word(word, text, &folders),
            }
        }
    }

    fn word(&mut self, word: &Word, text: &Text, folders: &[String]) {
        if word.usage == Use::Argument && LOOKING.contains(&word.program.as_str()) {
            return;
        }
        let Some(path) = named::file(word, folders, self.exists) else {
            self.absent(word, text, folders);
            return;
        };
        if named::is_part_of_gate(&path, word, text.kind) {
            self.add(&path, word.usage, &text.reason, text.depth);
        }
    }

    /// A script that a gate runs and the base commit does not have: whoever writes it judges.
    fn absent(&mut self, word: &Word, text: &Text, folders: &[String]) {
        let is_script = word.text.contains('/') || is_interpreter(&word.program);
        let is_plain = !word.text.starts_with(['/', '~', '-']) && !word.text.contains(['$', '*', '=', ' ']);
        if text.depth > 0 || word.usage != Use::Run || !is_script || !is_plain {
            return;
        }
        for path in folders.iter().filter_map(|folder| named::join(folder, &word.text)) {
            if named::is_part_of_gate(&path, word, text.kind) {
                let reason = format!("{}, not in the base commit", text.reason);
                self.parts.files.entry(path).or_insert(reason);
            }
        }
    }

    fn add(&mut self, path: &str, usage: Use, reason: &str, depth: u8) {
        if self.parts.files.contains_key(path) || self.parts.files.len() >= MAX_FILES {
            return;
        }
        self.parts.files.insert(path.to_owned(), reason.to_owned());
        if usage != Use::Argument || named::is_shell(path) {
            self.follow(path, depth);
        }
    }

    /// Queues the text of a file for reading.
    fn follow(&mut self, path: &str, depth: u8) {
        if depth >= MAX_DEPTH {
            return;
        }
        let Some(mut content) = (self.read)(path) else { return };
        content.truncate(content.floor_char_boundary(MAX_SCRIPT));
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        // Shell scripts run where the gate started, imports are relative to the file.
        let mut folders = vec![String::new()];
        if !folder.is_empty() {
            folders.insert(0, folder.to_owned());
        }
        let reason = format!("named in gate script {path}");
        self.queue.push_back(Text {
            kind: Kind::of(path, &content),
            content,
            depth: depth + 1,
            reason,
            folders,
        });
    }

    fn program(&mut self, name: &str, folders: &[String], depth: u8) {
        let names = match name {
            "make" | "gmake" | "bmake" => MAKE_NAMES,
            "just" => JUST_NAMES,
            "npm" | "yarn" | "pnpm" | "bun" => {
                self.parts.package_scripts = true;
                return;
            }
            _ => return,
        };
        for path in
            folders.iter().flat_map(|folder| names.iter().filter_map(|name| named::join(folder, name)))
        {
            let spellings =
                [path.clone(), path.replace("Makefile", "makefile"), path.replace("justfile", "Justfile")];
            if self.parts.build_files.insert(path) {
                for spelling in spellings.iter().collect::<BTreeSet<_>>() {
                    self.follow(spelling, depth);
                }
            }
        }
    }

    /// `python -m checks.all` runs a file of the tree, or a module which such a file could hide.
    fn module(&mut self, word: &Word, text: &Text, folders: &[String]) {
        if !word.text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.')) {
            return;
        }
        let path = word.text.replace('.', "/");
        let top = path.split('/').next().unwrap_or(&path);
        for folder in folders {
            let forms = |module: &str| {
                [".py", "/__main__.py", "/__init__.py"]
                    .map(|end| named::join(folder, &format!("{module}{end}")))
            };
            let own: Vec<String> =
                forms(&path).into_iter().flatten().filter(|file| (self.exists)(file)).collect();
            if own.is_empty() && !forms(top).into_iter().flatten().any(|file| (self.exists)(&file)) {
                self.parts.stand_ins.extend(forms(top).into_iter().flatten());
            }
            for file in own {
                self.add(&file, Use::Run, &text.reason, text.depth);
            }
        }
    }

    /// Follows `npm run NAME` into package.json, with the hooks around it.
    fn package_script(&mut self, word: &Word, text: &Text, folders: &[String]) {
        if text.depth >= MAX_DEPTH {
            return;
        }
        let name = if matches!(word.text.as_str(), "t" | "tst") { "test" } else { word.text.as_str() };
        for folder in folders {
            if !self.package_scripts_seen.insert((folder.clone(), name.to_owned())) {
                continue;
            }
            let Some(manifest) = named::join(folder, "package.json").and_then(|path| (self.read)(&path))
            else {
                continue;
            };
            for hook in [format!("pre{name}"), name.to_owned(), format!("post{name}")] {
                if let Some(content) = super::semantic::package_script(&manifest, &hook) {
                    self.queue.push_back(Text {
                        content,
                        kind: Kind::Command,
                        depth: text.depth + 1,
                        reason: format!("named in the package script `{hook}`"),
                        folders: vec![folder.clone()],
                    });
                }
            }
        }
    }
}

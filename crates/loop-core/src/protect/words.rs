//! Shell commands and scripts as words: enough to see which files they name and which of those they run.
//!
//! This is no shell. Reading too much as a command costs a refusal that names the file; reading too little would
//! let an agent rewrite its own gate.

/// How a command uses a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is the program, or the script given to an interpreter.
    Run,
    /// It is read into the script: `. lib.sh`, `source`, `import`, `include`.
    Sourced,
    /// It is the module of `python -m`.
    Module,
    /// It is the name of a script of `npm run`.
    PackageScript,
    /// It is a folder the command goes to.
    Folder,
    /// Anything else.
    Argument,
}

/// One word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) usage: Use,
    /// The program this word is given to, without folders; empty for the first word of a command.
    pub(super) program: String,
}

/// Words read at most from one text.
const MAX_WORDS: usize = 20_000;
const INTERPRETERS: [&str; 20] = [
    "sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "python", "node", "nodejs", "deno", "bun", "tsx",
    "ts-node", "ruby", "perl", "php", "lua", "Rscript", "pwsh",
];
/// Words after which the next one is again a program; `run` as in `uv run pytest`.
const PREFIXES: [&str; 28] = [
    "env", "exec", "time", "nice", "sudo", "timeout", "xargs", "command", "nohup", "stdbuf", "eval", "if",
    "then", "else", "elif", "while", "until", "do", "!", "npx", "pnpx", "bunx", "uvx", "uv", "poetry",
    "pipenv", "bundle", "run",
];
const IMPORTING: [&str; 8] =
    ["import", "from", "require", "require_relative", "load", "include", "-include", "sinclude"];
const FOLDER_FLAGS: [&str; 6] = ["cd", "pushd", "-C", "--directory", "--prefix", "--cwd"];

/// The words of a shell command or script.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in joined.lines() {
        let line = line.trim();
        if line.starts_with('#') || line.starts_with("//") || line.starts_with('*') {
            continue;
        }
        for command in split_commands(line) {
            classify(&command, &mut found);
            if found.len() >= MAX_WORDS {
                return found;
            }
        }
    }
    found
}

/// Cuts a line into simple commands, each a list of bare words. Quotes vanish: what stands in them may be a command too.
fn split_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let mut word = String::new();
    let mut quote: Option<(char, String)> = None;
    let mut letters = line.chars().peekable();
    let push = |word: &mut String, commands: &mut Vec<Vec<String>>| {
        if !word.is_empty()
            && let Some(command) = commands.last_mut()
        {
            command.push(std::mem::take(word));
        }
    };
    while let Some(letter) = letters.next() {
        if let Some((open, inside)) = &mut quote {
            if *open == letter {
                let inside = std::mem::take(inside);
                quote = None;
                // A quoted name with a blank in it may be one file.
                if inside.contains(' ') {
                    commands.insert(commands.len() - 1, vec![inside]);
                }
                continue;
            }
            inside.push(letter);
        } else if matches!(letter, '"' | '\'') {
            quote = Some((letter, String::new()));
            continue;
        }
        match letter {
            '$' if letters.peek() == Some(&'{') => {
                word.push(letter);
                for inner in letters.by_ref() {
                    word.push(inner);
                    if inner == '}' {
                        break;
                    }
                }
            }
            '\\' => {}
            ';' | '|' | '&' | '(' | ')' | '{' | '}' | '`' | '\n' => {
                push(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            ' ' | '\t' | ',' | '<' | '>' | '"' | '\'' | '[' | ']' => push(&mut word, &mut commands),
            _ => word.push(letter),
        }
    }
    push(&mut word, &mut commands);
    commands
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Whether a program is an interpreter, with or without a version: `python3.12`.
pub(super) fn is_interpreter(program: &str) -> bool {
    let unversioned = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    INTERPRETERS.contains(&program) || INTERPRETERS.contains(&unversioned)
}

fn classify(command: &[String], found: &mut Vec<Word>) {
    let mut program = String::new();
    let mut previous = "";
    // What the next word will be that is no flag.
    let mut expected = Use::Run;
    for text in command {
        let usage = if FOLDER_FLAGS.contains(&previous) {
            Use::Folder
        } else if IMPORTING.contains(&previous) {
            Use::Sourced
        } else if previous == "-m" && program.starts_with("python") {
            expected = Use::Argument;
            Use::Module
        } else if text.starts_with('-')
            || is_assignment(text)
            || (expected == Use::PackageScript && is_run(text))
        {
            Use::Argument
        } else {
            std::mem::replace(&mut expected, Use::Argument)
        };
        found.push(Word { text: text.clone(), usage, program: program.clone() });
        let name = program_name(text);
        if usage == Use::Run {
            name.clone_into(&mut program);
            expected = after_program(name);
        } else if text == "run" && program == "go" {
            expected = Use::Run;
        }
        previous = text;
    }
}

/// The `run` of `npm run test`.
fn is_run(text: &str) -> bool {
    matches!(text, "run" | "run-script")
}

/// A program's name without folders and without the marks make puts before a recipe line.
pub(super) fn program_name(text: &str) -> &str {
    let text = text.trim_start_matches(['@', '+']);
    text.rsplit('/').next().unwrap_or(text)
}

fn after_program(program: &str) -> Use {
    match program {
        "npm" | "yarn" | "pnpm" => Use::PackageScript,
        "." | "source" => Use::Sourced,
        _ if PREFIXES.contains(&program) || is_interpreter(program) => Use::Run,
        // The time of `timeout 60 sh x.sh`.
        _ if program.starts_with(|letter: char| letter.is_ascii_digit()) => Use::Run,
        _ => Use::Argument,
    }
}

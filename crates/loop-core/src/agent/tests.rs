//! The adapters against recorded output of the real CLIs, and against what no CLI should print.

mod arguments;
mod odd;
mod pieces;
mod recorded;

use super::{Event, Lines, Reading, adapter};

/// What an output came to: the reading, and what the agent said and used.
#[derive(Debug, PartialEq, Eq, Default)]
struct Read {
    reading: Reading,
    texts: Vec<String>,
    tools: Vec<String>,
    retries: usize,
    unread: usize,
}

/// Reads pieces of output as they would come out of a pipe.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut mapper = adapter("claude").and_then(super::Adapter::mapper).expect("claude reports");
    let mut read = Read::default();
    let mut take = |line: Option<&[u8]>| {
        let known = line.is_some_and(|line| {
            mapper.line(line, &mut |event| {
                read.reading.take(&event);
                match event {
                    Event::Text(text) => read.texts.push(text.to_owned()),
                    Event::Tool(tool) => read.tools.push(tool.to_owned()),
                    Event::Retrying { .. } => read.retries += 1,
                    _ => {}
                }
            })
        });
        read.unread += usize::from(!known);
    };
    let mut lines = Lines::default();
    for piece in pieces {
        lines.push(piece, &mut take);
    }
    lines.finish(&mut take);
    read
}

/// Recorded outputs by name.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/claude");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .expect("fixtures")
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?.to_owned();
            Some((name, std::fs::read(&path).expect("a fixture")))
        })
        .collect();
    found.sort();
    assert!(found.len() >= 20, "{} fixtures in {folder}", found.len());
    found
}

/// A recorded output.
fn fixture(name: &str) -> Vec<u8> {
    fixtures().into_iter().find(|(known, _)| known == name).expect("a fixture").1
}

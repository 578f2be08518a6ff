//! An agent's output while it comes: text to the log, raw events beside it, and what they add up to.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::agent::{Adapter, Event, Lines, Mapper, Reading};
use crate::exec::{Counts, KEEP, OutputFile, Stream};

/// Bytes of the final message that are kept in memory.
const MESSAGE: usize = 64 << 10;
/// Longest piece of a line that was no event and goes into the log.
const ODD_LINE: usize = 1000;
/// Longest line that is shown while the agent works, in characters.
const SHOWN: usize = 200;

/// Files of one step; the processes of all its tries write one behind the other, so that nothing of it is lost.
pub(super) struct Output {
    text: OutputFile,
    raw: Option<OutputFile>,
    mapper: Option<Box<dyn Mapper>>,
    process: Process,
}

/// What is known of the process at work.
#[derive(Default)]
struct Process {
    lines: Lines,
    reading: Reading,
    /// End of standard output, for an agent that prints text only.
    message: Vec<u8>,
    line: String,
}

/// When what came, as far as limits depend on it.
#[derive(Default)]
pub(super) struct Moments {
    pub(super) first: Cell<Option<Instant>>,
    /// Set by a result, put off by whatever comes after it.
    pub(super) result: Cell<Option<Instant>>,
}

impl Output {
    /// Creates or empties the log at `path`, and beside it the raw one of an agent that reports.
    pub(super) fn create(path: &Path, adapter: &Adapter) -> io::Result<Self> {
        let raw =
            adapter.reports().then(|| OutputFile::create(&path.with_extension("jsonl"), KEEP)).transpose()?;
        let text = OutputFile::create(path, KEEP)?;
        Ok(Self { text, raw, mapper: adapter.mapper(), process: Process::default() })
    }

    /// Prepares for the next process; gives the bytes of raw output that earlier ones left.
    pub(super) fn begin(&mut self) -> u64 {
        self.process = Process::default();
        self.raw.as_ref().map_or(0, |raw| raw.counts().bytes)
    }

    /// A line of the engine's own, between two processes.
    pub(super) fn remark(&mut self, text: &str) -> io::Result<()> {
        self.text.write(format!("\n--- {text} ---\n").as_bytes())
    }

    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8], moments: &Moments) -> io::Result<()> {
        moments.first.set(moments.first.get().or_else(|| Some(Instant::now())));
        if moments.result.get().is_some() {
            moments.result.set(Some(Instant::now()));
        }
        let Self { text, raw, mapper, process } = self;
        let (Some(mapper), Stream::Stdout) = (mapper, stream) else {
            if stream == Stream::Stdout {
                process.remember(bytes);
            }
            process.show(&String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(4 * SHOWN)..]));
            return text.write(bytes);
        };
        if let Some(raw) = raw {
            raw.write(bytes)?;
        }
        let Process { lines, reading, line: shown, .. } = process;
        let mut written = Ok(());
        lines.push(bytes, &mut |line| {
            let result = read(line, mapper.as_mut(), reading, &mut |said| {
                if let Some(last) = said.lines().rev().find(|line| !line.trim().is_empty()) {
                    *shown = last.chars().take(SHOWN).collect();
                }
                text.write(said.as_bytes())
            });
            if written.is_ok() {
                written = result;
            }
        });
        if reading.message.is_some() && moments.result.get().is_none() {
            moments.result.set(Some(Instant::now()));
        }
        written
    }

    /// The end of a process: what its last line says, too.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let Self { text, mapper, process, .. } = self;
        let Process { lines, reading, .. } = process;
        let mut written = Ok(());
        if let Some(mapper) = mapper {
            lines.finish(&mut |line| {
                written = read(line, mapper.as_mut(), reading, &mut |said| text.write(said.as_bytes()));
            });
        }
        written
    }

    /// Puts the ends of long logs behind their beginnings.
    pub(super) fn finish(&mut self) -> io::Result<Counts> {
        if let Some(raw) = &mut self.raw {
            raw.finish()?;
        }
        self.text.finish()
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.process.reading
    }

    pub(super) fn line(&self) -> &str {
        &self.process.line
    }

    /// The final message: by the result, or the end of what an agent printed that reports none.
    pub(super) fn message(&self) -> String {
        let message = &self.process.message;
        let text = || String::from_utf8_lossy(&message[message.len().saturating_sub(MESSAGE)..]).into_owned();
        if self.mapper.is_some() { self.reading().message.clone().unwrap_or_default() } else { text() }
    }

    pub(super) fn tail(&self) -> String {
        self.text.tail_text()
    }
}

impl Process {
    fn remember(&mut self, bytes: &[u8]) {
        self.message.extend_from_slice(&bytes[bytes.len().saturating_sub(MESSAGE)..]);
        if self.message.len() > 2 * MESSAGE {
            self.message.drain(..self.message.len() - MESSAGE);
        }
    }

    fn show(&mut self, text: &str) {
        if let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) {
            self.line = line.chars().take(SHOWN).collect();
        }
    }
}

/// Reads one line: its events into the reading, and what people want to see of them into the log.
fn read(
    line: Option<&[u8]>,
    mapper: &mut dyn Mapper,
    reading: &mut Reading,
    say: &mut dyn FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let mut said = String::new();
    let readable = reading.line(mapper, line, &mut |event| match event {
        Event::Text(text) => said.push_str(&format!("{}\n", text.trim_end())),
        Event::Tool(tool) => said.push_str(&format!("> {tool}\n")),
        Event::Retrying { class, wait_ms } => said.push_str(&format!(
            "(the service failed: {}; the agent's program tries again in {} s)\n",
            class.as_str(),
            wait_ms.div_ceil(1000)
        )),
        _ => {}
    });
    match line {
        None => said.push_str("(a line that is too long to be read; it is in the raw log)\n"),
        Some(line) if !readable => {
            said.push_str(&String::from_utf8_lossy(&line[..line.len().min(ODD_LINE)]));
            said.push('\n');
        }
        Some(_) => {}
    }
    if said.is_empty() { Ok(()) } else { say(&said) }
}

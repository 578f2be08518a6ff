//! Output of an agent that reports: how fast it is read, and what a gibibyte of it costs the engine.

use std::fs::{self, File};
use std::io::{Read as _, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use loop_core::agent::{CLAUDE, Lines, Reading};
use loop_tests::World;
use serde_json::json;

use super::{implementation, median, resident, timed};

/// Bytes of the whole stream.
const STREAM: usize = 1 << 30;
/// Bytes that come at once, as from a pipe.
const PIECE: usize = 64 << 10;

/// Measures in turns, so that noise hits all alike, and tells the medians.
pub(super) fn report(out: &mut dyn Write) {
    let world = World::bare();
    let big = world.path("home").join("stream");
    write(&big);
    let copy = world.path("copy");
    let script = format!("cat {} | cat > {}", big.display(), copy.display());
    let rounds: Vec<_> = (0..4)
        .map(|_| {
            let cat = timed(&world.app(), &script) / 1000.0;
            fs::remove_file(&copy).expect("the copy");
            let (engine, resident) = engine(&big);
            (cat, reading(&big), engine, resident)
        })
        // The first round warms the disk cache.
        .skip(1)
        .collect();
    let cat = median(rounds.iter().map(|round| round.0).collect());
    let reading = median(rounds.iter().map(|round| round.1).collect());
    let engine = median(rounds.iter().map(|round| round.2).collect());
    let resident = rounds.iter().map(|round| round.3).max().unwrap_or(0);
    let speed = |seconds: f64| STREAM as f64 / 1e6 / seconds;
    let lines = [
        format!("1 GiB of stream-json: `cat file | cat > file` {cat:.2} s ({:.0} MB/s)", speed(cat)),
        format!(
            "read on one core: {reading:.2} s ({:.0} MB/s), speed ratio {:.2}",
            speed(reading),
            cat / reading
        ),
        format!(
            "as an agent's step, logs written: {engine:.2} s ({:.0} MB/s), speed ratio {:.2}; engine resident at most {resident} MiB",
            speed(engine),
            cat / engine
        ),
    ];
    for line in lines {
        writeln!(out, "{line}").expect("stdout");
    }
}

/// Writes the stream: what an agent says, uses and is answered, over and over, and a result.
fn write(path: &Path) {
    let mut block = String::new();
    let source = "    let value = read(\"some file\")?; // the usual line of source\n".repeat(60);
    for number in 0..150 {
        let (message, tool) = (format!("msg_{number:026}"), format!("toolu_{number:024}"));
        let answer = |content: serde_json::Value| json!({"type": "assistant", "message": {"id": message, "type": "message", "role": "assistant", "model": "claude-opus-4-8", "content": [content], "stop_reason": null, "usage": {"input_tokens": 12, "cache_creation_input_tokens": 1200, "cache_read_input_tokens": 45000, "output_tokens": 300}}, "parent_tool_use_id": null, "session_id": "0196f7f0-0000-7000-8000-000000000001"});
        let text = "I look at the \"parser\" first,\nthen at what calls it, and change as little as I can. "
            .repeat(4);
        let command = json!({"command": "sed -n 1,60p src/parser.rs", "description": "Read the parser"});
        let result = json!({"type": "user", "message": {"role": "user", "content": [{"tool_use_id": tool, "type": "tool_result", "content": source, "is_error": false}]}, "parent_tool_use_id": null, "session_id": "0196f7f0-0000-7000-8000-000000000001", "tool_use_result": {"stdout": source, "stderr": "", "interrupted": false}});
        for line in [
            answer(json!({"type": "text", "text": text})),
            answer(json!({"type": "tool_use", "id": tool, "name": "Bash", "input": command})),
            result,
        ] {
            block.push_str(&line.to_string());
            block.push('\n');
        }
    }
    let mut file = File::create(path).expect("a file");
    for _ in 0..STREAM / block.len() {
        file.write_all(block.as_bytes()).expect("space for 1 GiB");
    }
    let result = json!({"type": "result", "subtype": "success", "is_error": false, "num_turns": 9, "result": "Done.", "session_id": "0196f7f0-0000-7000-8000-000000000001", "total_cost_usd": 1.5, "modelUsage": {"claude-opus-4-8": {"inputTokens": 5, "outputTokens": 6}}});
    writeln!(file, "{result}").expect("a result");
}

/// Seconds to read the stream in pieces, by the parts that the engine uses.
fn reading(path: &Path) -> f64 {
    let mut file = File::open(path).expect("the stream");
    let (mut lines, mut reading) = (Lines::default(), Reading::default());
    let mut mapper = CLAUDE.mapper().expect("claude reports");
    let mut piece = vec![0; PIECE];
    let began = Instant::now();
    loop {
        let length = file.read(&mut piece).expect("the stream");
        if length == 0 {
            break;
        }
        lines.push(&piece[..length], &mut |line| {
            let line = line.expect("no line is too long");
            assert!(mapper.line(line, &mut |event| reading.take(&event)), "each line is read");
        });
    }
    let seconds = began.elapsed().as_secs_f64();
    assert!(reading.worked(), "the result was seen");
    seconds
}

/// Seconds of an agent's step that prints the stream, and the engine's peak memory in MiB.
fn engine(stream: &Path) -> (f64, u64) {
    let mut world = World::bare();
    world.write(&[("specs/t.md", "# T\n")]);
    world.commit("Start");
    let program = world.path("bin/claude");
    loop_tests::write(&program, &format!("#!/bin/sh\nexec cat {}\n", stream.display()));
    let path = std::env::var("PATH").unwrap_or_default();
    world.environment = vec![("PATH".to_owned(), format!("{}:{path}", world.path("bin").display()))];
    // The temp folder is a private one on the far side, and HOME is not.
    let home = stream.parent().expect("a folder").to_string_lossy().into_owned();
    world.environment.push(("HOME".to_owned(), home));
    let arguments = ["run", "--local", "specs/t.md", "--agent", "claude", "--no-review", "--gate", "g=false"];
    let mut command = world.command(&arguments);
    command.args(["--iterations", "1"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let resident = resident(&mut command.spawn().expect("loopctl starts"));
    let finished = world.journal().into_iter().find(|record| record["kind"] == "AGENT_FINISHED");
    assert_eq!(finished.expect("the agent ended")["ending"], "worked");
    (implementation(&world), resident)
}

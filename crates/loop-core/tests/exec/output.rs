//! What a run prints, however much and whatever it is.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use loop_core::exec::{Error, OutputFile, Sink, Stream};

use super::support::{in_each, isolated, request, server};

#[test]
fn any_bytes_come_through() {
    in_each(|far| {
        let ran = far.sh(r"printf 'a\377\000\200z'");
        assert_eq!(ran.stdout, b"a\xFF\0\x80z");
    });
}

#[test]
fn a_capture_is_cut_and_counted() {
    in_each(|far| {
        let big = request("head -c 3000000 /dev/zero; head -c 10 /dev/zero >&2");
        let ran = far.client.capture(&big, &|| false, 1000).unwrap();
        assert_eq!((ran.stdout.len(), ran.stderr.len(), ran.truncated), (1000, 10, true));
        assert_eq!((ran.outcome.stdout_bytes, ran.outcome.stderr_bytes), (3_000_000, 10));
        assert!(ran.outcome.success());
    });
}

struct Keep(OutputFile);

impl Sink for Keep {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)
    }
}

#[test]
fn one_long_line_goes_to_disk_with_both_ends_kept() {
    in_each(|far| {
        let path = far.folder.path().join("out.log");
        let mut sink = Keep(OutputFile::create(&path, 1 << 20).unwrap());
        let line = request("printf first; head -c 100000000 /dev/zero | tr '\\0' x; printf last");
        assert!(far.client.run(&line, &mut sink, &|| false).unwrap().success());
        let counts = sink.0.finish().unwrap();
        assert_eq!((counts.bytes, counts.lines), (100_000_009, 1));
        assert_eq!(counts.dropped, 100_000_009 - (2 << 20));
        let kept = fs::read(&path).unwrap();
        assert!(kept.starts_with(b"firstxxx") && kept.ends_with(b"xxxlast"));
        assert!(sink.0.tail_text().ends_with("xlast"));
    });
}

struct Full(u64);

impl Sink for Full {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0 += bytes.len() as u64;
        match self.0 {
            0..1_000_000 => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

#[test]
fn a_full_disk_stops_the_run_and_only_it() {
    in_each(|far| {
        let start = Instant::now();
        let error = far.client.run(&request("yes"), &mut Full(0), &|| false).unwrap_err();
        assert!(matches!(error, Error::Sink(error) if error.kind() == io::ErrorKind::StorageFull));
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(far.sh("true").outcome.success());
    });
}

struct Slow {
    file: File,
    ticks: u32,
}

impl Sink for Slow {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(5));
        self.file.write_all(bytes)
    }

    fn tick(&mut self) {
        self.ticks += 1;
    }
}

#[test]
fn a_slow_sink_loses_nothing_and_is_not_the_runs_silence() {
    in_each(|far| {
        let path = far.folder.path().join("out");
        let mut sink = Slow { file: File::create(&path).unwrap(), ticks: 0 };
        let mut many = request("seq 3000000");
        many.limits.idle = Some(Duration::from_secs(3));
        let outcome = far.client.run(&many, &mut sink, &|| false).unwrap();
        assert!(outcome.success(), "{outcome:?}");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len() as u64, outcome.stdout_bytes);
        assert!(text.lines().zip(1..).all(|(line, number)| line == number.to_string()));
        assert!(text.ends_with("\n3000000\n") && sink.ticks > 0);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn the_engines_memory_stays_small_whatever_is_printed() {
    for isolate in [false, true] {
        if isolate && !isolated() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let place = if isolate { folder.path().to_str().unwrap() } else { "-" };
        // In a process of its own, that of the engine: other tests must not count.
        let engine = Command::new(server())
            .args(["engine", place, "head -c 268435456 /dev/zero"])
            .arg(&out)
            .output()
            .unwrap();
        let said = String::from_utf8(engine.stdout).unwrap();
        let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(numbers[0], 256 << 20);
        assert_eq!(fs::metadata(&out).unwrap().len(), 256 << 20);
        assert!((1..48 << 10).contains(&numbers[2]), "peak of {} KiB", numbers[2]);
    }
}

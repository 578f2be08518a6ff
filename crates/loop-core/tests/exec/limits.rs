//! How a run ends.

use std::cell::Cell;
use std::time::{Duration, Instant};

use loop_core::exec::{Ended, Limits, Request};

use super::support::{PATH, in_each, request};

#[test]
fn exit_code_and_signal_come_back() {
    in_each(|far| {
        let ran = far.sh("echo out; echo err >&2; exit 7");
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!((ran.outcome.code(), ran.outcome.ended), (7, Ended::Exited));
        assert_eq!((ran.outcome.stdout_bytes, ran.outcome.stderr_bytes), (4, 4));
        assert!(far.sh("true").outcome.success());
        let ran = far.sh("kill -9 $$");
        assert_eq!((ran.outcome.signal, ran.outcome.code()), (Some(9), -1));
    });
}

#[test]
fn a_real_time_signal_ends_a_run_too() {
    in_each(|far| {
        let ran = far.sh("kill -40 $$");
        assert_eq!((ran.outcome.code(), ran.outcome.ended), (-1, Ended::Exited));
        assert!(far.sh("true").outcome.success());
    });
}

#[test]
fn what_cannot_start_says_why() {
    in_each(|far| {
        let argv = vec!["no-such-program".to_owned()];
        let missing = far.capture(&Request { argv, ..request("") });
        let error = missing.outcome.spawn_error.unwrap();
        assert_eq!(error, "no-such-program: command not found");
        let nowhere = far.capture(&Request { cwd: "/nowhere".into(), ..request("true") });
        assert!(!nowhere.outcome.success());
        assert_eq!(nowhere.outcome.spawn_error.unwrap(), "/nowhere: not a directory");
        let argv = vec!["/etc/passwd".to_owned()];
        let data = far.capture(&Request { argv, ..request("") });
        assert!(data.outcome.spawn_error.unwrap().contains("Permission denied"));
        assert!(far.sh("true").outcome.success());
    });
}

#[test]
fn the_environment_is_exactly_the_given_one() {
    in_each(|far| {
        let env = vec![("PATH".into(), PATH.into()), ("ONLY".into(), "this".into())];
        let argv = vec!["env".to_owned()];
        let ran = far.capture(&Request { argv, env, ..request("") });
        let text = String::from_utf8(ran.stdout).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["ONLY=this", &format!("PATH={PATH}")]);
    });
}

#[test]
fn input_is_read_or_ignored() {
    in_each(|far| {
        let stdin = b"0123456789".repeat(500_000);
        let ran = far.capture(&Request { stdin: stdin.clone(), ..request("cat | cksum; wc -c") });
        let direct = far.capture(&Request { stdin: stdin.clone(), ..request("cksum") });
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(text.contains(" 5000000\n") && text.ends_with("0\n"), "{text}");
        assert!(text.starts_with(&*String::from_utf8(direct.stdout).unwrap()));
        // One that never reads, and meanwhile another that must not be held up.
        std::thread::scope(|scope| {
            let deaf = Request { stdin, ..request("sleep 1") };
            let deaf = scope.spawn(move || far.capture(&deaf));
            let start = Instant::now();
            assert!(far.sh("true").outcome.success());
            assert!(start.elapsed() < Duration::from_millis(900));
            assert!(deaf.join().unwrap().outcome.success());
        });
    });
}

#[test]
fn the_total_time_is_limited() {
    in_each(|far| {
        for script in ["sleep 30", "trap '' TERM; while :; do sleep 0.1; done"] {
            let mut slow = request(script);
            slow.limits.total = Duration::from_millis(300);
            let ran = far.capture(&slow);
            assert_eq!(ran.outcome.ended, Ended::TimedOut);
            assert!(!ran.outcome.success());
            assert!((300..5000).contains(&ran.outcome.duration_ms), "{:?}", ran.outcome);
        }
    });
}

#[test]
fn sigterm_comes_first_and_sigkill_after_the_grace() {
    in_each(|far| {
        let limits = Limits { total: Duration::from_millis(300), ..request("").limits };
        let polite = "trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done";
        let ran = far.capture(&Request { limits, ..request(polite) });
        assert_eq!((ran.outcome.ended, ran.outcome.exit_code), (Ended::TimedOut, Some(5)));
        assert_eq!(ran.stdout, b"bye\n");
        let rude = "trap '' TERM; while :; do sleep 0.05; done";
        let ran = far.capture(&Request { limits, ..request(rude) });
        assert_eq!((ran.outcome.ended, ran.outcome.signal), (Ended::TimedOut, Some(9)));
        assert!(ran.outcome.duration_ms >= 500);
    });
}

#[test]
fn silence_is_limited_and_output_on_either_stream_ends_it() {
    in_each(|far| {
        let idle = Some(Duration::from_millis(700));
        let limits = Limits { idle, ..request("").limits };
        let ran = far.capture(&Request { limits, ..request("echo start; sleep 30") });
        assert_eq!((ran.outcome.ended, ran.stdout.as_slice()), (Ended::Idle, &b"start\n"[..]));
        let chatty = "for i in 1 2 3 4 5; do sleep 0.2; echo x; sleep 0.2; echo y >&2; done";
        assert!(far.capture(&Request { limits, ..request(chatty) }).outcome.success());
    });
}

#[test]
fn the_engine_can_stop_a_run() {
    in_each(|far| {
        let (start, asked) = (Instant::now(), Cell::new(0));
        let stop = || {
            asked.set(asked.get() + 1);
            start.elapsed() > Duration::from_millis(500)
        };
        let ran = far.client.capture(&request("echo hi; sleep 30"), &stop, 100).unwrap();
        assert_eq!((ran.outcome.ended, ran.stdout.as_slice()), (Ended::Canceled, &b"hi\n"[..]));
        assert!(start.elapsed() < Duration::from_secs(3));
        assert!(asked.get() >= 5, "asked {} times", asked.get());
    });
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    in_each(|far| {
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| far.sh("sleep 1; echo slow"));
            for _ in 0..20 {
                // Each of them sweeps, and must leave the slow one and its child alone.
                let ran = far.sh("echo quick");
                assert_eq!((ran.stdout.as_slice(), ran.outcome.swept), (&b"quick\n"[..], 0));
            }
            let slow = slow.join().unwrap();
            assert!(slow.outcome.success());
            assert_eq!(slow.stdout, b"slow\n");
        });
    });
}

//! `loop-sidecar`: clones, pushes and publishes for one `LoopRun`; see [`loop_runner::sidecar`].

use std::process::ExitCode;

use loop_api::names::EXIT_REFUSED;
use loop_runner::place::Place;
use loop_runner::sidecar::{self, Whose};

// Two threads: a push keeps one busy for as long as it takes, and the user may cancel meanwhile.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let place = Place::of_pod();
    if std::env::args().nth(1).as_deref() == Some("ready") {
        return ExitCode::from(u8::from(!sidecar::is_ready(&place)));
    }
    let done = match Whose::of_pod() {
        Ok(whose) => sidecar::run(&place, &whose).await,
        Err(error) => Err(error),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    let words = format!("{error:#}");
    let full = loop_runner::full(&words, loop_runner::claim().as_deref());
    loop_runner::say_last(full.as_ref().unwrap_or(&words));
    // Anything else the kubelet tries again.
    let refused = full.is_some() || error.downcast_ref::<sidecar::Refused>().is_some();
    if refused { ExitCode::from(u8::try_from(EXIT_REFUSED).unwrap_or(2)) } else { ExitCode::FAILURE }
}

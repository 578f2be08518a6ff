//! `loop-sidecar`: clones, pushes and publishes for one `LoopRun`; see [`loop_runner::sidecar`].

use std::process::ExitCode;

use loop_runner::place::Place;
use loop_runner::sidecar::{self, Whose};

#[tokio::main(flavor = "current_thread")]
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
    loop_runner::say_last(&format!("{error:#}"));
    ExitCode::FAILURE
}

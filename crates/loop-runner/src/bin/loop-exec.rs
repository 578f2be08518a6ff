//! `loop-exec`: the first process in the containers of agent and gates; it executes what the runner asks for.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use loop_api::names::EXIT_REFUSED;
use loop_core::exec::container;
use loop_runner::toolchain::Found;
use loop_runner::{install, say, say_last};

const USAGE: &str = "loop-exec runs in the containers of a LoopRun's pod:
  loop-exec install FOLDER             copy this program there, and what stands beside it, for other images
  loop-exec agents FROM LOADERS TO     copy CLIs of agents, in builds for an image with the loaders noted in LOADERS
  loop-exec serve SOCKET               execute what the runner asks for over a socket
  loop-exec ready SOCKET               exit 0 when that socket is served
";

/// Folder with CLIs of agents, which are found before those of the image.
const AGENTS: &str = "LOOP_AGENTS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [container::EXECUTOR] => return container::executor(),
        ["install", folder] => install::executor(Path::new(folder)).map_err(|error| error.to_string()),
        ["agents", from, loaders, to] => install::agents(Path::new(from), Path::new(loaders), Path::new(to)),
        ["serve", socket] => serve(Path::new(socket)),
        ["ready", socket] => return ExitCode::from(u8::from(!container::is_listening(Path::new(socket)))),
        _ => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_last(&error);
            // What an image lacks it lacks in the next pod too.
            ExitCode::from(u8::try_from(EXIT_REFUSED).unwrap_or(u8::MAX))
        }
    }
}

/// Looks at the image, then executes what is asked for.
fn serve(socket: &Path) -> Result<(), String> {
    let found = Found::here();
    found.judge()?;
    if let Some(locked) = found.locked() {
        say(&format!("{locked}, and programs there cannot be used: containers of a run never are root"));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    install::note_loaders(&socket.with_file_name("loaders")).map_err(failed)?;
    container::listen(socket, std::env::var_os(AGENTS).as_deref().map(Path::new)).map_err(failed)
}

//! `loop-exec`: the first process in the containers of agent and gates; it executes what the runner asks for.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use loop_core::exec::container;

const USAGE: &str = "loop-exec runs in the containers of a LoopRun's pod:
  loop-exec install FOLDER   copy this program there, and what stands beside it, for containers of other images
  loop-exec serve SOCKET     execute what the runner asks for over a socket
  loop-exec ready SOCKET     exit 0 when that socket is served
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [container::EXECUTOR] => return container::executor(),
        ["install", folder] => install(Path::new(folder)),
        ["serve", socket] => container::listen(Path::new(socket)),
        ["ready", socket] => return ExitCode::from(u8::from(!container::is_listening(Path::new(socket)))),
        _ => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "loop-exec {}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

/// Copies this program, Worktrunk's command if there is one, for approved hooks, and the git configuration of the
/// containers: volumes belong to the kubelet's user, which git would distrust.
fn install(folder: &Path) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    for name in ["loop-exec", "wt"] {
        let (from, to) = (program.with_file_name(name), folder.join(name));
        if from.exists() {
            fs::copy(from, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        }
    }
    fs::write(folder.join("gitconfig"), "[safe]\n\tdirectory = *\n")
}

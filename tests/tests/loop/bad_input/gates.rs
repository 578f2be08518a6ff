//! Gates, agent, limits and `.loop/config`.

use std::process::Command;

use super::{project, refused, refused_command};

#[test]
fn a_gate_needs_a_name_of_its_own_and_a_command() {
    let world = project(&[]);
    let name = |name: &str| format!("gate name {name:?} must be 1 to 63 letters, digits, '-', '_' or '.'");
    let table = [
        ("make", "gate \"make\" has no name; write NAME=COMMAND, for instance test='make test'".into()),
        ("=true", name("")),
        ("a/b=true", name("a/b")),
        ("check=false", "two gates are named check; give each a name of its own".into()),
        ("empty= ", "gate empty has no command; write NAME=COMMAND".into()),
    ];
    for (gate, sentence) in table {
        refused(&world, &["specs/files.md", "--gate", gate], &sentence);
    }
}

#[test]
fn a_run_that_nothing_verifies_is_refused() {
    let world = project(&[]);
    refused_command(
        &world,
        &mut world.command(&["run", "--local", "specs/files.md", "--no-review"]),
        2,
        "nothing would verify this run: it has neither a gate nor a reviewer; add --gate NAME=COMMAND or verify_cmds to \
         .loop/config, or allow it with --allow-unverified",
    );
}

#[test]
fn where_to_run_has_to_be_said() {
    let world = project(&[]);
    refused_command(
        &world,
        &mut world.command(&["run", "specs/files.md"]),
        2,
        "say where to run: --local runs on this machine, the only place in this version",
    );
}

#[test]
fn an_agent_that_cannot_be_run_is_refused() {
    let world = project(&[]);
    refused(
        &world,
        &["specs/files.md", "--agent", "nobody"],
        "agent nobody is not known; this version knows script and claude",
    );
    for script in ["nope.sh", "specs"] {
        refused(
            &world,
            &["specs/files.md", "--agent-script", script],
            &format!("agent script [world]/app/{script} is not a file; name an executable file"),
        );
    }
    refused(
        &world,
        &["specs/files.md", "--agent-script", "specs/files.md"],
        "agent script [world]/app/specs/files.md is not executable; run chmod +x [world]/app/specs/files.md",
    );
    world.git(&["update-index", "--chmod=-x", ".loop/agent.sh"]);
    world.git(&["config", "core.fileMode", "false"]);
    world.git(&["commit", "-q", "-m", "Not executable"]);
    refused(
        &world,
        &["specs/files.md"],
        ".loop/agent.sh is not executable in main; run git update-index --chmod=+x .loop/agent.sh and commit",
    );
    world.git(&["rm", "-q", "-f", ".loop/agent.sh"]);
    world.commit("No agent");
    refused(
        &world,
        &["specs/files.md", "--agent", "script"],
        "agent `script` needs an executable .loop/agent.sh in main; commit one, or name one with --agent-script",
    );
}

#[test]
fn without_a_script_the_agent_is_claude_which_has_to_be_there() {
    let mut world = project(&[]);
    world.git(&["rm", "-q", "-f", ".loop/agent.sh"]);
    world.commit("No agent");
    // A PATH with git alone, as this machine may have a `claude`.
    let git = Command::new("sh").args(["-c", "command -v git"]).output().unwrap();
    std::fs::create_dir(world.path("bin")).unwrap();
    std::os::unix::fs::symlink(String::from_utf8_lossy(&git.stdout).trim(), world.path("bin/git")).unwrap();
    world.environment.push(("PATH".into(), world.path("bin").to_string_lossy().into_owned()));
    let way = "install it with `npm install -g @anthropic-ai/claude-code` and log in once with `claude`, or set \
               ANTHROPIC_API_KEY, or name a script with --agent-script";
    refused(
        &world,
        &["specs/files.md"],
        &format!("no agent was found: main has no .loop/agent.sh, and `claude` is not in PATH; {way}"),
    );
    refused(
        &world,
        &["specs/files.md", "--agent", "claude"],
        &format!("agent claude needs the command `claude`, which is not in PATH; {way}"),
    );
    refused(
        &world,
        &["specs/files.md", "--agent-script", ".loop/config", "--agent", "claude"],
        &format!("agent claude needs the command `claude`, which is not in PATH; {way}"),
    );
}

#[test]
fn no_iterations_are_refused() {
    let world = project(&[]);
    refused(
        &world,
        &["specs/files.md", "--iterations", "0"],
        "spec.loop.iterations is 0; at least one is needed",
    );
    let said = world.loopctl(&["run", "--local", "specs/files.md", "--iterations", "-1"]);
    let first = said.stderr.lines().next();
    assert_eq!(first, Some("error: invalid value '-1' for '--iterations <N>': -1 is not in 0..=4294967295"));
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
}

#[test]
fn a_bad_line_of_the_configuration_is_named_with_its_file() {
    let world = project(&[]);
    let table = [
        ("# gates\nnonsense\n", "line 2: expected key=value, found \"nonsense\""),
        ("iterations=many\n", "line 1: iterations must be a whole number, found \"many\""),
        ("iterations=0\n", "line 1: iterations is 0; at least one is needed"),
        ("\nreviewer=perhaps\n", "line 2: reviewer must be true or false, found \"perhaps\""),
        ("specs_dir=\n", "line 1: specs_dir is empty; remove the line to use the default"),
    ];
    for (text, sentence) in table {
        world.write(&[(".loop/config", text)]);
        world.commit("Configure");
        refused(&world, &["specs/files.md"], &format!(".loop/config {sentence}"));
    }
    // Read from another branch than the one checked out, the sentence says from which.
    world.git(&["checkout", "-q", "-b", "good"]);
    world.git(&["rm", "-q", ".loop/config"]);
    world.commit("No configuration");
    refused(
        &world,
        &["specs/files.md", "--base-branch", "main"],
        ".loop/config of main line 1: specs_dir is empty; remove the line to use the default",
    );
}

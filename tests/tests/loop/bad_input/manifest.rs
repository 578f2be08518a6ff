//! `LoopRun` manifests.

use std::fs;
use std::fs::File;

use loop_tests::World;

use super::{project, refused_command};

const HEAD: &str = "apiVersion: agentloop.dev/v1alpha1\nkind: LoopRun\n";

#[track_caller]
fn wrong(world: &World, text: &str, sentence: &str) {
    let file = world.path("run.yaml");
    fs::write(&file, text).expect("a file");
    let mut command = world.command(&["run", "--local", "-f", file.to_str().expect("text")]);
    refused_command(world, &mut command, 2, sentence);
    let mut command = world.command(&["run", "--local", "-f", "-"]);
    command.stdin(File::open(&file).expect("a file"));
    refused_command(world, &mut command, 2, &sentence.replace("[world]/run.yaml", "stdin"));
}

#[test]
fn what_is_no_manifest_says_why() {
    let world = project(&[]);
    let head = "[world]/run.yaml is no LoopRun manifest";
    let table = [
        ("a: [", "line 1 column 4: unclosed bracket '['".to_owned()),
        ("", "it has no fields; `loopctl list -o yaml` shows how a run looks".into()),
        ("hello", "it has no fields; `loopctl list -o yaml` shows how a run looks".into()),
        ("spec: {}", "apiVersion is missing, expected agentloop.dev/v1alpha1".into()),
        ("apiVersion: v1\nkind: LoopRun", "apiVersion is \"v1\", expected agentloop.dev/v1alpha1".into()),
        ("apiVersion: agentloop.dev/v1alpha1\nkind: Pod", "kind is \"Pod\", expected LoopRun".into()),
        (HEAD, "spec is missing, expected fields such as task and gates".into()),
        (&format!("{HEAD}spec: [a]"), "spec is [\"a\"], expected fields such as task and gates".into()),
        (
            &format!("{HEAD}sepc: {{}}"),
            "unknown field `sepc`, expected one of apiVersion, kind, metadata, spec, status".into(),
        ),
        (
            &format!("{HEAD}metadata: {{name: [a]}}\nspec: {{}}"),
            "metadata.name is [\"a\"], expected text".into(),
        ),
    ];
    for (text, reason) in table {
        wrong(&world, text, &format!("{head}: {reason}"));
    }
}

#[test]
fn a_wrong_field_of_the_spec_is_named_by_its_path() {
    let world = project(&[]);
    let table = [
        (
            "loop: {iterationz: 1}",
            "spec.loop.iterationz: unknown field `iterationz`, expected one of `iterations`, `completionMode`, \
             `retries`, `retryBackoffSeconds`, `maxRewrites`, `maxConsecutiveVerificationFailures`, \
             `maxConsecutiveReviewFailures`, `allowUnverified`",
        ),
        (
            "loop: {iterations: many}",
            "spec.loop.iterations: invalid type: string \"many\", expected a whole number from 0",
        ),
        ("loop: {iterations: 0}", "spec.loop.iterations is 0; at least one is needed"),
        ("gates: {name: x}", "spec.gates: invalid type: map, expected a sequence"),
        ("gates: [{name: a, run: x}, {name: b}]", "spec.gates[1]: missing field `run`"),
        (
            "loop: {completionMode: Loose}",
            "spec.loop.completionMode: unknown variant `Loose`, expected `Exact` or `Trailing`",
        ),
        (
            "task: {specPath: specs/files.md, prompt: Do it}",
            "a prompt and a spec were both given; a run takes one of them, so leave the other out",
        ),
    ];
    for (text, sentence) in table {
        wrong(&world, &format!("{HEAD}spec: {{{text}}}"), sentence);
    }
}

#[test]
fn what_only_a_cluster_can_give_is_refused_here() {
    let world = project(&[]);
    let head = "[world]/run.yaml: spec";
    let table = [
        ("agent: {image: \"example/team-ci:7\"}", ".agent.image", "the tools that are installed here"),
        ("agent: {secretRef: {name: key}}", ".agent.secretRef", "the agent's own login and your environment"),
        ("repository: {secretRef: {name: creds}}", ".repository.secretRef", "the repository as it is here"),
    ];
    for (text, field, instead) in table {
        let sentence = format!(
            "{head}{field} is for runs on a cluster; a run on this machine uses {instead}, so leave it out"
        );
        wrong(&world, &format!("{HEAD}spec: {{{text}}}"), &sentence);
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_named() {
    let world = project(&[]);
    for (name, reason) in
        [("nope.yaml", "No such file or directory (os error 2)"), ("specs", "Is a directory (os error 21)")]
    {
        refused_command(
            &world,
            &mut world.command(&["run", "--local", "-f", name]),
            2,
            &format!("{name} cannot be read: {reason}; name a readable file"),
        );
    }
    refused_command(
        &world,
        &mut world.command(&["run", "--local", "-f", "-", "--prompt", "-"]),
        2,
        "stdin can be read only once; give the manifest or the prompt another way",
    );
}

#[test]
fn a_manifest_from_stdin_runs() {
    let world = project(&[]);
    let file = world.path("run.yaml");
    let text = "metadata: {name: by-hand}\nspec: {task: {specPath: specs/files.md}, gates: [{name: t, run: 'true'}]}\n";
    fs::write(&file, format!("{HEAD}{text}")).unwrap();
    let mut command = world.command(&["run", "--local", "-o", "name", "-f", "-"]);
    command.stdin(File::open(&file).unwrap());
    let said = super::completes(&world, &mut command);
    assert!(said.stdout.starts_with("looprun.agentloop.dev/by-hand-"), "{}", said.stdout);
}

//! What of a repository is checked out, and repositories that are on a claim instead of behind a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use loop_tests::{HONEST, PROJECT};

use super::disk::Disk;
use super::place::{Place, is_ours, manifest, say, until, work};
use super::refusals::says;

/// In its second iteration the agent leaves something in a folder that is not shown, and waits; who finds it there goes on.
const DRAFT: &str = "test -e src/app/a.txt
! test -e src/other
! test -e tools/big.txt
if [ -e one.txt ] && [ ! -e tools/draft.txt ]; then mkdir tools; uname -n >tools/draft.txt; while :; do sleep 1; done; fi
[ ! -e tools/draft.txt ] || git add --sparse tools/draft.txt
";

/// A run on that repository with something else said of it.
fn on(name: &str, repository: &str, more: &str) -> String {
    let run = manifest(name, &work(name));
    let (before, after) = run.split_once("repository: {").expect("a repository");
    let (_, after) = after.split_once('}').expect("its end");
    format!("{before}repository: {{{repository}}}{after}{more}")
}

#[test]
fn folders_that_nobody_asked_for_stay_in_the_commits_alone() {
    let Some(place) = Place::new("sparse") else { return };
    if !is_ours() {
        say("skipped: this test brings a volume of the test cluster's own");
        return;
    }
    let (reviewer, rest) = HONEST.split_once("exit 0; fi\n").expect("it reviews first");
    let agent = format!("{reviewer}exit 0; fi\n{DRAFT}{rest}");
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    files.extend(["src/app/a.txt", "src/other/b.txt", "tools/big.txt"].map(|name| (name, "there\n")));
    place.git_server(&files);
    let disk = Disk::new(&place, None);
    let repository = |folder: &str| {
        format!("url: \"git://demo-git/tally.git\", checkout: {{depth: 1, sparsePaths: [{folder}]}}")
    };
    let gate = "sh check.sh && test -e src/app/a.txt && ! test -e src/other && ! test -e tools/big.txt";
    place.apply(&on("wrong", &repository("src/ap"), ""));
    place.apply(&on("kept", &repository("src/app"), &disk.checkpoint()).replace("sh check.sh", gate));
    says(&place, "wrong", "Failed", "sparsePaths names \"src/ap\", which is no folder in main");
    until("a snapshot of the second iteration was taken", || {
        let log = place.log("kept");
        let second = log.split_once("implementation of iteration 2 begins");
        second.is_some_and(|(_, after)| after.contains("checkpoint at"))
    });
    let pod = place.get("looprun", "kept")["status"]["podName"].as_str().unwrap_or_default().to_owned();
    place.must(&["delete", "pod", &pod, "--force", "--grace-period=0"]);
    place.reaches("kept", "Completed");
    let status = place.get("looprun", "kept")["status"].clone();
    assert_eq!(status["attempt"], 2, "{status}");
    if std::env::var_os("LOOP_TEST_WT").is_some() {
        assert_eq!(status["worktree"]["provider"], "worktrunk", "{status}");
    }
    assert_eq!(place.git(&["show", "agent/kept:tools/draft.txt"]), pod, "what was not committed went along");
    let changed = place.git(&["diff", "--name-status", "main", "agent/kept"]);
    let changed: Vec<&str> = changed.lines().collect();
    assert_eq!(
        changed,
        ["A\tone.txt", "M\tspecs/planning/files-plan.md", "A\ttools/draft.txt", "A\ttwo.txt"],
        "all else is as it was"
    );
    let evidence = place.get("configmap", "kept-summary")["data"]["evidence.json"].clone();
    let evidence: serde_json::Value =
        serde_json::from_str(evidence.as_str().unwrap_or_default()).expect("JSON");
    assert_eq!(evidence["predicate"]["folders"], serde_json::json!(["specs", "specs/planning", "src/app"]));
}

/// Runs a script in a folder of this machine.
fn sh(folder: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder).env("HOME", folder);
    let output = command.output().expect("sh runs");
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn a_repository_may_be_on_a_claim_as_it_is_or_as_a_bundle() {
    let Some(place) = Place::new("claims") else { return };
    if !is_ours() {
        say("skipped: this test brings a volume of the test cluster's own");
        return;
    }
    let disk = Disk::new(&place, None);
    let folder = disk.folder.clone();
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    for (name, text) in files {
        let file = folder.join("work").join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("a file");
        if text.starts_with("#!") {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a program");
        }
    }
    // Of root, as the volume is; one of the two has a hook, and says that it has more of them elsewhere.
    sh(
        &folder,
        "cd work && git init -q -b main && git add -A && git -c user.name=T -c user.email=t@localhost commit -qm First
git bundle create -q ../app.bundle main && mkdir ../team && git clone -q --bare . ../team/plain.git && cd .. && rm -rf work
cd team/plain.git && printf '#!/bin/sh\\ntouch /repository/ran\\n' >hooks/pre-receive && chmod +x hooks/pre-receive
cp -r hooks ../hooks && git config core.hooksPath /repository/team/hooks && git config core.fsmonitor hooks/pre-receive",
    );
    let bundle = sh(&folder, "sha256sum app.bundle");
    place.apply(&format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: sources}}\nspec:\n  accessModes: \
         [ReadWriteOnce]\n  storageClassName: {}\n  resources: {{requests: {{storage: 1Gi}}}}\n",
        place.namespace
    ));
    // A server warns of what a template leaves out and pods of runs have.
    let template = "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: team}\ntemplate:\n  spec:\n    \
         containers: [{name: agent, image: \"agentloop/toolchain:test\", volumeMounts: [{name: code, mountPath: /code}]}]\n    \
         volumes: [{name: code, persistentVolumeClaim: {claimName: sources}}]\n";
    assert!(place.kubectl(&["apply", "-f", "-"], template).0);
    let run = |name: &str, path: &str, more: &str| {
        let repository = format!("url: \"file:///repository/{path}\", volume: {{claimName: sources}}");
        place.apply(&on(name, &repository, more));
    };
    run("bundled", "app.bundle", "");
    run("plain", "team/plain.git", "");
    run("none", "none.git", "");
    run("shared", "team/plain.git", "  podTemplateRef: {name: team}\n");
    says(
        &place,
        "none",
        "Failed",
        "on the claim sources cannot be used: /repository/none.git cannot be read",
    );
    says(&place, "shared", "Stalled", "a volume code of a claim on which a run keeps its own files");
    for (name, repository) in [("bundled", "app.git"), ("plain", "team/plain.git")] {
        place.reaches(name, "Completed");
        let git = format!("git -c safe.directory=* -C {repository}");
        assert_eq!(sh(&folder, &format!("{git} show agent/{name}:two.txt")), "two");
        assert_eq!(sh(&folder, &format!("{git} rev-list --count main..run/{name}")), "2");
        assert_eq!(sh(&folder, &format!("{git} for-each-ref refs/agentloop")), "", "no checkpoint stays");
    }
    assert_eq!(sh(&folder, "sha256sum app.bundle"), bundle, "a bundle is only read");
    assert!(!folder.join("ran").exists(), "no hook ran beside the token");
    // Another run on the bundle finds what the first has delivered.
    run("again", "app.bundle", "");
    place.reaches("again", "Completed");
    let heads =
        sh(&folder, "git -c safe.directory=* -C app.git for-each-ref --format='%(refname:short)' refs/heads");
    assert_eq!(
        heads.lines().collect::<Vec<_>>(),
        ["agent/again", "agent/bundled", "main", "run/again", "run/bundled"]
    );
    place.must(&["delete", "looprun", "--all"]);
    until("the pods have left the volume", || place.pods_of("again").is_empty());
    place.must(&["delete", "pvc", "sources", "--wait=false"]);
}

/// Gives the repository a submodule, which has one of its own. They lie below it, as its server serves nothing else.
const SUBMODULES: &str = "set -eu; cd /tmp; export HOME=/tmp
git config --global user.name T; git config --global user.email t@localhost; git config --global protocol.file.allow always
for name in deep lib; do git init -q -b main $name; echo $name >$name/file; done
git -C deep add -A; git -C deep commit -qm deep; git clone -q --bare deep deep.git
cd lib; git add -A; git submodule --quiet add /tmp/deep.git deep; git config -f .gitmodules submodule.deep.url ./deep.git
git add -A; git commit -qm lib; git clone -q --bare . /srv/git/tally.git/lib.git; mv /tmp/deep.git /srv/git/tally.git/lib.git/; cd ..
git clone -q /srv/git/tally.git; cd tally; git submodule --quiet add /srv/git/tally.git/lib.git libs/a
git config -f .gitmodules submodule.libs/a.url ./lib.git; git add -A; git commit -qm submodule; git push -q origin main";

#[test]
fn submodules_have_their_files_and_stay_where_the_base_commit_has_them() {
    let Some(place) = Place::new("submodules") else { return };
    place.project_that(
        "grep -q lib libs/a/file && grep -q deep libs/a/deep/file || exit 9
echo changed >>libs/a/file
case $(git symbolic-ref --short HEAD)$(ls one.txt 2>/dev/null) in run/moved) git update-index --cacheinfo \"160000,$(git rev-parse HEAD),libs/a\"; git commit -qm moved; esac
[ ! -e one.txt ] || until git ls-remote --exit-code git://demo-git/tally.git refs/tags/go >/dev/null; do sleep 1; done",
    );
    place.must(&["exec", "demo-git", "--", "sh", "-c", SUBMODULES]);
    let repository = "url: \"git://demo-git/tally.git\", checkout: {depth: 1, submodules: Recursive}";
    let gate = "sh check.sh && grep -q lib libs/a/file && grep -q deep libs/a/deep/file";
    let apply = |name: &str, gate: &str| place.apply(&on(name, repository, "").replace("sh check.sh", gate));
    apply("kept", gate);
    apply("moved", "sh check.sh");
    until("work of the first iteration is on the remote", || {
        !place.git(&["for-each-ref", "refs/heads/run/kept"]).is_empty()
            && place.log("kept").contains("implementation of iteration 2 begins")
    });
    let pod = place.get("looprun", "kept")["status"]["podName"].as_str().unwrap_or_default().to_owned();
    place.must(&["delete", "pod", &pod, "--force", "--grace-period=0"]);
    place.let_go();
    place.reaches("kept", "Completed");
    let status = place.get("looprun", "kept")["status"].clone();
    assert_eq!(status["attempt"], 2, "{status}");
    let changed = place.git(&["diff", "--name-only", "main", "agent/kept"]);
    let changed: Vec<&str> = changed.lines().collect();
    assert_eq!(
        changed,
        ["one.txt", "specs/planning/files-plan.md", "two.txt"],
        "what an agent does in them is no part"
    );
    says(&place, "moved", "Failed", "libs/a");
    assert_eq!(place.git(&["for-each-ref", "refs/heads/agent/moved"]), "", "nothing of it was delivered");
}

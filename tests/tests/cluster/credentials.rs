//! A repository behind a password: with the right Secret the work is delivered, with a wrong one the user knows soon.

use std::fmt::Write as _;
use std::time::Instant;

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, manifest, until, work};
use super::refusals::{SOON, says};

const SERVER: &str = r"
apiVersion: v1
kind: Service
metadata: {name: locked-git}
spec: {selector: {app: locked-git}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: locked-git, labels: {app: locked-git}}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: git
      image: agentloop/git:test
      env: [{name: GIT_SERVER_USER, value: robot}, {name: GIT_SERVER_PASSWORD, value: sesame}]
      readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

/// A script that makes the bare repository `app.git` of these files.
fn repository(files: &[(&str, &str)]) -> String {
    let mut script = String::from("set -eu\ngit init -q -b main /tmp/work\ncd /tmp/work\n");
    for (path, text) in files {
        let _ = writeln!(
            script,
            "mkdir -p \"$(dirname {path})\"\ncat >{path} <<'END-OF-FILE'\n{text}\nEND-OF-FILE"
        );
        if text.starts_with("#!") {
            let _ = writeln!(script, "chmod +x {path}");
        }
    }
    script
        + "git add -A\ngit -c user.name=T -c user.email=t@localhost commit -qm First\ngit clone -q --bare . /srv/git/app.git\n"
}

#[test]
fn a_password_is_used_where_it_is_right_and_named_where_it_is_wrong() {
    let Some(place) = Place::new("credentials") else { return };
    place.apply(SERVER);
    place.must(&["wait", "--for=condition=Ready", "pod/locked-git", "--timeout=120s"]);
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", HONEST));
    let (made, said) = place.kubectl(&["exec", "-i", "locked-git", "--", "sh", "-s"], &repository(&files));
    assert!(made, "{said}");
    for (secret, password) in [("right", "sesame"), ("wrong", "open")] {
        let password = format!("--from-literal=password={password}");
        place.must(&["create", "secret", "generic", secret, "--from-literal=username=robot", &password]);
        let repository = format!(
            "repository: {{url: \"http://locked-git:8080/cgi-bin/git/app.git\", secretRef: {{name: {secret}}}}}"
        );
        let run = manifest(secret, &work(secret));
        let (before, after) = run.split_once("repository: {").expect("a repository");
        let (_, after) = after.split_once('}').expect("its end");
        place.apply(&format!("{before}{repository}{after}"));
    }
    let began = Instant::now();
    says(&place, "wrong", "Failed", "the repository cannot be cloned");
    assert!(began.elapsed() < SOON);
    let said = place.said("wrong", "Failed");
    assert!(said.contains("Authentication failed") && said.contains("the Secret that it names"), "{said}");
    assert!(!said.contains("open"), "{said}");
    place.reaches("right", "Completed");
    let show = ["exec", "locked-git", "--", "git", "-C", "/srv/git/app.git", "show", "agent/right:two.txt"];
    until("the work is there", || place.must(&show).trim() == "two");
}

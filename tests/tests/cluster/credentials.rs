//! Repositories that not everybody may use: each way in works with the right Secret, and a wrong one is named soon.

use std::fmt::Write as _;

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, manifest, until, work};
use super::refusals::says;

/// A git server of the test's own, as its image knows it: `http` or `ssh`.
struct Server<'a>(&'a Place, &'a str);

impl<'a> Server<'a> {
    /// One whose agent takes so many seconds for each step of its work.
    fn new(place: &'a Place, kind: &'a str, seconds: u32) -> Self {
        let port = if kind == "ssh" { 2222 } else { 8080 };
        place.apply(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {kind}}}\nspec: {{selector: {{app: {kind}}}, ports: [{{name: \
             plain, port: {port}}}, {{name: tls, port: 8443}}]}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {kind}, \
             labels: {{app: {kind}}}}}\nspec:\n  automountServiceAccountToken: false\n  securityContext: {{runAsNonRoot: true, \
             runAsUser: 1000, seccompProfile: {{type: RuntimeDefault}}}}\n  containers:\n    - name: git\n      image: \
             agentloop/git:test\n      args: [{kind}]\n      env: [{{name: GIT_SERVER_NAME, value: {kind}}}]\n      \
             readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: 1}}\n      securityContext: \
             {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}\n"
        ));
        place.must(&["wait", "--for=condition=Ready", &format!("pod/{kind}"), "--timeout=120s"]);
        let server = Self(place, kind);
        server.sh(&repository(seconds));
        server
    }

    /// What a script on the server prints.
    fn sh(&self, script: &str) -> String {
        let (worked, said) = self.0.kubectl(&["exec", "-i", self.1, "--", "sh", "-eus"], script);
        assert!(worked, "{said}");
        said
    }

    /// Lets in those whose header is this one.
    fn lets_in(&self, authorization: &str) {
        self.sh(&format!("echo '{authorization}' >/tmp/authorization"));
    }

    fn delivered(&self, run: &str) {
        self.0.reaches(run, "Completed");
        let show = format!("git -C /srv/git/app.git show agent/{run}:two.txt");
        until("the work is there", || self.sh(&show).trim() == "two");
    }
}

/// A script that makes the bare repository `app.git`.
fn repository(seconds: u32) -> String {
    let agent = HONEST.replacen("exit 0; fi\n", &format!("exit 0; fi\nsleep {seconds}\n"), 1);
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    let mut script = String::from("git init -q -b main /tmp/work\ncd /tmp/work\n");
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
        + "git add -A\ngit config user.name T\ngit config user.email t@localhost\ngit commit -qm First\necho more >more.txt\n\
           git add -A\ngit commit -qm Second\ngit clone -q --bare . /srv/git/app.git\n"
}

/// A Secret with these keys.
fn secret(place: &Place, name: &str, keys: &[(&str, &str)]) {
    let data: serde_json::Map<String, serde_json::Value> =
        keys.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect();
    place.apply(&serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}).to_string());
}

/// A run on a repository with the Secret of its own name.
fn start(place: &Place, name: &str, url: &str, more: &str) {
    let run = manifest(name, &work(name));
    let (before, after) = run.split_once("repository: {").expect("a repository");
    let (_, after) = after.split_once('}').expect("its end");
    place.apply(&format!("{before}repository: {{url: \"{url}\", secretRef: {{name: {name}}}{more}}}{after}"));
}

#[test]
fn over_https_a_password_or_a_token_counts_and_an_authority_of_ones_own() {
    let Some(place) = Place::new("https") else { return };
    let server = Server::new(&place, "http", 0);
    let authority = server.sh("cat /tmp/tls.crt");
    // robot:sesame
    server.lets_in("Basic cm9ib3Q6c2VzYW1l");
    let url = "https://http:8443/git/app.git";
    let robot = ("username", "robot");
    secret(&place, "wrong", &[robot, ("password", "open"), ("ca.crt", &authority)]);
    secret(&place, "stranger", &[robot, ("password", "sesame")]);
    secret(&place, "right", &[robot, ("password", "sesame"), ("ca.crt", &authority)]);
    start(&place, "wrong", url, "");
    start(&place, "stranger", url, "");
    says(&place, "wrong", "Failed", "the repository cannot be cloned");
    let said = place.said("wrong", "Failed");
    assert!(said.contains("Authentication failed") && said.contains("the Secret that it names"), "{said}");
    assert!(!said.contains("open"), "{said}");
    says(&place, "stranger", "Failed", "certificate");
    // Of a shallow clone, and without TLS.
    start(&place, "right", url, ", checkout: {depth: 1}");
    server.delivered("right");
    assert_eq!(server.sh("git -C /srv/git/app.git rev-list --count agent/right").trim(), "3");
    server.lets_in("Bearer let-me-in");
    secret(&place, "token", &[("bearerToken", "let-me-in\n")]);
    start(&place, "token", "http://http:8080/git/app.git", "");
    server.delivered("token");
}

#[test]
fn a_secret_that_is_rotated_counts_for_the_next_command() {
    let Some(place) = Place::new("rotated") else { return };
    let server = Server::new(&place, "http", 5);
    server.lets_in("Bearer old");
    secret(&place, "rotated", &[("bearerToken", "old")]);
    start(&place, "rotated", "http://http:8080/git/app.git", "");
    until("its agent works", || place.log("rotated").contains("implementation of iteration 1 begins"));
    // From now on the old one is refused; the kubelet brings the new one when it next looks.
    secret(&place, "rotated", &[("bearerToken", "new")]);
    server.lets_in("Bearer new");
    server.delivered("rotated");
}

#[test]
fn a_credential_that_expires_while_the_agent_works_is_named_and_nothing_is_lost_until_it_is_renewed() {
    let Some(place) = Place::new("expired") else { return };
    let server = Server::new(&place, "http", 20);
    server.lets_in("Bearer old");
    let runs = ["renewed", "given-up", "moved"];
    for run in runs {
        secret(&place, run, &[("bearerToken", "old")]);
        start(&place, run, "http://http:8080/git/app.git", "");
    }
    for run in runs {
        until("its agent works", || place.log(run).contains("implementation of iteration 1 begins"));
    }
    server.lets_in("Bearer new");
    for run in runs {
        says(&place, run, "Reconciling", "the server takes no credential that it is given");
        let said = place.said(run, "Reconciling");
        for words in [
            "the repository cannot be pushed to",
            "spec.repository and the Secret that it names",
            "by itself",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert!(!said.contains("Bearer"), "{said}");
    }
    // The agent goes on meanwhile, and what is verified waits to be delivered.
    for run in runs {
        until("its work is verified", || place.log(run).contains("merge begins"));
        assert_eq!(place.phase(run), "Running");
    }
    let held = r#"jsonpath={.status.conditions[?(@.type=="Reconciling")].reason}"#;
    assert_eq!(place.must(&["get", "lr", "renewed", "-o", held]), "WorkNotPublished");
    // Nor does a pod that is lost meanwhile end its run: the next one waits, too.
    let pod = place.get("looprun", "moved")["status"]["podName"].as_str().expect("a pod").to_owned();
    place.must(&["delete", "pod", &pod, "--wait=false"]);
    place.patch("given-up", "{\"state\":\"Canceled\"}");
    until("another pod tries", || place.get("looprun", "moved")["status"]["attempt"] == 2);
    says(&place, "moved", "Reconciling", "the repository cannot be cloned, the server takes no credential");
    assert_eq!(place.phase("moved"), "Pending");
    for run in ["renewed", "moved"] {
        secret(&place, run, &[("bearerToken", "new")]);
    }
    place.reaches("given-up", "Canceled");
    let status = place.get("looprun", "given-up")["status"].clone();
    let message = status["result"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the run branch could not be pushed"), "{status}");
    assert!(status["publishError"].is_null(), "{status}");
    assert!(place.get("configmap", "given-up-summary")["data"]["summary.json"].is_string());
    for run in ["renewed", "moved"] {
        server.delivered(run);
        assert!(place.get("looprun", run)["status"]["publishError"].is_null());
    }
    assert_eq!(server.sh("git -C /srv/git/app.git for-each-ref refs/heads/agent/given-up"), "");
}

#[test]
fn over_ssh_a_deploy_key_counts_and_a_server_that_nobody_knows_is_refused() {
    let Some(place) = Place::new("ssh") else { return };
    let server = Server::new(&place, "ssh", 0);
    server.sh("ssh-keygen -q -t ed25519 -N '' -f /tmp/key && cp /tmp/key.pub /tmp/authorized_keys");
    let key = server.sh("cat /tmp/key");
    let host = format!("[ssh]:2222 {}", server.sh("cut -d' ' -f1,2 /tmp/host_key.pub").trim());
    let other = format!("[ssh]:2222 {}", server.sh("cut -d' ' -f1,2 /tmp/key.pub").trim());
    let url = "ssh://git@ssh:2222/srv/git/app.git";
    let cases = [
        ("unknown", vec![("identity", key.as_str())], "ssh-keyscan"),
        ("impostor", vec![("identity", &key), ("known_hosts", &other)], "Host key verification failed"),
        ("password", vec![("password", "sesame")], "no Secret with the key `identity`"),
    ];
    for (name, keys, _) in &cases {
        secret(&place, name, keys);
        start(&place, name, url, "");
    }
    for (name, _, words) in &cases {
        says(&place, name, "Failed", words);
    }
    // The last new line of a key is easily lost.
    secret(&place, "right", &[("identity", key.trim_end()), ("known_hosts", &host)]);
    start(&place, "right", url, "");
    server.delivered("right");
}

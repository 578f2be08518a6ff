//! What a team adds to its pods: a service beside the run, and the surroundings that agent and gates share.

use loop_tests::{HONEST, PROJECT};

use super::place::{Place, until, work};
use super::refusals::says;

/// The service answers what agent and gate ask of it; the gate has no mount of the agent's.
const TEMPLATE: &str = r#"
apiVersion: v1
kind: PodTemplate
metadata: {name: team}
template:
  metadata: {labels: {team: backend}}
  spec:
    securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
    containers:
      - name: agent
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        image: agentloop/toolchain:test
        env: [{name: GREETER, value: "git://127.0.0.1/greeting.git"}]
        volumeMounts: [{name: cache, mountPath: /cache}]
        resources: {limits: {memory: 512Mi}}
      - name: greeter
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        image: agentloop/git:test
        command: [sh, -euc]
        args:
          - |
            git init -q --bare /srv/git/greeting.git
            commit=$(git -C /srv/git/greeting.git -c user.name=T -c user.email=t@localhost commit-tree -m hello 4b825dc642cb6eb9a060e54bf8d69288fbee4904)
            git -C /srv/git/greeting.git update-ref refs/heads/hello "$commit"
            exec git-server
        readinessProbe: {tcpSocket: {port: 9418}, periodSeconds: 1}
    volumes: [{name: cache, emptyDir: {}}]
"#;

#[test]
fn a_service_is_there_for_agent_and_gates_and_a_template_that_asks_too_much_is_refused() {
    let Some(place) = Place::new("templates") else { return };
    let (first, rest) = HONEST.split_once('\n').expect("lines");
    let ask = "git ls-remote --exit-code \"$GREETER\" refs/heads/hello >/dev/null";
    let agent = format!("{first}\n{ask} && touch /cache/mine || exit 1\n{rest}");
    let mut files = PROJECT.to_vec();
    files.push((".loop/agent.sh", &agent));
    place.git_server(&files);
    let gate = format!("{ask} && test ! -e /cache && sh check.sh");
    let run = |name: &str| {
        let work = work(name).replace("run: sh check.sh", &format!("run: '{gate}'"));
        place.apply(
            &super::place::manifest(name, &format!("{work}  podTemplateRef: {{name: team}}\n"))
                .replace(", image: \"agentloop/toolchain:test\"", ""),
        );
    };
    // Not there yet, then too much, then right: the same run goes on.
    run("served");
    says(&place, "served", "Stalled", "PodTemplate team of spec.podTemplateRef is not in the namespace");
    // Pod Security warns of that one.
    let greedy = TEMPLATE.replace("    volumes: [", "    hostNetwork: true\n    volumes: [");
    assert!(place.kubectl(&["apply", "-f", "-"], &greedy).0);
    says(
        &place,
        "served",
        "Stalled",
        "has hostNetwork, which the pod of a run does not take over; put that right",
    );
    assert!(place.pods_of("served").is_empty());
    place.must(&["delete", "podtemplate", "team"]);
    place.apply(TEMPLATE);
    place.reaches("served", "Completed");
    until("the work is there", || place.git(&["show", "agent/served:two.txt"]) == "two");
    let pod = place.get("pod", &place.pods_of("served")[0]);
    assert_eq!(pod["metadata"]["labels"]["team"], "backend");
}

//! Names on a cluster: labels, annotations, field managers, and the objects that belong to a run.

/// Label with the name of the run, on everything that is made for it.
pub const RUN_LABEL: &str = "agentloop.dev/run";
/// Label with the uid of the run.
pub const RUN_UID_LABEL: &str = "agentloop.dev/run-uid";
/// Label of a pod with the name of the worker whose slot it has; absent where the operator itself took the run.
pub const WORKER_LABEL: &str = "agentloop.dev/worker";
/// Annotation of a pod with the workspace of its run.
pub const WORKSPACE_ANNOTATION: &str = "agentloop.dev/workspace";
/// Kubernetes' own label for the program that looks after an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Kubernetes' own label for what an object is part of.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// Value of [`NAME_LABEL`].
pub const PRODUCT: &str = "agentloop";
/// Annotation of a pod: which attempt of the run it is.
pub const ATTEMPT_ANNOTATION: &str = "agentloop.dev/attempt";
/// Annotation of a run's `ConfigMap`: uid of the pod that may write it.
pub const POD_UID_ANNOTATION: &str = "agentloop.dev/pod-uid";
/// Annotation of a pod: seconds that the lease of its attempt counts.
pub const LEASE_ANNOTATION: &str = "agentloop.dev/lease-seconds";
/// Field manager of the operator, and its value of [`MANAGED_BY_LABEL`].
pub const OPERATOR: &str = "loopd";
/// Field manager of the sidecar.
pub const SIDECAR: &str = "loop-sidecar";
/// Service account of a run's pod, the binding of its role and the cluster role itself.
pub const RUN_ROLE: &str = "agentloop-run";
/// Exit code of runner and sidecar when the run cannot be made or gone on with until somebody has put something right.
pub const EXIT_REFUSED: i32 = 2;
/// Exit code of the runner when the run was paused (`EX_TEMPFAIL`).
pub const EXIT_PAUSED: i32 = 75;
/// Exit code of the runner when another pod can go on where this one cannot.
pub const EXIT_LOST: i32 = 76;
/// What a variable in the agent's container begins with whose rest is the name of one that agents alone get.
pub const CREDENTIAL: &str = "LOOP_CREDENTIAL_";
/// Where the sidecar finds the keys of the Secret for checkpoints in a bucket, and for records in one.
pub const CHECKPOINT_SECRET: &str = "/run/secrets/checkpoint";
/// See [`CHECKPOINT_SECRET`].
pub const ARTIFACT_SECRET: &str = "/run/secrets/artifacts";
/// Where it finds the claim for records.
pub const RECORDS: &str = "/records";
/// Where it finds the claim with the repository.
pub const REPOSITORY: &str = "/repository";
/// Where it finds the claim with mirrors of repositories, if its worker has one.
pub const MIRRORS: &str = "/mirrors";
/// The most characters of a run's name: with a suffix it must still fit a label.
pub const NAME_LIMIT: usize = 50;

/// The most characters of a worker's name: it is a label.
pub const WORKER_LIMIT: usize = 63;

/// Name of an attempt's pod: no two runs and no two attempts share one.
pub fn pod(run: &str, uid: &str, attempt: u32) -> String {
    format!("{}-{attempt}", record(run, uid))
}

/// Folder of a run's record on a claim that several share.
pub fn record(run: &str, uid: &str) -> String {
    let short: String = uid.chars().filter(char::is_ascii_hexdigit).take(5).collect();
    format!("{run}-{short}")
}

/// Claim of the volume that a run keeps its checkpoints on.
pub fn claim(run: &str) -> String {
    format!("{run}-checkpoint")
}

/// Whether a claim is one that runs keep their checkpoints on, by its name.
pub fn is_claim(name: &str) -> bool {
    name.ends_with("-checkpoint")
}

/// Ref of a run's checkpoints on its remote. No branch, so that nothing that watches branches is started by it.
pub fn checkpoint_ref(uid: &str) -> String {
    format!("refs/agentloop/checkpoints/{uid}")
}

/// `ConfigMap` with the summary of a run.
pub fn summary(run: &str) -> String {
    format!("{run}-summary")
}

/// `ConfigMap` with the postmortem of a run.
pub fn postmortem(run: &str) -> String {
    format!("{run}-postmortem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_of_a_run_fits_a_label_with_its_suffix() {
        let run = "r".repeat(NAME_LIMIT);
        let name = pod(&run, "0198c2f0-0000-7000-8000-000000000000", 99_999);
        assert_eq!(name, format!("{run}-0198c-99999"));
        for name in [name, summary(&run), postmortem(&run), claim(&run)] {
            assert!(name.len() <= 63, "{name}");
        }
    }
}

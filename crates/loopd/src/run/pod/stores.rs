//! Where a run's repository, its mirror, checkpoints and record are beyond its own volumes: what the sidecar, and nobody
//! else, gets for it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplate, Volume, VolumeMount};
use loop_api::crd::LoopRun;
use loop_api::names;
use loop_api::run::ClaimReference;

use super::volumes::{at, read_only, secret};

/// Volumes of the Secrets for buckets, and of the claims for records, with the repository and with mirrors.
const CHECKPOINT: &str = "checkpoint-store";
const ARTIFACTS: &str = "artifact-store";
const RECORDS: &str = "records";
const REPOSITORY: &str = "repository";
const MIRRORS: &str = "repository-mirrors";

/// The volumes that a run asks for, and that of the claim with mirrors.
pub(super) fn volumes(run: &LoopRun, mirrors: Option<&str>) -> Vec<Volume> {
    let of = |name: &str, claim: &str, read_only: Option<bool>| Volume {
        name: name.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.into(),
            read_only,
        }),
        ..Volume::default()
    };
    let mut volumes: Vec<Volume> = secrets(run).map(|(name, of, _)| secret(name, of)).collect();
    volumes.extend(claims(run).map(|(name, claim, _)| of(name, &claim.claim_name, None)));
    volumes.extend(mirrors.map(|claim| of(MIRRORS, claim, Some(true))));
    volumes
}

/// Where the sidecar finds them.
pub(super) fn mounts(run: &LoopRun, mirrors: Option<&str>) -> Vec<VolumeMount> {
    let mut mounts: Vec<VolumeMount> = secrets(run).map(|(name, _, place)| read_only(name, place)).collect();
    mounts.extend(claims(run).map(|(name, _, place)| at(name, place)));
    mounts.extend(mirrors.map(|_| read_only(MIRRORS, names::MIRRORS)));
    mounts
}

/// Whether a run can use a claim with mirrors: its repository is not on a claim itself, and nothing else of its pod has this
/// one, since not every driver mounts two volumes of one claim in a pod.
pub(crate) fn may_have_mirrors(run: &LoopRun, template: Option<&PodTemplate>, claim: &str) -> bool {
    let spec = template.and_then(|template| template.template.as_ref()?.spec.as_ref());
    let mut theirs = spec.into_iter().flat_map(|spec| spec.volumes.iter().flatten());
    let is_other = |volume: &Volume| {
        let of = volume.persistent_volume_claim.as_ref().map(|source| source.claim_name.as_str());
        volume.name != MIRRORS && of != Some(claim)
    };
    run.spec.repository.volume.is_none()
        && claims(run).all(|(_, own, _)| own.claim_name != claim)
        && theirs.all(is_other)
}

/// Volume, Secret and place of the credentials of each bucket.
fn secrets(run: &LoopRun) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
    let checkpoint = run.spec.checkpoint.s3.as_ref().map(|s3| (CHECKPOINT, s3, names::CHECKPOINT_SECRET));
    let artifacts = run.spec.artifacts.s3.as_ref().map(|s3| (ARTIFACTS, s3, names::ARTIFACT_SECRET));
    let buckets = checkpoint.into_iter().chain(artifacts);
    buckets.filter_map(|(name, s3, place)| Some((name, s3.secret_ref.as_ref()?.name.as_str(), place)))
}

/// Volume, claim and place of what the user has on claims.
fn claims(run: &LoopRun) -> impl Iterator<Item = (&'static str, &ClaimReference, &'static str)> {
    let records = run.spec.artifacts.volume.as_ref().map(|claim| (RECORDS, claim, names::RECORDS));
    let repository = run.spec.repository.volume.as_ref().map(|claim| (REPOSITORY, claim, names::REPOSITORY));
    records.into_iter().chain(repository)
}

#[cfg(test)]
mod tests {
    use loop_api::run::{ArtifactStore, Checkpoint, CheckpointStore, S3Bucket, SecretReference};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn credentials_of_buckets_and_the_claims_of_the_user_are_the_sidecars_alone() {
        let bucket = |secret: &str| S3Bucket {
            bucket: "loops".into(),
            secret_ref: Some(SecretReference { name: secret.into() }),
            ..S3Bucket::default()
        };
        let mut run = crate::testing::run(1, &Value::Null);
        assert!(volumes(&run, None).is_empty() && mounts(&run, None).is_empty());
        run.spec.checkpoint =
            Checkpoint { store: CheckpointStore::S3, s3: Some(bucket("for-checkpoints")), volume: None };
        run.spec.artifacts.store = ArtifactStore::S3;
        run.spec.artifacts.s3 = Some(bucket("for-records"));
        run.spec.artifacts.volume = Some(ClaimReference { claim_name: "records".into() });
        run.spec.repository.volume = Some(ClaimReference { claim_name: "sources".into() });
        assert!(!may_have_mirrors(&run, None, "mirrors"));
        let supplies = super::super::Supplies {
            runner: "ours",
            agent: "theirs",
            claude: None,
            mirrors: Some("mirrors"),
        };
        let pod = super::super::pod(&run, 1, &supplies);
        let spec = pod.spec.expect("a spec");
        for volume in [CHECKPOINT, ARTIFACTS, RECORDS, REPOSITORY, MIRRORS] {
            let with: Vec<&str> = (spec.init_containers.iter().flatten().chain(&spec.containers))
                .filter(|container| {
                    container.volume_mounts.iter().flatten().any(|mount| mount.name == volume)
                })
                .map(|container| container.name.as_str())
                .collect();
            assert_eq!(with, ["sidecar"], "{volume}");
            assert!(spec.volumes.iter().flatten().any(|there| there.name == volume), "{volume}");
        }
    }

    #[test]
    fn mirrors_are_read_only_and_of_a_claim_that_nothing_else_of_the_pod_has() {
        let mut run = crate::testing::run(1, &Value::Null);
        let volumes = volumes(&run, Some("mirrors"));
        let source = volumes[0].persistent_volume_claim.as_ref().expect("a claim");
        assert_eq!((source.claim_name.as_str(), source.read_only), ("mirrors", Some(true)));
        assert_eq!(mounts(&run, Some("mirrors"))[0].read_only, Some(true));
        let template = |claim: &str| -> PodTemplate {
            let volume = json!({"name": "v", "persistentVolumeClaim": {"claimName": claim}});
            serde_json::from_value(json!({"template": {"spec": {"containers": [], "volumes": [volume]}}}))
                .expect("a template")
        };
        let may = |run: &LoopRun, template: Option<&PodTemplate>| may_have_mirrors(run, template, "mirrors");
        assert!(may(&run, None) && may(&run, Some(&template("cargo"))));
        assert!(!may(&run, Some(&template("mirrors"))));
        run.spec.artifacts.volume = Some(ClaimReference { claim_name: "mirrors".into() });
        assert!(!may(&run, None));
    }
}

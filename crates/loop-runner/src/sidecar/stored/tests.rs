#![allow(clippy::unwrap_used, reason = "these are tests")]

use loop_api::journal::{Created, Event, SCHEMA, WorktreeFacts};
use loop_api::phase::StepPhase;
use loop_api::run::{Checkout, LoopRunSpec, QueueSettings, Repository};
use loop_core::store::{Journal, Store};

use super::super::Whose;
use super::super::git::{Origin, git, tests::commit};
use super::*;

/// The step that is open.
const STEP: &str = "01";

/// A remote, the clone of a pod, and the engine's own repository with work and a snapshot that nobody else has.
struct World {
    folder: tempfile::TempDir,
    bucket: Bucket,
    base: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "--initial-branch=main", "theirs"]).unwrap();
        commit(&folder.path().join("theirs"), "older");
        let base = commit(&folder.path().join("theirs"), "base");
        let whose = Whose { namespace: "n".into(), name: "r".into(), uid: "u".into(), ..Whose::default() };
        Self { folder, bucket: Bucket::in_memory(&whose), base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a pod begins with.
    fn pod(&self, name: &str, named: Option<&str>) -> (Stored, RunDir) {
        let (clone, data) = (self.path(name).join("origin"), self.path(name).join("data"));
        fs::create_dir_all(data.join("repos")).unwrap();
        let url = format!("file://{}", self.path("theirs").display());
        let repository = Repository {
            url,
            checkout: Checkout { depth: 1, ..Checkout::default() },
            ..Repository::default()
        };
        Origin::new(&repository, clone.clone()).set_up("main", None).unwrap();
        let stored = Stored::new(self.bucket.clone(), clone, data.join("repos"), named.map(str::to_owned));
        (stored, Store::at(data).run("u"))
    }

    /// Work of an agent as the engine has taken it in: a commit, and a snapshot with more.
    fn work(&self, name: &str) -> (String, String) {
        let trusted = self.path(name).join("data/repos/key.git");
        let theirs = self.path("theirs").to_string_lossy().into_owned();
        git(&self.path(name), &["clone", "-q", "--bare", &theirs, &trusted.to_string_lossy()]).unwrap();
        let worktree = self.path(name).join("worktree");
        git(&trusted, &["worktree", "add", "-q", &worktree.to_string_lossy()]).unwrap();
        (commit(&worktree, "work"), commit(&worktree, "not committed"))
    }
}

/// A journal whose worktree was just made.
fn begin(run: &RunDir, base: &str) -> Journal {
    fs::create_dir_all(run.path()).unwrap();
    let mut journal = Journal::open(run).unwrap();
    let created = Created {
        schema: SCHEMA,
        version: "0".into(),
        run_id: "u".into(),
        name: "r".into(),
        slug: "r".into(),
        config_digest: String::new(),
        workspace_root: "/repo".into(),
        base_branch: "main".into(),
        base_commit: base.into(),
        target_branch: String::new(),
        prompt_file: String::new(),
        context_files: Vec::new(),
        search_path: String::new(),
        queue: QueueSettings::default(),
        config_source: None,
        log_dir: String::new(),
        spec: LoopRunSpec::default(),
    };
    let facts =
        WorktreeFacts { run_branch: "run/x".into(), base_commit: base.into(), ..WorktreeFacts::default() };
    for event in [
        Event::RunCreated(Box::new(created)),
        Event::RunStarted { worker_id: "w".into(), isolation: "none".into() },
        Event::StepStarted {
            step_id: STEP.into(),
            phase: StepPhase::Prepare,
            iteration: 0,
            attempt: 1,
            clean: false,
        },
        Event::WorktreeCreated(facts),
    ] {
        journal.append(event).unwrap();
    }
    journal
}

#[tokio::test]
async fn another_pod_gets_journal_work_and_what_was_not_committed() {
    let world = World::new();
    let (mut stored, run) = world.pod("one", None);
    stored.probe(1).await.unwrap();
    assert!(!stored.save(&run, None, TIME).await.unwrap(), "there is no journal yet");
    let mut journal = begin(&run, &world.base);
    assert!(stored.save(&run, None, TIME).await.unwrap());
    let first = stored.status().unwrap();
    stored.named().await;
    let (head, snapshot) = world.work("one");
    let step_id = STEP.to_owned();
    journal.append(Event::Checkpoint { step_id, head: head.clone(), snapshot: snapshot.clone() }).unwrap();
    fs::write(run.join("runner-notes.txt"), "a gate failed").unwrap();
    assert!(stored.save(&run, Some(&world.base), TIME).await.unwrap());
    assert!(!stored.save(&run, None, TIME).await.unwrap(), "nothing is new");
    assert!(stored.is_unnamed() && !stored.covers(&head));
    let status = stored.status().unwrap();
    let name = |commit: &str| format!("checkpoints/{commit}.bundle");
    assert_eq!(status.reference, format!("s3://loops/a/b/n/r/u/{}", name(&status.commit)));
    let both = world.bucket.list(FOLDER).await.unwrap();
    assert!(both.contains(&name(&first.commit)) && both.len() == 2, "{both:?}");
    stored.named().await;
    assert_eq!(world.bucket.list(FOLDER).await.unwrap(), [name(&status.commit)]);
    assert!(stored.covers(&head) && !stored.covers(&world.base));

    // What was uploaded and never named is nobody's.
    world.bucket.put("checkpoints/other.bundle", b"x".to_vec()).await.unwrap();
    let (mut next, run) = world.pod("two", Some(&status.commit));
    next.probe(2).await.unwrap();
    assert_eq!(world.bucket.list(FOLDER).await.unwrap(), [name(&status.commit)]);
    next.restore(Some(&run), &status.commit).await.unwrap();
    assert!(run.journal().exists() && run.join("runner-notes.txt").exists());
    assert_eq!(next.known().collect::<Vec<_>>(), [&head, &snapshot, &world.base]);
    let clone = world.path("two").join("origin");
    let text = git(&clone, &["show", &format!("{snapshot}:file")]).unwrap();
    assert_eq!(text, "not committed");
    assert!(git(&clone, &["for-each-ref", "refs/checkpoint"]).unwrap().is_empty());
    // What an earlier pod has pushed is known to the next but one, also when this one pushes nothing.
    let mut journal = Journal::open(&run).unwrap();
    let step_id = STEP.to_owned();
    journal
        .append(Event::Checkpoint { step_id, head: snapshot.clone(), snapshot: snapshot.clone() })
        .unwrap();
    assert!(next.save(&run, None, TIME).await.unwrap());
    next.named().await;
    let third = next.status().unwrap().commit;
    let (mut last, run) = world.pod("three", Some(&third));
    last.restore(Some(&run), &third).await.unwrap();
    assert!(last.known().any(|known| *known == world.base) && last.known().any(|known| *known == head));
    last.forget().await;
    assert!(world.bucket.list(FOLDER).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_what_the_status_names_is_gone_on_from() {
    let world = World::new();
    let (mut stored, run) = world.pod("one", None);
    drop(begin(&run, &world.base));
    stored.save(&run, None, TIME).await.unwrap();
    let commit = stored.status().unwrap().commit;
    let other = world.base.clone();
    let file = world.path("file");
    world.bucket.download(&name(&commit), &file, MOST, TIME).await.unwrap();
    world.bucket.upload(&name(&other), &file, TIME).await.unwrap();
    let (mut next, run) = world.pod("two", Some(&other));
    // The base is in the clone, but it is no checkpoint.
    let refused = next.restore(Some(&run), &other).await.unwrap_err().to_string();
    assert!(refused.contains("what is kept there is not"), "{refused}");
    world.bucket.remove(&name(&commit)).await.unwrap();
    let refused = next.restore(Some(&run), &commit).await.unwrap_err().to_string();
    assert!(
        refused.ends_with(".bundle is no longer there; make the run anew, or bring it back"),
        "{refused}"
    );
    assert!(!run.journal().exists());
}

#[tokio::test]
async fn a_remote_without_the_commit_that_the_run_began_from_is_named() {
    let world = World::new();
    let (mut stored, run) = world.pod("one", None);
    drop(begin(&run, &world.base));
    stored.save(&run, None, TIME).await.unwrap();
    let kept = stored.status().unwrap().commit;
    fs::remove_dir_all(world.path("theirs")).unwrap();
    git(world.folder.path(), &["init", "-q", "--initial-branch=main", "theirs"]).unwrap();
    commit(&world.path("theirs"), "another");
    let (mut next, run) = world.pod("two", Some(&kept));
    let refused = next.restore(Some(&run), &kept).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("the repository no longer has {}", world.base)), "{refused}");
}

//! Mirrors of repositories on a claim of a worker's (`spec.repositoryCache`): a clone takes from one what it has, and only the
//! rest comes from the remote.
//!
//! Git does so through alternates while it clones, and then copies what it has used, so that the clone stands alone: the agent,
//! which reads the clone's objects, needs no mount that would show it the mirrors of other repositories, and a mirror may be
//! repacked or deleted while the run goes on.

use std::path::{Component, Path, PathBuf};

use loop_api::naming::workspace;

use super::claim;

/// The mirror of a repository below a folder, if there is one: a bare repository called like the workspace, `HOST/PATH.git`.
pub(super) fn of(url: &str, below: &Path) -> Option<PathBuf> {
    let name = format!("{}.git", workspace(url));
    // What an address says leads nowhere else.
    let plain = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    let place = below.join(&name);
    (plain && !claim::is_local(url) && place.is_dir()).then_some(place)
}

/// Settings for a clone that takes from a mirror.
pub(super) fn settings() -> [(String, String); 3] {
    // What git would call itself, but whatever configuration the mirror has.
    let refs = claim::called("--git-dir=\"$1\" for-each-ref --format='%(objectname)'");
    [
        ("core.alternateRefsCommand", format!("refs() {{ {refs}; }}; refs")),
        // What the mirror says of its commits beside them is not believed.
        ("core.commitGraph", "false".to_owned()),
        // What is used is copied as it is.
        ("pack.window", "0".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use std::fs;

    use loop_api::run::{Checkout, Repository};

    use super::super::git::tests::commit;
    use super::super::git::{Origin, git};
    use super::*;

    #[test]
    fn a_mirror_is_called_like_the_workspace_and_lies_below_the_claim() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("mirrors");
        fs::create_dir_all(below.join("git.example/team/app.git")).unwrap();
        fs::create_dir_all(folder.path().join("else.git")).unwrap();
        let found = Some(below.join("git.example/team/app.git"));
        assert_eq!(of("https://git.example/team/app.git", &below), found);
        assert_eq!(of("git@git.example:team/app", &below), found);
        for url in [
            "https://git.example/team/other.git",
            "https://git.example/../../else.git",
            "https://../else.git",
            "file:///git.example/team/app.git",
        ] {
            assert_eq!(of(url, &below), None, "{url}");
        }
    }

    /// How many objects of its refs a clone has, and whether it stands on another.
    fn counted(folder: &Path) -> (String, bool) {
        let own = git(folder, &["rev-list", "--objects", "--all", "--count"]).unwrap();
        (own.trim().to_owned(), folder.join(".git/objects/info/alternates").exists())
    }

    #[test]
    fn a_clone_takes_from_a_mirror_what_it_has_and_stands_alone_then() {
        let folder = tempfile::tempdir().unwrap();
        let (theirs, mirror) = (folder.path().join("theirs"), folder.path().join("mirror.git"));
        git(folder.path(), &["init", "-q", "--initial-branch=main", "theirs"]).unwrap();
        commit(&theirs, "one");
        git(folder.path(), &["clone", "-q", "--mirror", "theirs", "mirror.git"]).unwrap();
        let blob = git(&theirs, &["rev-parse", "main:file"]).unwrap();
        // What is loose in the remote is not there to be sent.
        let (first, rest) = blob.trim().split_at(2);
        fs::remove_file(theirs.join(".git/objects").join(first).join(rest)).unwrap();
        commit(&theirs, "two");
        let url = format!("file://{}", theirs.display());
        for depth in [0, 1] {
            let checkout = Checkout { depth, ..Checkout::default() };
            let repository = Repository { url: url.clone(), checkout, ..Repository::default() };
            let origin = Origin::new(&repository, folder.path().join(format!("origin-{depth}")));
            origin.set_up("", Some(&mirror)).unwrap();
            let held = counted(origin.folder());
            assert_eq!(held, (if depth == 0 { "6" } else { "3" }.to_owned(), false));
            assert_eq!(fs::read_to_string(origin.folder().join("file")).unwrap(), "two");
        }
        // Without the mirror the remote has too little.
        let repository = Repository { url, ..Repository::default() };
        let origin = Origin::new(&repository, folder.path().join("none"));
        assert!(origin.set_up("", None).is_err());
        // One that is broken is named, and then a clone goes without.
        let other = folder.path().join("other");
        git(folder.path(), &["init", "-q", "--initial-branch=main", "other"]).unwrap();
        commit(&other, "three");
        let repository = Repository { url: format!("file://{}", other.display()), ..Repository::default() };
        let origin = Origin::new(&repository, folder.path().join("again"));
        let broken = folder.path().join("broken.git");
        fs::create_dir(&broken).unwrap();
        let said = origin.set_up("", Some(&broken)).unwrap_err();
        assert!(said.starts_with(&format!("with the mirror {}: git clone: ", broken.display())), "{said}");
        assert!(!origin.folder().exists());
        origin.set_up("", Some(&broken)).unwrap();
        assert_eq!(fs::read_to_string(origin.folder().join("file")).unwrap(), "three");
    }
}

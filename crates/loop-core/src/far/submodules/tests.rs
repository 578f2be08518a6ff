use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A repository whose `libs/a` is a submodule, which has one of its own in `deep`, both cloned by the user.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.sh("for name in deep lib app; do git init -q -b main $name; done
            cd deep; echo deep >d; git add -A; git commit -qm deep; cd ..
            cd lib; mkdir src; echo one >src/x; echo built >.gitignore; git add -A
            git submodule --quiet add \"$PWD/../deep\" deep; git commit -qm one; cd ..
            cd app; echo top >top; git add -A; git submodule --quiet add \"$PWD/../lib\" libs/a
            git submodule --quiet update --init --recursive; git commit -qm app");
        fs::create_dir(place.at("checkout")).unwrap();
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn sh(&self, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(self.0.path());
        for (at, (key, value)) in [
            ("user.name", "T"),
            ("user.email", "t@localhost"),
            ("protocol.file.allow", "always"),
            ("advice.addEmbeddedRepo", "false"),
        ]
        .iter()
        .enumerate()
        {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.env("GIT_CONFIG_COUNT", "4").env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn borrowed(&self) -> Result<(), String> {
        let trusted = Trusted::open(&self.at("trusted.git"), "run").unwrap();
        let base = self.sh("git -C app rev-parse main");
        trusted.import(&self.at("app"), &base, "base").unwrap();
        borrow(&Git::user(&self.at("app")), (&trusted, &base), &self.at("submodules.git"))
    }

    /// Files of the checkout of `main` with what is in them.
    fn check_out(&self, how: &str) -> Vec<String> {
        let script = concat!(include_str!("../submodules.sh"), include_str!("../check_out.sh"));
        fs::write(self.at("check_out"), script).unwrap();
        self.sh(&format!(
            "commit=$(git -C app rev-parse main); here=$PWD; cd checkout
            sh ../check_out \"$here/app/.git/objects\" $commit {how} '' \"$here/submodules.git\""
        ));
        self.files()
    }

    fn files(&self) -> Vec<String> {
        let found = self.sh(
            "cd checkout; find . -path ./.git -prune -o ! -type d ! -name .gitmodules -print | LC_ALL=C sort |
            while read -r file; do echo \"${file#./} $(cat $file)\"; done",
        );
        found.lines().map(str::to_owned).collect()
    }
}

const WHOLE: [&str; 4] = ["libs/a/.gitignore built", "libs/a/deep/d deep", "libs/a/src/x one", "top top"];

#[test]
fn a_checkout_has_the_files_of_submodules_whatever_a_gate_has_done_to_them() {
    let place = Place::new();
    place.borrowed().unwrap();
    assert_eq!(place.check_out("all"), WHOLE);
    let time = || fs::metadata(place.at("checkout/libs/a/src/x")).unwrap().modified().unwrap();
    let made = time();
    place.sh(
        "cd checkout/libs/a; echo built >built; echo new >src/new; echo other >.gitignore; rm -r deep; echo file >deep
        git init -q .; ln -s /etc src/link",
    );
    let built = "libs/a/built built";
    assert_eq!(
        place.check_out("all"),
        [WHOLE[0], built, WHOLE[1], WHOLE[2], WHOLE[3]],
        "but for what is ignored, as a build cache"
    );
    assert_eq!(time(), made, "what is as it should be is left alone");
    place.sh("cd checkout/libs/a; echo two >src/x; echo new >src/new");
    let tracked = place.check_out("tracked");
    assert!(tracked.contains(&WHOLE[2].to_owned()) && tracked.contains(&"libs/a/src/new new".to_owned()));
    assert!(place.sh("cd checkout; git status --porcelain").is_empty(), "the folders are as git wants them");
}

#[test]
fn a_gate_cannot_lead_it_elsewhere() {
    let place = Place::new();
    place.borrowed().unwrap();
    place.check_out("all");
    fs::create_dir(place.at("elsewhere")).unwrap();
    for folder in ["checkout/libs/a/deep", "checkout/libs/a/src", "checkout/libs/a", "checkout/libs"] {
        fs::remove_dir_all(place.at(folder)).unwrap();
        symlink(place.at("elsewhere"), place.at(folder)).unwrap();
        assert_eq!(place.check_out("all"), WHOLE, "{folder}");
        assert_eq!(place.sh("ls elsewhere"), "", "{folder}");
    }
    fs::write(place.at("elsewhere/index"), "kept").unwrap();
    symlink(place.at("elsewhere/index"), place.at("checkout/.git/submodule.index")).unwrap();
    assert_eq!(place.check_out("all"), WHOLE);
    assert_eq!(place.sh("cat elsewhere/index"), "kept");
}

#[test]
fn a_commit_that_is_not_at_hand_leaves_an_empty_folder_and_is_named_before_a_run_begins() {
    let place = Place::new();
    place.borrowed().unwrap();
    place.check_out("all");
    place.sh("cd lib; echo two >src/x; git commit -qam two; new=$(git rev-parse HEAD); cd ../app
        git update-index --cacheinfo 160000,$new,libs/a; git commit -qm moved");
    assert_eq!(place.check_out("all"), ["top top"], "not the files of the commit before");
    let reason = place.borrowed().unwrap_err();
    assert!(reason.contains("of the submodule libs/a is not here; run git submodule update"), "{reason}");
    place.sh("cd app/libs/a; git fetch -q");
    place.borrowed().unwrap();
    assert!(place.check_out("all").contains(&"libs/a/src/x two".to_owned()));
    place.sh("rm -rf app/.git/modules/libs/a/modules");
    let reason = place.borrowed().unwrap_err();
    assert!(reason.contains("of the submodule libs/a/deep is not here"), "{reason}");
}

#[test]
fn attributes_that_nobody_committed_change_no_bytes() {
    let place = Place::new();
    place.borrowed().unwrap();
    place.check_out("all");
    for folder in [".", "libs/a"] {
        place.sh(&format!(
            "cd checkout/{folder}; echo '* text eol=crlf' >.gitattributes; find . -type f ! -path '*/.git*' -exec sed -i \
             's/$/\\r/' {{}} +"
        ));
    }
    assert!(place.files().iter().any(|line| line == "libs/a/src/x one\r"));
    assert_eq!(place.check_out("tracked"), WHOLE);
}

#[test]
fn a_submodule_that_cannot_be_read_is_no_empty_folder() {
    let place = Place::new();
    place.borrowed().unwrap();
    place.check_out("all");
    place.sh("rm app/.git/modules/libs/a/objects/$(git -C lib rev-parse main:src/x | sed 's|^..|&/|')");
    place.sh("rm checkout/libs/a/src/x");
    place.sh(&format!(
        "! sh check_out $PWD/app/.git/objects $(git -C app rev-parse main) tracked '' $PWD/submodules.git {}",
        "2>/dev/null"
    ));
}

//! What the sandbox lets through.

use std::fs;
use std::os::unix::fs::symlink;

use loop_core::exec::{Bwrap, Client, HomeOverlay, Sandbox};

use super::support::{bwrap, isolated, request, server, with_argument};

fn said(wanted: &Bwrap, script: &str) -> String {
    let client = Client::start(&server(), &Sandbox::Bubblewrap(wanted.clone())).unwrap();
    let ran = client.capture(&request(script), &|| false, 10_000).unwrap();
    assert_eq!(ran.outcome.spawn_error, None);
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn only_what_is_writable_can_be_written() {
    if !isolated() {
        return;
    }
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outside = fs::canonicalize(env!("CARGO_MANIFEST_DIR")).unwrap();
    let wanted = bwrap(folder.path());
    let (here, tmp, out) = (folder.path().display(), other.path().display(), outside.display());
    // `test -w` asks without writing: a hole must be found without going through it.
    let script = format!(
        "for f in / /etc /usr /var /root /home /run /sys /sys/fs/cgroup {out} /proc/sys/kernel \
           /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches; do test -w $f && echo $f; done
         touch {out}/escaped 2>&- && echo wrote
         mount -o remount,rw,bind / 2>&- && echo remounted
         umount /tmp 2>&- && echo unmounted
         unshare -Urm sh -c 'mount -o remount,rw,bind / || umount /tmp' 2>&- && echo unshared
         mkdir -p {tmp} && touch {tmp}/private /var/tmp/too /dev/shm/x || echo no tmp
         touch {here}/mine || echo not writable
         grep -E 'Cap(Eff|Prm|Inh)' /proc/self/status | grep -v 0000000000000000
         cat /proc/1/environ 2>&- | tr '\\0' '\\n' | grep . && echo readable
         readlink /proc/1/exe && echo traced"
    );
    assert_eq!(said(&wanted, &script), "");
    assert!(!outside.join("escaped").exists());
    assert!(folder.path().join("mine").exists());
    assert!(!other.path().join("private").exists(), "/tmp is its own");
    assert!(wanted.tmp.join("too").exists());
}

#[test]
fn hidden_looks_empty_but_for_what_is_exposed_again() {
    if !isolated() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for name in ["secret", "shared", "work"] {
        fs::create_dir_all(data.join(name)).unwrap();
        fs::write(data.join(name).join("file"), name).unwrap();
    }
    let wanted = Bwrap {
        hidden: vec![data.clone()],
        readable: vec![data.join("shared"), data.join("missing")],
        writable: vec![data.join("work")],
        ..bwrap(folder.path())
    };
    let script = format!(
        "cd {}; ls; cat shared/file; echo x 2>&- >shared/file; echo y >work/new; ls secret 2>&-",
        data.display()
    );
    assert_eq!(said(&wanted, &script), "shared\nwork\nshared");
    assert_eq!(fs::read_to_string(data.join("shared/file")).unwrap(), "shared");
    assert_eq!(fs::read_to_string(data.join("work/new")).unwrap(), "y\n");
}

#[test]
fn the_home_is_private_over_a_readable_real_one() {
    if !isolated() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (real, private) = (folder.path().join("home"), folder.path().join("private"));
    fs::create_dir_all(real.join("config/login")).unwrap();
    fs::create_dir_all(private.join("config/login")).unwrap();
    fs::write(real.join("profile"), "real").unwrap();
    symlink("profile", real.join("link")).unwrap();
    let home = HomeOverlay {
        real: real.clone(),
        private: private.clone(),
        fresh_parts: vec!["config/login".into(), "config/none".into()],
    };
    let tmp = folder.path().join("tmp");
    fs::create_dir_all(&tmp).unwrap();
    let wanted = Bwrap { home: Some(home), tmp, ..Bwrap::default() };
    let script = format!(
        "cd {}; cat link; echo bad 2>&- >profile; touch 2>&- config/no; rm -f 2>&- profile
         touch config/login/token new; ls -A",
        real.display()
    );
    // Twice: the mount points of the first time are there the second.
    for listed in [4, 4] {
        let said = said(&wanted, &script);
        assert!(said.starts_with("real") && said.lines().count() == listed, "{said}");
    }
    assert_eq!(fs::read_to_string(real.join("profile")).unwrap(), "real");
    assert!(private.join("config/login/token").exists() && !real.join("config/login/token").exists());
    assert!(!real.join("config/no").exists());
    assert!(private.join("new").exists() && !real.join("new").exists());
}

#[test]
fn no_process_of_the_sandbox_is_left() {
    if !isolated() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wanted = bwrap(folder.path());
    let tmp = wanted.tmp.to_str().unwrap().to_owned();
    let client = Client::start(&server(), &Sandbox::Bubblewrap(wanted)).unwrap();
    // bubblewrap's own process has the folder among its arguments.
    assert_eq!(with_argument(&tmp).len(), 1);
    drop(client);
    assert!(with_argument(&tmp).is_empty());
}

#[test]
fn a_sandbox_that_cannot_be_made_says_why() {
    let wanted = Bwrap { tmp: "/nowhere".into(), ..Bwrap::default() };
    let error = Client::start(&server(), &Sandbox::Bubblewrap(wanted)).unwrap_err();
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

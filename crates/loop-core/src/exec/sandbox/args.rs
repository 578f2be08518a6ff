//! bubblewrap's arguments; each mount lies on top of those before it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Bwrap, HomeOverlay};

/// What is the same for everything, and enough to try whether bubblewrap works.
///
/// `--dev` brings a private `/dev/shm` too. `/proc/sys` needs its own read-only mount: as root
/// bubblewrap leaves it writable even without capabilities, and `core_pattern` there makes the
/// kernel run a program outside. Capabilities are kept by root unless all are dropped.
pub(super) const BASE: [&str; 19] = [
    "--unshare-pid",
    "--unshare-ipc",
    "--as-pid-1",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--chdir",
    "/",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--ro-bind",
    "/proc/sys",
    "/proc/sys",
];

/// Where sockets lie that give away the machine to whoever may connect.
const SOCKETS: [&str; 10] = [
    "/run/docker.sock",
    "/run/podman",
    "/run/containerd",
    "/run/crio",
    "/run/k3s",
    "/run/libvirt",
    "/run/dbus",
    "/run/user",
    "/run/systemd/private",
    "/run/snapd.socket",
];

/// Where the far side's own program is put: no mask can lie over it there.
const PROGRAM: &str = "/dev/.loop-exec";

/// All arguments up to and including the program.
pub(super) fn args(wanted: &Bwrap, exe: &Path) -> Result<Vec<OsString>, String> {
    let mut args = Args(BASE.iter().map(OsString::from).collect());
    let tmp = existing(&wanted.tmp)?;
    args.mount("--bind", &tmp, Path::new("/tmp"));
    // Where it is a link to /tmp it is bound already.
    if fs::canonicalize("/var/tmp").is_ok_and(|path| path == Path::new("/var/tmp")) {
        args.mount("--bind", &tmp, Path::new("/var/tmp"));
    }
    if let Some(home) = &wanted.home {
        args.home(home)?;
    }
    for path in SOCKETS.iter().map(Path::new).chain(wanted.hidden.iter().map(PathBuf::as_path)) {
        args.mask(path);
    }
    for (option, paths) in [("--ro-bind", &wanted.readable), ("--bind", &wanted.writable)] {
        for path in paths.iter().filter_map(|path| path.canonicalize().ok()) {
            args.mount(option, &path, &path);
        }
    }
    for mount in &wanted.mounts {
        let option = if mount.writable { "--bind" } else { "--ro-bind" };
        args.mount(option, &existing(&mount.from)?, &mount.to);
    }
    args.mount("--ro-bind", exe, Path::new(PROGRAM));
    args.0.extend(["--".into(), PROGRAM.into()]);
    Ok(args.0)
}

struct Args(Vec<OsString>);

impl Args {
    fn mount(&mut self, option: &str, from: &Path, to: &Path) {
        self.0.extend([option.into(), from.into(), to.into()]);
    }

    fn mask(&mut self, path: &Path) {
        let Ok(path) = path.canonicalize() else { return };
        if path.is_dir() {
            self.0.extend(["--tmpfs".into(), path.into()]);
        } else {
            self.mount("--ro-bind", Path::new("/dev/null"), &path);
        }
    }

    fn home(&mut self, home: &HomeOverlay) -> Result<(), String> {
        let (real, private) = (existing(&home.real)?, existing(&home.private)?);
        if real == Path::new("/") {
            return Err("the home directory is /, which cannot be replaced".into());
        }
        self.mount("--bind", &private, &real);
        let explain = |error| format!("{}: {error}", real.display());
        let entries: Result<Vec<_>, _> = fs::read_dir(&real).map_err(explain)?.collect();
        let mut entries: Vec<PathBuf> =
            entries.map_err(explain)?.into_iter().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            let ours = private.join(entry.file_name().unwrap_or_default());
            let mine = fs::symlink_metadata(&ours).map(|meta| meta.file_type());
            if let Ok(target) = fs::read_link(&entry) {
                if mine.is_err() {
                    self.mount("--symlink", &target, &entry);
                }
            } else if mine.map_or(true, |mine| !mine.is_symlink() && mine.is_dir() == entry.is_dir()) {
                self.mount("--ro-bind", &entry, &entry);
            }
        }
        for part in &home.fresh_parts {
            if let (Ok(place), Ok(fresh)) =
                (real.join(part).canonicalize(), private.join(part).canonicalize())
            {
                self.mount("--bind", &fresh, &place);
            }
        }
        Ok(())
    }
}

// A mount point that is a link would be followed in the wrong root.
fn existing(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn triples(args: &[OsString], option: &str) -> Vec<(PathBuf, PathBuf)> {
        args.windows(3)
            .filter(|args| args[0] == option)
            .map(|args| (PathBuf::from(&args[1]), PathBuf::from(&args[2])))
            .collect()
    }

    #[test]
    fn masks_come_before_what_is_exposed_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["tmp", "data/specs", "work"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let wanted = Bwrap {
            home: None,
            tmp: root.join("tmp"),
            hidden: vec![root.join("data"), root.join("missing")],
            readable: vec![root.join("data/specs"), root.join("missing")],
            writable: vec![root.join("work")],
            mounts: Vec::new(),
        };
        let args = args(&wanted, Path::new("/bin/sh")).unwrap();
        let at = |text: &Path| args.iter().position(|arg| arg == text.as_os_str()).unwrap();
        assert!(at(Path::new("/tmp")) < at(&root.join("data")));
        assert!(at(&root.join("data")) < at(&root.join("data/specs")));
        assert!(at(&root.join("data/specs")) < at(&root.join("work")));
        assert!(!args.iter().any(|arg| arg == root.join("missing").as_os_str()));
        assert_eq!(args[args.len() - 2..], ["--", PROGRAM].map(OsString::from));
    }

    #[test]
    fn home_entries_are_bound_unless_private_ones_win() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (real, private) = (root.join("real"), root.join("private"));
        for name in ["real/dir", "real/rw", "real/clash", "private/rw"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(private.join("clash"), "").unwrap();
        symlink("dir", real.join("link")).unwrap();
        symlink("dir", real.join("old-link")).unwrap();
        symlink("dir", private.join("old-link")).unwrap();
        let home = HomeOverlay {
            real: real.clone(),
            private: private.clone(),
            fresh_parts: vec!["rw".into(), "none".into()],
        };
        let mut args = Args(Vec::new());
        args.home(&home).unwrap();
        let same = |name: &str| (real.join(name), real.join(name));
        assert_eq!(triples(&args.0, "--ro-bind"), [same("dir"), same("rw")]);
        assert_eq!(triples(&args.0, "--symlink"), [("dir".into(), real.join("link"))]);
        let fresh = (private.join("rw"), real.join("rw"));
        assert_eq!(triples(&args.0, "--bind"), [(private, real.clone()), fresh]);
        assert!(Args(Vec::new()).home(&HomeOverlay { real: "/".into(), ..home }).is_err());
    }
}

//! Volumes that a test brings.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::place::Place;

/// A volume of the test cluster's own, gone with the test.
pub(super) struct Disk<'a> {
    place: &'a Place,
    /// Where it is.
    pub(super) folder: PathBuf,
    /// Whether there is a file system of its own in the folder.
    mounted: bool,
}

impl<'a> Disk<'a> {
    /// In a folder of the machine; with a `size`, in memory, and no larger than that.
    pub(super) fn new(place: &'a Place, size: Option<&str>) -> Self {
        let name = &place.namespace;
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let disk = Self { place, folder, mounted: size.is_some() };
        if let Some(size) = size {
            assert!(disk.on_the_node(&["mount", "-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]));
        }
        let node = place.must(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
        place.apply(&format!(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}}}\nspec:\n  capacity: {{storage: 1Gi}}\n  \
             accessModes: [ReadWriteOnce, ReadWriteMany]\n  storageClassName: {name}\n  local: {{path: {}}}\n  nodeAffinity: {{required: \
             {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]}}]}}}}\n",
            disk.folder.display()
        ));
        disk
    }

    /// What a run says to have its checkpoints there.
    pub(super) fn checkpoint(&self) -> String {
        let name = &self.place.namespace;
        format!("  checkpoint: {{store: Volume, volume: {{size: 1Gi, storageClassName: {name}}}}}\n")
    }

    /// Whether a command about the folder succeeds, where the node sees it.
    fn on_the_node(&self, command: &[&str]) -> bool {
        let run = std::env::var("LOOP_CLUSTER_RUN").unwrap_or_default();
        let run = run.replace("--net=", "--mount=").replace("/ns/net", "/ns/mnt");
        let words: Vec<&str> = run.split_whitespace().chain(command.iter().copied()).collect();
        let done = Command::new(words[0]).args(&words[1..]).arg(&self.folder).status();
        done.is_ok_and(|done| done.success())
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        self.place.kubectl(&["delete", "persistentvolume", &self.place.namespace, "--wait=false"], "");
        if self.mounted {
            // Best effort, as everything here: what is mounted ends with the node.
            let _ = self.on_the_node(&["umount", "--lazy"]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

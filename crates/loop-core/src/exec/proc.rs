//! The process table, read from `/proc`; empty where there is none.

use std::collections::HashMap;
use std::fs;

/// Pids of all processes that `/proc` shows.
pub(super) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Parent of a process, and whether the process is still alive (a zombie is not).
pub(super) fn parent(pid: i32) -> Option<(i32, bool)> {
    let (state, parent) = stat(pid)?;
    Some((parent, !matches!(state, 'Z' | 'X' | 'x')))
}

/// Whether a process was stopped by a signal or a debugger, and does nothing until it is woken.
pub fn is_suspended(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| matches!(state, 'T' | 't'))
}

/// Pages of memory that a process has.
pub(super) fn resident(pid: i32) -> Option<u64> {
    fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()
}

/// State and parent of a process.
fn stat(pid: i32) -> Option<(char, i32)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Living descendants of `root`, without the subtrees below `spared`.
pub(super) fn descendants(root: i32, spared: &[i32]) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    for pid in pids() {
        if let Some((parent, alive)) = parent(pid) {
            children.entry(parent).or_default().push((pid, alive));
        }
    }
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(pid) = open.pop() {
        for (child, alive) in children.remove(&pid).unwrap_or_default() {
            if spared.contains(&child) {
                continue;
            }
            open.push(child);
            if alive {
                found.push(child);
            }
        }
    }
    found
}

/// Children of `root` that are dead and not yet reaped.
pub(super) fn dead_children(root: i32) -> Vec<i32> {
    let dead = |pid: &i32| parent(*pid).is_some_and(|(parent, alive)| parent == root && !alive);
    pids().into_iter().filter(dead).collect()
}

// The name between the parentheses is the process's own choice: only the last one closes it.
fn parse_stat(stat: &str) -> Option<(char, i32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_forge_its_parent() {
        assert_eq!(parse_stat("5 (a) Z 1 (b)) S 42 5 5 0"), Some(('S', 42)));
        assert_eq!(parse_stat("5 (sh) Z 1 5"), Some(('Z', 1)));
        assert_eq!(parse_stat("5 (sh"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_is_a_descendant_unless_spared() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (me, pid) = (std::process::id() as i32, child.id() as i32);
        assert!(descendants(me, &[]).contains(&pid));
        assert!(!descendants(me, &[pid]).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants(me, &[]).contains(&pid));
    }
}

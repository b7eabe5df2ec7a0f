//! The memory of this machine, or the part of it that this process was given. Counts nothing but what the kernel does.

use burst_host::ports::Memory;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One in so many bytes is for what nobody counted: guests, requests, and what allocators hold back.
const RESERVE: u64 = 8;

/// What this process may hold, and how much of that it does.
pub struct Machine {
    pub limit_bytes: u64,
    /// What sets the limit, for people.
    pub source: String,
}

impl Machine {
    /// The limit that was asked for, that of the control group, or all that the machine has: whichever is least.
    pub fn new(wanted: Option<u64>) -> Self {
        let wanted = wanted.map(|bytes| (bytes, "memory_max_bytes".to_owned()));
        let machine = field("/proc/meminfo", "MemTotal").map(|bytes| (bytes, "the machine".to_owned()));
        let limits = wanted.into_iter().chain(group(Path::new("/"))).chain(machine);
        let (limit_bytes, source) = limits.min().unwrap_or((u64::MAX, "nothing that this system tells".into()));
        Self { limit_bytes, source }
    }
}

impl Memory for Machine {
    fn room_bytes(&self) -> u64 {
        let held = field("/proc/self/status", "VmRSS").unwrap_or(0);
        (self.limit_bytes - self.limit_bytes / RESERVE).saturating_sub(held)
    }
}

/// The value of a line `key: 16 kB`, in bytes.
fn field(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of this process's control group and those above it; `None` where there is none.
fn group(root: &Path) -> Option<(u64, String)> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    groups.lines().filter_map(|line| limit(root, line)).min()
}

/// The limit behind a line `hierarchy:controllers:path` of `/proc/self/cgroup`.
///
/// Source: cgroups(7). Version 2 has one hierarchy, 0, without controllers; in version 1 memory has its own.
fn limit(root: &Path, line: &str) -> Option<(u64, String)> {
    let mut parts = line.splitn(3, ':');
    let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (mount, file) = match controllers {
        "" if hierarchy == "0" => ("sys/fs/cgroup", "memory.max"),
        controllers if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    // Inside a container the path may be that of the host, of which only the end is mounted.
    let mount = root.join(mount);
    let own: PathBuf = mount.join(path.trim_start_matches('/'));
    let above = own.ancestors().take_while(|group| group.starts_with(&mount));
    let found = above.filter_map(|group| {
        let bytes: u64 = fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()?;
        Some((bytes, format!("{file} of its control group")))
    });
    found.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files, and what it says.
    fn check(files: &[(&str, &str)], expected: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(group(root.path()).map(|(bytes, _)| bytes), expected, "{files:?}");
    }

    #[test]
    fn the_least_limit_of_all_groups_above_holds() {
        check(&[], None);
        let v2 = ("proc/self/cgroup", "0::/a/b\n");
        check(&[v2, ("sys/fs/cgroup/a/b/memory.max", "max\n")], None);
        check(&[v2, ("sys/fs/cgroup/a/b/memory.max", "4096\n")], Some(4096));
        let above = ("sys/fs/cgroup/a/memory.max", "1024\n");
        check(&[v2, above, ("sys/fs/cgroup/a/b/memory.max", "4096\n")], Some(1024));
        // The path is the host's, the mount the container's.
        check(&[v2, ("sys/fs/cgroup/memory.max", "2048\n")], Some(2048));
        let v1 = ("proc/self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/a\n0::/\n");
        check(&[v1, ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "512\n")], Some(512));
        check(&[("proc/self/cgroup", "nonsense\n4:memory\n")], None);
    }

    #[test]
    fn what_is_wanted_is_no_more_than_there_is() {
        assert!(Machine::new(None).limit_bytes > 1 << 20);
        assert_eq!(Machine::new(Some(4096)).limit_bytes, 4096);
        assert_eq!(Machine::new(Some(u64::MAX)).limit_bytes, Machine::new(None).limit_bytes);
        assert_eq!(Machine::new(Some(4096)).room_bytes(), 0);
    }
}

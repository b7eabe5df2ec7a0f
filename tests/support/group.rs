//! A memory control group, and what a process took that ran in it.

use super::burst::by_shell;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// Gone when dropped.
pub struct Group {
    directory: PathBuf,
    files: &'static Files,
}

/// What a version of control groups calls things.
struct Files {
    root: &'static str,
    limit: &'static str,
    peak: &'static str,
    kills: &'static str,
}

const VERSIONS: [Files; 2] = [
    Files { root: "/sys/fs/cgroup", limit: "memory.max", peak: "memory.peak", kills: "memory.events" },
    Files {
        root: "/sys/fs/cgroup/memory",
        limit: "memory.limit_in_bytes",
        peak: "memory.max_usage_in_bytes",
        kills: "memory.oom_control",
    },
];

/// How a process ended, and what it took.
#[derive(Debug)]
pub struct Ran {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
    /// What came from the disk.
    pub read_bytes: u64,
    /// The most that was resident of the process.
    pub resident_bytes: u64,
}

impl Group {
    /// A group of so many bytes. Where none can be made a test is skipped here, and fails in CI.
    pub fn new(limit_bytes: u64) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("burst-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let made = VERSIONS.iter().find_map(|files| {
            let group = Self { directory: Path::new(files.root).join(&name), files };
            fs::create_dir(&group.directory).ok()?;
            // Somebody else's directory would take a file of that name too.
            let limit = group.directory.join(files.limit);
            let set = limit.exists() && fs::write(limit, limit_bytes.to_string()).is_ok();
            set.then_some(group)
        });
        assert!(made.is_some() || std::env::var_os("CI").is_none(), "CI can't make a memory control group");
        if made.is_none() {
            eprintln!("skipped: no memory control group can be made here; root can");
        }
        made
    }

    /// Runs a command in it to its end.
    pub fn run(&self, command: &Command) -> Ran {
        let group = self.directory.join("cgroup.procs");
        let mut inside = by_shell(command, r#"echo $$ > "$0" && exec "$@""#, group.as_ref());
        ran(&mut inside)
    }

    /// The most that the group held, pages of files too.
    pub fn peak_bytes(&self) -> u64 {
        self.read(self.files.peak).trim().parse().unwrap()
    }

    /// Processes that were killed because there was no memory.
    pub fn kills(&self) -> u64 {
        let text = self.read(self.files.kills);
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap().trim().parse().unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.join(file)).unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Runs a command to its end, wherever it runs.
// `wait4` waits for it, and tells what it took.
#[allow(clippy::zombie_processes)]
pub fn ran(command: &mut Command) -> Ran {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let pid = child.id();
    let resident = thread::spawn(move || resident_bytes(pid));
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let mut status = 0;
    // SAFETY: plain numbers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: waits for a child that this function owns; both pointers are to values that live until it returns.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    assert_eq!(waited, child.id() as i32);
    Ran {
        success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        stdout,
        stderr: stderr.join().unwrap(),
        // The kernel counts in blocks of 512 bytes what `/proc/<pid>/io` calls `read_bytes`.
        read_bytes: usage.ru_inblock as u64 * 512,
        resident_bytes: resident.join().unwrap(),
    }
}

/// The most that a process holds until it ends. The kernel's own count for those who wait begins before `exec`: with
/// what this process holds.
fn resident_bytes(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let most = || {
        let text = fs::read_to_string(&path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let mut kilobytes = 0;
    while let Some(more) = most() {
        kilobytes = more;
        thread::sleep(Duration::from_millis(2));
    }
    kilobytes * 1024
}

/// Lets the caches forget the files of a directory: what somebody else has cached costs a group nothing.
pub fn evict(directory: &Path) {
    use std::os::fd::AsRawFd;
    for file in fs::read_dir(directory).unwrap().map(|entry| fs::File::open(entry.unwrap().path()).unwrap()) {
        file.sync_all().unwrap();
        // SAFETY: a hint about a descriptor that is open; it touches no memory of ours.
        assert_eq!(unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) }, 0);
    }
}

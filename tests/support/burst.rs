//! `burst` as a process.

use super::root;
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

/// A running `burst serve`; killed when dropped.
pub struct Burst {
    pub child: Child,
    pub http: SocketAddr,
    pub metrics: SocketAddr,
    cache: Option<tempfile::TempDir>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Burst {
    /// A command with a cache of its own, so that tests don't meet.
    pub fn command(cache: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_burst"));
        command.current_dir(root()).env("XDG_CACHE_HOME", cache).env("NO_COLOR", "1").stdin(Stdio::null());
        // Which accelerator `auto` chooses must not hang on the environment.
        command.env_remove("ORT_DYLIB_PATH");
        command
    }

    /// Runs a sub-command to its end.
    pub fn run(arguments: &[&str]) -> Output {
        let cache = tempfile::tempdir().unwrap();
        Self::command(cache.path()).args(arguments).output().unwrap()
    }

    /// Serves a manifest on free ports and waits until it says so.
    pub fn serve(manifest: &Path) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let mut burst = Self::serve_with_cache(manifest, cache.path());
        burst.cache = Some(cache);
        burst
    }

    pub fn serve_with_cache(manifest: &Path, cache: &Path) -> Self {
        Self::started(Self::serving(manifest, cache))
    }

    /// The same where the process may have no more address space (`ulimit -v`).
    pub fn serve_in_address_space(manifest: &Path, bytes: u64) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let command = in_address_space(&Self::serving(manifest, cache.path()), bytes);
        let mut burst = Self::started(command);
        burst.cache = Some(cache);
        burst
    }

    fn serving(manifest: &Path, cache: &Path) -> Command {
        let mut command = Self::command(cache);
        command.args(["serve", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]).arg(manifest);
        command
    }

    fn started(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, addresses) = mpsc::channel();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = lines.clone();
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                eprintln!("burst: {line}");
                kept.lock().unwrap().push(line.clone());
                if let (Some(http), Some(metrics)) = (field(&line, "http="), field(&line, "metrics=")) {
                    let _ = sender.send((http, metrics));
                }
            }
        });
        let Ok((http, metrics)) = addresses.recv_timeout(Duration::from_secs(120)) else {
            let _ = child.kill();
            panic!("burst serve did not start");
        };
        Self { child, http, metrics, cache: None, log: lines }
    }

    /// Lines of the log that hold all of these words, once there are some; none after five seconds.
    pub fn logged(&self, words: &[&str]) -> Vec<String> {
        for _ in 0..100 {
            let all = self.log.lock().unwrap().clone();
            let found: Vec<_> = all.into_iter().filter(|line| words.iter().all(|word| line.contains(word))).collect();
            if !found.is_empty() {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Vec::new()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: signals a child that this value owns and has not waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// The body of a GET, and its status.
    pub fn get(&self, path: &str) -> (u16, String) {
        Self::get_at(self.http, path)
    }

    /// The same on the port for metrics.
    pub fn get_metrics(&self) -> (u16, String) {
        Self::get_at(self.metrics, "/metrics")
    }

    fn get_at(address: SocketAddr, path: &str) -> (u16, String) {
        request(address, &format!("GET {path} HTTP/1.1\r\nhost: burst\r\nconnection: close\r\n\r\n"), b"")
    }

    /// The answer to a POST of JSON.
    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: burst\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        request(self.http, &head, body.as_bytes())
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command in a process that may have no more address space (`ulimit -v`).
pub fn in_address_space(command: &Command, bytes: u64) -> Command {
    by_shell(command, r#"ulimit -v "$0" && exec "$@""#, (bytes >> 10).to_string().as_ref())
}

/// A command as a shell starts it by a script, with an argument of the script's own.
pub fn by_shell(command: &Command, script: &str, argument: &OsStr) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(argument).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    command.get_current_dir().map(|directory| shell.current_dir(directory));
    shell
}

fn field(line: &str, name: &str) -> Option<SocketAddr> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name))?.parse().ok()
}

/// Sends bytes and reads to the end: status and body.
pub fn request(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // Both at once, as clients do. A server that refuses may close before it has read everything.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

/// A Python that has the packages of `tests/requirements.txt`. Without one a test is skipped here, and fails in CI.
pub fn python() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("BURST_PYTHON").unwrap_or_else(|| "python3".into()));
    let probe = Command::new(&python).args(["-c", "import numpy, tritonclient.http"]).output();
    if probe.is_ok_and(|probe| probe.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "CI has no Python with tests/requirements.txt; see BURST_PYTHON");
    eprintln!("skipped: no Python with tests/requirements.txt; `just test` brings one");
    None
}

/// Whether lavapipe is installed. Without it a test is skipped here, and fails in CI.
pub fn llvmpipe() -> bool {
    let files = std::fs::read_dir("/usr/share/vulkan/icd.d").into_iter().flatten().flatten();
    let found = files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("lvp_icd"));
    assert!(found || std::env::var_os("CI").is_none(), "CI has no lavapipe; `just test` installs it");
    if !found {
        eprintln!("skipped: no lavapipe; `just test` installs it");
    }
    found
}

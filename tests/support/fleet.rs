//! Nodes of a cluster on this box, each a process, and an operator with a key.

use super::{Burst, guest, probe, request, root};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Processes that serve what is deployed to them; the operator's key is `operator.key`, a stranger's `stranger.key`.
pub struct Fleet {
    directory: TempDir,
    pub nodes: Vec<Node>,
}

pub struct Node {
    pub burst: Option<Burst>,
    /// Where other nodes reach it.
    port: u16,
    /// Further lines of its `[cluster]`.
    rest: String,
}

impl Fleet {
    pub fn start(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        keys(directory.path());
        let mut fleet = Self { directory, nodes: Vec::new() };
        (0..count).for_each(|_| fleet.join(""));
        (0..count).for_each(|node| fleet.meet(node));
        fleet
    }

    /// Waits until a node knows all others.
    pub fn meet(&self, node: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        let head = "GET /burst/nodes HTTP/1.1\r\nhost: burst\r\nconnection: close\r\n\r\n";
        let knows =
            |text: &str| (0..self.nodes.len()).all(|node| text.contains(&format!("\"{}\":{{", Self::name(node))));
        while !knows(&request(self.burst(node).metrics, head, b"").1) {
            assert!(Instant::now() < until, "node {node} does not see all others");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// One more node.
    pub fn join(&mut self, rest: &str) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.nodes.push(Node { burst: None, port, rest: rest.into() });
        self.run(self.nodes.len() - 1);
    }

    /// Starts a node, again if it was there before.
    pub fn run(&mut self, node: usize) {
        let Node { port, rest, .. } = &self.nodes[node];
        let join: Vec<_> = self.nodes[..node].iter().map(|other| format!("tcp/127.0.0.1:{}", other.port)).collect();
        let text = format!(
            "accelerator = \"cpu\"\n[cluster]\nnode = \"{}\"\nlisten = [\"tcp/127.0.0.1:{port}\"]\njoin = {join:?}\n\
             deployers = [\"operator.pub\"]\n{rest}\n",
            Self::name(node)
        );
        let manifest = self.path(&format!("{node}.toml"));
        fs::write(&manifest, text).unwrap();
        self.nodes[node].burst = Some(Burst::serve_with_cache(&manifest, &self.path(&format!("cache-{node}"))));
    }

    pub fn stop(&mut self, node: usize) {
        self.nodes[node].burst = None;
    }

    pub fn name(node: usize) -> String {
        format!("{}.hall", ["one", "two", "three", "four"][node])
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub fn burst(&self, node: usize) -> &Burst {
        self.nodes[node].burst.as_ref().unwrap()
    }

    /// Writes a manifest whose guest `a` is a component.
    pub fn manifest(&self, component: &str, rest: &str) -> PathBuf {
        release(self.directory.path(), component, rest)
    }

    /// `burst deploy` with these arguments, by way of a node.
    pub fn deploy(&self, node: usize, arguments: &[&str]) -> Output {
        let metrics = self.burst(node).metrics.to_string();
        let mut command = Burst::command(&self.path("cache-operator"));
        command.current_dir(self.directory.path()).args(["deploy", "--seconds", "60", "--metrics", &metrics]);
        command.args(arguments).output().unwrap()
    }

    /// Deploys a component to all nodes, signed, and it has to work.
    pub fn deployed(&self, node: usize, component: &str) -> String {
        let manifest = self.manifest(component, "");
        told(self.deploy(node, &["--cluster", "--key", "operator.key", manifest.to_str().unwrap()]), true)
    }

    /// What a node's guest `a` says it is; the status where it says nothing.
    pub fn version(&self, node: usize) -> Result<String, (u16, String)> {
        version(self.burst(node).post("/v2/models/a/infer", BODY))
    }

    /// Waits until a node serves a version.
    pub fn until(&self, node: usize, output: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.version(node).as_deref() != Ok(output) {
            assert!(Instant::now() < until, "node {node} does not serve `{output}` but {:?}", self.version(node));
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A request that every version takes.
pub const BODY: &str = r#"{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[7]},{"name":"image","datatype":"FP32","shape":[1,1,8,8],"data":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}]}"#;

/// The name of an answer's output.
pub fn version((status, body): (u16, String)) -> Result<String, (u16, String)> {
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let name = json["outputs"][0]["name"].as_str().map(str::to_owned);
    name.filter(|_| status == 200).ok_or((status, body))
}

/// What a process told, which had to succeed or not.
pub fn told(output: Output, success: bool) -> String {
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(output.status.success(), success, "{text}");
    eprintln!("{text}");
    text
}

/// `<component>.toml` in a directory, and what it names. The answers of `echo`, `digits` and `prepare-counts` are called
/// `y`, `probabilities` and `prepared`.
pub fn release(directory: &Path, component: &str, rest: &str) -> PathBuf {
    let file = if component.starts_with("prepare") { probe(component) } else { guest(component) };
    fs::copy(root().join(file), directory.join(format!("{component}.wasm"))).unwrap();
    let mut text = format!("[guests.a]\ncomponent = \"{component}.wasm\"\nlimits.deadline_ms = 30000\n{rest}\n");
    if component == "digits" {
        fs::copy(root().join("guests/digits/model/digits.onnx"), directory.join("digits.onnx")).unwrap();
        text += "models.digits = \"digits.onnx\"\n";
    }
    let manifest = directory.join(format!("{component}.toml"));
    fs::write(&manifest, text).unwrap();
    manifest
}

/// Keys as the operators' guide says.
pub fn keys(directory: &Path) {
    for name in ["operator", "stranger"] {
        let openssl = |arguments: &[&str]| {
            assert!(Command::new("openssl").args(arguments).current_dir(directory).status().unwrap().success());
        };
        let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &key]);
        openssl(&["pkey", "-in", &key, "-pubout", "-out", &public]);
    }
}

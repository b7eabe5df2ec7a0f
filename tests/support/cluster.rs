//! A cluster of processes, each in a network of its own.

use super::{Burst, net::Net, papers, request, root};
use burst_adapters::api::nodes::Listing;
use burst_host::nouns::{NodeNews, Stage};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A cluster of processes that spread a model.
pub struct Cluster {
    pub net: Arc<Net>,
    directory: TempDir,
    served: Served,
    ways: Ways,
    /// From node 1 on.
    pub processes: Vec<Option<Child>>,
}

/// What every node serves, as the guest `guest`.
pub struct Served {
    /// A cut model; it is `model` to the guest.
    pub model: TempDir,
    pub component: PathBuf,
    /// What the manifest says of the guest.
    pub guest: &'static str,
    /// What each node has for fragments.
    pub memory_bytes: u64,
}

/// How the nodes are connected.
pub enum Ways {
    /// Each reaches every other one.
    All,
    /// The second and the third reach only the first, which passes on what they say; only the second one has the guest.
    OverTheFirst,
}

pub const NAMES: [&str; 3] = ["one.hall", "two.hall", "three.hall"];
/// Those, and one that comes and goes.
const MEMBERS: [&str; 4] = ["one.hall", "two.hall", "three.hall", "guest.hall"];

impl Cluster {
    pub fn serving(served: Served) -> Option<Self> {
        Self::connected(Ways::All, served)
    }

    pub fn connected(ways: Ways, served: Served) -> Option<Self> {
        let net = Arc::new(Net::new(NAMES.len())?);
        if matches!(ways, Ways::OverTheFirst) {
            net.cut([2, 3], true);
        }
        let directory = tempfile::tempdir().unwrap();
        papers::issue(directory.path(), &MEMBERS);
        copy(served.model.path(), &directory.path().join("model"));
        fs::copy(&served.component, directory.path().join("guest.wasm")).unwrap();
        let mut cluster = Self { net, directory, served, ways, processes: NAMES.iter().map(|_| None).collect() };
        (1..=NAMES.len()).for_each(|node| cluster.run(node));
        Some(cluster)
    }

    /// The cut model.
    pub fn model(&self) -> PathBuf {
        self.directory.path().join("model")
    }

    /// A manifest with which a process beside the first node joins.
    pub fn way_in(&self) -> PathBuf {
        let manifest = self.directory.path().join("way-in.toml");
        fs::write(&manifest, Self::place("guest.hall", &format!("{}:7448", Net::address(1)), 1)).unwrap();
        manifest
    }

    /// The place of a node that joins so many others.
    fn place(name: &str, address: &str, others: usize) -> String {
        let join: Vec<_> = (1..=others).map(|other| format!("quic/{}:7447", Net::address(other))).collect();
        format!(
            r#"
            [cluster]
            node = "{name}"
            listen = ["quic/{address}"]
            join = {join:?}
            members = {MEMBERS:?}
            tls = {{ authority = "authority.pem", certificate = "{name}.pem", key = "{name}.key" }}
            "#
        )
    }

    fn manifest(&self, node: usize) -> String {
        let (routers, serves) = match self.ways {
            Ways::All => ("", true),
            Ways::OverTheFirst => ("routers = [\"one.hall\"]", node == 2),
        };
        let guest = format!("[guests.guest]\ncomponent = \"guest.wasm\"\n{}", self.served.guest);
        format!(
            r#"
            accelerator = "cpu"
            server = {{ http = "127.0.0.1:8000", metrics = "127.0.0.1:8002" }}
            {place}
            {routers}
            memory_max_bytes = {memory}
            {guest}
            "#,
            place = Self::place(NAMES[node - 1], &format!("{}:7447", Net::address(node)), node - 1),
            memory = self.served.memory_bytes,
            guest = if serves { &guest } else { "" },
        )
    }

    /// A command among the sockets of a node.
    pub fn command(&self, node: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.net.name(node)]).arg(program).current_dir(root()).stdin(Stdio::null());
        command
    }

    /// Starts a node.
    pub fn run(&mut self, node: usize) {
        let manifest = self.directory.path().join(format!("{node}.toml"));
        fs::write(&manifest, self.manifest(node)).unwrap();
        let cache = self.directory.path().join(format!("cache-{node}"));
        let mut command = self.command(node, Path::new(Burst::command(&cache).get_program()));
        command.args(["serve"]).arg(&manifest).env("XDG_CACHE_HOME", &cache);
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join(format!("{node}.log")));
        self.processes[node - 1] = Some(command.stderr(log.unwrap()).spawn().unwrap());
    }

    /// Until the first node sends requests to so many stages, each with so many nodes that hold it.
    pub fn settle(&self, stages: usize, nodes: usize) {
        let until = Instant::now() + Duration::from_secs(120);
        while !self.settled(stages, nodes).unwrap_or(false) {
            let told = || self.get(1, 8002, "/burst/nodes").1;
            assert!(Instant::now() < until, "it is not {stages} stages by {nodes}:\n{}\n{}", self.logs(), told());
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn settled(&self, stages: usize, nodes: usize) -> Option<bool> {
        let listing: Listing = serde_json::from_str(&self.get(1, 8002, "/burst/nodes").1).ok()?;
        let models = &listing.nodes.get(&listing.node)?.models;
        let (digest, spread) = models.iter().find_map(|(digest, model)| Some((digest, model.spread.as_ref()?)))?;
        let holds =
            |node: &&NodeNews| node.models.get(digest).is_some_and(|model| model.ready.as_ref() == Some(&spread.epoch));
        let held = |stage: &Stage| stage.nodes.iter().filter_map(|name| listing.nodes.get(name)).filter(holds).count();
        let whole = spread.stages.len() == stages && spread.stages.iter().all(|stage| held(stage) == nodes);
        Some(whole && self.get(1, 8000, "/v2/health/ready").0 == 200)
    }

    /// Steps of sessions that a node gave to another one again.
    pub fn replayed_steps(&self, node: usize) -> u64 {
        let (_, page) = self.get(node, 8002, "/metrics");
        let name = "burst_stage_calls_total{outcome=\"replayed-step\"} ";
        page.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
    }

    /// Status and body of what a node tells; zero where nobody answers.
    pub fn get(&self, node: usize, port: u16, path: &str) -> (u16, String) {
        let (net, path) = (self.net.clone(), path.to_owned());
        let asking = thread::spawn(move || {
            net.enter(node);
            let address = ([127, 0, 0, 1], port).into();
            let head = format!("GET {path} HTTP/1.1\r\nhost: burst\r\nconnection: close\r\n\r\n");
            let there = std::net::TcpStream::connect(address).is_ok();
            if there { request(address, &head, b"") } else { (0, String::new()) }
        });
        asking.join().unwrap()
    }

    /// Kills a node for good.
    pub fn end(&mut self, node: usize) {
        self.signal(node, libc::SIGKILL);
        self.processes[node - 1].take().unwrap().wait().unwrap();
    }

    /// What the nodes said.
    pub fn logs(&self) -> String {
        let log = |node| fs::read_to_string(self.directory.path().join(format!("{node}.log"))).unwrap_or_default();
        (1..=NAMES.len()).map(|node| format!("--- node {node}\n{}", log(node))).collect()
    }

    pub fn signal(&self, node: usize, signal: i32) {
        let child = self.processes[node - 1].as_ref().unwrap();
        // SAFETY: signals a child that this value owns and has not waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

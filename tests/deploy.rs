//! A release reaches every node of a cluster, on each whole or not at all, and only the largest stays.

use crate::{
    split::cut,
    support::{
        Burst,
        cluster::copy,
        fleet::{BODY, Fleet, keys, release, told, version},
        guest,
        net::Net,
        papers, request, root,
    },
};
use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Asks all nodes for as long as something is done; every answer has to be whole. What each node said, in order.
fn under_load(fleet: &Fleet, done: impl FnOnce()) -> Vec<Vec<String>> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = |node: usize| {
            let (over, fleet) = (&over, &fleet);
            scope.spawn(move || {
                let mut said = Vec::new();
                while !over.load(Relaxed) {
                    said.push(fleet.version(node).unwrap());
                }
                said
            })
        };
        let asking: Vec<_> = (0..fleet.nodes.len()).chain(0..fleet.nodes.len()).map(ask).collect();
        done();
        over.store(true, Relaxed);
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn a_release_reaches_all_nodes_and_no_request_is_lost() {
    let mut fleet = Fleet::start(3);
    fleet.deployed(0, "echo");
    let said = under_load(&fleet, || drop(fleet.deployed(1, "digits")));
    for said in &said {
        let turn = said.iter().position(|name| name == "probabilities").unwrap_or(said.len());
        assert!(said[..turn].iter().all(|name| name == "y"), "{said:?}");
        assert!(said[turn..].iter().all(|name| name == "probabilities"), "it went back: {said:?}");
    }
    assert!(said.iter().any(|said| said.iter().any(|name| name == "y")), "nobody asked before");
    (0..3).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("probabilities")));

    // Everywhere back, while it is asked.
    let said = under_load(&fleet, || drop(told(fleet.deploy(2, &["--rollback", "--key", "operator.key"]), true)));
    assert!(said.iter().flatten().all(|name| name == "y" || name == "probabilities"));
    (0..3).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("y")));

    // One node back, by way of another.
    told(fleet.deploy(0, &["--rollback", "two.hall", "--key", "operator.key"]), true);
    assert_eq!((0..3).map(|node| fleet.version(node).unwrap()).collect::<Vec<_>>(), ["y", "probabilities", "y"]);
    let status = told(fleet.deploy(0, &["--status"]), true);
    assert!(status.contains("held-back"), "{status}");

    // It stays there when it starts again, until a later release comes.
    fleet.stop(1);
    fleet.run(1);
    (0..3).for_each(|node| fleet.meet(node));
    assert_eq!(fleet.version(1).as_deref(), Ok("probabilities"));
    fleet.deployed(1, "prepare-counts");
    (0..3).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("prepared")));

    // A late joiner, and nodes that start alone.
    fleet.join("");
    fleet.until(3, "prepared");
    (0..4).for_each(|node| fleet.stop(node));
    fleet.run(3);
    assert_eq!(fleet.version(3).as_deref(), Ok("prepared"), "what it served it serves at once");
    let page = fleet.burst(3).get_metrics().1;
    assert!(page.contains("burst_release_number{release=\"serving\"} 4"), "{page}");
    assert!(page.contains("burst_release_state{state=\"serving\"} 1"), "{page}");
}

#[test]
fn a_node_that_cannot_warm_a_release_keeps_what_it_serves() {
    let mut fleet = Fleet::start(2);
    fleet.join("leases_max = 40");
    (0..3).for_each(|node| fleet.meet(node));
    let manifest = fleet.manifest("echo", "pool = { ready = 2, max = 20 }");
    let deploy = |fleet: &Fleet, manifest: &str| fleet.deploy(0, &["--cluster", "--key", "operator.key", manifest]);
    told(deploy(&fleet, manifest.to_str().unwrap()), true);
    // Twenty leases serve, thirty more don't fit into forty.
    let manifest = fleet.manifest("digits", "pool = { ready = 2, max = 30 }");
    let text = told(deploy(&fleet, manifest.to_str().unwrap()), false);
    assert!(text.contains("raise cluster.leases_max") && text.contains("three.hall"), "{text}");
    let said: Vec<_> = (0..3).map(|node| fleet.version(node).unwrap()).collect();
    assert_eq!(said, ["probabilities", "probabilities", "y"]);
    // One that starts nowhere changes nothing anywhere.
    let manifest = fleet.manifest("prepare-fails", "pool = { ready = 2, max = 4 }");
    let text = told(deploy(&fleet, manifest.to_str().unwrap()), false);
    assert!(text.contains("not today"), "{text}");
    assert_eq!((0..3).map(|node| fleet.version(node).unwrap()).collect::<Vec<_>>(), said);
    // And one that fits mends all.
    let manifest = fleet.manifest("prepare-counts", "pool = { ready = 2, max = 4 }");
    told(deploy(&fleet, manifest.to_str().unwrap()), true);
    (0..3).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("prepared")));
}

fn post(burst: &Burst, verb: &str, path: &str, body: &[u8]) -> (u16, String) {
    let length = body.len();
    let head = format!(
        "{verb} {path} HTTP/1.1\r\nhost: burst\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    request(burst.metrics, &head, body)
}

#[test]
fn what_nobody_may_deploy_is_refused() {
    let fleet = Fleet::start(2);
    fleet.deployed(0, "echo");
    let manifest = fleet.manifest("digits", "");
    let manifest = manifest.to_str().unwrap();
    let unsigned = told(fleet.deploy(0, &["--cluster", manifest]), false);
    assert!(unsigned.contains("it is not signed"), "{unsigned}");
    let stranger = told(fleet.deploy(0, &["--cluster", "--key", "stranger.key", manifest]), false);
    assert!(stranger.contains("none of cluster.deployers has signed it"), "{stranger}");
    let order = told(fleet.deploy(0, &["--rollback", "two.hall", "--key", "stranger.key"]), false);
    assert!(order.contains("none of cluster.deployers has signed it"), "{order}");
    told(fleet.deploy(0, &["--rollback", "--key", "operator.key"]), false);
    let public = told(fleet.deploy(0, &["--cluster", "--key", "operator.pub", manifest]), false);
    assert!(public.contains("no private key"), "{public}");

    // The release that serves is read, and played to it again after a later one.
    let listing: serde_json::Value = serde_json::from_str(&post(fleet.burst(0), "GET", "/burst/nodes", b"").1).unwrap();
    let latest = &listing["nodes"]["one.hall"]["release"]["latest"];
    let digest = latest["id"]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    let (status, text) = post(fleet.burst(0), "GET", &format!("/burst/releases/{digest}"), b"");
    assert_eq!(status, 200, "{text}");
    let replay = serde_json::json!({ "text": text, "seal": latest["seal"] }).to_string();
    assert_eq!(post(fleet.burst(0), "POST", "/burst/releases", replay.as_bytes()).0, 200, "the same is no change");
    fleet.deployed(0, "prepare-counts");
    for node in 0..2 {
        let (status, body) = post(fleet.burst(node), "POST", "/burst/releases", replay.as_bytes());
        assert!(status == 409 && body.contains("has release 2"), "{status}: {body}");
    }
    let tampered = replay.replacen("echo.wasm", "Echo.wasm", 2);
    assert_eq!(post(fleet.burst(0), "POST", "/burst/releases", tampered.as_bytes()).0, 403);
    for garbage in
        [&b""[..], b"{", b"[]", br#"{"text":"","seal":null}"#, br#"{"text":"{}","seal":"00"}"#, &[0xff; 4096]]
    {
        let (status, body) = post(fleet.burst(0), "POST", "/burst/releases", garbage);
        assert!((400..500).contains(&status), "{status}: {body}");
        assert!((400..500).contains(&post(fleet.burst(0), "POST", "/burst/orders", garbage).0));
    }
    for artefact in [&digest, "../../etc/passwd", "00"] {
        assert_eq!(
            post(fleet.burst(0), "PUT", &format!("/burst/artefacts/{artefact}"), b"x").0,
            404,
            "nobody offered it"
        );
    }
    let page = fleet.burst(0).get_metrics().1;
    let refused = page.lines().find_map(|line| line.strip_prefix("burst_releases_refused_total ")).unwrap();
    assert!(refused.parse::<u64>().unwrap() >= 5, "{refused}");
    (0..2).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("prepared")));
    assert!(fs::read_dir(fleet.path("cache-0/burst/shelf/one.hall")).unwrap().count() > 0);
    assert!(version(fleet.burst(0).post("/v2/models/b/infer", BODY)).is_err());
}

/// A cut model of a release is fetched, measured and spread like any other, and forgotten when no guest runs it.
#[test]
fn a_release_names_a_cut_model_and_takes_it_away_again() {
    let fleet = Fleet::start(3);
    let model = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "3"]);
    copy(model.path(), &fleet.path("model"));
    let manifest = fleet.manifest("digits", "");
    let text = fs::read_to_string(&manifest).unwrap().replace("digits.onnx", "model");
    fs::write(&manifest, text).unwrap();
    let manifest = manifest.to_str().unwrap();
    told(fleet.deploy(0, &["--cluster", "--key", "operator.key", manifest]), true);
    (0..3).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("probabilities")));
    let models = |node| {
        let json = post(fleet.burst(0), "GET", "/burst/nodes", b"").1;
        let listing: serde_json::Value = serde_json::from_str(&json).unwrap();
        listing["nodes"][Fleet::name(node)]["models"].as_object().unwrap().len()
    };
    assert_eq!((0..3).map(models).collect::<Vec<_>>(), [1, 1, 1]);
    let said = under_load(&fleet, || drop(fleet.deployed(1, "echo")));
    assert!(said.iter().flatten().all(|name| name == "y" || name == "probabilities"));
    let until = Instant::now() + Duration::from_secs(90);
    while (0..3).map(models).sum::<usize>() > 0 {
        assert!(Instant::now() < until, "the plan is held though no guest runs it");
        thread::sleep(Duration::from_millis(500));
    }
}

/// Frames that a node's guest saw.
fn seen(burst: &Burst) -> Option<u64> {
    let page = burst.get_metrics().1;
    let line =
        page.lines().find(|line| line.starts_with("burst_frames_total{guest=\"people\"") && line.contains("\"seen\""));
    line?.rsplit(' ').next()?.parse().ok()
}

/// Lanes turn to the guests of the next release, on nodes that have the camera.
#[test]
fn cameras_turn_to_the_next_release() {
    let mut fleet = Fleet::start(1);
    fleet.join("[cameras.door]\nsource.scene = { fps = 20.0 }");
    (0..2).for_each(|node| fleet.meet(node));
    fs::copy(root().join(guest("people")), fleet.path("people.wasm")).unwrap();
    fs::copy(root().join("guests/people/model/people.onnx"), fleet.path("people.onnx")).unwrap();
    for max in [2, 3] {
        let manifest = fleet.path("people.toml");
        let text = format!(
            "[cameras.door]\nsource.scene = {{}}\n[guests.people]\ncomponent = \"people.wasm\"\ncameras = [\"door\"]\n\
             models.people = \"people.onnx\"\npool = {{ ready = 1, max = {max} }}\nlimits.deadline_ms = 30000\n"
        );
        fs::write(&manifest, text).unwrap();
        told(fleet.deploy(0, &["--cluster", "--key", "operator.key", manifest.to_str().unwrap()]), true);
        let until = Instant::now() + Duration::from_secs(60);
        while seen(fleet.burst(1)).is_none_or(|seen| seen < 2) {
            assert!(Instant::now() < until, "nobody looks at the camera");
            thread::sleep(Duration::from_millis(50));
        }
        let page = fleet.burst(1).get_metrics().1;
        assert!(page.contains(&format!("burst_leases_max{{guest=\"people\"}} {max}")), "{page}");
        assert_eq!(seen(fleet.burst(0)), None, "a node without the camera does not run it");
    }
}

/// A node whose disk lost a part of what it served serves nothing in its place, and fetches it when it can.
#[test]
fn what_was_damaged_is_fetched_again() {
    let mut fleet = Fleet::start(2);
    fleet.deployed(0, "echo");
    (0..2).for_each(|node| fleet.stop(node));
    for entry in fs::read_dir(fleet.path("cache-1/burst/shelf/two.hall")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(b"\0asm") {
            bytes[100] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    fleet.run(1);
    assert_eq!(fleet.version(1).unwrap_err().0, 404);
    assert_eq!(fleet.burst(1).get("/v2/health/ready").0, 400, "what it is to serve it does not");
    let until = Instant::now() + Duration::from_secs(60);
    let failed = |status: String| status.contains("failed: ") && status.contains("does not exist");
    while !failed(told(fleet.deploy(1, &["--status"]), true)) {
        assert!(Instant::now() < until, "it does not say why");
    }
    fleet.run(0);
    fleet.until(1, "y");
    assert_eq!(fleet.burst(1).get("/v2/health/ready").0, 200);
}

/// Nodes in networks of their own.
struct Halves {
    net: Net,
    directory: TempDir,
    processes: Vec<Child>,
}

const NAMES: [&str; 3] = ["one.hall", "two.hall", "three.hall"];

impl Halves {
    fn start() -> Option<Self> {
        let net = Net::new(NAMES.len())?;
        let directory = tempfile::tempdir().unwrap();
        papers::issue(directory.path(), &NAMES);
        keys(directory.path());
        let mut halves = Self { net, directory, processes: Vec::new() };
        for node in 1..=NAMES.len() {
            let (name, address) = (NAMES[node - 1], Net::address(node));
            let join: Vec<_> = (1..node).map(|other| format!("quic/{}:7447", Net::address(other))).collect();
            let text = format!(
                "accelerator = \"cpu\"\n[cluster]\nnode = \"{name}\"\nlisten = [\"quic/{address}:7447\"]\njoin = {join:?}\n\
                 members = {NAMES:?}\ndeployers = [\"operator.pub\"]\n\
                 tls = {{ authority = \"authority.pem\", certificate = \"{name}.pem\", key = \"{name}.key\" }}\n"
            );
            let manifest = halves.directory.path().join(format!("{node}.toml"));
            fs::write(&manifest, text).unwrap();
            let mut command = halves.burst(node);
            halves.processes.push(command.arg("serve").arg(&manifest).spawn().unwrap());
        }
        (1..=NAMES.len()).for_each(|node| halves.sees(node, &NAMES));
        Some(halves)
    }

    /// `burst` in the network of a node.
    fn burst(&self, node: usize) -> Command {
        let cache = self.directory.path().join(format!("cache-{node}"));
        let burst = Burst::command(&cache);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.net.name(node)]).arg(burst.get_program()).stdin(Stdio::null());
        command.current_dir(self.directory.path()).env("XDG_CACHE_HOME", &cache).env("NO_COLOR", "1");
        command
    }

    fn deployed(&self, node: usize, component: &str) {
        let manifest = release(self.directory.path(), component, "");
        let mut command = self.burst(node);
        command.args(["deploy", "--cluster", "--key", "operator.key"]).arg(manifest);
        told(command.output().unwrap(), true);
    }

    fn ask(&self, node: usize, port: u16, head: &str, body: &str) -> (u16, String) {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let head =
            format!("{head} HTTP/1.1\r\nhost: burst\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        thread::scope(|scope| {
            let asked = scope.spawn(|| {
                self.net.enter(node);
                match std::net::TcpStream::connect(address) {
                    Ok(_) => request(address, &head, body.as_bytes()),
                    Err(_) => (0, String::new()),
                }
            });
            asked.join().unwrap()
        })
    }

    fn version(&self, node: usize) -> Result<String, (u16, String)> {
        version(self.ask(node, 8000, "POST /v2/models/a/infer", BODY))
    }

    /// Waits until a node sees exactly these.
    fn sees(&self, node: usize, names: &[&str]) {
        let until = Instant::now() + Duration::from_secs(60);
        let seen = || {
            let (_, json) = self.ask(node, 8002, "GET /burst/nodes", "");
            let listing: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
            NAMES.iter().all(|name| listing["nodes"][name].is_object() == names.contains(name))
        };
        while !seen() {
            assert!(Instant::now() < until, "node {node} does not see {names:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Both sides of a cut deploy, and healed they come to one release.
#[test]
fn a_cut_cluster_that_deployed_twice_comes_to_one_release() {
    let Some(halves) = Halves::start() else { return };
    halves.deployed(1, "prepare-counts");
    [2, 3].iter().for_each(|&other| halves.net.cut([1, other], true));
    halves.sees(1, &NAMES[..1]);
    [2, 3].iter().for_each(|&node| halves.sees(node, &NAMES[1..]));
    halves.deployed(1, "echo");
    halves.deployed(3, "digits");
    let versions = || [1, 2, 3].map(|node| halves.version(node).unwrap());
    assert_eq!(versions(), ["y", "probabilities", "probabilities"]);
    let latest = |node| {
        let json = halves.ask(node, 8002, "GET /burst/nodes", "").1;
        let listing: serde_json::Value = serde_json::from_str(&json).unwrap();
        let id = &listing["nodes"][NAMES[node - 1]]["release"]["latest"]["id"];
        (id["number"].as_u64().unwrap(), id["digest"].as_str().unwrap().to_owned())
    };
    let (one, other) = (latest(1), latest(2));
    assert_eq!((one.0, other.0), (2, 2), "both are the second");
    let expected = if one > other { "y" } else { "probabilities" };
    [2, 3].iter().for_each(|&other| halves.net.cut([1, other], false));
    let until = Instant::now() + Duration::from_secs(60);
    // On the way every answer is of one of the two.
    while versions() != [expected; 3] {
        assert!(Instant::now() < until, "they did not come to `{expected}`: {:?}", versions());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!([1, 2, 3].map(latest), [one.clone().max(other.clone()), one.clone().max(other.clone()), one.max(other)]);
    halves.deployed(2, "prepare-counts");
    assert_eq!(versions(), ["prepared"; 3], "and what is deployed then is the third");
}

//! Three nodes, each a process in a network of its own: every request is answered once, whatever becomes of a node.

use crate::{
    split::{cut, load, models},
    support::{
        Burst, block_on,
        cluster::{Cluster, NAMES, Served, Ways, copy},
        cpu, guest, request, root,
    },
};
use burst_adapters::api::nodes::Listing;
use burst_host::nouns::{Element, Tensor};
use std::{
    fs,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// The model of the digits, in three fragments.
fn digits() -> Served {
    Served {
        model: cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "3"]),
        component: root().join(guest("digits")),
        guest: "models.digits = \"model\"\npool = { ready = 8, max = 64 }\nlimits = { deadline_ms = 30000 }",
        // Room for the fragment of its own, and for that of another node.
        memory_bytes: 5 * (2 << 20) / 2,
    }
}

/// Images that are asked for, in turns.
const IMAGES: usize = 16;

fn image(image: usize) -> Vec<f32> {
    (0..64).map(|pixel| ((pixel * 7 + image * 13) % 17) as f32).collect()
}

/// What the whole model says of each image.
fn expected() -> &'static [Vec<f32>] {
    static EXPECTED: OnceLock<Vec<Vec<f32>>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let whole = load(&models(cpu()), &root().join("guests/digits/model/digits.onnx")).unwrap();
        let run = |index| {
            let input = Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &image(index)).unwrap();
            let output = block_on(whole.run(vec![input], Instant::now() + Duration::from_secs(60))).unwrap();
            output[0].to_vec().unwrap()
        };
        (0..IMAGES).map(run).collect()
    })
}

/// What the node of this thread's network says of an image; `None` where it says nothing.
fn ask(index: usize) -> Option<Vec<f32>> {
    let data = image(index % IMAGES);
    let body = format!(r#"{{"inputs":[{{"name":"image","datatype":"FP32","shape":[1,1,8,8],"data":{data:?}}}]}}"#);
    let head = format!(
        "POST /v2/models/guest/infer HTTP/1.1\r\nhost: burst\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let address = "127.0.0.1:8000".parse().unwrap();
    std::net::TcpStream::connect(address).ok()?;
    let (status, answer) = request(address, &head, body.as_bytes());
    if status != 200 {
        eprintln!("{status}: {answer}");
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(&answer).ok()?;
    let data = json.get("outputs")?.get(0)?.get("data")?.as_array()?;
    data.iter().map(|number| number.as_f64().map(|number| number as f32)).collect()
}

/// What became of many requests at once.
pub struct Became {
    pub lost: usize,
    pub wrong: usize,
    /// What the node says it answered, beyond what was asked.
    pub duplicated: usize,
    /// When the cluster was disturbed.
    pub disturbed: Instant,
    /// When each was answered.
    pub answered: Vec<Instant>,
}

impl Became {
    /// How long after the disturbance so large a part of the requests was answered.
    pub fn after(&self, part: f64) -> Duration {
        let mut took: Vec<_> = self.answered.iter().map(|at| at.saturating_duration_since(self.disturbed)).collect();
        took.sort_unstable();
        took[((took.len() - 1) as f64 * part).round() as usize]
    }
}

impl Cluster {
    pub fn start() -> Option<Self> {
        let cluster = Self::serving(digits())?;
        (1..=NAMES.len()).for_each(|node| cluster.wait(node));
        Some(cluster)
    }

    /// Until a node answers.
    fn wait(&self, node: usize) {
        let until = Instant::now() + Duration::from_secs(120);
        while self.ask(node, 0).as_ref() != Some(&expected()[0]) {
            assert!(Instant::now() < until, "node {node} does not answer:\n{}", self.logs());
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn ask(&self, node: usize, image: usize) -> Option<Vec<f32>> {
        let net = self.net.clone();
        thread::spawn(move || {
            net.enter(node);
            ask(image)
        })
        .join()
        .unwrap()
    }

    /// Sends so many requests to a node at once, and disturbs the cluster when half of them are on their way.
    pub fn burst(&mut self, node: usize, count: usize, disturb: impl FnOnce(&mut Self)) -> Became {
        let before = self.answered(node);
        let (lost, wrong, sent) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let net = self.net.clone();
        let (disturbed, answered) = thread::scope(|scope| {
            let one = |index: usize| {
                let (lost, wrong, sent, net) = (&lost, &wrong, &sent, &net);
                let small = thread::Builder::new().stack_size(256 << 10);
                small.spawn_scoped(scope, move || {
                    net.enter(node);
                    sent.fetch_add(1, Relaxed);
                    match ask(index) {
                        None => lost.fetch_add(1, Relaxed),
                        Some(answer) => wrong.fetch_add(usize::from(answer != expected()[index % IMAGES]), Relaxed),
                    };
                    Instant::now()
                })
            };
            let asking: Vec<_> = (0..count).map(|index| one(index).unwrap()).collect();
            while sent.load(Relaxed) < count / 2 {
                thread::yield_now();
            }
            let disturbed = Instant::now();
            disturb(self);
            (disturbed, asking.into_iter().map(|asked| asked.join().unwrap()).collect())
        });
        let duplicated = (self.answered(node) - before).saturating_sub(count);
        Became { lost: lost.into_inner(), wrong: wrong.into_inner(), duplicated, disturbed, answered }
    }

    /// Kills a node with a thousand requests on their way, and starts it again.
    pub fn kill(&mut self, node: usize) -> Became {
        let became = self.burst(1, 1000, |cluster| cluster.signal(node, libc::SIGKILL));
        self.processes[node - 1].take().unwrap().wait().unwrap();
        self.run(node);
        self.wait(node);
        became
    }

    /// Kills a node while nothing happens; how long the next request takes.
    #[allow(dead_code)]
    pub fn first_answer(&mut self, node: usize) -> Duration {
        let started = Instant::now();
        self.signal(node, libc::SIGKILL);
        assert_eq!(self.ask(1, 0).as_ref(), Some(&expected()[0]));
        let took = started.elapsed();
        self.processes[node - 1].take().unwrap().wait().unwrap();
        self.run(node);
        self.wait(node);
        took
    }

    /// Requests that a node answered, whatever it said.
    fn answered(&self, node: usize) -> usize {
        let (_, page) = self.get(node, 8002, "/metrics");
        let counts = page.lines().filter(|line| line.starts_with("burst_requests_total{"));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    }

    /// How long it takes the first node to see that another one is frozen.
    pub fn freeze(&mut self, node: usize) -> Duration {
        let started = Instant::now();
        self.signal(node, libc::SIGSTOP);
        let net = self.net.clone();
        let seen = thread::spawn(move || {
            net.enter(1);
            let head = "GET /burst/nodes HTTP/1.1\r\nhost: burst\r\nconnection: close\r\n\r\n";
            while request("127.0.0.1:8002".parse().unwrap(), head, b"")
                .1
                .contains(&format!("\"{}\":{{", NAMES[node - 1]))
            {
                thread::sleep(Duration::from_millis(5));
            }
            started.elapsed()
        });
        let seen = seen.join().unwrap();
        self.signal(node, libc::SIGCONT);
        self.wait(node);
        seen
    }

    fn check(&mut self, what: &str, became: Became) {
        eprintln!("{what}: the last answer came {:?} later", became.after(1.0));
        let Became { lost, wrong, duplicated, .. } = became;
        assert_eq!((lost, wrong, duplicated), (0, 0, 0), "{what}: lost, wrong and double answers\n{}", self.logs());
    }
}

/// How often a node is killed: more where nobody waits, most in `just soak`.
fn rounds() -> usize {
    let set = |name| std::env::var_os(name).is_some();
    if set("BURST_SOAK") {
        1000
    } else if set("CI") {
        25
    } else {
        3
    }
}

#[test]
fn no_request_is_lost_with_a_node() {
    let Some(mut cluster) = Cluster::start() else { return };
    (1..=NAMES.len()).for_each(|node| assert_eq!(cluster.ask(node, 3).as_ref(), Some(&expected()[3]), "{node}"));
    for round in 0..rounds() {
        let became = cluster.kill(2 + round % 2);
        cluster.check("a node is killed", became);
    }
    let became = cluster.burst(1, 1000, |cluster| cluster.signal(3, libc::SIGSTOP));
    cluster.check("a node freezes", became);
    cluster.signal(3, libc::SIGCONT);
    cluster.wait(3);
    eprintln!("a frozen node was seen after {:?}", cluster.freeze(3));
    let became = cluster.burst(1, 1000, |cluster| cluster.net.lose(2, 5));
    cluster.check("packets are lost", became);
    cluster.net.lose(2, 0);
    let became = cluster.burst(1, 1000, |cluster| cluster.net.cut([2, 3], true));
    cluster.check("a link is cut", became);
    cluster.net.cut([2, 3], false);
    cluster.wait(2);
}

#[test]
fn a_node_that_starts_alone_says_that_it_is_not_ready() {
    let Some(mut cluster) = Cluster::start() else { return };
    (1..=NAMES.len()).for_each(|node| cluster.end(node));
    cluster.run(1);
    let until = Instant::now() + Duration::from_secs(60);
    while cluster.get(1, 8000, "/v2/health/live").0 != 200 {
        assert!(Instant::now() < until, "it does not serve:\n{}", cluster.logs());
        thread::sleep(Duration::from_millis(50));
    }
    for path in ["/v2/health/ready", "/v2/models/guest/ready"] {
        assert_ne!(cluster.get(1, 8000, path).0, 200, "{path}");
    }
    assert!(told(&cluster, 1, &["nodes"]).contains(NAMES[0]));
    [2, 3].into_iter().for_each(|node| cluster.run(node));
    (1..=NAMES.len()).for_each(|node| cluster.wait(node));
    assert_eq!(cluster.get(1, 8000, "/v2/health/ready").0, 200);
}

/// What an operator's command says on a node.
fn told(cluster: &Cluster, node: usize, arguments: &[&str]) -> String {
    let cache = tempfile::tempdir().unwrap();
    let program = Burst::command(cache.path());
    let output = cluster.command(node, Path::new(program.get_program())).args(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

#[test]
fn operators_see_who_runs_what() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.settle(3, 2);
    let listed = told(&cluster, 2, &["nodes"]);
    NAMES.iter().for_each(|name| assert!(listed.contains(name), "{listed}"));
    let directory = tempfile::tempdir().unwrap();
    let svg = directory.path().join("plan.svg").display().to_string();
    let planned = told(&cluster, 3, &["plan", "--live", "--svg", &svg]);
    for word in ["fragments", "requests a second", "bottleneck: ", "one more like "] {
        assert!(planned.contains(word), "{word}: {planned}");
    }
    let drawn = fs::read_to_string(svg).unwrap();
    NAMES.iter().for_each(|name| assert!(planned.contains(name) && drawn.contains(name), "{planned}"));
    let model = cluster.model().display().to_string();
    assert_eq!(told(&cluster, 1, &["plan", &model, "--live"]), told(&cluster, 1, &["plan", "--live"]));
}

/// Who runs the model, as a node has heard; nobody where it knows none.
fn runs(cluster: &Cluster, node: usize) -> Vec<String> {
    let listing: Listing = serde_json::from_str(&cluster.get(node, 8002, "/burst/nodes").1).unwrap();
    let models = listing.nodes.values().flat_map(|node| node.models.values());
    let latest = models.filter_map(|model| model.spread.as_ref()).max_by(|a, b| a.epoch.cmp(&b.epoch));
    let mut names: Vec<String> = latest.iter().flat_map(|spread| spread.nodes()).map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Nodes that have no way to each other, and both a way to a third one, run a model together.
#[test]
fn a_router_is_between_nodes_that_do_not_reach_each_other() {
    let Some(mut cluster) = Cluster::connected(Ways::OverTheFirst, digits()) else { return };
    assert!(!cluster.net.reaches(2, 3) && cluster.net.reaches(2, 1) && cluster.net.reaches(3, 1));
    cluster.wait(2);
    told(&cluster, 3, &["drain", NAMES[0]]);
    let wait = |what: &str, holds: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < until, "{what}: {:?}\n{}", runs(&cluster, 2), cluster.logs());
            thread::sleep(Duration::from_millis(20));
        }
    };
    // The third one has what it runs from the second one.
    wait("both ends run it", &|| runs(&cluster, 2) == ["three.hall", "two.hall"]);
    for image in 0..IMAGES {
        assert_eq!(cluster.ask(2, image).as_ref(), Some(&expected()[image]), "{image}\n{}", cluster.logs());
    }
    assert_eq!(runs(&cluster, 2), ["three.hall", "two.hall"]);
    let ended = Instant::now();
    cluster.end(3);
    while cluster.get(2, 8002, "/burst/nodes").1.contains("\"three.hall\":{") {
        assert!(ended.elapsed() < Duration::from_secs(10), "it is still there:\n{}", cluster.logs());
        thread::sleep(Duration::from_millis(5));
    }
    let took = ended.elapsed();
    eprintln!("the other end saw after {took:?} that it was gone");
    assert!(took < Duration::from_millis(1500));
    told(&cluster, 1, &["drain", NAMES[0], "--undo"]);
    cluster.wait(2);
}

/// A model with a fragment that no node can hold: operators are told what to do, and requests end at their deadline.
#[test]
fn a_fragment_that_fits_on_no_node_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let model = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "3"]);
    copy(model.path(), &directory.path().join("model"));
    fs::copy(root().join(guest("digits")), directory.path().join("guest.wasm")).unwrap();
    let manifest = directory.path().join("burst.toml");
    let place = "[cluster]\nnode = \"one.hall\"\nlisten = [\"tcp/127.0.0.1:0\"]\nmemory_max_bytes = 100000";
    let served = "[guests.guest]\ncomponent = \"guest.wasm\"\nmodels.digits = \"model\"\nlimits.deadline_ms = 1000";
    fs::write(&manifest, format!("accelerator = \"cpu\"\n{place}\n{served}\n")).unwrap();
    let burst = Burst::serve(&manifest);
    let metrics = burst.metrics.to_string();
    let says = |arguments: &[&str], part: &str| {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let output = Burst::run(&[arguments, &["--metrics", &metrics]].concat());
            let told =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            if output.status.success() && told.contains(part) {
                return;
            }
            assert!(Instant::now() < until, "{arguments:?}: no `{part}`: {told}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    says(&["plan", "--live"], "the largest node has 100000; cut the model finer");
    says(&["plan", model.path().to_str().unwrap(), "--live"], "cut the model finer");
    says(&["nodes"], "`burst plan --live` says why");
    assert_ne!(burst.get("/v2/health/ready").0, 200);
    let pixels: Vec<f32> = image(0);
    let body = format!(r#"{{"inputs":[{{"name":"image","datatype":"FP32","shape":[1,1,8,8],"data":{pixels:?}}}]}}"#);
    let asked = Instant::now();
    let (status, answer) = burst.post("/v2/models/guest/infer", &body);
    assert!(
        status == 504 && asked.elapsed() < Duration::from_secs(10),
        "{status} after {:?}: {answer}",
        asked.elapsed()
    );
}

//! A release reaches every node of a cluster, on each whole or not at all, and only the largest stays.

use crate::support::{
    Burst,
    fleet::{BODY, Fleet, VERSIONS, told, version},
    request,
};
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

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
    (0..2).for_each(|node| assert_eq!(fleet.version(node).as_deref(), Ok("prepared"), "{VERSIONS:?}"));
    assert!(fs::read_dir(fleet.path("cache-0/burst/shelf/one.hall")).unwrap().count() > 0);
    assert!(version(fleet.burst(0).post("/v2/models/b/infer", BODY)).is_err());
}

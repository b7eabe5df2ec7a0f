//! Health, metrics, `ps`, and routes that are refused.

use crate::{
    fake::House,
    wire::{get, infer, post, raw, request},
};
use burst_adapters::api::ps::Listing;
use std::sync::atomic::Ordering::Relaxed;

#[tokio::test]
async fn readiness_follows_the_house() {
    let house = House::open().await;
    for (ready, status) in [(true, 200), (false, 400)] {
        house.fake.ready.store(ready, Relaxed);
        assert_eq!(get(house.address, "/v2/health/live").await.status, 200);
        assert_eq!(get(house.address, "/v2/health/ready").await.status, status);
        assert_eq!(get(house.address, "/v2/models/echo/ready").await.status, status);
        assert_eq!(get(house.address, "/v2/models/echo/versions/1/ready").await.status, status);
    }
}

#[tokio::test]
async fn unknown_things_are_not_found() {
    let house = House::open().await;
    for path in ["/", "/v3", "/v2/models/nobody", "/v2/models/nobody/ready", "/v2/models/echo/versions/2/config"] {
        let reply = get(house.address, path).await;
        assert!(reply.status == 404 && !reply.error().is_empty(), "{path}");
    }
    let reply = raw(house.address, &request("DELETE", "/v2/models/echo/infer", "", b"")).await.unwrap();
    assert_eq!((reply.status, reply.error()), (405, "DELETE is not allowed here".into()));
}

#[tokio::test]
async fn what_the_manifest_decides_is_not_done_over_the_network() {
    let house = House::open().await;
    for path in [
        "/v2/repository/models/echo/load",
        "/v2/repository/models/echo/unload",
        "/v2/trace/setting",
        "/v2/models/echo/trace/setting",
        "/v2/logging",
        "/v2/systemsharedmemory/region/a/register",
        "/v2/cudasharedmemory/status",
        "/v2/models/echo/generate",
        "/v2/models/echo/versions/1/generate_stream",
    ] {
        let reply = post(house.address, path, "", b"").await;
        assert!(reply.status == 501 && reply.error().contains("not supported"), "{path}");
    }
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    let house = House::open().await;
    infer(house.address, "echo", r#"{"inputs":[]}"#, b"").await;
    let reply = get(house.address, "/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(kind));
    let page = String::from_utf8(reply.body).unwrap();
    assert!(page.ends_with("# EOF\n"));
    for line in [
        "# TYPE burst_requests counter",
        r#"burst_requests_total{guest="echo",outcome="success"} 1"#,
        r#"burst_retired_total{guest="echo",reason="used"} 1"#,
        r#"burst_refused_total{guest="echo"} 0"#,
        "# TYPE burst_request_seconds histogram",
        r#"burst_request_seconds_bucket{le="0.00005",guest="echo",outcome="success"} 0"#,
        r#"burst_request_seconds_bucket{le="+Inf",guest="echo",outcome="success"} 1"#,
        r#"burst_lease_wait_seconds_count{guest="echo"} 1"#,
        r#"burst_compute_seconds_sum{guest="echo"} 0.00007"#,
        r#"burst_leases{guest="echo",state="busy"} 1"#,
        r#"burst_leases_floor{guest="echo"} 8"#,
        r#"burst_leases_max{guest="echo"} 128"#,
        r#"burst_device_bytes{guest="echo",holder="leases"} 4096"#,
        r#"burst_device_bytes{guest="echo",holder="models"} 1048576"#,
        r#"burst_device_bytes_max{guest="echo"} 1073741824"#,
        r#"burst_device_runs{guest="echo"} 2"#,
        r#"burst_device_runs_max{guest="echo"} 32"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn ps_lists_the_guests() {
    let house = House::open().await;
    infer(house.address, "add", r#"{"inputs":[]}"#, b"").await;
    infer(house.address, "echo", r#"{"inputs":[]}"#, b"").await;
    let reply = get(house.address, "/burst/ps").await;
    let listing: Listing = serde_json::from_slice(&reply.body).unwrap();
    assert!(listing.ready);
    let add = &listing.guests[0];
    assert_eq!(
        add.signature,
        "(INPUT0: INT32[?, 16], INPUT1: INT32[?, 16]) -> (OUTPUT0: INT32[?, 16], OUTPUT1: INT32[?, 16])"
    );
    assert_eq!((add.name.as_str(), add.device.as_str()), ("add", "cpu: test (none 1)"));
    assert_eq!((add.requests.success, add.retired["used"]), (1, 1));
    assert!(add.digest.starts_with("sha256:"));
}

//! Requests that are answered.

use crate::{
    fake::House,
    wire::{get, infer, post, raw, request},
};
use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
use serde_json::{Value, json};
use std::io::Write;

fn ones(extent: usize) -> Value {
    json!({ "name": "x", "datatype": "FP32", "shape": [extent], "data": vec![1.5; extent] })
}

#[tokio::test]
async fn json_in_json_out() {
    let house = House::open().await;
    let body = json!({ "id": "a\"b", "inputs": [ones(2)], "parameters": { "colour": "red" } }).to_string();
    let reply = post(house.address, "/v2/models/echo/versions/1/infer", "", body.as_bytes()).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("inference-header-content-length"), None);
    assert_eq!(
        String::from_utf8(reply.body).unwrap(),
        r#"{"id":"a\"b","model_name":"echo","model_version":"1","parameters":{"device":"cpu: test (none 1)"},"outputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1.5,1.5]}]}"#
    );
}

#[tokio::test]
async fn binary_in_binary_out_of_any_size() {
    let house = House::open().await;
    for extent in [0usize, 1, 100, 5_000, 1_000_000] {
        let contents: Vec<u8> = (0..extent).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [extent],
                            "parameters": { "binary_data_size": contents.len() } });
        let head = json!({ "inputs": [input], "parameters": { "binary_data_output": true } }).to_string();
        let reply = infer(house.address, "echo", &head, &contents).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/octet-stream")), "{extent}");
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        let length: usize = reply.header("inference-header-content-length").unwrap().parse().unwrap();
        let (head, tail) = reply.body.split_at(length);
        let head: Value = serde_json::from_slice(head).unwrap();
        assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], contents.len());
        assert!(tail == contents, "{extent}");
    }
}

#[tokio::test]
async fn large_json_is_read_and_written() {
    let house = House::open().await;
    let body = json!({ "inputs": [ones(300_000)] }).to_string();
    let reply = post(house.address, "/v2/models/echo/infer", "", body.as_bytes()).await;
    assert_eq!(reply.json()["outputs"][0]["data"].as_array().unwrap().len(), 300_000);
}

#[tokio::test]
async fn outputs_are_those_asked_for() {
    let house = House::open().await;
    let input =
        |name| json!({ "name": name, "datatype": "INT32", "shape": [1, 16], "data": (0..16).collect::<Vec<_>>() });
    let body = |outputs: Value| json!({ "inputs": [input("INPUT0"), input("INPUT1")], "outputs": outputs }).to_string();
    let reply = infer(house.address, "add", &body(json!([{ "name": "OUTPUT1" }])), b"").await;
    assert_eq!(reply.json()["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(reply.json()["outputs"][0]["data"], json!(vec![0; 16]));
    let reply = infer(house.address, "add", &body(json!([{ "name": "OUTPUT2" }])), b"").await;
    assert_eq!((reply.status, reply.error()), (400, "output `OUTPUT2`: there is no such output".into()));
    let top = json!([{ "name": "OUTPUT1", "parameters": { "classification": 3 } }]);
    let reply = infer(house.address, "add", &body(top), b"").await;
    assert!(reply.error().contains("`classification` is not supported"));
}

#[tokio::test]
async fn half_floats_come_binary_unless_json_is_insisted_on() {
    let house = House::open().await;
    let reply = infer(house.address, "half", r#"{"inputs":[]}"#, b"").await;
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    assert!(reply.body.ends_with(&[0x00, 0x3c, 0x00, 0x40]));
    let reply = infer(house.address, "half", r#"{"inputs":[],"parameters":{"binary_data_output":false}}"#, b"").await;
    assert_eq!((reply.status, reply.error()), (400, "output `y`: FP16 has no JSON form; ask for binary data".into()));
}

#[tokio::test]
async fn errors_say_what_the_client_can_do() {
    let house = House::open().await;
    for (guest, status, error) in [
        ("nobody", 404, "there is no guest `nobody`"),
        ("busy", 429, "the queue of `busy` is full"),
        ("broken", 500, "the guest failed: it trapped"),
        ("closing", 503, "shutting down"),
        ("refuses", 400, "the guest refused: no \"cats\" today"),
    ] {
        let reply = infer(house.address, guest, r#"{"inputs":[]}"#, b"").await;
        assert_eq!((reply.status, reply.error().as_str()), (status, error));
        assert_eq!(reply.header("retry-after"), [429, 503].contains(&status).then_some("1"));
    }
    let reply = infer(house.address, "slow", r#"{"inputs":[],"parameters":{"timeout":1000}}"#, b"").await;
    assert_eq!((reply.status, reply.error().as_str()), (504, "the deadline passed"));
}

#[tokio::test]
async fn compressed_requests_are_read() {
    let house = House::open().await;
    let body = json!({ "inputs": [ones(100)] }).to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(body.as_bytes()).unwrap();
    for (coding, bytes) in [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap())] {
        // The header's length counts what comes out.
        let headers = format!("content-encoding: {coding}\r\ninference-header-content-length: {}\r\n", body.len());
        let reply = post(house.address, "/v2/models/echo/infer", &headers, &bytes).await;
        assert_eq!(reply.status, 200, "{coding}: {reply:?}");
    }
}

#[tokio::test]
async fn unusual_framing_is_understood() {
    let house = House::open().await;
    let chunked =
        b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
        6\r\n{\"inpu\r\n7\r\nts\":[]}\r\n0\r\n\r\n";
    assert_eq!(raw(house.address, chunked).await.unwrap().status, 200);
    let pipelined = [request("GET", "/v2/health/live", "", b"").as_slice().strip_suffix(b"").unwrap()].concat();
    assert_eq!(raw(house.address, &pipelined).await.unwrap().status, 200);
    let two = String::from_utf8(pipelined).unwrap().replace("connection: close\r\n", "")
        + "GET /v2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let reply = raw(house.address, two.as_bytes()).await.unwrap();
    assert!(String::from_utf8(reply.body).unwrap().contains("binary_tensor_data"));
}

#[tokio::test]
async fn guests_are_described() {
    let house = House::open().await;
    assert_eq!(get(house.address, "/v2").await.json()["name"], "burst");
    assert_eq!(get(house.address, "/v2/models").await.json()["models"].as_array().unwrap().len(), 8);
    let metadata = get(house.address, "/v2/models/add").await.json();
    assert_eq!(metadata["versions"], json!(["1"]));
    assert_eq!(metadata["inputs"][0], json!({ "name": "INPUT0", "datatype": "INT32", "shape": [-1, 16] }));
    let config = get(house.address, "/v2/models/add/versions/1/config").await.json();
    assert_eq!(config["output"][1], json!({ "name": "OUTPUT1", "data_type": "TYPE_INT32", "dims": [-1, 16] }));
    assert_eq!(config["max_batch_size"], 0);
    infer(house.address, "echo", r#"{"inputs":[]}"#, b"").await;
    let statistics = get(house.address, "/v2/models/echo/stats").await.json();
    let stages = &statistics["model_stats"][0]["inference_stats"];
    for stage in ["success", "queue", "compute_input", "compute_infer", "compute_output"] {
        assert_eq!(stages[stage]["count"], 1, "{stage}");
    }
    assert_eq!(get(house.address, "/v2/models/stats").await.json()["model_stats"].as_array().unwrap().len(), 8);
    let index = post(house.address, "/v2/repository/index", "", b"").await.json();
    assert_eq!(index[0], json!({ "name": "add", "version": "1", "state": "READY", "reason": "" }));
}

//! Requests that nobody should send: each is refused with a text, and the house goes on.

use crate::{
    fake::House,
    wire::{get, infer, post, raw},
};
use proptest::{prelude::*, test_runner::TestRunner};
use std::net::SocketAddr;

const HEAD: &str = r#"{"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[1,16],"parameters":{"binary_data_size":64}},{"name":"INPUT1","datatype":"INT32","shape":[1,16],"data":[[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]]}]}"#;

async fn check_refused(address: SocketAddr, guest: &str, json: &str, binary: &[u8]) {
    let reply = infer(address, guest, json, binary).await;
    assert!((400..500).contains(&reply.status), "{json}: {reply:?}");
    assert!(!reply.error().is_empty());
}

#[tokio::test]
async fn every_prefix_of_a_request_is_refused() {
    let house = House::open().await;
    assert_eq!(infer(house.address, "add", HEAD, &[0; 64]).await.status, 200);
    for length in 0..HEAD.len() {
        check_refused(house.address, "add", &HEAD[..length], &[0; 64]).await;
    }
    for length in 0..64 {
        check_refused(house.address, "add", HEAD, &[0; 64][..length]).await;
    }
    assert_eq!(infer(house.address, "add", HEAD, &[0; 64]).await.status, 200);
}

#[tokio::test]
async fn requests_with_one_part_wrong_are_refused() {
    let house = House::open().await;
    let data = "[[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]]";
    for (part, others) in [
        ("\"INPUT0\"", &["\"\"", "\"INPUT1\"", "\"INPUT2\"", "0", "null", "[]", "{}", "true"][..]),
        ("\"INT32\"", &["\"\"", "\"int32\"", "\"FP32\"", "\"BYTES\"", "\"FP16\"", "32", "null", "[]"]),
        ("[1,16]", &["[]", "[16]", "[16,1]", "[-1,16]", "[1,-16]", "[1.0,16]", "[\"1\",16]", "{}", "null", "16"]),
        ("[1,16]", &["[1,16,1]", "[0,16]", "[4294967296,4294967296]", "[18446744073709551616]", "[[1,16]]"]),
        (
            "\"binary_data_size\":64",
            &["\"binary_data_size\":63", "\"binary_data_size\":65", "\"binary_data_size\":-64"],
        ),
        (
            "\"binary_data_size\":64",
            &["\"binary_data_size\":\"64\"", "\"binary_data_size\":64.5", "\"shared_memory_region\":\"a\""],
        ),
        (
            "\"binary_data_size\":64",
            &["\"binary_data_size\":18446744073709551615", "\"a\":{}", "\"a\":[]", "\"a\":null"],
        ),
        (
            data,
            &["[]", "{}", "null", "0", "[[]]", "[[[]]]", "\"\"", "[[1,2,3]]", "[\"a\"]", "[[null]]", "[true]", "[1e9]"],
        ),
        (data, &["[[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,2147483648]]", "[[0,1,2,3,4,5,6,7],[8,9,10,11,12,13,14,15]]"]),
        (
            "{\"inputs\"",
            &[
                "{\"input\"",
                "{\"inputs\":[],\"inputs\"",
                "[\"inputs\"",
                "{\"id\":5,\"inputs\"",
                "{\"outputs\":5,\"inputs\"",
            ],
        ),
        ("{\"inputs\"", &["{\"parameters\":[],\"inputs\"", "{\"parameters\":{\"timeout\":-1},\"inputs\""]),
        ("{\"inputs\"", &["{\"parameters\":{\"binary_data_output\":\"yes\"},\"inputs\""]),
        ("{\"inputs\"", &["{\"outputs\":[{}],\"inputs\"", "{\"outputs\":[{\"name\":\"z\"}],\"inputs\""]),
        ("{\"inputs\"", &["{\"outputs\":[{\"name\":\"OUTPUT0\"},{\"name\":\"OUTPUT0\"}],\"inputs\""]),
    ] {
        for other in others {
            check_refused(house.address, "add", &HEAD.replacen(part, other, 1), &[0; 64]).await;
        }
    }
    assert_eq!(infer(house.address, "add", HEAD, &[0; 64]).await.status, 200);
}

#[tokio::test]
async fn deep_and_wide_requests_are_refused() {
    let house = House::open().await;
    let input = |data: &str| format!(r#"{{"inputs":[{{"name":"x","datatype":"INT32","shape":[1],"data":{data}}}]}}"#);
    let depth = 100_000;
    for json in [
        input(&"[".repeat(depth)),
        input(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        input(&"{\"a\":".repeat(depth)),
        "[".repeat(depth),
        format!(r#"{{"x":{}{},"inputs":5}}"#, "[".repeat(depth), "]".repeat(depth)),
        format!(r#"{{"inputs":[{}{{}}]}}"#, "{},".repeat(depth)),
        format!(r#"{{"inputs":[{{"name":"x","datatype":"INT32","data":[],"shape":[{}1]}}]}}"#, "1,".repeat(depth)),
        input(&format!("[{}1]", "1,".repeat(depth))),
        input("[1e999999]"),
        input("[\"\\ud800\"]"),
        input(&format!("[1{}]", "0".repeat(depth))),
    ] {
        check_refused(house.address, "echo", &json, b"").await;
    }
    assert_eq!(get(house.address, "/v2/health/live").await.status, 200);
}

#[tokio::test]
async fn headers_that_lie_are_refused() {
    let house = House::open().await;
    let body = br#"{"inputs":[]}"#;
    for (header, status) in [
        ("inference-header-content-length: 14\r\n", 400),
        ("inference-header-content-length: 12\r\n", 400),
        ("inference-header-content-length: 0\r\n", 400),
        ("inference-header-content-length: -1\r\n", 400),
        ("inference-header-content-length: 1e3\r\n", 400),
        ("inference-header-content-length: 99999999999999999999999\r\n", 400),
        ("inference-header-content-length: \r\n", 400),
        ("content-type: image/png\r\n", 415),
        ("content-type: multipart/form-data; boundary=x\r\n", 415),
        ("content-encoding: br\r\n", 415),
        ("content-encoding: gzip, gzip\r\n", 415),
        ("content-encoding: gzip\r\ncontent-encoding: gzip\r\n", 415),
        ("content-encoding: gzip\r\n", 400),
        ("content-encoding: deflate\r\n", 400),
        ("content-type: application/json; charset=utf-8\r\n", 200),
        ("content-encoding: identity\r\n", 200),
    ] {
        let reply = post(house.address, "/v2/models/echo/infer", header, body).await;
        assert_eq!(reply.status, status, "{header}: {reply:?}");
        assert!(status == 200 || !reply.error().is_empty());
    }
}

#[tokio::test]
async fn what_is_not_http_is_not_answered_as_such() {
    let house = House::open().await;
    for said in [
        "\r\n\r\n\r\n\r\n",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /v2 HTTP/9.9\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}",
    ] {
        let said = format!("{said}{}", "\0".repeat(32));
        let reply = raw(house.address, said.as_bytes()).await;
        assert!(reply.is_none_or(|reply| (400..500).contains(&reply.status)), "{said:?}");
    }
    let many = format!("GET /v2 HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    assert!(raw(house.address, many.as_bytes()).await.is_none_or(|reply| reply.status == 431));
    assert_eq!(get(house.address, "/v2/health/live").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_requests_are_answered_or_refused() {
    let house = House::open().await;
    let address = house.address;
    let whole = [HEAD.as_bytes(), &[7; 64]].concat();
    let damage = prop::collection::vec((0..whole.len(), any::<u8>()), 1..6);
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        TestRunner::new(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }).run(
            &damage,
            |damage| {
                let mut body = whole.clone();
                damage.iter().for_each(|&(place, byte)| body[place] = byte);
                let header = format!("inference-header-content-length: {}\r\n", HEAD.len());
                let reply = runtime.block_on(post(address, "/v2/models/add/infer", &header, &body));
                prop_assert!(reply.status == 200 || reply.status == 400 && !reply.error().is_empty(), "{:?}", reply);
                Ok(())
            },
        )
    };
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    assert_eq!(infer(address, "add", HEAD, &[0; 64]).await.status, 200);
}

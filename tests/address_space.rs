//! Where less can be reserved than 4 GiB for each memory of each lease: kernels with addresses of 39 bits, `ulimit -v`.

use crate::support::{Burst, in_address_space, root};

const ECHO: &str = r#"{"inputs":[{"name":"x","datatype":"INT64","shape":[2],"data":[1,2]}]}"#;

fn demo_in(gibibytes: u64) -> Burst {
    Burst::serve_in_address_space(&root().join("guests/demo.toml"), gibibytes << 30)
}

/// `burst_leases_max` of the guest `echo`.
fn leases_max(burst: &Burst) -> u64 {
    let (_, metrics) = burst.get_metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix(r#"burst_leases_max{guest="echo"} "#));
    line.unwrap().parse().unwrap()
}

fn answers(burst: &Burst) {
    let (status, body) = burst.post("/v2/models/echo/infer", ECHO);
    assert_eq!(status, 200, "{body}");
}

#[test]
fn the_demo_serves_all_its_leases_in_512_and_256_gib() {
    for gibibytes in [512, 256] {
        let burst = demo_in(gibibytes);
        assert_eq!(leases_max(&burst), 128, "{gibibytes} GiB");
        answers(&burst);
    }
}

#[test]
fn pools_shrink_where_their_leases_do_not_fit() {
    let burst = demo_in(24);
    assert!((1..128).contains(&leases_max(&burst)), "{}", leases_max(&burst));
    answers(&burst);
}

#[test]
fn no_lease_at_all_is_an_error_that_names_the_keys() {
    let cache = tempfile::tempdir().unwrap();
    let manifest = cache.path().join("burst.toml");
    let component = root().join("guests/target/wasm32-unknown-unknown/release/echo.wasm");
    std::fs::copy(component, cache.path().join("echo.wasm")).unwrap();
    let text = "[guests.echo]\ncomponent = \"echo.wasm\"\nlimits.memory_max_bytes = 268435456\n";
    std::fs::write(&manifest, text).unwrap();
    let mut command = Burst::command(cache.path());
    command.arg("serve").arg(&manifest);
    let ran = in_address_space(&command, 400 << 20).output().unwrap();
    // The error is broken into lines.
    let told = String::from_utf8_lossy(&ran.stderr).replace('│', " ");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!ran.status.success());
    assert!(told.contains("ulimit -v") && told.contains("limits.memory_max_bytes"), "{told}");
}

#[test]
fn doctor_says_how_many_leases_fit() {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Burst::command(cache.path());
    command.arg("doctor");
    let told = in_address_space(&command, 512 << 30).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout);
    let line = told.lines().find(|line| line.contains("address space")).unwrap();
    assert!(line.contains("`ulimit -v` of 512.0 GiB") && line.contains("pool.max"), "{line}");
}

//! Compiled guests are kept, and a damaged or forged one is compiled again.

use crate::support::{Burst, block_on, config, deployer, guest, root};
use burst_host::mechanisms::cache::Cache;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

fn entries(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "guest")).collect()
}

async fn is_cached(directory: &Path) -> bool {
    let deployer = deployer(Some(Cache::open(directory).unwrap()));
    let guest = deployer.compile(&config(&guest("echo"), ""), BTreeMap::new()).await.unwrap();
    guest.instantiate().await.unwrap();
    guest.cached
}

#[test]
fn the_second_start_compiles_nothing_and_damage_is_noticed() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_cached(directory.path()).await);
        assert!(is_cached(directory.path()).await);
        let [entry] = &entries(directory.path())[..] else { panic!("one entry") };
        let whole = fs::read(entry).unwrap();
        // Every part of the file: tag, first line, headers of the code, code, end.
        for at in (0..64).chain((64..whole.len()).step_by(whole.len() / 64)).chain([whole.len() - 1]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(entry, &damaged).unwrap();
            assert!(!is_cached(directory.path()).await, "byte {at} was changed");
            assert_eq!(fs::read(entry).unwrap().len(), whole.len());
        }
        fs::write(entry, &whole[..whole.len() / 2]).unwrap();
        assert!(!is_cached(directory.path()).await);
        assert!(is_cached(directory.path()).await);
    });
}

/// Killed at any moment, the next start serves.
#[test]
fn a_kill_during_compilation_or_writing_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("burst.toml");
    let component = root().join(guest("echo"));
    fs::copy(component, directory.path().join("echo.wasm")).unwrap();
    fs::write(&manifest, "[guests.echo]\ncomponent = \"echo.wasm\"\n").unwrap();
    for delay_ms in (0..120).step_by(6) {
        let cache = tempfile::tempdir().unwrap();
        let mut child = Burst::command(cache.path())
            .args(["serve", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .arg(&manifest)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if delay_ms % 24 == 0 {
            let burst = Burst::serve_with_cache(&manifest, cache.path());
            let body = r#"{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[7]}]}"#;
            let (status, answer) = burst.post("/v2/models/echo/infer", body);
            assert_eq!(status, 200, "{answer}");
        }
    }
}

//! What a driver makes of kernels is kept on disk; what does not hold there is made again.

use super::{super::Options, faults};
use crate::gpu::{GpuAccelerator, Wanted};
use burst_host::mechanisms::cache::Cache;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Loads and runs a model on a device that keeps its kernels there.
async fn run(directory: &Path) {
    let options = Options { cache: Some(Cache::open(directory).unwrap()), ..Options::default() };
    let accelerator = GpuAccelerator::open_with(&Wanted::Named("llvmpipe".into()), options).await.unwrap();
    let program = faults::sum(&accelerator, 100).await.unwrap();
    faults::check_sum(&accelerator, &program, 100).await;
}

fn entry(directory: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "kernels"))
}

/// The entry, once the thread that writes it has.
async fn written(directory: &Path, holds: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    for _ in 0..2_000 {
        match entry(directory).and_then(|path| fs::read(path).ok()) {
            Some(bytes) if holds(&bytes) => return bytes,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    panic!("nothing was written")
}

#[tokio::test]
async fn kernels_are_kept_and_a_damaged_entry_is_made_again() {
    let Some(_) = super::open("llvmpipe").await else { return };
    let directory = tempfile::tempdir().unwrap();
    run(directory.path()).await;
    let whole = written(directory.path(), |_| true).await;
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(entry(directory.path()).unwrap(), &damaged).unwrap();
        run(directory.path()).await;
        let again = written(directory.path(), |bytes| bytes != damaged).await;
        assert_eq!(again.len(), whole.len(), "byte {at} was changed");
    }
}

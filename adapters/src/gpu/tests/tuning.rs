//! Which kernels are the fastest is measured once and kept; what does not hold is measured again.

use super::super::{Options, device, entry::Entry, trial, tuning::Choice};
use crate::gpu::{Family, GpuAccelerator, Halving, Wanted};
use burst_host::mechanisms::cache::Cache;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A device that keeps there what it measures.
async fn opened(directory: &Path) -> GpuAccelerator {
    let options = Options { cache: Some(Cache::open(directory).unwrap()), ..Options::default() };
    GpuAccelerator::open_with(&Wanted::Named("llvmpipe".into()), options).await.unwrap()
}

async fn info() -> wgpu::AdapterInfo {
    let adapters = device::adapters().await;
    adapters.iter().map(wgpu::Adapter::get_info).find(|info| info.name.contains("llvmpipe")).unwrap()
}

fn entry(directory: &Path, info: &wgpu::AdapterInfo) -> Entry {
    Entry::new(&Cache::open(directory).unwrap(), "tuning", info)
}

fn file(directory: &Path) -> PathBuf {
    let mut files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "tuning")).unwrap()
}

#[tokio::test]
async fn what_was_measured_is_kept() {
    let Some(_) = super::open("llvmpipe").await else { return };
    let (directory, info) = (tempfile::tempdir().unwrap(), info().await);
    let measured = opened(directory.path()).await.choice();
    assert_eq!(entry(directory.path(), &info).get(), Some(measured.to_string().into_bytes()));
    // Either one, put there as if it had been the faster, is what the next start computes with.
    for other in [Family::Apart, Family::Together].map(Choice::of) {
        entry(directory.path(), &info).put(other.to_string().as_bytes());
        assert_eq!(opened(directory.path()).await.choice(), other);
    }
}

#[tokio::test]
async fn what_does_not_hold_is_measured_again() {
    let Some(_) = super::open("llvmpipe").await else { return };
    let (directory, info) = (tempfile::tempdir().unwrap(), info().await);
    let holds = || {
        let kept = entry(directory.path(), &info).get();
        let families = [Family::Apart, Family::Together].map(Choice::of);
        let mut every = families.iter().flat_map(|one| [true, false].map(|winograd| Choice { winograd, ..*one }));
        every.any(|one| kept == Some(one.to_string().into_bytes()))
    };
    opened(directory.path()).await;
    let path = file(directory.path());
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() - 1] ^= 1;
    // What was signed for another driver, under this one's name.
    let other = wgpu::AdapterInfo { driver_info: "another".into(), ..info.clone() };
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(directory.path().join("key"), elsewhere.path().join("key")).unwrap();
    entry(elsewhere.path(), &other).put(Choice::of(Family::Apart).to_string().as_bytes());
    let foreign = fs::read(file(elsewhere.path())).unwrap();
    for contents in [damaged, foreign, Vec::new()] {
        fs::write(&path, contents).unwrap();
        opened(directory.path()).await;
        assert!(holds(), "it was measured again");
    }
    entry(directory.path(), &info).put(b"kernels that nobody has");
    opened(directory.path()).await;
    assert!(holds(), "it was measured again");
}

/// What decides whether cooperative matrices are used holds for kernels that are right.
#[tokio::test]
async fn halves_are_multiplied_rightly() {
    let Some(_) = super::open("llvmpipe").await else { return };
    for family in Family::ALL {
        let options = Options { kernels: Some(Choice::of(family)), ..Options::default() };
        let gpu = device::Gpu::open(&Wanted::Named("llvmpipe".into()), &options).await.unwrap();
        assert_eq!(trial::multiplies_halves(&gpu).await, Ok(true), "{}", family.name());
    }
}

/// What decides whether halves are native holds for both ways to have them.
#[tokio::test]
async fn halves_are_rounded_rightly() {
    let Some(_) = super::open("llvmpipe").await else { return };
    for halving in Halving::ALL {
        let options = Options { kernels: Some(Choice { halving, ..Choice::of(Family::Apart) }), ..Options::default() };
        let gpu = device::Gpu::open(&Wanted::Named("llvmpipe".into()), &options).await.unwrap();
        assert_eq!(gpu.target.choice.halving, halving);
        assert_eq!(trial::rounds_halves(&gpu).await, Ok(true), "{halving:?}");
    }
}

//! Artefacts that lie in a directory: the manifest's own. Writes nothing and never leaves its root.

use async_trait::async_trait;
use burst_host::ports::{Artefact, Registry, RegistryError};
use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions},
};
use std::{
    io::{self, Read},
    path::{Component, Path},
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// The files below one directory, by their path relative to it. A symbolic link may not lead out.
#[derive(Clone)]
pub struct Directory {
    root: Arc<Dir>,
}

impl Directory {
    /// Opens `root` once; it may be renamed afterwards.
    pub fn open(root: &Path) -> io::Result<Self> {
        Ok(Self { root: Arc::new(Dir::open_ambient_dir(root, ambient_authority())?) })
    }
}

#[async_trait]
impl Registry for Directory {
    async fn fetch(&self, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        let (root, reference) = (self.root.clone(), reference.to_owned());
        let name = reference.clone();
        let read = spawn_blocking(move || read(&root, &reference, limit_bytes));
        read.await
            .unwrap_or_else(|_| Err(RegistryError::Unreadable { reference: name, reason: "its reader broke".into() }))
    }
}

fn read(root: &Dir, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError> {
    let refused = |reason: &str| RegistryError::Refused { reference: reference.into(), reason: reason.into() };
    let too_large = || RegistryError::TooLarge { reference: reference.into(), limit_bytes };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RegistryError::NotFound(reference.into()),
        // Both for a link that leads out and for a file of another user: which one is nobody's business.
        io::ErrorKind::PermissionDenied => refused("it may not be read"),
        // The kind alone: an error's own words may hold a path.
        kind => RegistryError::Unreadable { reference: reference.into(), reason: kind.to_string() },
    };
    plain(reference).map_err(refused)?;
    let file = root.open_with(reference, &options()).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(RegistryError::Directory(reference.into()));
    }
    if !metadata.is_file() {
        return Err(refused("it is not a file"));
    }
    if metadata.len() > limit_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes { Err(too_large()) } else { Ok(Artefact::new(bytes)) }
}

/// A relative path that names something below its root, by its words alone.
fn plain(reference: &str) -> Result<(), &'static str> {
    if reference.is_empty() {
        return Err("it is empty");
    }
    if reference.contains(['\0', '\\']) {
        return Err("it has a character that paths here don't have");
    }
    for component in Path::new(reference).components() {
        match component {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => return Err("it leads out of its directory"),
            Component::RootDir | Component::Prefix(_) => return Err("it is not relative"),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn options() -> OpenOptions {
    use cap_std::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    // A pipe would make us wait for its writer.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    options
}

#[cfg(not(unix))]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// A root with a file, a directory and a neighbour that is nobody's business.
    fn house() -> TempDir {
        let house = tempfile::tempdir().unwrap();
        fs::create_dir_all(house.path().join("root/models")).unwrap();
        fs::write(house.path().join("root/models/one.onnx"), b"weights").unwrap();
        fs::write(house.path().join("secret"), b"secret").unwrap();
        house
    }

    async fn check(house: &TempDir, reference: &str, limit_bytes: u64, expected: Result<&[u8], &str>) {
        let directory = Directory::open(&house.path().join("root")).unwrap();
        let found = directory.fetch(reference, limit_bytes).await;
        let found = found.as_ref().map(|artefact| &artefact.bytes[..]).map_err(ToString::to_string);
        if let Err(message) = &found {
            assert!(!message.contains(&house.path().display().to_string()), "{message} tells where we are");
        }
        assert_eq!(found, expected.map_err(Into::into), "{reference}");
    }

    #[tokio::test]
    async fn files_below_the_root() {
        let house = house();
        check(&house, "models/one.onnx", 7, Ok(b"weights")).await;
        check(&house, "./models/one.onnx", u64::MAX, Ok(b"weights")).await;
        check(&house, "models/one.onnx", 6, Err("`models/one.onnx` is larger than 6 bytes")).await;
        check(&house, "models/two.onnx", 9, Err("`models/two.onnx` does not exist")).await;
        check(&house, "models/one.onnx/two", 9, Err("`models/one.onnx/two` does not exist")).await;
        check(&house, "models", 9, Err("`models` is a directory")).await;
        check(&house, ".", 9, Err("`.` is a directory")).await;
    }

    #[tokio::test]
    async fn ways_out() {
        let house = house();
        check(&house, "", 9, Err("`` is refused: it is empty")).await;
        check(&house, "../secret", 9, Err("`../secret` is refused: it leads out of its directory")).await;
        check(&house, "models/../../secret", 9, Err("`models/../../secret` is refused: it leads out of its directory"))
            .await;
        check(&house, "/etc/passwd", 9, Err("`/etc/passwd` is refused: it is not relative")).await;
        check(&house, "a\\b", 9, Err("`a\\b` is refused: it has a character that paths here don't have")).await;
        check(&house, "a\0b", 9, Err("`a\0b` is refused: it has a character that paths here don't have")).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links() {
        use std::os::unix::fs::symlink;
        let house = house();
        let root = house.path().join("root");
        symlink("models/one.onnx", root.join("inside")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink(house.path().join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        check(&house, "inside", 9, Ok(b"weights")).await;
        check(&house, "outside", 9, Err("`outside` is refused: it may not be read")).await;
        check(&house, "absolute", 9, Err("`absolute` is refused: it may not be read")).await;
        check(&house, "up/secret", 9, Err("`up/secret` is refused: it may not be read")).await;
        let error = Directory::open(&root).unwrap().fetch("loop", 9).await.err().unwrap();
        assert!(matches!(error, RegistryError::Unreadable { .. }), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn pipes_keep_nobody_waiting() {
        let house = house();
        let status = std::process::Command::new("mkfifo").arg(house.path().join("root/pipe")).status().unwrap();
        assert!(status.success());
        check(&house, "pipe", 9, Err("`pipe` is refused: it is not a file")).await;
    }
}

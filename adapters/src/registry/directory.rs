//! Artefacts that lie in a directory: the manifest's own. Writes nothing and never leaves its root.

use super::direct;
use async_trait::async_trait;
use burst_host::{
    nouns::Space,
    ports::{Artefact, Registry, RegistryError, Revision},
};
use bytes::Bytes;
use cap_std::{
    ambient_authority,
    fs::{Dir, File, Metadata, OpenOptions},
};
use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
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
        self.off_the_reactor(reference, move |root, reference| read(root, reference, limit_bytes)).await
    }

    async fn length(&self, reference: &str) -> Result<u64, RegistryError> {
        self.off_the_reactor(reference, |root, reference| Ok(open(root, reference, options())?.1.len())).await
    }

    async fn piece(&self, reference: &str, offset: u64, bytes_max: u64) -> Result<(u64, Bytes), RegistryError> {
        let read = move |root: &Dir, reference: &str| {
            let (mut file, metadata) = open(root, reference, options())?;
            let total = metadata.len();
            let mut bytes = Vec::with_capacity(total.saturating_sub(offset).min(bytes_max) as usize);
            let part = file.seek(SeekFrom::Start(offset.min(total))).map(|_| file.take(bytes_max));
            let read = part.and_then(|mut part| part.read_to_end(&mut bytes));
            read.map_err(|error| failed(reference, error))?;
            Ok((total, bytes.into()))
        };
        self.off_the_reactor(reference, read).await
    }

    async fn read(
        &self,
        reference: &str,
        mut space: Space,
        bytes: Range<usize>,
    ) -> Result<(Space, Option<Revision>), RegistryError> {
        let read = move |root: &Dir, reference: &str| {
            let failed = |error| failed(reference, error);
            let (file, caches) = match open(root, reference, direct::options(options())) {
                // This file system knows no other way than through the caches.
                Err(RegistryError::Unreadable { .. }) => (open(root, reference, options())?.0, true),
                opened => (opened?.0, false),
            };
            let window = space.window(bytes.clone()).ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
            let revision = direct::read(&file, window, bytes.len()).map_err(failed)?;
            if caches {
                direct::forget(&file);
            }
            Ok((space, revision))
        };
        self.off_the_reactor(reference, read).await
    }
}

impl Directory {
    async fn off_the_reactor<T: Send + 'static>(
        &self,
        reference: &str,
        read: impl FnOnce(&Dir, &str) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let (root, name) = (self.root.clone(), reference.to_owned());
        let broken = || RegistryError::Unreadable { reference: reference.into(), reason: "its reader broke".into() };
        spawn_blocking(move || read(&root, &name)).await.unwrap_or_else(|_| Err(broken()))
    }
}

fn failed(reference: &str, error: io::Error) -> RegistryError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RegistryError::NotFound(reference.into()),
        // Both for a link that leads out and for a file of another user: which one is nobody's business.
        io::ErrorKind::PermissionDenied => refused(reference, "it may not be read"),
        // The kind alone: an error's own words may hold a path.
        kind => RegistryError::Unreadable { reference: reference.into(), reason: kind.to_string() },
    }
}

fn refused(reference: &str, reason: &str) -> RegistryError {
    RegistryError::Refused { reference: reference.into(), reason: reason.into() }
}

/// A file below the root, and nothing else.
fn open(root: &Dir, reference: &str, options: OpenOptions) -> Result<(File, Metadata), RegistryError> {
    plain(reference).map_err(|reason| refused(reference, reason))?;
    let file = root.open_with(reference, &options).map_err(|error| failed(reference, error))?;
    let metadata = file.metadata().map_err(|error| failed(reference, error))?;
    if metadata.is_dir() {
        return Err(RegistryError::Directory(reference.into()));
    }
    if !metadata.is_file() {
        return Err(refused(reference, "it is not a file"));
    }
    Ok((file, metadata))
}

fn read(root: &Dir, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError> {
    let too_large = || RegistryError::TooLarge { reference: reference.into(), limit_bytes };
    let (file, metadata) = open(root, reference, options())?;
    if metadata.len() > limit_bytes {
        return Err(too_large());
    }
    // With room for the byte too much: a buffer that grows is in memory twice.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().saturating_add(1)).map_err(|_| too_large())?);
    // The file may grow while it is read.
    let read = file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| failed(reference, error))?;
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

    /// Reads past the caches what `fetch` reads through them.
    async fn check_read(house: &TempDir, bytes: Range<usize>, expected: Result<(), &str>) {
        let directory = Directory::open(&house.path().join("root")).unwrap();
        let length = directory.length("models/one.onnx").await.unwrap() as usize;
        let contents = fs::read(house.path().join("root/models/one.onnx")).unwrap();
        assert_eq!(length, contents.len());
        let found = directory.read("models/one.onnx", Space::new(2 * length + Space::BLOCK_BYTES), bytes.clone()).await;
        match (found, expected) {
            (Ok((space, _)), Ok(())) => assert!(space.as_ref()[bytes] == contents, "the same bytes"),
            (found, expected) => {
                assert_eq!(found.map(drop).map_err(|error| error.to_string()), expected.map_err(Into::into));
            }
        }
    }

    #[tokio::test]
    async fn bytes_past_the_caches() {
        let house = house();
        let unreadable = |why: &str| format!("`models/one.onnx` can't be read: {why}");
        for length in [7, 4096, 4097, 3 << 20] {
            let contents: Vec<u8> = (0..length).map(|index: usize| (index % 251) as u8).collect();
            fs::write(house.path().join("root/models/one.onnx"), contents).unwrap();
            check_read(&house, 0..length, Ok(())).await;
            check_read(&house, 4096..4096 + length, Ok(())).await;
            check_read(&house, 0..length - 1, Err(&unreadable("unexpected end of file"))).await;
            check_read(&house, 0..length + 1, Err(&unreadable("unexpected end of file"))).await;
        }
        check_read(&house, 1..8, Err(&unreadable("out of memory"))).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn revisions_change_with_the_bytes() {
        let house = house();
        let directory = Directory::open(&house.path().join("root")).unwrap();
        let revision = async || directory.read("models/one.onnx", Space::new(7), 0..7).await.unwrap().1;
        assert_eq!(revision().await, None, "it was written just now: the clock may not tell the next write from it");
        tokio::time::sleep(direct::SETTLED).await;
        let settled = revision().await;
        assert!(settled.is_some() && revision().await == settled);
        fs::write(house.path().join("root/models/one.onnx"), b"WEIGHTS").unwrap();
        assert_eq!(revision().await, None);
        tokio::time::sleep(direct::SETTLED).await;
        assert_ne!(revision().await, settled);
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

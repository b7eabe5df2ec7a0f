//! Files that are called what their bytes are. Each is there whole or not at all, also after a power cut.

use crate::{
    nouns::{Content, Digest, Digester},
    ports::Artefact,
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::task::spawn_blocking;

/// A directory of one process.
pub struct Disk {
    directory: Arc<Path>,
    count: AtomicU64,
}

/// A file on its way. It is gone when this is dropped before its end.
pub struct Incoming {
    content: Content,
    file: File,
    digester: Digester,
    bytes: u64,
    unfinished: Unfinished,
    directory: Arc<Path>,
}

/// What a file is called that is not whole yet.
struct Unfinished(PathBuf);

impl Disk {
    const UNFINISHED: &str = "part";

    /// Makes the directory, and removes what a process left there half way.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == Self::UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { directory: directory.into(), count: AtomicU64::new(0) })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The bytes of a digest, if they are here.
    pub async fn read(&self, digest: &Digest) -> Option<Artefact> {
        let (path, digest) = (self.path(digest), *digest);
        let read = move || Some(Artefact::new(fs::read(path).ok()?)).filter(|artefact| artefact.digest == digest);
        spawn_blocking(read).await.ok()?
    }

    /// Whether they are here, every byte of them.
    pub async fn holds(&self, content: &Content) -> bool {
        let (path, content) = (self.path(&content.digest), *content);
        spawn_blocking(move || verify(&path, &content).unwrap_or(false)).await.unwrap_or(false)
    }

    /// Whether a file of this name and length is here. What came was verified.
    pub async fn lists(&self, content: &Content) -> bool {
        let (path, bytes) = (self.path(&content.digest), content.bytes);
        let listed = move || fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes);
        spawn_blocking(listed).await.unwrap_or(false)
    }

    /// How long a file is, and a part of it. Whoever puts the parts together verifies them.
    pub async fn piece(&self, digest: &Digest, offset: u64, bytes_max: u64) -> Option<(u64, Vec<u8>)> {
        let path = self.path(digest);
        let read = move || -> io::Result<(u64, Vec<u8>)> {
            let mut file = File::open(path)?;
            let total = file.metadata()?.len();
            file.seek(SeekFrom::Start(offset.min(total)))?;
            let mut bytes = Vec::with_capacity(total.saturating_sub(offset).min(bytes_max) as usize);
            file.take(bytes_max).read_to_end(&mut bytes)?;
            Ok((total, bytes))
        };
        spawn_blocking(read).await.ok()?.ok()
    }

    /// Writes a file whose digest is known.
    pub async fn write(&self, artefact: &Artefact) -> io::Result<()> {
        let content = Content { digest: artefact.digest, bytes: artefact.bytes.len() as u64 };
        self.begin(content).await?.push(artefact.bytes.clone()).await?.finish().await
    }

    /// A file that comes piece by piece.
    pub async fn begin(&self, content: Content) -> io::Result<Incoming> {
        let name = format!("{}.{}.{}", content.digest.hex(), self.count.fetch_add(1, Relaxed), Self::UNFINISHED);
        let (path, directory) = (self.directory.join(name), self.directory.clone());
        off_the_reactor(move || {
            let file = File::create(&path)?;
            let digester = Digester::default();
            Ok(Incoming { content, file, digester, bytes: 0, unfinished: Unfinished(path), directory })
        })
        .await
    }

    /// Removes a file, if it is here.
    pub async fn remove(&self, digest: &Digest) {
        let path = self.path(digest);
        if let Err(error) = off_the_reactor(move || fs::remove_file(path)).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%digest, %error, "it can't be removed");
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }
}

impl Incoming {
    /// Appends a piece.
    pub async fn push(mut self, piece: impl AsRef<[u8]> + Send + 'static) -> io::Result<Self> {
        off_the_reactor(move || {
            let piece = piece.as_ref();
            self.bytes = self.bytes.saturating_add(piece.len() as u64);
            if self.bytes > self.content.bytes {
                return Err(other(format!("it is longer than its {} bytes", self.content.bytes)));
            }
            self.file.write_all(piece)?;
            self.digester.update(piece);
            Ok(self)
        })
        .await
    }

    /// Gives it its name, if it is what that says.
    pub async fn finish(self) -> io::Result<()> {
        off_the_reactor(move || {
            let Self { content, file, digester, bytes, unfinished, directory } = self;
            let found = digester.digest();
            if bytes != content.bytes || found != content.digest {
                return Err(other(format!("{bytes} bytes came that are {found}")));
            }
            file.sync_all()?;
            fs::rename(&unfinished.0, directory.join(content.digest.hex()))?;
            File::open(&directory)?.sync_all()
        })
        .await
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Mostly it has its name already.
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads a file by and by: it may be larger than memory.
fn verify(path: &Path, content: &Content) -> io::Result<bool> {
    const BYTES: usize = 1 << 20;
    let mut file = File::open(path)?;
    if file.metadata()?.len() != content.bytes {
        return Ok(false);
    }
    let (mut piece, mut digester) = (vec![0; BYTES], Digester::default());
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digester.digest() == content.digest),
            bytes => digester.update(&piece[..bytes]),
        }
    }
}

async fn off_the_reactor<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(other(error.to_string())))
}

fn other(why: String) -> io::Error {
    io::Error::other(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(pieces: &[&'static [u8]], content: Content, expected: bool) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let written = async {
            let mut incoming = disk.begin(content).await?;
            for piece in pieces {
                incoming = incoming.push(*piece).await?;
            }
            incoming.finish().await
        };
        assert_eq!(written.await.is_ok(), expected, "{pieces:?}");
        assert_eq!(disk.holds(&content).await, expected);
        assert_eq!(disk.read(&content.digest).await.is_some(), expected);
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, usize::from(expected), "nothing is left half way");
    }

    #[tokio::test]
    async fn only_what_a_name_says_is_kept() {
        let content = Content { digest: Digest::of(b"weights"), bytes: 7 };
        check(&[b"weights"], content, true).await;
        check(&[b"wei", b"", b"ghts"], content, true).await;
        check(&[b"Weights"], content, false).await;
        check(&[b"weight"], content, false).await;
        check(&[b"weights", b"!"], content, false).await;
        check(&[], content, false).await;
        check(&[], Content { digest: Digest::of(b""), bytes: 0 }, true).await;
    }

    #[tokio::test]
    async fn a_file_goes_out_in_pieces() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        let weights = Artefact::new(&b"weights"[..]);
        disk.write(&weights).await.unwrap();
        for (offset, expected) in [(0, "wei"), (3, "ght"), (6, "s"), (7, ""), (u64::MAX, "")] {
            assert_eq!(disk.piece(&weights.digest, offset, 3).await, Some((7, expected.into())), "{offset}");
        }
        fs::write(directory.path().join(weights.digest.hex()), b"WEIGHTS").unwrap();
        assert!(disk.read(&weights.digest).await.is_none(), "a file that was changed is none");
        disk.remove(&weights.digest).await;
        assert_eq!(disk.piece(&weights.digest, 0, 3).await, None);
    }
}

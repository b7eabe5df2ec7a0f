//! Keeps compiled guests and kernels on disk, and trusts none of them: an entry counts only if this node's key signed its bytes.
//!
//! Compiled code is native code, so a forged file would be arbitrary code in the host. The tag covers everything that
//! the code depends on and the bytes themselves; it is checked on the bytes that were read, and those bytes, never the
//! file, are what runs.

use crate::nouns::Digest;
use hmac::{Hmac, KeyInit, Mac};
use rustix::{fs::OFlags, process::geteuid};
use sha2::Sha256;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A directory of signed entries of one kind.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    key: [u8; KEY_BYTES],
    /// What the entries' files end with.
    kind: &'static str,
}

/// Why the cache can't be used at all. A bad entry is no error: it is removed and made again.
#[derive(Debug, thiserror::Error)]
#[error("the cache directory {directory} can't be used: {reason}")]
pub struct CacheError {
    directory: PathBuf,
    reason: String,
}

/// One block of SHA-256.
const KEY_BYTES: usize = 64;
const TAG_BYTES: usize = 32;
/// Larger than any guest that the registry lets in, compiled.
const ENTRY_MAX_BYTES: u64 = 1 << 30;

impl Cache {
    /// Opens the directory, making it and its key at the first use.
    pub fn open(directory: &Path) -> Result<Self, CacheError> {
        let fail = |error: io::Error| CacheError { directory: directory.into(), reason: error.to_string() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fail)?;
        let key = read_key(directory).or_else(|_| make_key(directory)).map_err(fail)?;
        Ok(Self { directory: directory.into(), key, kind: "guest" })
    }

    /// The same directory and key, for entries of another kind.
    pub fn of_kind(&self, kind: &'static str) -> Self {
        Self { kind, ..self.clone() }
    }

    /// The bytes kept under `name`, if this node put exactly these there for exactly this `subject`.
    pub fn get(&self, name: &Digest, subject: &[u8]) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut entry = match read_private(&path, ENTRY_MAX_BYTES) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return self.discard(&path, &error.to_string()),
        };
        let Some((tag, bytes)) = entry.split_first_chunk::<TAG_BYTES>() else {
            return self.discard(&path, "it is cut off");
        };
        if self.sign(name, subject, bytes).verify_slice(tag).is_err() {
            return self.discard(&path, "its signature does not hold");
        }
        entry.drain(..TAG_BYTES);
        Some(entry)
    }

    /// Keeps `bytes`. A failure leaves no entry and costs the next start a compilation, so it is only logged.
    pub fn put(&self, name: &Digest, subject: &[u8], bytes: &[u8]) {
        let tag = self.sign(name, subject, bytes).finalize().into_bytes();
        if let Err(error) = write_whole(&self.directory, &self.path(name), &[&tag, bytes]) {
            tracing::warn!(kind = self.kind, %error, "a compiled entry was not cached");
        }
    }

    fn discard(&self, path: &Path, reason: &str) -> Option<Vec<u8>> {
        tracing::warn!(entry = %path.display(), reason, "a cached entry is discarded and compiled again");
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, "the discarded entry can't be removed");
        }
        None
    }

    fn sign(&self, name: &Digest, subject: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(name.as_bytes());
        mac.update(&(subject.len() as u64).to_le_bytes());
        mac.update(subject);
        mac.update(bytes);
        mac
    }

    fn path(&self, name: &Digest) -> PathBuf {
        self.directory.join(format!("{}.{}", name.hex(), self.kind))
    }
}

fn read_key(directory: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let key = read_private(&directory.join("key"), KEY_BYTES as u64)?;
    key.try_into().map_err(|_| io::Error::other("the key has a wrong length"))
}

fn make_key(directory: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    write_whole(directory, &directory.join("key"), &[&key])?;
    // Two first starts at once: the file that stayed is the key.
    read_key(directory)
}

/// Reads a file that is ours alone: not a link, not another user's, not writable by others.
pub(super) fn read_private(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    let ours = metadata.uid() == geteuid().as_raw();
    if !metadata.is_file() || !ours || metadata.mode() & 0o077 != 0 || metadata.len() > limit_bytes {
        return Err(io::Error::other("it is not a private file of this user"));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(limit_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
pub(super) fn write_whole(directory: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let unique = format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Relaxed));
    let temporary = directory.join(unique);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> (tempfile::TempDir, Cache, Digest) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path()).unwrap();
        (directory, cache, Digest::of(b"guest"))
    }

    #[test]
    fn what_was_put_comes_back_also_after_a_restart() {
        let (directory, cache, name) = entry();
        cache.put(&name, b"wasmtime 48", b"code");
        assert_eq!(cache.get(&name, b"wasmtime 48").as_deref(), Some(&b"code"[..]));
        let again = Cache::open(directory.path()).unwrap();
        assert_eq!(again.get(&name, b"wasmtime 48").as_deref(), Some(&b"code"[..]));
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_the_entry_removed() {
        let (_directory, cache, name) = entry();
        let path = cache.path(&name);
        for bit in 0..(TAG_BYTES + 4) * 8 {
            cache.put(&name, b"subject", b"code");
            let mut bytes = fs::read(&path).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            assert_eq!(cache.get(&name, b"subject"), None, "bit {bit}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn an_entry_of_another_subject_name_or_key_is_refused() {
        let (directory, cache, name) = entry();
        cache.put(&name, b"subject", b"code");
        assert_eq!(cache.get(&name, b"another"), None);
        cache.put(&name, b"subject", b"code");
        let other = Digest::of(b"other");
        fs::rename(cache.path(&name), cache.path(&other)).unwrap();
        assert_eq!(cache.get(&other, b"subject"), None);
        cache.put(&name, b"subject", b"code");
        fs::remove_file(directory.path().join("key")).unwrap();
        assert_eq!(Cache::open(directory.path()).unwrap().get(&name, b"subject"), None);
    }

    #[test]
    fn links_and_files_open_to_others_are_refused() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (directory, cache, name) = entry();
        cache.put(&name, b"subject", b"code");
        let real = directory.path().join("real");
        fs::rename(cache.path(&name), &real).unwrap();
        symlink(&real, cache.path(&name)).unwrap();
        assert_eq!(cache.get(&name, b"subject"), None);
        cache.put(&name, b"subject", b"code");
        fs::set_permissions(cache.path(&name), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(cache.get(&name, b"subject"), None);
    }
}

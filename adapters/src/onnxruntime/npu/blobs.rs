//! What a provider compiled, kept on disk: the provider trusts every file that it is shown, so it is shown only what
//! this node signed.

use burst_host::{mechanisms::cache::Cache, nouns::Digest};
use prost::Message;
use std::{
    collections::BTreeSet,
    fs::{self, DirEntry},
    io,
    path::Path,
    time::SystemTime,
};
use tempfile::TempDir;

/// Compiled models of one provider, on one device.
pub(super) struct Blobs {
    cache: Cache,
    /// What compiled them, and for what.
    subject: Vec<u8>,
}

/// The files that a provider keeps of one model.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    contents: Vec<u8>,
}

impl Blobs {
    pub(super) fn new(cache: &Cache, subject: String) -> Self {
        Self { cache: cache.of_kind("npu"), subject: subject.into_bytes() }
    }

    /// Compiles a model in a directory that has what was kept of it, and keeps what is new there afterwards.
    pub(super) fn with<T, E>(
        &self,
        model: &Digest,
        compile: impl FnOnce(&Path) -> Result<T, E>,
    ) -> io::Result<Result<T, E>> {
        // Nobody else can write into it.
        let directory = TempDir::new()?;
        if let Some(entry) = self.cache.get(model, &self.subject) {
            restore(&entry, directory.path())?;
        }
        let before = files(directory.path())?;
        let compiled = compile(directory.path());
        // Of a model without weights OpenVINO finds nothing again, and writes another file each time.
        let new: Vec<_> = files(directory.path())?.difference(&before).map(|(name, _)| name.clone()).collect();
        if compiled.is_ok() && !new.is_empty() {
            self.cache.put(model, &self.subject, &read(directory.path(), new)?);
        }
        Ok(compiled)
    }
}

fn restore(entry: &[u8], directory: &Path) -> io::Result<()> {
    for file in Files::decode(entry).map_err(io::Error::other)?.files {
        fs::write(directory.join(file.name), file.contents)?;
    }
    Ok(())
}

/// Names, and when each file was written.
fn files(directory: &Path) -> io::Result<BTreeSet<(String, SystemTime)>> {
    let file = |entry: DirEntry| Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.modified()?));
    fs::read_dir(directory)?.map(|entry| file(entry?)).collect()
}

fn read(directory: &Path, names: Vec<String>) -> io::Result<Vec<u8>> {
    let file = |name: String| Ok(File { contents: fs::read(directory.join(&name))?, name });
    let files = names.into_iter().map(file).collect::<io::Result<_>>()?;
    Ok(Files { files }.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_restored_and_only_new_ones_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&Cache::open(directory.path()).unwrap(), "provider 1".into());
        let model = Digest::of(b"model");
        let compile = |found: &mut Vec<String>, directory: &Path| {
            found.extend(files(directory).unwrap().into_iter().map(|(name, _)| name));
            fs::write(directory.join("a.blob"), "compiled").map_err(|error| error.to_string())
        };
        let mut found = Vec::new();
        blobs.with(&model, |directory| compile(&mut found, directory)).unwrap().unwrap();
        assert!(found.is_empty());
        blobs.with(&model, |directory| compile(&mut found, directory)).unwrap().unwrap();
        assert_eq!(found, ["a.blob"]);
        // Another provider, another device, another version: nothing of the first.
        found.clear();
        let other = Blobs::new(&Cache::open(directory.path()).unwrap(), "provider 2".into());
        other.with(&model, |directory| compile(&mut found, directory)).unwrap().unwrap();
        assert!(found.is_empty());
    }
}

//! Writes models whose weights lie beside them, each blob under its digest and once.

use burst_adapters::onnx::{self, OnnxError};
use burst_host::nouns::{Digest, Fragment, Graph};
use miette::{IntoDiagnostic, Report, Result, WrapErr, miette};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The largest blob: what registries take as one layer.
const BLOB_MAX_BYTES: usize = 1 << 30;

/// A directory of models and their blobs.
pub struct Store {
    directory: PathBuf,
}

/// A model as bytes, and the blobs that it names.
pub struct Stored {
    pub model: Vec<u8>,
    pub blobs: Vec<Digest>,
}

impl Store {
    /// Makes the directory where it is not there.
    pub fn open(directory: &Path) -> Result<Self> {
        let blobs = directory.join(Fragment::blob_directory());
        fs::create_dir_all(&blobs).into_diagnostic().wrap_err_with(|| format!("`{}`", blobs.display()))?;
        Ok(Self { directory: directory.into() })
    }

    /// Writes the weights of a model; the model itself goes where the caller wants it.
    pub fn weights(&self, graph: &Graph) -> Result<Stored> {
        let mut blobs = BTreeSet::new();
        let model = onnx::encode_apart(graph, |_, contents| {
            if contents.len() > BLOB_MAX_BYTES {
                return Err(Wrong(miette!("a tensor has {} bytes, a blob at most {BLOB_MAX_BYTES}", contents.len())));
            }
            let digest = Digest::of(contents);
            let location = Fragment::blob(&digest);
            // Several models, and several tensors of one, may share it.
            if blobs.insert(digest) && !self.directory.join(&location).exists() {
                self.put(&location, contents).map_err(Wrong)?;
            }
            Ok(location)
        });
        Ok(Stored { model: model.map_err(|Wrong(report)| report)?, blobs: blobs.into_iter().collect() })
    }

    /// Whole or not there: what is found under a digest is what the digest says.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.directory.join(name);
        let half = path.with_extension("part");
        let written = fs::write(&half, bytes).and_then(|()| fs::rename(&half, &path));
        written.into_diagnostic().wrap_err_with(|| format!("can't write `{}`", path.display()))
    }
}

struct Wrong(Report);

impl From<OnnxError> for Wrong {
    fn from(error: OnnxError) -> Self {
        Self(miette!("{error}"))
    }
}

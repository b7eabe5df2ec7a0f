//! Which releases a node knows, on its disk: a restart forgets none of them, and no older one counts again.

use super::cache::{read_private, write_whole};
use crate::nouns::{ReleaseId, Sealed};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The releases of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Releases {
    /// The largest that it heard of.
    pub latest: Option<Sealed>,
    /// What it served last.
    pub serving: Option<Sealed>,
    /// What it served before that.
    pub previous: Option<Sealed>,
    /// What it is to serve until there is a later one than the latest.
    pub held_back: Option<Sealed>,
}

/// Their file.
pub struct Record {
    path: PathBuf,
    releases: Releases,
}

impl Releases {
    /// What the node is to serve.
    pub fn wanted(&self) -> Option<&Sealed> {
        self.held_back.as_ref().or(self.latest.as_ref())
    }

    /// Each that is worth keeping.
    pub fn ids(&self) -> impl Iterator<Item = ReleaseId> {
        [&self.latest, &self.serving, &self.previous, &self.held_back].into_iter().flatten().map(|sealed| sealed.id)
    }

    /// A later one counts, also for who was held back.
    pub fn adopt(&mut self, sealed: Sealed) {
        self.latest = Some(sealed);
        self.held_back = None;
    }

    /// Another one than before is served from now on.
    pub fn serve(&mut self, sealed: Sealed) {
        if self.serving.as_ref().map(|serving| serving.id) != Some(sealed.id) {
            self.previous = self.serving.replace(sealed);
        }
    }
}

impl Record {
    const MAX_BYTES: u64 = 64 << 10;

    /// What the file says; nothing where there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let releases = match read_private(path, Self::MAX_BYTES) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Releases::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.into(), releases })
    }

    pub fn releases(&self) -> &Releases {
        &self.releases
    }

    /// Writes the change before it counts.
    pub fn change(&mut self, change: impl FnOnce(&mut Releases)) -> io::Result<()> {
        let mut changed = self.releases.clone();
        change(&mut changed);
        let json = serde_json::to_vec(&changed)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        write_whole(directory, &self.path, &[&json])?;
        self.releases = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::Digest;

    fn sealed(number: u64) -> Sealed {
        Sealed { id: ReleaseId { number, digest: Digest::of(b"release") }, seal: None }
    }

    #[test]
    fn a_restart_forgets_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("releases");
        let mut record = Record::open(&path).unwrap();
        assert_eq!(record.releases(), &Releases::default());
        record.change(|releases| releases.adopt(sealed(1))).unwrap();
        record.change(|releases| releases.serve(sealed(1))).unwrap();
        record.change(|releases| releases.adopt(sealed(2))).unwrap();
        record.change(|releases| releases.serve(sealed(2))).unwrap();
        record.change(|releases| releases.serve(sealed(2))).unwrap();
        record.change(|releases| releases.held_back = Some(sealed(1))).unwrap();
        let again = Record::open(&path).unwrap();
        assert_eq!(again.releases(), record.releases());
        assert_eq!(again.releases().previous, Some(sealed(1)), "serving one twice changes nothing");
        assert_eq!(again.releases().wanted(), Some(&sealed(1)));
        record.change(|releases| releases.adopt(sealed(3))).unwrap();
        assert_eq!(record.releases().wanted(), Some(&sealed(3)), "whoever was held back takes a later one");
        std::fs::write(&path, b"{").unwrap();
        assert!(Record::open(&path).is_err());
    }
}

//! Finds ONNX Runtime's shared library.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

/// The environment variable that other programs with ONNX Runtime read, too.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where packages and builds put shared libraries on Linux.
const DIRECTORIES: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
];

/// No library that can be used, with every reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    #[error("there is no ONNX Runtime library; looked at {}", Places(.0))]
    NotFound(Vec<PathBuf>),
    #[error("the ONNX Runtime library can't be loaded: {0}")]
    NotLoadable(String),
    #[error("ONNX Runtime can't be set up: {0}")]
    NotStarted(String),
}

impl LibraryError {
    /// What an operator can do about it.
    pub const HELP: &str = "`pip install onnxruntime` brings the library (onnxruntime/capi/libonnxruntime.so.*), and so \
        do ONNX Runtime's releases; name it with `onnxruntime.library` in the manifest or with ORT_DYLIB_PATH";
}

struct Places<'a>(&'a [PathBuf]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, path.display())?;
        }
        Ok(())
    }
}

/// The library to load: the one that is `named`, else that of the environment variable, else the newest of the first
/// usual place that has one. A library that is named and isn't there is an error, whatever else is there.
pub fn find(named: Option<&Path>) -> Result<PathBuf, LibraryError> {
    let variable = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    match named.map(Path::to_path_buf).or(variable) {
        Some(path) if path.is_dir() => newest(&path).ok_or(LibraryError::NotFound(vec![path])),
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(LibraryError::NotFound(vec![path])),
        None => {
            let places = usual_places();
            let found = places.iter().find_map(|place| newest(place));
            found.ok_or(LibraryError::NotFound(places))
        }
    }
}

fn usual_places() -> Vec<PathBuf> {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.to_path_buf()));
    let beside = beside.into_iter().flat_map(|directory| [directory.join("onnxruntime"), directory]);
    beside.chain(DIRECTORIES.map(PathBuf::from)).collect()
}

/// The library of the highest version in a directory. Versions are compared as numbers: 1.9 is older than 1.31.
fn newest(directory: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    files.filter_map(|path| Some((version(path.file_name()?.to_str()?)?, path))).max().map(|(_, path)| path)
}

/// The numbers behind `libonnxruntime.so`; `None` for other files.
fn version(file: &str) -> Option<Vec<u32>> {
    let rest = file.strip_prefix("libonnxruntime.so")?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.strip_prefix('.')?.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(version("libonnxruntime.so.1.31.1") > version("libonnxruntime.so.1.9.0"));
        assert!(version("libonnxruntime.so.1") > version("libonnxruntime.so"));
        assert_eq!(version("libonnxruntime_providers_shared.so"), None);
        assert_eq!(version("libonnxruntime.so.old"), None);
    }

    #[test]
    fn newest_library_of_a_directory_is_found() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.31.1", "libonnxruntime_providers_shared.so"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        assert_eq!(find(Some(directory.path())), Ok(directory.path().join("libonnxruntime.so.1.31.1")));
    }

    #[test]
    fn named_library_that_is_absent_is_an_error() {
        let absent = PathBuf::from("/nowhere/libonnxruntime.so");
        assert_eq!(find(Some(&absent)), Err(LibraryError::NotFound(vec![absent.clone()])));
    }
}

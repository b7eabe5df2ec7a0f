//! The floors hold, the fences hold, and the documents name what exists.

use crate::support::root;
use std::{
    fs,
    path::{Path, PathBuf},
};

const FLOORS: [&str; 4] = ["nouns", "ports", "mechanisms", "loops"];

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&entry, extension));
        } else if entry.extension().is_some_and(|other| other == extension) {
            found.push(entry);
        }
    }
    found
}

/// The floors that a source imports: `crate::ports`, `crate::{nouns::…, ports::…}`.
fn imported(source: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = &source[at + "crate::".len()..];
        let end = if rest.starts_with('{') {
            rest.find("};").unwrap_or(rest.len())
        } else {
            rest.find([';', ' ']).unwrap_or(rest.len())
        };
        let path = &rest[..end];
        let names =
            |floor: &&&str| path.starts_with(**floor) || path.contains(&format!("{floor}::")) && path.starts_with('{');
        found.extend(FLOORS.iter().filter(names));
    }
    found
}

#[test]
fn imports_point_down_only() {
    for (height, floor) in FLOORS.iter().enumerate() {
        for file in files(&root().join("host/src").join(floor), "rs") {
            let source = fs::read_to_string(&file).unwrap();
            for used in imported(&source) {
                let used_height = FLOORS.iter().position(|other| *other == used).unwrap();
                assert!(used_height <= height, "{} on floor `{floor}` imports `{used}`", file.display());
            }
        }
    }
    assert_eq!(imported("use crate::{nouns::A, loops::b};"), ["nouns", "loops"], "the check can see");
    assert_eq!(imported("use crate::ports::A;"), ["ports"]);
}

#[test]
fn the_fences_between_packages_hold() {
    let dependencies = |package: &str| {
        let manifest: toml::Table =
            fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap().parse().unwrap();
        manifest["dependencies"].as_table().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let outside = ["axum", "hyper", "image", "ort", "prost", "toml", "tonic", "tract-onnx", "wgpu", "zenoh"];
    assert!(!dependencies("host").iter().any(|name| outside.contains(&name.as_str())), "host reaches outside");
    assert!(!dependencies("adapters").iter().any(|name| name.starts_with("wasmtime")), "adapters know wasmtime");
}

#[test]
fn every_source_says_what_it_is() {
    for directory in ["host", "adapters", "guests", "tests"] {
        for file in files(&root().join(directory), "rs") {
            let source = fs::read_to_string(&file).unwrap();
            assert!(source.starts_with("//!"), "{} does not open with what it is", file.display());
        }
    }
}

/// Prose rots: a path in back-ticks that looks like one of ours has to exist.
#[test]
fn documents_name_paths_that_exist() {
    let mut documents = files(root(), "md");
    documents.retain(|path| !path.starts_with(root().join("target")));
    assert!(documents.len() >= 4, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let ours =
                ["host/", "adapters/", "guests/", "tests/", "wit/", ".ci/"].iter().any(|top| word.starts_with(top));
            let plain = !word.contains(['*', '<', '{', ' ', '…', '|']) && !word.contains("/target/");
            if ours && plain {
                let path = word.split(':').next().unwrap();
                assert!(root().join(path).exists(), "{} names `{word}`, which does not exist", document.display());
            }
        }
    }
}

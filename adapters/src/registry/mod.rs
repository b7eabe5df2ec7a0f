//! Registries: where guests and models are fetched from.

mod directory;

pub use directory::Directory;

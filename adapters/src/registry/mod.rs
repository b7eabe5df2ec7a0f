//! Registries: where guests and models are fetched from.

mod direct;
mod directory;

pub use directory::Directory;

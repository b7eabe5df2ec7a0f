//! The cluster behind its port: in this process, or over the network through Zenoh.

mod local;
#[cfg(test)]
mod tests;
#[cfg(feature = "cluster")]
mod zenoh;

pub use local::{Hub, LocalFabric};
#[cfg(feature = "cluster")]
pub use zenoh::{Options, Tls, ZenohFabric, refused_links};

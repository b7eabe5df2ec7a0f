//! Floor 3: how a guest is compiled, snapshotted, lent, fed and bounded.

pub mod statistics;

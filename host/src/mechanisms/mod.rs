//! Floor 3: how a guest is compiled, snapshotted, lent, fed and bounded; how a model is cut, placed and joined again.

mod alarm;
mod bindings;
pub mod cache;
pub mod component;
pub mod contents;
pub mod egress;
pub mod embedded;
pub mod feed;
pub mod imports;
pub mod live;
pub mod measure;
pub mod mixed;
pub mod paging;
pub mod pipeline;
pub mod place;
pub mod pool;
pub mod record;
pub mod relay;
pub mod rows;
pub mod sandbox;
pub mod sequences;
pub mod session;
pub mod shelf;
mod snapshot;
pub mod split;
pub mod statistics;
mod ticker;

//! What the house promises, one file a promise, on real components, sockets and processes.

mod address_space;
mod architecture;
mod cache;
mod cluster;
mod compile;
mod conformance;
mod contract;
mod decode;
mod deploy;
mod device;
mod ends;
mod frames;
mod hostile;
mod isolation;
mod limits;
mod mixed;
mod models;
mod nodes;
#[cfg(target_arch = "x86_64")]
mod npu;
mod onnxruntime;
mod paged;
mod place;
mod pool;
mod prepare;
mod program;
mod sequences;
mod serving;
mod silence;
mod split;
mod split_cases;
mod steady;
mod steps;
mod strangers;
mod support;

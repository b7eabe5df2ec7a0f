//! Floor 4: deploy and rollout (control plane), serve (data plane), watch (camera lanes).

mod cut;
pub mod deploy;
pub mod gather;
pub mod member;
mod mixed;
pub mod models;
pub mod rollout;
pub mod serve;
pub mod watch;
pub mod workload;

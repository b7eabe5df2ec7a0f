//! Floor 4: deploy (control plane), serve (data plane), watch (camera lanes).

mod cut;
pub mod deploy;
pub mod member;
pub mod models;
pub mod serve;
pub mod watch;

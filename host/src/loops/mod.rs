//! Floor 4: deploy (control plane), serve (data plane), watch (camera lanes).

pub mod serve;

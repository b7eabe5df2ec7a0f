//! Where records go when they leave the house.

mod broadcast;

pub use broadcast::{Broadcast, Heard, Subscription};

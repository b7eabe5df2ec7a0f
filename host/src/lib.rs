//! The host of Silent Burst, floor by floor: each imports only from the floors below it.
//!
//! 1. [`nouns`]: what the house talks about.
//! 2. [`ports`]: where the outside world plugs in.
//! 3. [`mechanisms`]: how a guest is compiled, lent, fed and bounded.
//! 4. [`loops`]: deploy, serve, watch.
//!
//! The tour is in `host/ARCHITECTURE.md`.

pub mod loops;
pub mod mechanisms;
pub mod nouns;
pub mod ports;

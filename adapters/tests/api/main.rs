//! The client protocols through real sockets: raw bytes, and clients as they are.

mod clients;
mod events;
mod fake;
mod infer;
mod limits;
mod malformed;
mod operations;
mod wire;

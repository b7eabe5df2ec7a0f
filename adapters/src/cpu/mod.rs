//! The CPU: the accelerator that every box has.

pub mod view;

//! The assignment is what trying everything gives, and values are moved where it says.

mod assigned;
mod fake;
mod moved;

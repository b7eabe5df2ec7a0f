//! How much memory there is left.

/// The memory that this process shares with everything it does.
pub trait Memory: Send + Sync {
    /// What may still be taken of it, by its limit and by what is held now.
    fn room_bytes(&self) -> u64;
}

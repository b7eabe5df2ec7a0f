//! Memory that disks write into without a copy: it begins and ends at their blocks.

use std::ops::Range;

/// Bytes that can be had at the block sizes of disks.
pub struct Space {
    memory: Vec<u8>,
    /// Where the first block begins.
    start: usize,
}

impl Space {
    /// What disks address: a multiple of every block size in use.
    pub const BLOCK_BYTES: usize = 4096;

    /// Zeros; room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        let memory = vec![0; Self::blocks(bytes).saturating_add(Self::BLOCK_BYTES)];
        let start = memory.as_ptr().align_offset(Self::BLOCK_BYTES);
        Self { memory, start }
    }

    /// So many bytes, rounded up to whole blocks.
    pub fn blocks(bytes: usize) -> usize {
        bytes.checked_next_multiple_of(Self::BLOCK_BYTES).unwrap_or(usize::MAX)
    }

    /// The blocks that hold `bytes`; `None` where they are not inside or do not begin with a block.
    pub fn window(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        let length = Self::blocks(bytes.end.checked_sub(bytes.start)?);
        let begin = self.start.checked_add(bytes.start).filter(|_| bytes.start.is_multiple_of(Self::BLOCK_BYTES))?;
        self.memory.get_mut(begin..begin.checked_add(length)?)
    }
}

impl AsRef<[u8]> for Space {
    fn as_ref(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_blocks() {
        let mut space = Space::new(5000);
        let mut check = |bytes: Range<usize>, expected: Option<usize>| {
            let window = space.window(bytes.clone());
            assert!(window.iter().all(|window| window.as_ptr().addr().is_multiple_of(Space::BLOCK_BYTES)), "{bytes:?}");
            assert_eq!(window.map(|window| window.len()), expected, "{bytes:?}");
        };
        check(0..5000, Some(8192));
        check(4096..4097, Some(4096));
        check(4096..4096, Some(0));
        check(1..10, None);
        check(0..8193, None);
        check(Range { start: 4096, end: 0 }, None);
        check(8192..usize::MAX, None);
    }
}

//! Leaves `canary` UINT8 [16] in its static memory, its heap and its stack, and answers `seen` INT64 [1]: 1 if any
//! earlier canary was left anywhere in its memory, else 0.

#![cfg(target_arch = "wasm32")]

use burst_guest::{Inputs, Outputs, Tensor, responder};
use std::{arch::wasm32::memory_size, hint::black_box};

const PAGE_BYTES: usize = 65_536;
/// Marks a canary. Kept split, so that the whole of it is in memory only where a canary was left.
const MARK: [u64; 2] = [0x9d3f_52c1_7be8_04a6, 0x1c5a_e97b_3304_d8f2];

static mut LEFT: [u64; 3] = [0; 3];

responder!(respond);

fn respond(inputs: Inputs) -> Result<Outputs, String> {
    let seen = is_marked();
    let canary = inputs.get("canary")?.to_u8()?;
    let canary = <[u8; 16]>::try_from(canary).map_err(|_| "`canary` is 16 bytes")?;
    leave(canary);
    Ok(Outputs::from([("seen", Tensor::from_i64(&[seen.into()], [1])?)]))
}

fn mark() -> u64 {
    black_box(MARK[0]) ^ black_box(MARK[1])
}

/// Reads every aligned word of the memory but the first, which is where null points.
fn is_marked() -> bool {
    let mark = mark();
    let words = memory_size::<0>() * PAGE_BYTES / size_of::<u64>();
    // SAFETY: all of linear memory is mapped and a word has no invalid value; volatile, because the words are others'.
    (1..words).any(|word| unsafe { ((word * size_of::<u64>()) as *const u64).read_volatile() } == mark)
}

#[inline(never)]
fn leave(canary: [u8; 16]) {
    let [low, high] = [&canary[..8], &canary[8..]].map(|half| half.iter().fold(0, |word, &b| word << 8 | u64::from(b)));
    let marked = [mark(), low, high];
    // SAFETY: a guest has one thread, and nothing else refers to it.
    unsafe { (&raw mut LEFT).write_volatile(marked) };
    std::mem::forget(black_box(Box::new(marked)));
    black_box(marked);
}

//! How much of a model may stay in memory.

use super::belt::AHEAD;

use crate::{
    nouns::Extent,
    ports::{Accelerator, Program},
};

/// While something is loaded its bytes are there twice: as they were read, and as the accelerator copies them.
const LOADING: u64 = 2;
/// Two that are read, two that run, and the copy of the one that is being loaded.
const PASSING: u64 = 2 * AHEAD as u64 + 1;
/// The most copies of its weights that a loaded fragment has.
const COPIES_MAX: u64 = 3;

/// How often a loaded fragment has its weights. Where extents are open they are kept beside the plan for those in use;
/// behind a device of its own memory the host keeps them, since a device can be lost.
pub fn copies(program: &dyn Program, accelerator: &dyn Accelerator) -> u64 {
    let open = |extent: &Extent| !matches!(extent, Extent::Fixed(_));
    let inputs = &program.signature().inputs;
    let dynamic = inputs.iter().any(|port| port.shape.as_ref().is_none_or(|shape| shape.iter().any(open)));
    1 + u64::from(dynamic) + u64::from(accelerator.held_bytes().is_some())
}

/// What the fragments of a model take, in order, in bytes: each where it is in memory once.
pub struct Share {
    pub fragments: Vec<u64>,
    /// What stays of fragments that don't: models, small blobs.
    pub kept_bytes: u64,
    /// What the host has left.
    pub room_bytes: u64,
    /// What the device has, where that is not the host's.
    pub device_bytes: Option<u64>,
}

/// There is less room than it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed_bytes} bytes are needed in memory at once and {room_bytes} are there; cut the model into fragments of at \
     most {fragment_bytes} bytes: `burst split --memory-max {fragment_bytes}`"
)]
pub struct Short {
    pub needed_bytes: u64,
    pub room_bytes: u64,
    /// The largest fragment that there is room for.
    pub fragment_bytes: u64,
}

impl Share {
    /// What something takes that was read and is being loaded, beside what it was read into.
    pub fn loading_bytes(bytes: u64) -> u64 {
        bytes.saturating_mul(LOADING)
    }

    /// Whether all of them may stay, whatever they turn out to be.
    pub fn fits(&self) -> bool {
        let all = self.sum(self.fragments.len());
        let host = all.saturating_mul(COPIES_MAX).saturating_add(Self::loading_bytes(self.largest(0)));
        host <= self.room_bytes && self.device(all).is_ok()
    }

    /// What those from `first` on take while they pass.
    pub fn passing_bytes(&self, first: usize) -> u64 {
        self.largest(first).saturating_mul(PASSING).saturating_add(self.kept_bytes)
    }

    /// Whether there is room for them to pass.
    pub fn passes(&self) -> Result<(), Short> {
        self.device(self.largest(0).saturating_mul(AHEAD as u64))?;
        Short::check(self.passing_bytes(0), self.room_bytes)
    }

    /// Whether one more may stay, where `held_bytes` of those before it do: `copies` times what it was read from.
    pub fn stays(&self, index: usize, held_bytes: u64, copies: u64) -> Option<u64> {
        let bytes = self.fragments.get(index)?.checked_mul(copies)?;
        let held = held_bytes.checked_add(bytes)?;
        let host = held.checked_add(self.passing_bytes(index + 1))? <= self.room_bytes;
        let passing = self.largest(index + 1).saturating_mul(AHEAD as u64);
        let device = self.device(self.sum(index + 1).saturating_add(passing)).is_ok();
        (host && device).then_some(held)
    }

    fn largest(&self, first: usize) -> u64 {
        self.fragments.iter().skip(first).max().copied().unwrap_or(0)
    }

    fn sum(&self, count: usize) -> u64 {
        self.fragments.iter().take(count).fold(0, |sum: u64, &bytes| sum.saturating_add(bytes))
    }

    /// Whether the device has room for so many bytes of weights; it rounds what it allocates up by an eighth at most.
    fn device(&self, bytes: u64) -> Result<(), Short> {
        let needed = bytes.saturating_add(bytes / 8);
        self.device_bytes.map_or(Ok(()), |room_bytes| Short::check(needed, room_bytes))
    }
}

impl Short {
    /// Whether there is so much room.
    pub fn check(needed_bytes: u64, room_bytes: u64) -> Result<(), Self> {
        let fragment_bytes = room_bytes / PASSING;
        if needed_bytes <= room_bytes { Ok(()) } else { Err(Self { needed_bytes, room_bytes, fragment_bytes }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(fragments: &[u64], room_bytes: u64) -> Share {
        Share { fragments: fragments.into(), kept_bytes: 1, room_bytes, device_bytes: None }
    }

    /// How many stay, from the front; `None` where there is no room at all.
    fn check(fragments: &[u64], room_bytes: u64, expected: Option<usize>) {
        let share = share(fragments, room_bytes);
        let mut held = 0;
        let stay = || {
            let next = |&index: &usize| share.stays(index, held, 1).map(|more| held = more).is_some();
            (0..fragments.len()).take_while(next).count()
        };
        let found = share.passes().is_ok().then(stay);
        assert_eq!(found, expected, "{fragments:?} in {room_bytes}");
    }

    #[test]
    fn what_stays_leaves_room_for_what_passes() {
        check(&[10; 8], 50, None);
        check(&[10; 8], 51, Some(0));
        check(&[10; 8], 60, Some(0));
        check(&[10; 8], 61, Some(1));
        check(&[10; 8], 95, Some(4));
        // A large one at the front passes where it can't stay, and leaves less to pass where it can.
        check(&[40, 10, 10], 200, None);
        check(&[40, 10, 10], 201, Some(3));
        check(&[10, 10, 40], 205, Some(0));
        check(&[10, 10, 40], 221, Some(3));
    }

    #[test]
    fn a_device_has_room_of_its_own() {
        let on = |device_bytes| Share { device_bytes: Some(device_bytes), ..share(&[80; 4], 10_000) };
        assert!(on(360).fits() && !on(359).fits());
        assert!(on(180).passes().is_ok() && on(179).passes().is_err());
        assert_eq!((on(270).stays(0, 0, 2), on(269).stays(0, 0, 2)), (Some(160), None));
    }

    #[test]
    fn what_is_told_helps() {
        assert!(share(&[10; 8], 260).fits() && !share(&[10; 8], 259).fits());
        assert!(!share(&[u64::MAX, 10], u64::MAX - 1).fits());
        let short = Short { needed_bytes: 51, room_bytes: 50, fragment_bytes: 10 };
        assert_eq!(share(&[10; 8], 50).passes(), Err(short));
        assert!(short.to_string().ends_with("`burst split --memory-max 10`"), "{short}");
    }
}

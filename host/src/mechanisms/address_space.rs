//! How much address space is left to reserve, and how linear memories are laid out in it. Reserves none.

use std::fs;

/// What the sandbox reserves address space for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Guests that exist at once, ready ones and those being replaced included.
    pub leases: u32,
    /// Linear memories that the component of any guest has at most.
    pub memories: u32,
    /// The largest linear memory of any guest.
    pub memory_max_bytes: usize,
}

/// How linear memories are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Leases that fit, at most those that were asked for.
    pub leases: u32,
    /// Bytes reserved for each memory. Below 4 GiB compiled code checks the bounds of each access.
    pub reservation_bytes: u64,
}

impl Layout {
    /// Whatever a 32-bit address can reach: accesses need no checks.
    pub const UNCHECKED_BYTES: u64 = 4 << 30;
    /// Behind each memory, where constant offsets may reach: wasmtime's own default.
    const GUARD_BYTES: u64 = 32 << 20;
    /// Stack, tables and instances of a lease, rounded up.
    const LEASE_BYTES: u64 = 4 << 20;

    /// The layout for what is asked, in that much address space: reservations of 4 GiB, else of what memories may grow
    /// to, else for fewer leases. `None` where not one fits.
    pub fn fitting(capacity: Capacity, available_bytes: u64) -> Option<Self> {
        let tight = (capacity.memory_max_bytes as u64).clamp(1 << 16, Self::UNCHECKED_BYTES);
        let room = |reservation_bytes| available_bytes / Self::lease_bytes(capacity.memories, reservation_bytes);
        let asked = u64::from(capacity.leases);
        let reservation_bytes = if room(Self::UNCHECKED_BYTES) >= asked { Self::UNCHECKED_BYTES } else { tight };
        let leases = u32::try_from(room(reservation_bytes).min(asked)).ok().filter(|leases| *leases > 0)?;
        Some(Self { leases, reservation_bytes })
    }

    /// Address space of one lease.
    pub fn lease_bytes(memories: u32, reservation_bytes: u64) -> u64 {
        u64::from(memories) * (reservation_bytes + Self::GUARD_BYTES) + Self::LEASE_BYTES
    }

    /// Whether compiled code checks the bounds of each access.
    pub fn is_checked(&self) -> bool {
        self.reservation_bytes < Self::UNCHECKED_BYTES
    }
}

/// Bytes that this process can reserve for guests: what its limit and the processor's addresses leave, without an eighth
/// for drivers, libraries and threads.
pub fn available_bytes() -> u64 {
    let ends = limit_bytes().unwrap_or(u64::MAX).min(user_bytes());
    let left = ends.saturating_sub(used_bytes());
    left - left / 8
}

/// The limit of the process (`ulimit -v`), if it has one.
#[cfg(target_os = "linux")]
pub fn limit_bytes() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

/// The limit of the process (`ulimit -v`), if it has one.
#[cfg(not(target_os = "linux"))]
pub fn limit_bytes() -> Option<u64> {
    None
}

/// What addresses of programs reach: the stack lies just below their end.
pub fn user_bytes() -> u64 {
    const USUAL_BITS: u32 = 47;
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let stack = maps.lines().find(|line| line.ends_with("[stack]"));
    let end = stack.and_then(|line| line.split(['-', ' ']).nth(1)).and_then(|end| u64::from_str_radix(end, 16).ok());
    end.and_then(u64::checked_next_power_of_two).unwrap_or(1 << USUAL_BITS)
}

fn used_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes = size.and_then(|size| size.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: Capacity = Capacity { leases: 400, memories: 2, memory_max_bytes: 64 << 20 };

    fn fitting(bits: u32) -> Option<Layout> {
        Layout::fitting(DEMO, (1 << bits) - (1 << bits) / 8)
    }

    #[test]
    fn reservations_of_4_gib_where_addresses_have_47_and_42_bits() {
        for bits in [42, 47] {
            assert_eq!(fitting(bits), Some(Layout { leases: 400, reservation_bytes: 4 << 30 }), "{bits} bits");
        }
    }

    #[test]
    fn reservations_of_what_memories_grow_to_where_addresses_have_39_bits() {
        let layout = fitting(39).unwrap();
        assert_eq!(layout, Layout { leases: 400, reservation_bytes: 64 << 20 });
        assert!(layout.is_checked());
    }

    #[test]
    fn one_memory_a_lease_needs_half() {
        let single = Capacity { leases: 100, memories: 1, ..DEMO };
        let available = 450 << 30;
        assert!(!Layout::fitting(single, available).unwrap().is_checked());
        assert!(Layout::fitting(Capacity { memories: 2, ..single }, available).unwrap().is_checked());
    }

    #[test]
    fn fewer_leases_where_nothing_else_fits() {
        let each = Layout::lease_bytes(2, 64 << 20);
        assert_eq!(Layout::fitting(DEMO, 10 * each + 1).map(|layout| layout.leases), Some(10));
        assert_eq!(Layout::fitting(DEMO, each - 1), None);
    }

    #[test]
    fn this_process_has_address_space() {
        assert!(available_bytes() > 1 << 30);
        assert!(user_bytes().is_power_of_two());
    }
}

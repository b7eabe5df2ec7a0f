//! The one wasmtime engine of the process, set up so that leases are cheap and nothing dangerous is reachable.

use super::{
    address_space::{self, Capacity, Layout},
    bindings,
    imports::{GuestState, StateView},
    ticker::Ticker,
};
use crate::nouns::manifest::PoolConfig;
use std::{num::NonZeroUsize, sync::Arc};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy, component::Linker,
};

/// Everything that guests of one process share.
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) linker: Linker<GuestState>,
    pub(super) ticker: Arc<Ticker>,
    /// What was asked for.
    capacity: Capacity,
    layout: Layout,
}

/// Why the sandbox can't be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "the address space of this process has room for no lease: one with memories of {memory_max_bytes} bytes takes \
         {lease_bytes}, and {available_bytes} are left; raise `ulimit -v`, or lower limits.memory_max_bytes"
    )]
    AddressSpace { memory_max_bytes: usize, lease_bytes: u64, available_bytes: u64 },
    #[error("wasmtime refuses this machine or its limits (see `burst doctor`): {0:#}")]
    Engine(wasmtime::Error),
    #[error("the ticker thread can't be started: {0}")]
    Ticker(#[from] std::io::Error),
}

impl Capacity {
    /// Core modules in one component: the guest itself and what adapts its imports.
    pub const CORE_INSTANCES: u32 = 8;
    /// Linear memories in one component.
    pub const MEMORIES: u32 = 2;
    /// Tables in one component.
    pub const TABLES: u32 = 4;
    const TABLE_ELEMENTS: usize = 10_000;
    const STACK_BYTES: usize = 1 << 20;
    const WASM_STACK_BYTES: usize = 512 << 10;
    const STACK_RESIDENT_BYTES: usize = 16 << 10;
    /// Stacks that are cleared by one call of the kernel, and until then lent to nobody.
    const DECOMMIT_BATCH: usize = 16;
    /// What stays mapped of a returned slot. With `pagemap_scan` only pages that were written are touched, so that much
    /// may stay; without it every kept byte is cleared each time.
    const RESIDENT_BYTES_SCANNED: usize = 8 << 20;
    const RESIDENT_BYTES_CLEARED: usize = 64 << 10;
}

impl Sandbox {
    /// Reserves slots. Call once per process: types of two engines must never meet.
    pub fn new(capacity: Capacity) -> Result<Self, SandboxError> {
        let layout = layout(capacity)?;
        let engine = Engine::new(&config(capacity, layout)).map_err(SandboxError::Engine)?;
        let linker = link(&engine).map_err(SandboxError::Engine)?;
        let ticker = Arc::new(Ticker::start(&engine)?);
        Ok(Self { engine, linker, ticker, capacity, layout })
    }

    /// What was asked for, and what there was address space for.
    pub fn layout(&self) -> (Capacity, Layout) {
        (self.capacity, self.layout)
    }

    /// The part of a pool that fits where there are fewer leases than were asked for.
    pub fn fitted(&self, pool: &PoolConfig) -> PoolConfig {
        let [leases, asked] = [self.layout.leases, self.capacity.leases].map(u64::from);
        let share = (pool.max.get() as u64).saturating_mul(leases) / asked.max(1);
        let max = usize::try_from(share).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN);
        PoolConfig { ready: pool.ready.min(max.get()), max, ..pool.clone() }
    }

    /// Linear memories that a component may have.
    pub(super) fn memories_max(&self) -> u32 {
        self.capacity.memories
    }

    /// Whether the kernel can tell which pages of a slot were written (Linux 6.7 and later).
    pub fn scans_pagemap() -> bool {
        PoolingAllocationConfig::is_pagemap_scan_available()
    }
}

fn layout(capacity: Capacity) -> Result<Layout, SandboxError> {
    let available_bytes = address_space::available_bytes();
    Layout::fitting(capacity, available_bytes).ok_or_else(|| {
        let memory_max_bytes = capacity.memory_max_bytes;
        let lease_bytes = Layout::lease_bytes(capacity.memories, memory_max_bytes as u64);
        SandboxError::AddressSpace { memory_max_bytes, lease_bytes, available_bytes }
    })
}

fn link(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    bindings::tensors::add_to_linker::<_, StateView>(&mut linker, |state| state)?;
    bindings::graphs::add_to_linker::<_, StateView>(&mut linker, |state| state)?;
    bindings::frames::add_to_linker::<_, StateView>(&mut linker, |state| state)?;
    bindings::events::add_to_linker::<_, StateView>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Tier-1 features only; async components are not even compiled in. GC, threads and the like stay compiled in and are switched off here: builds without them have
/// had their own faults.
fn config(capacity: Capacity, layout: Layout) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_component_model(true)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_threads(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .async_stack_zeroing(true)
        .async_stack_size(Capacity::STACK_BYTES)
        .max_wasm_stack(Capacity::WASM_STACK_BYTES)
        .memory_init_cow(true)
        .memory_reservation(layout.reservation_bytes)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(capacity, layout)));
    config
}

fn pooling(capacity: Capacity, layout: Layout) -> PoolingAllocationConfig {
    let scan = Sandbox::scans_pagemap();
    let resident = if scan { Capacity::RESIDENT_BYTES_SCANNED } else { Capacity::RESIDENT_BYTES_CLEARED };
    let leases = layout.leases;
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(leases)
        .total_core_instances(leases.saturating_mul(Capacity::CORE_INSTANCES))
        .max_core_instances_per_component(Capacity::CORE_INSTANCES)
        .total_memories(leases.saturating_mul(capacity.memories))
        .max_memories_per_component(capacity.memories)
        .total_tables(leases.saturating_mul(Capacity::TABLES))
        .max_tables_per_component(Capacity::TABLES)
        .table_elements(Capacity::TABLE_ELEMENTS)
        .total_stacks(leases)
        .max_memory_size(capacity.memory_max_bytes)
        .max_unused_warm_slots(leases)
        .linear_memory_keep_resident(resident)
        .table_keep_resident(resident)
        .async_stack_keep_resident(Capacity::STACK_RESIDENT_BYTES)
        .decommit_batch_size(Capacity::DECOMMIT_BATCH)
        .pagemap_scan(if scan { Enabled::Yes } else { Enabled::No });
    pooling
}

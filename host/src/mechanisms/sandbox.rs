//! The one wasmtime engine of the process, set up so that leases are cheap and nothing dangerous is reachable.

use super::{
    bindings,
    imports::{GuestState, StateView},
    ticker::Ticker,
};
use std::sync::Arc;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy, component::Linker,
};

/// Everything that guests of one process share.
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) linker: Linker<GuestState>,
    pub(super) ticker: Arc<Ticker>,
}

/// What the sandbox reserves address space for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Guests that exist at once, ready ones and those being replaced included.
    pub leases: u32,
    /// The largest linear memory of any guest.
    pub memory_max_bytes: usize,
}

/// Why the sandbox can't be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
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
        let engine = Engine::new(&config(capacity)).map_err(SandboxError::Engine)?;
        let linker = link(&engine).map_err(SandboxError::Engine)?;
        let ticker = Arc::new(Ticker::start(&engine)?);
        Ok(Self { engine, linker, ticker })
    }

    /// Whether the kernel can tell which pages of a slot were written (Linux 6.7 and later).
    pub fn scans_pagemap() -> bool {
        PoolingAllocationConfig::is_pagemap_scan_available()
    }
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
fn config(capacity: Capacity) -> Config {
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
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(capacity)));
    config
}

fn pooling(capacity: Capacity) -> PoolingAllocationConfig {
    let scan = Sandbox::scans_pagemap();
    let resident = if scan { Capacity::RESIDENT_BYTES_SCANNED } else { Capacity::RESIDENT_BYTES_CLEARED };
    let leases = capacity.leases;
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(leases)
        .total_core_instances(leases.saturating_mul(Capacity::CORE_INSTANCES))
        .max_core_instances_per_component(Capacity::CORE_INSTANCES)
        .total_memories(leases.saturating_mul(Capacity::MEMORIES))
        .max_memories_per_component(Capacity::MEMORIES)
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

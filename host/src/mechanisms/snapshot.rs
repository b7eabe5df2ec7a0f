//! Runs a guest's `prepare` once and bakes the memory it leaves into the component, with wasmtime's Wizer.

use super::{
    component::{CompileError, Exports, PREPARE_MS_MAX, build},
    imports::{Grants, GuestState},
    live::{new_store, prepare},
    sandbox::Sandbox,
};
use futures::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{
    Store,
    component::{Instance, Lift, WasmList},
};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// What became of `prepare`.
pub(super) enum Snapshot {
    /// The component as it is after `prepare`.
    Taken(Vec<u8>),
    /// `prepare` has to run in each lease, for this reason.
    Refused(String),
}

/// Runs `prepare` and takes the snapshot. Only a `prepare` that fails is an error.
pub(super) async fn take(sandbox: &Sandbox, wasm: &[u8], grants: Arc<Grants>) -> Result<Snapshot, CompileError> {
    let wizer = Wizer::new();
    // Wizer 48 leaves panics in paths that some components reach, V128 globals for one.
    let instrumented = std::panic::catch_unwind(|| wizer.instrument_component(wasm));
    let (context, instrumented) = match instrumented {
        Ok(Ok(instrumented)) => instrumented,
        Ok(Err(error)) => return Ok(Snapshot::Refused(format!("{error:#}"))),
        Err(_) => return Ok(Snapshot::Refused("Wizer can't instrument this component".into())),
    };
    let component = match build(sandbox, instrumented.into()).await {
        Ok(component) => component,
        Err(error) => return Ok(Snapshot::Refused(error.to_string())),
    };
    let deadline = Instant::now() + Duration::from_millis(PREPARE_MS_MAX);
    let mut store = new_store(sandbox, grants);
    let _running = sandbox.ticker.run();
    store.data_mut().begin_prepare(deadline);
    let pre = sandbox.linker.instantiate_pre(&component).map_err(CompileError::linking)?;
    let instance = pre.instantiate_async(&mut store).await.map_err(CompileError::preparing)?;
    prepare(&mut store, &instance, &Exports::of(&component)).await?;
    if store.data().holds_handles() {
        return Ok(Snapshot::Refused("the guest holds handles after prepare".into()));
    }
    store.set_hostcall_fuel(usize::MAX);
    let mut inspected = Inspected { store: &mut store, instance, error: None };
    let taken = AssertUnwindSafe(wizer.snapshot_component(&context, &mut inspected)).catch_unwind().await;
    Ok(match (taken, inspected.error) {
        (_, Some(error)) => Snapshot::Refused(format!("{error:#}")),
        (Ok(Ok(wasm)), None) => Snapshot::Taken(wasm),
        (Ok(Err(error)), None) => Snapshot::Refused(format!("{error:#}")),
        (Err(_), None) => Snapshot::Refused("Wizer can't snapshot this component".into()),
    })
}

/// Reads an instrumented instance for Wizer. Its accessors fail only if Wizer and wasmtime disagree; the first error is
/// kept here, because the trait has no room for one.
struct Inspected<'a> {
    store: &'a mut Store<GuestState>,
    instance: Instance,
    error: Option<wasmtime::Error>,
}

impl Inspected<'_> {
    async fn call<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, function: &str) -> Option<R> {
        let result = self.try_call(instance, function).await;
        result.map_err(|error| self.error.get_or_insert(error)).ok()
    }

    async fn try_call<R: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || wasmtime::Error::msg("an accessor is missing");
        let (_, outer) = self.instance.get_export(&mut *self.store, None, instance).ok_or_else(missing)?;
        let (_, inner) = self.instance.get_export(&mut *self.store, Some(&outer), function).ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, inner)?;
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }
}

impl ComponentInstanceState for Inspected<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        if let Some(list) = self.call::<WasmList<u8>>(instance, func).await {
            contents(list.as_le_slice(&*self.store));
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).await.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).await.unwrap_or_default().to_bits()
    }
}

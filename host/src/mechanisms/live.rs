//! A guest that exists: how it is called, and how a call ends.

use super::{
    bindings::events::Event as WitEvent,
    component::{CompileError, Exports},
    imports::{FrameHandle, Grants, GuestFault, GuestState, TensorHandle},
    sandbox::Sandbox,
    sequences::Sessions,
    statistics::Retired,
    ticker::Running,
};
use crate::{
    nouns::{Event, Frame, Tensor},
    ports::Device,
};
use std::{sync::Arc, time::Instant};
use wasmtime::{
    FrameInfo, Store, Trap, UpdateDeadline, WasmBacktrace,
    component::{Instance, Resource},
};

/// Epochs that a guest runs before others get their turn.
const SLICE_TICKS: u64 = 2;

/// A guest that exists: its memory, its handles, and nothing of anybody else.
pub struct LiveGuest {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) store: Store<GuestState>,
    pub(super) instance: Instance,
    pub(super) exports: Exports,
}

/// Why a call ended without an answer. After [`CallError::Refused`] the guest is whole, after the others it is gone.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The guest said no; its own words.
    #[error("the guest refused: {0}")]
    Refused(String),
    /// The request doesn't fit into the guest's quota.
    #[error("{0}")]
    OverQuota(String),
    #[error("the guest failed: {0}")]
    Failed(&'static str),
    #[error("the guest asked for more than its limits allow")]
    OverLimit,
    #[error("the deadline passed")]
    TimedOut,
    /// The guest is not to blame for what it made of that.
    #[error("the device was lost")]
    DeviceLost,
}

impl CallError {
    /// Why there is no answer, as a word of the log; `None` where the guest goes on.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(_) | Self::OverQuota(_) => None,
            Self::DeviceLost => Some("device-lost"),
            Self::Failed(_) | Self::OverLimit | Self::TimedOut => Some(self.retires().name()),
        }
    }

    /// How the lease ends.
    pub fn retires(&self) -> Retired {
        match self {
            Self::Refused(_) | Self::OverQuota(_) | Self::DeviceLost => Retired::Used,
            Self::Failed(_) => Retired::Trapped,
            Self::OverLimit => Retired::OverLimit,
            Self::TimedOut => Retired::TimedOut,
        }
    }
}

/// What a guest answered, and what computed it.
pub struct Response {
    pub outputs: Vec<(String, Tensor)>,
    pub device: Option<Device>,
}

impl LiveGuest {
    /// Hands the guest named tensors and takes named tensors back.
    pub async fn respond(&mut self, inputs: Vec<(String, Tensor)>, deadline: Instant) -> Result<Response, CallError> {
        self.go_on(inputs, None, deadline).await
    }

    /// The same in a sequence, whose graphs go on from where they were.
    pub async fn go_on(
        &mut self,
        inputs: Vec<(String, Tensor)>,
        sessions: Option<Arc<Sessions>>,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        type Named = Vec<(String, Resource<TensorHandle>)>;
        let _running = self.begin(deadline);
        self.store.data_mut().go_on(sessions);
        let give = |(name, tensor)| Ok((name, self.store.data_mut().push_tensor(tensor)?));
        let handles: Named = inputs.into_iter().map(give).collect::<Result<_, _>>().map_err(over_quota)?;
        let index = self.exports.respond.ok_or(CallError::Failed("it does not answer requests"))?;
        let answer = async {
            let respond = self.instance.get_typed_func::<(Named,), (Result<Named, String>,)>(&mut self.store, index)?;
            Ok(respond.call_async(&mut self.store, (handles,)).await?.0)
        };
        let answer = within(deadline, answer).await;
        let handles = self.judge(answer, deadline)?;
        let named_twice =
            |index: usize, (name, _): &(String, _)| handles[..index].iter().any(|(other, _)| other == name);
        if handles.iter().enumerate().any(|(index, output)| named_twice(index, output)) {
            return Err(CallError::Failed("it named an output twice"));
        }
        let state = self.store.data_mut();
        let take = |(name, handle)| Ok((name, state.take_tensor(handle)?));
        let outputs = handles.into_iter().map(take).collect::<Result<_, _>>().map_err(over_quota)?;
        Ok(Response { outputs, device: state.take_device() })
    }

    /// Hands the guest a frame and takes what it says of it.
    pub async fn watch(&mut self, frame: Frame, deadline: Instant) -> Result<Vec<Event>, CallError> {
        type Events = Result<Vec<WitEvent>, String>;
        let _running = self.begin(deadline);
        let handle = self.store.data_mut().push_frame(frame).map_err(over_quota)?;
        let index = self.exports.watch.ok_or(CallError::Failed("it does not look at frames"))?;
        let events = async {
            let watch = self.instance.get_typed_func::<(Resource<FrameHandle>,), (Events,)>(&mut self.store, index)?;
            Ok(watch.call_async(&mut self.store, (handle,)).await?.0)
        };
        let events = within(deadline, events).await;
        Ok(self.judge(events, deadline)?.into_iter().map(Event::from).collect())
    }

    fn begin(&mut self, deadline: Instant) -> Running {
        self.store.data_mut().begin(deadline);
        self.store.set_epoch_deadline(SLICE_TICKS);
        self.sandbox.ticker.run()
    }

    /// What the guest did last, innermost function first, after a trap. Never of a guest that sees frames.
    pub fn trace(&self) -> Option<&str> {
        self.store.data().trace.as_deref()
    }

    fn judge<T>(
        &mut self,
        answer: Option<wasmtime::Result<Result<T, String>>>,
        deadline: Instant,
    ) -> Result<T, CallError> {
        match answer {
            None => Err(CallError::TimedOut),
            // Most likely the guest passes on what a graph told it.
            Some(Ok(Err(_))) if Instant::now() >= deadline => Err(CallError::TimedOut),
            Some(Ok(Ok(answer))) => Ok(answer),
            Some(_) if self.store.data().lost_device() => Err(CallError::DeviceLost),
            Some(Ok(Err(refusal))) => Err(CallError::Refused(refusal)),
            Some(Err(error)) => {
                let state = self.store.data_mut();
                state.trace = (!state.sees_frames()).then(|| trace(&error));
                Err(explain(&error, self.store.data().is_over_limit()))
            }
        }
    }
}

/// Epochs stop a guest that computes; this stops one that waits for the host.
async fn within<T>(deadline: Instant, call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), call).await.ok()
}

fn over_quota(fault: GuestFault) -> CallError {
    match fault {
        GuestFault::Fault(fault) => CallError::OverQuota(fault.to_string()),
        GuestFault::Trap(_) => CallError::Failed("it gave away a handle that it does not hold"),
    }
}

/// The epoch callback's word for a deadline.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed")]
struct DeadlinePassed;

/// A fixed vocabulary: what a guest did never carries addresses or its own text to a client.
fn explain(error: &wasmtime::Error, over_limit: bool) -> CallError {
    if over_limit {
        return CallError::OverLimit;
    }
    if error.is::<DeadlinePassed>() {
        return CallError::TimedOut;
    }
    // wasmtime keeps the type of this error to itself.
    if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
        return CallError::Failed("it handed over more than call_max_bytes at once");
    }
    CallError::Failed(match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "its stack overflowed",
        Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned) => "it reached outside its memory",
        Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature) => "it called what is no function",
        Some(Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger) => {
            "its arithmetic has no result"
        }
        Some(Trap::UnreachableCodeReached) => "it panicked",
        Some(_) => "it trapped",
        None => "it broke the contract of a call",
    })
}

/// Why it trapped and the functions that it was in, innermost first.
fn trace(error: &wasmtime::Error) -> String {
    const FRAMES_MAX: usize = 8;
    const NAME_MAX: usize = 100;
    let name = |frame: &FrameInfo| match frame.func_name() {
        Some(name) => name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect(),
        None => format!("function {}", frame.func_index()),
    };
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let names: Vec<String> = frames.iter().take(FRAMES_MAX).map(name).collect();
    format!("{} in {}", error.root_cause(), names.join(" < "))
}

pub(super) fn new_store(sandbox: &Sandbox, grants: Arc<Grants>) -> Store<GuestState> {
    let limits = &grants.limits;
    let (call_max_bytes, handles_max) = (limits.call_max_bytes.get(), limits.handles_max.get());
    let mut store = Store::new(&sandbox.engine, GuestState::new(grants));
    store.limiter(|state| state);
    store.set_hostcall_fuel(call_max_bytes);
    store.set_max_component_handles(handles_max);
    store.set_epoch_deadline(SLICE_TICKS);
    store.epoch_deadline_callback(|context| {
        if Instant::now() < context.data().deadline() {
            Ok(UpdateDeadline::Yield(SLICE_TICKS))
        } else {
            Err(DeadlinePassed.into())
        }
    });
    store
}

pub(super) async fn prepare(
    store: &mut Store<GuestState>,
    instance: &Instance,
    exports: &Exports,
) -> Result<(), CompileError> {
    let Some(index) = exports.prepare else { return Ok(()) };
    let prepare =
        instance.get_typed_func::<(), (Result<(), String>,)>(&mut *store, index).map_err(CompileError::linking)?;
    let deadline = store.data().deadline();
    let Some(outcome) = within(deadline, prepare.call_async(&mut *store, ())).await else {
        return Err(CompileError::Prepare("it took too long".into()));
    };
    outcome.map_err(CompileError::preparing)?.0.map_err(CompileError::Prepare)
}

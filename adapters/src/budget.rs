//! An accelerator that refuses what costs more than its holder's limits, before anything is allocated or computed.

use crate::{
    cost::{Cost, Value, cost, skeleton},
    onnx,
};
use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Signature, Spec, Tensor, View},
    ports::{Accelerator, Device, Part, Program, Session},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Shapes of a program whose cost is kept.
const KNOWN_MAX: usize = 16;
/// Operators that are counted where the caller runs; more of them on a thread that may wait.
const OPS_AT_ONCE: usize = 256;

/// One accelerator behind a budget.
pub struct Budgeted {
    inner: Arc<dyn Accelerator>,
    account: Account,
    /// Whether its convolutions write their windows side by side.
    unfolds: bool,
}

impl Budgeted {
    /// Without limits until it is given an account.
    pub fn new(inner: Arc<dyn Accelerator>, unfolds: bool) -> Self {
        Self { inner, account: Account::unlimited(), unfolds }
    }
}

impl Accelerator for Budgeted {
    fn describe(&self) -> &Device {
        self.inner.describe()
    }

    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
        Arc::new(Self { inner: self.inner.for_account(account), account: account.clone(), unfolds: self.unfolds })
    }

    fn held_bytes(&self) -> Option<u64> {
        self.inner.held_bytes()
    }

    fn room_bytes(&self) -> Option<u64> {
        self.inner.room_bytes()
    }

    fn beside(&self) -> Vec<Arc<dyn Accelerator>> {
        self.inner.beside()
    }

    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        self.inner.upload(tensor)
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.inner.download(tensor)
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.inner.view(frame, view)
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move {
            let inlined = onnx::inline(graph, &onnx::Limits::default())?;
            let bill = Arc::new(Bill::new(skeleton(inlined), self.unfolds));
            let ports = bill.graph.inputs.iter().map(Value::of_port).collect();
            let cost = bill.clone().count(ports).await?;
            within(&cost, &self.account)?;
            if cost.unknown == 0 {
                bill.fixed.get_or_init(|| cost);
            }
            let inner = self.inner.load(graph).await?;
            Ok(Arc::new(BudgetedProgram { inner, account: self.account.clone(), bill }) as Arc<dyn Program>)
        })
    }
}

/// A program whose runs have a budget.
struct BudgetedProgram {
    inner: Arc<dyn Program>,
    account: Account,
    bill: Arc<Bill>,
}

impl Program for BudgetedProgram {
    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn device(&self) -> &Device {
        self.inner.device()
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        let inner = self.inner.clone().for_account(account);
        Arc::new(Self { inner, account: account.clone(), bill: self.bill.clone() })
    }

    fn held_bytes(&self) -> u64 {
        self.inner.held_bytes()
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        self.inner.ready()
    }

    fn parts(&self) -> &[Part] {
        self.inner.parts()
    }

    fn session(self: Arc<Self>) -> Option<Box<dyn Session>> {
        self.inner.clone().session()
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move { Ok(self.run_told(inputs, deadline).await?.0) })
    }

    fn run_told(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<(Vec<Tensor>, Device), Fault>> {
        Box::pin(async move {
            within(&self.bill.of(&inputs).await?, &self.account)?;
            self.inner.run_told(inputs, deadline).await
        })
    }
}

/// What runs of one program cost.
struct Bill {
    /// Without its weights.
    graph: Graph,
    unfolds: bool,
    /// Of every run, where shapes and numbers are the model's own.
    fixed: std::sync::OnceLock<Cost>,
    /// Of the latest others.
    known: Mutex<VecDeque<(Vec<Spec>, Vec<Bytes>, Cost)>>,
}

impl Bill {
    fn new(graph: Graph, unfolds: bool) -> Self {
        Self { graph, unfolds, fixed: Default::default(), known: Mutex::default() }
    }

    async fn of(self: &Arc<Self>, inputs: &[Tensor]) -> Result<Cost, Fault> {
        if let Some(cost) = self.fixed.get() {
            return Ok(cost.clone());
        }
        let specs: Vec<Spec> = inputs.iter().map(|input| input.spec().clone()).collect();
        if let Some(cost) = self.kept(&specs, inputs) {
            return Ok(cost);
        }
        let by_shape = self.clone().count(specs.iter().map(Value::of_spec).collect()).await?;
        if by_shape.unknown == 0 {
            return Ok(self.keep(specs, Vec::new(), by_shape));
        }
        let by_numbers = self.clone().count(inputs.iter().map(Value::of_tensor).collect()).await?;
        let decide = by_numbers.unknown < by_shape.unknown;
        let numbers = if decide { numbers(inputs) } else { Vec::new() };
        Ok(self.keep(specs, numbers, by_numbers))
    }

    fn kept(&self, specs: &[Spec], inputs: &[Tensor]) -> Option<Cost> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(of, by, _): &&(Vec<Spec>, Vec<Bytes>, Cost)| of == specs && (by.is_empty() || *by == numbers(inputs));
        known.iter().find(same).map(|(.., cost)| cost.clone())
    }

    fn keep(&self, specs: Vec<Spec>, numbers: Vec<Bytes>, cost: Cost) -> Cost {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.truncate(KNOWN_MAX - 1);
        known.push_front((specs, numbers, cost.clone()));
        cost
    }

    async fn count(self: Arc<Self>, inputs: Vec<Value>) -> Result<Cost, Fault> {
        let count = move || cost(&self.graph, inputs, self.unfolds).map(|(cost, _)| cost);
        if self.graph.ops.len() <= OPS_AT_ONCE {
            return count();
        }
        tokio::task::spawn_blocking(count).await.map_err(|_| Fault::DeviceLost)?
    }
}

/// Contents of the inputs that may decide over shapes.
fn numbers(inputs: &[Tensor]) -> Vec<Bytes> {
    const NUMBERS_MAX: usize = 4096;
    let few = |input: &&Tensor| input.spec().shape.elements() <= NUMBERS_MAX;
    inputs.iter().filter(few).filter_map(|input| input.contents().cloned()).collect()
}

/// Fails with the limit, what would exceed it, and the operator that takes the most.
fn within(cost: &Cost, account: &Account) -> Result<(), Fault> {
    let (bytes_max, operations_max) = (account.bytes.limit() as u64, account.graph_operations_max);
    if cost.bytes > bytes_max {
        let Cost { bytes, largest, .. } = cost;
        let what = format!("the graph holds {bytes} bytes at `{largest}`, more than device_max_bytes = {bytes_max}");
        return Err(Fault::TooLarge(what));
    }
    if cost.operations > operations_max {
        let Cost { operations, dearest, .. } = cost;
        let what = format!("the graph takes {operations} operations, most of them in `{dearest}`");
        return Err(Fault::TooLarge(format!("{what}, more than graph_operations_max = {operations_max}")));
    }
    Ok(())
}

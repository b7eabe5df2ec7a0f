//! An accelerator that refuses what costs more than its holder's limits, before anything is allocated or computed.

#[cfg(test)]
mod tests;

use crate::cost::{Budget, Cost, Skeleton, Value};
use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Signature, Spec, Tensor, View},
    ports::{Accelerator, Device, Part, Program, Session},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

/// Shapes of a program whose cost is kept.
const KNOWN_MAX: usize = 16;
/// Inputs of which it is found out whether their numbers decide; of more they are taken to.
const TRIED_MAX: usize = 8;
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
            let bill = Arc::new(Bill::of(graph, self.unfolds, Budget::of(&self.account)).await?);
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
            self.bill.check(&inputs, Budget::of(&self.account)).await?;
            self.inner.run_told(inputs, deadline).await
        })
    }
}

/// What runs of one program cost.
struct Bill {
    skeleton: Skeleton,
    /// Of every run, where shapes and numbers are the model's own.
    fixed: OnceLock<Cost>,
    /// Of the latest others.
    known: Mutex<VecDeque<Known>>,
}

/// What runs cost whose inputs are of these specs, and of which some have these contents.
struct Known {
    specs: Vec<Spec>,
    /// The inputs whose numbers decide over shapes.
    decide: Vec<usize>,
    numbers: Vec<Option<Bytes>>,
    cost: Cost,
}

impl Bill {
    /// Counts what is known before there are inputs: folding, and runs of fixed shapes.
    async fn of(graph: &Graph, unfolds: bool, budget: Budget) -> Result<Self, Fault> {
        let graph = graph.clone();
        let count = move || {
            let skeleton = Skeleton::of(&graph, unfolds, &budget)?;
            let ports = skeleton.graph().inputs.iter().map(Value::of_port).collect();
            let (cost, _) = skeleton.cost(ports, &budget)?;
            let fixed = if cost.unknown == 0 { OnceLock::from(cost) } else { OnceLock::new() };
            Ok(Self { skeleton, fixed, known: Mutex::default() })
        };
        tokio::task::spawn_blocking(count).await.map_err(|_| Fault::DeviceLost)?
    }

    /// Fails where a run of these inputs exceeds a budget.
    async fn check(self: &Arc<Self>, inputs: &[Tensor], budget: Budget) -> Result<(), Fault> {
        let told = self.fixed.get().copied().or_else(|| self.kept(inputs));
        if told.is_some_and(|cost| budget.admits(&cost)) {
            return Ok(());
        }
        let decide = match self.deciding(inputs) {
            Some(decide) => decide,
            None => self.decide(inputs, budget).await,
        };
        let cost = self.count(values(inputs, &decide), budget).await?;
        let specs = inputs.iter().map(|input| input.spec().clone()).collect();
        let numbers = decide.iter().map(|&input| inputs[input].contents().cloned()).collect();
        let mut known = self.known();
        known.truncate(KNOWN_MAX - 1);
        known.push_front(Known { specs, decide, numbers, cost });
        Ok(())
    }

    /// The inputs whose numbers decide over shapes: without those of one, less is known.
    async fn decide(self: &Arc<Self>, inputs: &[Tensor], budget: Budget) -> Vec<usize> {
        let few = |input: &Tensor| input.spec().shape.elements() as u64 <= Value::NUMBERS_MAX;
        let mut decide: Vec<usize> = (0..inputs.len()).filter(|&input| few(&inputs[input])).collect();
        let unknown = async |decide: &[usize]| {
            let cost = self.count(values(inputs, decide), budget).await;
            cost.map_or(usize::MAX, |cost| cost.unknown)
        };
        let least = match unknown(&[]).await {
            0 => return Vec::new(),
            _ => unknown(&decide).await,
        };
        for input in decide.clone().into_iter().take(TRIED_MAX) {
            let others: Vec<usize> = decide.iter().copied().filter(|&other| other != input).collect();
            if unknown(&others).await == least {
                decide = others;
            }
        }
        decide
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, inputs: &[Tensor]) -> Option<Cost> {
        self.known().iter().find(|known| known.is_of(inputs) && known.has_numbers(inputs)).map(|known| known.cost)
    }

    /// As it was found for inputs of the same specs.
    fn deciding(&self, inputs: &[Tensor]) -> Option<Vec<usize>> {
        self.known().iter().find(|known| known.is_of(inputs)).map(|known| known.decide.clone())
    }

    async fn count(self: &Arc<Self>, inputs: Vec<Value>, budget: Budget) -> Result<Cost, Fault> {
        let bill = self.clone();
        let count = move || bill.skeleton.cost(inputs, &budget).map(|(cost, _)| cost);
        if self.skeleton.graph().ops.len() <= OPS_AT_ONCE {
            return count();
        }
        tokio::task::spawn_blocking(count).await.map_err(|_| Fault::DeviceLost)?
    }
}

impl Known {
    fn is_of(&self, inputs: &[Tensor]) -> bool {
        self.specs.iter().eq(inputs.iter().map(Tensor::spec))
    }

    fn has_numbers(&self, inputs: &[Tensor]) -> bool {
        self.decide.iter().zip(&self.numbers).all(|(&input, numbers)| inputs[input].contents() == numbers.as_ref())
    }
}

/// What is known of inputs: specs of all, numbers of some.
fn values(inputs: &[Tensor], numbers: &[usize]) -> Vec<Value> {
    let value = |(at, input): (usize, &Tensor)| match numbers.contains(&at) {
        true => Value::of_tensor(input),
        false => Value::of_spec(input.spec()),
    };
    inputs.iter().enumerate().map(value).collect()
}

//! Two accelerators: what the first one does not know is computed by the second, as the manifest says: a model with an
//! operator that it lacks, or the runs of a model at shapes that it refuses.

use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Signature, Spec, Tensor, View},
    ports::{Accelerator, Device, Program},
};
use futures::future::BoxFuture;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::OnceCell;

/// Refused shapes of a model that are remembered: there the first one need not be asked again.
const REFUSED_MAX: usize = 64;

/// The first one computes; what it does not know, the second.
pub struct Fallback {
    pub first: Arc<dyn Accelerator>,
    /// Its tensors are in host memory.
    pub second: Arc<dyn Accelerator>,
}

impl Accelerator for Fallback {
    fn describe(&self) -> &Device {
        self.first.describe()
    }

    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
        Arc::new(Self { first: self.first.for_account(account), second: self.second.for_account(account) })
    }

    fn held_bytes(&self) -> Option<u64> {
        self.first.held_bytes()
    }

    fn room_bytes(&self) -> Option<u64> {
        self.first.room_bytes()
    }

    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        self.first.upload(tensor)
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.first.download(tensor)
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.first.view(frame, view)
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move {
            let here = match self.first.load(graph).await {
                Err(Fault::Unsupported(reason)) => {
                    tracing::warn!(model = graph.name, reason, device = %self.second.describe(), "the fallback computes a model");
                    None
                }
                program => Some(program?),
            };
            let there = match here {
                Some(_) => OnceCell::new(),
                None => OnceCell::new_with(Some(self.second.load(graph).await?)),
            };
            let (first, second) = (self.first.clone(), self.second.clone());
            let (graph, there) = (Arc::new(graph.clone()), Arc::new(there));
            Ok(Arc::new(Placed { first, second, graph, here, there, refused: Arc::default() }) as Arc<dyn Program>)
        })
    }
}

/// A model, and which of the two computes it.
struct Placed {
    first: Arc<dyn Accelerator>,
    second: Arc<dyn Accelerator>,
    graph: Arc<Graph>,
    /// On the first one, unless that refused it at load.
    here: Option<Arc<dyn Program>>,
    /// On the second one, once the first one refused it: at load, or at the shapes of a run.
    there: Arc<OnceCell<Arc<dyn Program>>>,
    /// Shapes that the first one refused.
    refused: Arc<Mutex<VecDeque<Vec<Spec>>>>,
}

impl Placed {
    /// Everything on the host, then the second one.
    async fn run_there(&self, inputs: Vec<Tensor>, deadline: Instant) -> Result<(Vec<Tensor>, Device), Fault> {
        let program = self.there.get_or_try_init(|| self.second.load(&self.graph)).await?;
        let mut host = Vec::with_capacity(inputs.len());
        for input in &inputs {
            host.push(self.first.download(input).await?);
        }
        program.run_told(host, deadline).await
    }

    /// What the first one runs, if it may know these shapes.
    fn here(&self, specs: &[Spec]) -> Option<&Arc<dyn Program>> {
        self.here.as_ref().filter(|_| !self.refused().iter().any(|refused| refused == specs))
    }

    fn refuse(&self, specs: Vec<Spec>, reason: &str) {
        let mut refused = self.refused();
        // Guests choose shapes, and must not fill the log.
        if refused.is_empty() {
            let (model, device) = (&self.graph.name, self.second.describe());
            tracing::warn!(model, reason, %device, "the fallback computes a model at some shapes");
        }
        refused.truncate(REFUSED_MAX - 1);
        refused.push_front(specs);
    }

    fn refused(&self) -> MutexGuard<'_, VecDeque<Vec<Spec>>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program for Placed {
    fn signature(&self) -> &Signature {
        static NONE: Signature = Signature { inputs: Vec::new(), outputs: Vec::new() };
        self.here.as_ref().or_else(|| self.there.get()).map_or(&NONE, |program| program.signature())
    }

    fn device(&self) -> &Device {
        self.here.as_ref().map_or_else(|| self.second.describe(), |program| program.device())
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        Arc::new(Self {
            first: self.first.for_account(account),
            second: self.second.for_account(account),
            graph: self.graph.clone(),
            here: self.here.as_ref().map(|program| program.clone().for_account(account)),
            there: self.there.clone(),
            refused: self.refused.clone(),
        })
    }

    fn held_bytes(&self) -> u64 {
        self.here.as_ref().map_or(0, |program| program.held_bytes())
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move { Ok(self.run_told(inputs, deadline).await?.0) })
    }

    fn run_told(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<(Vec<Tensor>, Device), Fault>> {
        Box::pin(async move {
            let specs: Vec<Spec> = inputs.iter().map(|input| input.spec().clone()).collect();
            let Some(here) = self.here(&specs) else { return self.run_there(inputs, deadline).await };
            match here.run_told(inputs.clone(), deadline).await {
                Err(Fault::Unsupported(reason)) => {
                    self.refuse(specs, &reason);
                    self.run_there(inputs, deadline).await
                }
                answer => answer,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conformance::Sketch, cpu::CpuAccelerator};
    use burst_host::{nouns::Element, ports::DeviceKind};
    use std::{num::NonZeroUsize, time::Duration};

    /// Knows no `Relu`, and no `Sqrt` of more than two numbers.
    struct Picky(Arc<dyn Accelerator>, Device);

    struct PickyProgram(Arc<dyn Program>, Device, bool);

    fn refusal(kind: &str) -> Fault {
        Fault::Unsupported(format!("operator `{kind}` on the picky one"))
    }

    impl Accelerator for Picky {
        fn describe(&self) -> &Device {
            &self.1
        }

        fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
            Arc::new(Self(self.0.for_account(account), self.1.clone()))
        }

        fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
            self.0.upload(tensor)
        }

        fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
            self.0.download(tensor)
        }

        fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
            self.0.view(frame, view)
        }

        fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
            Box::pin(async move {
                if graph.ops.iter().any(|op| op.kind == "Relu") {
                    return Err(refusal("Relu"));
                }
                let late = graph.ops.iter().any(|op| op.kind == "Sqrt");
                Ok(Arc::new(PickyProgram(self.0.load(graph).await?, self.1.clone(), late)) as Arc<dyn Program>)
            })
        }
    }

    impl Program for PickyProgram {
        fn signature(&self) -> &Signature {
            self.0.signature()
        }

        fn device(&self) -> &Device {
            &self.1
        }

        fn for_account(self: Arc<Self>, _: &Account) -> Arc<dyn Program> {
            self
        }

        fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
            Box::pin(async move {
                let long = inputs[0].spec().shape.elements() > 2;
                if self.2 && long { Err(refusal("Sqrt")) } else { self.0.run(inputs, deadline).await }
            })
        }
    }

    fn picky() -> Arc<dyn Accelerator> {
        let device = Device { kind: DeviceKind::Gpu, name: "picky".into(), driver: "none".into(), memory_bytes: None };
        Arc::new(Picky(cpu(), device))
    }

    fn cpu() -> Arc<dyn Accelerator> {
        Arc::new(CpuAccelerator::new(NonZeroUsize::MIN).unwrap())
    }

    /// Runs an operator on two and on three numbers for two holders, one after the other, and says what computed both.
    async fn check(kind: &str, expected: [DeviceKind; 2]) {
        let both = Fallback { first: picky(), second: cpu() };
        let graph = Sketch::new("one").input("x", Element::Fp32, "N").op(kind, "x", "y").output("y").graph();
        let program = both.load(&graph).await.unwrap();
        for program in [program.clone(), program.for_account(&Account::unlimited())] {
            // The last ones again: a shape that is refused leaves the others where they are.
            for count in [2, 3, 3, 2] {
                let x = Tensor::from_slice(Element::Fp32, [count], &vec![4.0f32; count]).unwrap();
                let (y, device) = program.run_told(vec![x], Instant::now() + Duration::from_secs(60)).await.unwrap();
                assert_eq!(both.download(&y[0]).await.unwrap().spec().shape.extents(), [count]);
                assert_eq!(device.kind, expected[count - 2], "{kind} of {count}");
            }
            assert_eq!(program.device().kind, expected[0], "{kind}");
            assert_eq!(program.signature().inputs[0].name, "x");
        }
    }

    #[tokio::test]
    async fn a_model_goes_where_it_is_known_and_the_answer_says_so() {
        check("Abs", [DeviceKind::Gpu; 2]).await;
        check("Relu", [DeviceKind::Cpu; 2]).await;
        check("Sqrt", [DeviceKind::Gpu, DeviceKind::Cpu]).await;
    }

    #[tokio::test]
    async fn what_neither_knows_is_refused_by_its_name() {
        let both = Fallback { first: picky(), second: cpu() };
        let graph = Sketch::new("one").input("x", Element::Fp32, "N").op("Frobnicate", "x", "y").output("y").graph();
        let refused = both.load(&graph).await.map(drop);
        assert!(matches!(&refused, Err(Fault::Unsupported(text)) if text.contains("Frobnicate")), "{refused:?}");
        let graph = Sketch::new("one").input("x", Element::Fp32, "N").op("Relu", "x", "y").output("y").graph();
        let alone = picky().load(&graph).await.map(drop);
        assert!(matches!(&alone, Err(Fault::Unsupported(text)) if text.contains("Relu")), "{alone:?}");
    }
}

//! A house with made-up guests behind the real server.

use burst_adapters::{
    api::{Api, Inference, metrics, server},
    sinks::Broadcast,
};
use burst_host::{
    loops::serve::{Answer, Deployed, DeviceUse, Leases, Request, ServeError},
    mechanisms::{
        component::Start,
        statistics::{Retired, Statistics},
    },
    nouns::{Digest, Element, Extent, Port, Signature, Tensor, manifest::Server},
    ports::{Device, DeviceKind},
};
use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// Guests by what they do.
pub struct Fake {
    statistics: Arc<Statistics>,
    pub ready: AtomicBool,
    /// Requests that `slow` answers now.
    pub running: Arc<AtomicUsize>,
}

impl Fake {
    const NAMES: [&str; 8] = ["add", "broken", "busy", "closing", "echo", "half", "refuses", "slow"];

    fn device() -> Device {
        Device { kind: DeviceKind::Cpu, name: "test".into(), driver: "none 1".into(), memory_bytes: None }
    }

    fn deployed(&self, name: &str) -> Deployed {
        let port = |name: &str| Port {
            name: name.into(),
            element: Some(Element::I32),
            shape: Some(vec![Extent::Any, Extent::Fixed(16)]),
            optional: false,
        };
        let signature = match name {
            "add" => Signature {
                inputs: vec![port("INPUT0"), port("INPUT1")],
                outputs: vec![port("OUTPUT0"), port("OUTPUT1")],
            },
            _ => Signature::default(),
        };
        Deployed {
            name: name.into(),
            digest: Digest::of(name.as_bytes()),
            signature: Arc::new(signature),
            start: Start::Plain,
            answers: true,
            device: Self::device(),
            ready: self.ready.load(Relaxed),
            statistics: Arc::clone(&self.statistics),
            leases: Leases { ready: 8, busy: 1, waiting: 0, floor: 8, max: 128 },
            device_use: DeviceUse {
                leases_bytes: 4096,
                models_bytes: 1 << 20,
                bytes_max: 1 << 30,
                runs: 2,
                runs_max: 32,
            },
            sequences: None,
        }
    }

    async fn work(&self, request: Request) -> Result<Vec<(String, Tensor)>, ServeError> {
        match request.guest.as_str() {
            "add" => Ok(add(&request.inputs)),
            "half" => Ok(vec![("y".into(), Tensor::from_slice(Element::Fp16, [2], &[0x3c00u16, 0x4000]).unwrap())]),
            "busy" => Err(ServeError::Busy("busy".into())),
            "broken" => Err(ServeError::Failed("it trapped")),
            "closing" => Err(ServeError::Draining),
            "refuses" => Err(ServeError::Refused("no \"cats\" today".into())),
            "slow" => self.slow(request).await,
            _ => Ok(request.inputs),
        }
    }

    async fn slow(&self, request: Request) -> Result<Vec<(String, Tensor)>, ServeError> {
        struct Running(Arc<AtomicUsize>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Relaxed);
            }
        }
        self.running.fetch_add(1, Relaxed);
        let _running = Running(Arc::clone(&self.running));
        let timeout = request.timeout.unwrap_or(Duration::from_secs(60));
        let work = tokio::time::sleep(Duration::from_millis(400));
        tokio::time::timeout(timeout, work).await.map_err(|_| ServeError::TimedOut)?;
        Ok(request.inputs)
    }
}

fn add(inputs: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    let of = |wanted: &str| inputs.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
    let (left, right) = (of("INPUT0"), of("INPUT1"));
    let pairs: Vec<_> = left.to_vec::<i32>().unwrap().into_iter().zip(right.to_vec::<i32>().unwrap()).collect();
    let tensor = |values: Vec<i32>| Tensor::from_slice(Element::I32, left.spec().shape.extents(), &values).unwrap();
    let sums = pairs.iter().map(|(l, r)| l.wrapping_add(*r)).collect();
    let differences = pairs.iter().map(|(l, r)| l.wrapping_sub(*r)).collect();
    vec![("OUTPUT0".into(), tensor(sums)), ("OUTPUT1".into(), tensor(differences))]
}

impl Inference for Fake {
    type Answering = Deployed;

    fn guests(&self) -> Vec<Deployed> {
        Self::NAMES.map(|name| self.deployed(name)).into()
    }

    fn answering(&self, name: &str) -> Option<Arc<Deployed>> {
        self.guest(name).map(Arc::new)
    }

    fn signature<'a>(&self, guest: &'a Deployed) -> &'a Arc<Signature> {
        &guest.signature
    }

    fn guest(&self, name: &str) -> Option<Deployed> {
        Self::NAMES.contains(&name).then(|| self.deployed(name))
    }

    fn ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    async fn answer(&self, _: &Deployed, request: Request) -> Result<Answer, ServeError> {
        let outputs = self.work(request).await;
        let statistics = &self.statistics;
        if outputs.is_ok() {
            for histogram in [&statistics.success, &statistics.lease_wait, &statistics.compute] {
                histogram.record(Duration::from_micros(70));
            }
            statistics.touch();
        } else {
            statistics.fail.record(Duration::from_micros(9));
        }
        statistics.retire(Retired::Used);
        Ok(Answer { outputs: outputs?, device: Some(Self::device()), step: None })
    }
}

/// A server on a port of its own.
pub struct House {
    pub address: SocketAddr,
    pub fake: Arc<Fake>,
    pub events: Arc<Broadcast>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl House {
    pub async fn open() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Server)) -> Self {
        let mut limits = Server { drain_ms: 2_000, ..Server::default() };
        change(&mut limits);
        let fake = Arc::new(Fake { statistics: Arc::default(), ready: AtomicBool::new(true), running: Arc::default() });
        let events = Arc::new(Broadcast::new(NonZeroUsize::new(16).unwrap(), 2));
        let metrics = Arc::new(metrics::registry(Arc::clone(&fake), Box::new(Vec::new), Vec::new(), None, None, None));
        let router = Api { inference: Arc::clone(&fake), events: Arc::clone(&events), metrics }.router(&limits);
        let listener = server::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let closing = Arc::clone(&events);
        let server = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopped.await;
                closing.close();
            };
            server::serve(listener, router, &limits, shutdown).await;
        });
        Self { address, fake, events, stop, server }
    }

    /// Begins to close.
    pub fn close(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.server
    }
}

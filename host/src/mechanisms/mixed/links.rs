//! How long values take to an accelerator and back.

use crate::{
    mechanisms::place::Link,
    nouns::{Element, Fault, Tensor},
    ports::Accelerator,
};
use std::time::{Duration, Instant};

/// Long enough that it counts, short enough that nobody notices.
const LOAD_BYTES: usize = 1 << 20;
const TRIES: usize = 5;

/// Between host memory and one accelerator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    pub upload: Link,
    pub download: Link,
}

/// The least of some tries.
struct Times {
    upload: Duration,
    download: Duration,
}

impl Links {
    pub async fn measure(accelerator: &dyn Accelerator) -> Result<Self, Fault> {
        let little = Times::measure(accelerator, size_of::<f32>()).await?;
        let much = Times::measure(accelerator, LOAD_BYTES).await?;
        Ok(Self { upload: link(little.upload, much.upload), download: link(little.download, much.download) })
    }
}

impl Times {
    async fn measure(accelerator: &dyn Accelerator, bytes: usize) -> Result<Self, Fault> {
        let numbers = vec![0f32; bytes / size_of::<f32>()];
        let tensor = Tensor::from_slice(Element::Fp32, [numbers.len()], &numbers);
        let tensor = tensor.map_err(|error| Fault::Invalid(error.to_string()))?;
        let (mut round, mut download) = (Duration::MAX, Duration::MAX);
        for _ in 0..TRIES {
            let started = Instant::now();
            let there = accelerator.upload(tensor.clone()).await?;
            // A device may go on copying after the call: it has ended once the tensor can be read.
            accelerator.download(&there).await?;
            round = round.min(started.elapsed());
            let started = Instant::now();
            accelerator.download(&there).await?;
            download = download.min(started.elapsed());
        }
        Ok(Self { upload: round.saturating_sub(download), download })
    }
}

fn link(little: Duration, much: Duration) -> Link {
    let transfer = much.saturating_sub(little).max(Duration::from_nanos(1));
    let bytes_per_second = LOAD_BYTES as f64 / transfer.as_secs_f64();
    Link { latency_us: little.as_secs_f64() * 1e6, bytes_per_second }
}

//! Tensors between host memory and the device.

use super::{
    device::Gpu,
    doubt::Doubt,
    memory::{self, Block, Memory},
};
use burst_host::nouns::{Fault, Resident, Tensor};
use bytes::Bytes;
use std::{any::Any, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Whatever kernels may touch is written.
const GRAIN: usize = memory::GRAIN_BYTES as usize;

/// How often a mapping that does not come is looked for, and its device.
const AGAIN: Duration = Duration::from_millis(100);

/// Copies a host tensor to the device.
pub async fn upload(gpu: &Gpu, memory: &Memory, tensor: &Tensor) -> Result<Arc<Block>, Fault> {
    let contents = tensor.contents().ok_or_else(|| Fault::Invalid("the tensor is on another device".into()))?;
    let block = memory.block(gpu, memory::bytes(tensor.spec())?).await?;
    gpu.guarded(|| {
        let (whole, rest) = contents.split_at(contents.len() - contents.len() % GRAIN);
        gpu.queue.write_buffer(&block.buffer, 0, whole);
        if !rest.is_empty() || whole.is_empty() {
            let mut grain = [0; GRAIN];
            grain[..rest.len()].copy_from_slice(rest);
            gpu.queue.write_buffer(&block.buffer, whole.len() as u64, &grain);
        }
    })
    .await?;
    Ok(block)
}

/// The tensor's block, uploading it where it is on the host.
pub async fn place(gpu: &Gpu, memory: &Memory, tensor: &Tensor) -> Result<Arc<Block>, Fault> {
    match tensor.resident() {
        None => upload(gpu, memory, tensor).await,
        Some(resident) => ours(gpu, resident),
    }
}

fn ours(gpu: &Gpu, resident: &Arc<dyn Resident>) -> Result<Arc<Block>, Fault> {
    let any: Arc<dyn Any + Send + Sync> = resident.clone();
    let block = any.downcast::<Block>().map_err(|_| Fault::Invalid("the tensor is on another device".into()))?;
    if block.is_of(gpu) { Ok(block) } else { Err(Fault::DeviceLost) }
}

/// The tensor in host memory, once the device has computed it.
pub async fn download(gpu: &Gpu, tensor: &Tensor) -> Result<Tensor, Fault> {
    let Some(resident) = tensor.resident() else { return Ok(tensor.clone()) };
    let block = ours(gpu, resident)?;
    let spec = tensor.spec().clone();
    let doubts: Vec<_> = block.doubts().cloned().collect();
    let words = doubts.iter().map(|doubt| (&*doubt.word, Doubt::WORD_BYTES as usize));
    let parts: Vec<_> = [(&*block, spec.bytes().unwrap_or_default())].into_iter().chain(words).collect();
    let mut read = read(gpu, &parts).await?.into_iter();
    let contents = read.next().unwrap_or_default();
    settled(&doubts, read)?;
    Tensor::host(spec, contents).map_err(|error| Fault::Invalid(error.to_string()))
}

/// Reads what runs have found, and nothing else.
pub async fn settle(gpu: &Gpu, doubts: &[Arc<Doubt>]) -> Result<(), Fault> {
    let parts: Vec<_> = doubts.iter().map(|doubt| (&*doubt.word, Doubt::WORD_BYTES as usize)).collect();
    settled(doubts, read(gpu, &parts).await?)
}

fn settled(doubts: &[Arc<Doubt>], words: impl IntoIterator<Item = Bytes>) -> Result<(), Fault> {
    doubts.iter().zip(words).try_for_each(|(doubt, word)| doubt.settle(&word))
}

/// So many bytes of each block, all at once.
async fn read(gpu: &Gpu, parts: &[(&Block, usize)]) -> Result<Vec<Bytes>, Fault> {
    let padded = |bytes: usize| (bytes as u64).next_multiple_of(4);
    let size = parts.iter().map(|(_, bytes)| padded(*bytes)).sum();
    if size == 0 {
        return Ok(vec![Bytes::new(); parts.len()]);
    }
    let (staging, _room) = gpu.shelf.create(gpu, memory::STAGING, size).await?;
    gpu.guarded(|| {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut to = 0;
        for (block, bytes) in parts.iter().filter(|(_, bytes)| *bytes > 0) {
            encoder.copy_buffer_to_buffer(&block.buffer, 0, &staging, to, padded(*bytes));
            to += padded(*bytes);
        }
        gpu.submit(encoder.finish());
    })
    .await?;
    let (done, mapped) = oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, .., move |outcome| drop(done.send(outcome)));
    gpu.settle().await?;
    outcome(gpu, mapped).await?;
    let view = staging.get_mapped_range(..).map_err(|_| Fault::DeviceLost)?;
    let mut from = 0;
    let part = |&(_, bytes): &(&Block, usize)| {
        let part = Bytes::copy_from_slice(&view[from..from + bytes]);
        from += padded(bytes) as usize;
        part
    };
    Ok(parts.iter().map(part).collect())
}

/// What became of a mapping. A device that is given up in between tells nobody.
async fn outcome(gpu: &Gpu, mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>) -> Result<(), Fault> {
    tokio::pin!(mapped);
    loop {
        tokio::select! {
            outcome = &mut mapped => return outcome.map_err(|_| Fault::DeviceLost)?.map_err(|_| Fault::DeviceLost),
            () = tokio::time::sleep(AGAIN) => gpu.settle().await?,
        }
    }
}

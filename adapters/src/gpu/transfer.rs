//! Tensors between host memory and the device.

use super::{
    device::Gpu,
    memory::{self, Block, Memory},
};
use burst_host::nouns::{Fault, Resident, Tensor};
use bytes::Bytes;
use std::{any::Any, sync::Arc};

/// Copies a host tensor to the device.
pub async fn upload(gpu: &Gpu, memory: &Memory, tensor: &Tensor) -> Result<Arc<Block>, Fault> {
    let contents = tensor.contents().ok_or_else(|| Fault::Invalid("the tensor is on another device".into()))?;
    let block = memory.block(gpu, memory::bytes(tensor.spec())?).await?;
    gpu.guarded(|| {
        let whole = contents.len() / 4 * 4;
        gpu.queue.write_buffer(&block.buffer, 0, &contents[..whole]);
        if whole < contents.len() {
            let mut word = [0; 4];
            word[..contents.len() - whole].copy_from_slice(&contents[whole..]);
            gpu.queue.write_buffer(&block.buffer, whole as u64, &word);
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
    let bytes = spec.bytes().unwrap_or_default();
    let contents = read(gpu, &block, bytes).await?;
    Tensor::host(spec, contents).map_err(|error| Fault::Invalid(error.to_string()))
}

async fn read(gpu: &Gpu, block: &Block, bytes: usize) -> Result<Bytes, Fault> {
    if bytes == 0 {
        return Ok(Bytes::new());
    }
    let size = (bytes as u64).next_multiple_of(4);
    let staging = gpu
        .guarded(|| {
            let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("download"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(&block.buffer, 0, &staging, 0, size);
            gpu.submit(encoder.finish());
            staging
        })
        .await?;
    let (done, mapped) = tokio::sync::oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, .., move |outcome| drop(done.send(outcome)));
    gpu.settle().await?;
    mapped.await.map_err(|_| Fault::DeviceLost)?.map_err(|_| Fault::DeviceLost)?;
    let view = staging.get_mapped_range(..).map_err(|_| Fault::DeviceLost)?;
    Ok(Bytes::copy_from_slice(&view[..bytes]))
}

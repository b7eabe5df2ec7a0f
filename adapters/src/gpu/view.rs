//! Views of camera frames: the pixels go to the device once, whatever is looked at.

use super::{
    device::Gpu,
    draft::Draft,
    kernels::{Kernel, Shader},
    memory::{Block, Memory},
    plan::Plan,
    planner::{Halt, Placed, Planner, Value, grid},
    planning::off_reactor,
    recent::Recent,
    transfer,
    weights::Weights,
};
use crate::cpu::view::{Mix, Taps, check, placement, planes};
use burst_host::nouns::{Account, Element, Fault, Frame, Layout, Rectangle, ShapeError, Spec, Tensor, View};
use bytes::Bytes;
use std::sync::Arc;

/// Frames that are on the device because somebody looked at them lately.
const FRAMES_KEPT: usize = 4;
/// Views that are planned: cameras times what guests want of them.
const PLANS_KEPT: usize = 32;

/// Plans of views, and the frames that they were used on.
pub struct Views {
    frames: Recent<(usize, usize), (Bytes, Arc<Block>)>,
    plans: Recent<Key, Plan>,
}

/// Everything that a plan depends on: the words of its parameters hold all numbers of frame and view.
#[derive(Clone, PartialEq)]
struct Key {
    spec: Spec,
    bytes: usize,
    crop: Rectangle,
    layout: Layout,
    parameters: Vec<u32>,
}

impl Views {
    pub fn new() -> Self {
        Self { frames: Recent::new(FRAMES_KEPT), plans: Recent::new(PLANS_KEPT) }
    }

    /// The view of a frame, on the device.
    pub async fn view(&self, gpu: &Arc<Gpu>, memory: &Memory, frame: &Frame, view: &View) -> Result<Tensor, Fault> {
        // Frames and plans are the house's: guests share them.
        let shared = gpu.memory(&Account::unlimited().bytes);
        let spec = view.spec()?;
        let crop = view.crop_within(frame.width, frame.height)?;
        check(frame, view)?;
        if !matches!(view.element, Element::Fp32 | Element::Fp16 | Element::U8) {
            return Err(Fault::Unsupported(format!("a view of {}: fp32, fp16 and u8 are", view.element)));
        }
        let pixels = self.pixels(gpu, &shared, &frame.pixels).await?;
        let sketch = Sketch::new(frame, view, crop);
        let key = Key { spec, bytes: frame.pixels.len(), crop, layout: view.layout, parameters: sketch.parameters() };
        let plan = match self.plans.get(&key) {
            Some(plan) => plan,
            None => {
                let plan = sketch.plan(gpu, &key).await?;
                self.plans.keep(key, plan)
            }
        };
        let mut results = plan.run(gpu, memory, &[pixels]).await?;
        results.pop().ok_or_else(|| Fault::Invalid("the view has no result".into()))
    }

    async fn pixels(&self, gpu: &Gpu, memory: &Memory, pixels: &Bytes) -> Result<Arc<Block>, Fault> {
        let key = (pixels.as_ptr() as usize, pixels.len());
        if let Some(kept) = self.frames.get(&key) {
            return Ok(kept.1.clone());
        }
        let invalid = |error: burst_host::nouns::ShapeError| Fault::TooLarge(error.to_string());
        let spec = Spec::new(Element::U8, [pixels.len()]).map_err(invalid)?;
        let tensor = Tensor::host(spec, pixels.clone()).map_err(invalid)?;
        let block = transfer::upload(gpu, memory, &tensor).await?;
        // The pixels are kept, so that their address stays their own.
        Ok(self.frames.keep(key, (pixels.clone(), block)).1.clone())
    }
}

/// A view before it is a plan.
struct Sketch<'a> {
    view: &'a View,
    placed: Rectangle,
    mix: Mix,
    /// Of each component: first byte, step, pitch.
    layout: [[usize; 3]; 3],
    shared: [u32; 3],
    crop: Rectangle,
}

impl<'a> Sketch<'a> {
    fn new(frame: &Frame, view: &'a View, crop: Rectangle) -> Self {
        let planes = planes(frame);
        let whole = frame.pixels.len();
        let layout = planes.map(|plane| [whole - plane.samples.len(), plane.step, plane.pitch]);
        let mix = Mix::new(frame.format, frame.colour, view.colour);
        let shared = planes.map(|plane| plane.shared);
        Self { view, placed: placement(view, crop), mix, layout, shared, crop }
    }

    /// Luma's taps, then those of chroma where it has its own; where each component's begin.
    fn taps(&self) -> (Vec<u32>, [u32; 3], [u32; 3]) {
        let (mut words, mut across, mut down) = (Vec::new(), [0; 3], [0; 3]);
        let Rectangle { width, height, .. } = self.placed;
        for component in 0..3 {
            if component > 0 && self.shared[component] == self.shared[component - 1] {
                (across[component], down[component]) = (across[component - 1], down[component - 1]);
                continue;
            }
            let shared = self.shared[component];
            across[component] = words.len() as u32 / 3;
            push(&mut words, &Taps::new(self.crop.left, self.crop.width, width, shared, 1));
            down[component] = words.len() as u32 / 3;
            push(&mut words, &Taps::new(self.crop.top, self.crop.height, height, shared, 1));
        }
        (words, across, down)
    }

    fn parameters(&self) -> Vec<u32> {
        let (_, across, down) = self.taps();
        let Rectangle { left, top, width, height } = self.placed;
        let mut words = vec![self.view.width, self.view.height, left, top, width, height, View::FILL.to_bits()];
        for part in 0..3 {
            words.extend(self.layout.map(|component| component[part] as u32));
        }
        words.extend(across);
        words.extend(down);
        words.extend(self.mix.matrix.as_flattened().iter().map(|value| value.to_bits()));
        for numbers in [self.mix.offset, self.view.scale, self.view.bias] {
            words.extend(numbers.map(f32::to_bits));
        }
        words
    }

    /// Compiles off the reactor; the plan is the house's, as the frames are.
    async fn plan(&self, gpu: &Arc<Gpu>, key: &Key) -> Result<Plan, Fault> {
        let draft = self.draft(gpu, key).map_err(Halt::fault)?;
        let gpu = gpu.clone();
        let finish = move || async move {
            let memory = gpu.memory(&Account::unlimited().bytes);
            draft.finish(&gpu, &memory, &Weights::default()).await
        };
        off_reactor(finish).await
    }

    /// One dispatch.
    fn draft(&self, gpu: &Gpu, key: &Key) -> Result<Draft, Halt> {
        let too_large = |error: ShapeError| Fault::TooLarge(error.to_string());
        let mut planner = Planner::new(1, gpu.target, Arc::default());
        let bytes = Spec::new(Element::U8, [key.bytes]).map_err(too_large)?;
        let pixels = Placed { storage: planner.input(bytes.clone()), spec: bytes };
        let (words, ..) = self.taps();
        let table = Tensor::from_slice(Element::U32, [words.len()], &words).map_err(too_large)?;
        let taps = planner.place(&Value::Known(table))?;
        let (kernel, invocations) = self.kernel(key.spec.element);
        let reads = [&pixels, &taps];
        let result = planner.dispatch(kernel, key.parameters.clone(), &reads, key.spec.clone(), grid(invocations))?;
        planner.draft.outputs.push((result.spec, result.storage));
        Ok(planner.draft)
    }

    /// What makes words of such elements, and how many invocations do.
    fn kernel(&self, element: Element) -> (Kernel, usize) {
        let (pixels, channels) = (self.view.width as usize * self.view.height as usize, self.view.colour.channels());
        let share = element.size().map_or(1, |bytes| 4 / bytes.clamp(1, 4));
        // One channel lies the same in both.
        let inside = self.view.layout == Layout::Nhwc || channels == 1;
        let whole = inside || pixels.is_multiple_of(share);
        let constants = [
            ("NHWC", u32::from(inside)),
            ("COMPONENTS", self.mix.inputs as u32),
            ("CHANNELS", channels as u32),
            ("SHARE", share as u32),
            ("WHOLE", u32::from(whole)),
        ];
        let elements = if whole { pixels } else { pixels * channels };
        (Kernel::new(Shader::View, constants), elements.div_ceil(share))
    }
}

fn push(words: &mut Vec<u32>, taps: &Taps) {
    for ((near, far), weight) in taps.near.iter().zip(&taps.far).zip(&taps.weight) {
        words.extend([*near as u32, *far as u32, weight.to_bits()]);
    }
}

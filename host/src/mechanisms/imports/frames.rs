//! `burst:edge/frames`, and the types of `burst:edge/events`.

use super::{FrameHandle, GuestFault, GuestState, SourceHandle, TensorHandle};
use crate::{
    mechanisms::bindings::{
        events::{self, Event as WitEvent},
        frames::{
            Colour as WitColour, Fit as WitFit, FrameInfo, Host, HostFrame, HostSource, Layout as WitLayout,
            Rectangle as WitRectangle, Statistics, View as WitView,
        },
    },
    nouns::{Colour, Event, Fault, Fit, Layout, Rectangle, Region, View},
};
use std::time::Duration;
use wasmtime::component::Resource;

impl Host for GuestState {}

impl events::Host for GuestState {}

impl HostSource for GuestState {
    fn open(&mut self, name: String) -> Result<Resource<SourceHandle>, GuestFault> {
        let feed = self.grants.cameras.get(&name).cloned().ok_or(Fault::NotFound(name))?;
        Ok(self.table.push(SourceHandle(feed))?)
    }

    fn latest(
        &mut self,
        source: Resource<SourceHandle>,
        max_age_ms: u32,
    ) -> wasmtime::Result<Option<Resource<FrameHandle>>> {
        let max_age = Duration::from_millis(max_age_ms.into());
        let feed = &self.table.get(&source)?.0;
        let Some(frame) = (if self.preparing { None } else { feed.take(max_age) }) else { return Ok(None) };
        feed.counts().dequeued.add(1);
        match self.push_frame(frame) {
            Ok(frame) => Ok(Some(frame)),
            Err(GuestFault::Fault(fault)) => Err(wasmtime::Error::msg(fault.to_string())),
            Err(GuestFault::Trap(error)) => Err(error),
        }
    }

    fn statistics(&mut self, source: Resource<SourceHandle>) -> wasmtime::Result<Statistics> {
        let counts = self.table.get(&source)?.0.counts();
        let (enqueued, dequeued) = (counts.enqueued.get(), counts.dequeued.get());
        Ok(Statistics { enqueued, dropped: counts.dropped(), dequeued })
    }

    fn drop(&mut self, source: Resource<SourceHandle>) -> wasmtime::Result<()> {
        self.table.delete(source)?;
        Ok(())
    }
}

impl HostFrame for GuestState {
    fn info(&mut self, frame: Resource<FrameHandle>) -> wasmtime::Result<FrameInfo> {
        let frame = &self.table.get(&frame)?.frame;
        Ok(FrameInfo {
            sequence: frame.sequence,
            captured_ns: frame.captured_ns,
            age_ms: u32::try_from(frame.received.elapsed().as_millis()).unwrap_or(u32::MAX),
            width: frame.width,
            height: frame.height,
        })
    }

    async fn tensor(
        &mut self,
        frame: Resource<FrameHandle>,
        view: WitView,
    ) -> Result<Resource<TensorHandle>, GuestFault> {
        let frame = self.table.get(&frame)?.frame.clone();
        let view = View::from(view);
        let charge = self.ledger.charge(view.spec()?.bytes().unwrap_or(0))?;
        let tensor = self.grants.accelerator.view(&frame, &view).await?;
        Ok(self.table.push(TensorHandle { tensor, _charge: charge })?)
    }

    fn drop(&mut self, frame: Resource<FrameHandle>) -> wasmtime::Result<()> {
        self.table.delete(frame)?;
        Ok(())
    }
}

impl From<WitView> for View {
    fn from(view: WitView) -> Self {
        let (scale, bias) = (view.scale, view.bias);
        Self {
            crop: view.crop.map(Rectangle::from),
            width: view.width,
            height: view.height,
            fit: match view.fit {
                WitFit::Stretch => Fit::Stretch,
                WitFit::Letterbox => Fit::Letterbox,
            },
            layout: match view.layout {
                WitLayout::Nchw => Layout::Nchw,
                WitLayout::Nhwc => Layout::Nhwc,
            },
            colour: match view.colour {
                WitColour::Rgb => Colour::Rgb,
                WitColour::Bgr => Colour::Bgr,
                WitColour::Grey => Colour::Grey,
            },
            element: view.element.into(),
            scale: [scale.0, scale.1, scale.2],
            bias: [bias.0, bias.1, bias.2],
        }
    }
}

impl From<WitRectangle> for Rectangle {
    fn from(crop: WitRectangle) -> Self {
        Self { left: crop.left, top: crop.top, width: crop.width, height: crop.height }
    }
}

impl From<WitEvent> for Event {
    fn from(event: WitEvent) -> Self {
        match event {
            WitEvent::Detection(detection) => Self::Detection {
                label: detection.label,
                confidence: detection.confidence,
                region: detection.region.into(),
            },
            WitEvent::Count(count) => Self::Count { label: count.label, value: count.value },
            WitEvent::Measure(measure) => Self::Measure { label: measure.label, steps: measure.steps },
            WitEvent::State(state) => Self::State { label: state.label, index: state.index },
        }
    }
}

impl From<events::Region> for Region {
    fn from(region: events::Region) -> Self {
        Self { left: region.left, top: region.top, width: region.width, height: region.height }
    }
}

//! What became of frames and events, for Prometheus.

use burst_host::mechanisms::egress::LaneCounts;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use std::fmt;

/// Every guest at every camera, as they are when somebody asks.
pub type Watched = Box<dyn Fn() -> Vec<LaneCounts> + Send + Sync>;

pub(super) struct Lanes(pub Watched);

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lanes")
    }
}

impl Collector for Lanes {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.counters(&mut encoder, "burst_frames", "Frames of a camera, by what became of them", |lane| {
            let frames = &lane.frames;
            vec![
                ("seen", frames.dequeued.get()),
                ("failed", frames.failed.get()),
                ("dropped-replaced", frames.replaced.get()),
                ("dropped-stale", frames.stale.get()),
                ("dropped-busy", frames.busy.get()),
            ]
        })?;
        self.counters(&mut encoder, "burst_events", "Events at the gate, by what became of them", |lane| {
            let events = &lane.events;
            vec![
                ("emitted", events.emitted.get()),
                ("refused-unknown", events.unknown.get()),
                ("refused-limited", events.limited.get()),
                ("undelivered", events.undelivered.get()),
            ]
        })
    }
}

impl Lanes {
    fn counters(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &'static str,
        help: &str,
        rows: impl Fn(&LaneCounts) -> Vec<(&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for lane in &(self.0)() {
            for (outcome, count) in rows(lane) {
                let labels = [("guest", &*lane.guest), ("camera", &*lane.camera), ("outcome", outcome)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

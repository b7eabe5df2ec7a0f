//! What happened between the stages of cut models, for Prometheus.

use super::metrics::{Labels, buckets};
use burst_host::mechanisms::relay::{Counts, Relay};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use std::{fmt, sync::Arc};

/// The relay of a node that is not alone.
pub(super) struct Relays(pub Option<Arc<Relay>>);

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relays")
    }
}

impl Collector for Relays {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(relay) = &self.0 else { return Ok(()) };
        let Counts {
            queue,
            compute,
            pass,
            credit,
            transfer,
            replays,
            duplicates,
            fenced,
            garbage,
            replayed_steps,
            repeats,
            silent,
        } = &relay.counts;
        let calls = [
            ("replayed", replays),
            ("repeated", repeats),
            ("silent", silent),
            ("replayed-step", replayed_steps),
            ("duplicate", duplicates),
            ("fenced", fenced),
            ("garbage", garbage),
        ];
        let help = "Calls between stages that did not go the usual way";
        let mut family = encoder.encode_descriptor("burst_stage_calls", help, None, MetricType::Counter)?;
        for (outcome, count) in calls {
            ConstCounter::new(count.get()).encode(family.encode_family(&[("outcome", outcome)])?)?;
        }
        let help = "Where the time of a stage goes";
        let parts =
            [("queue", queue), ("compute", compute), ("pass", pass), ("transfer", transfer), ("credit", credit)];
        let mut family = encoder.encode_descriptor("burst_stage", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (part, histogram) in parts {
            let sum = histogram.sum().as_secs_f64();
            let label = [("part", part)];
            let mut encoder = family.encode_family(&label)?;
            encoder.encode_histogram::<Labels>(sum, histogram.count(), &buckets(histogram), None)?;
        }
        let help = "Sessions whose states are kept here";
        let gauge = encoder.encode_descriptor("burst_stage_sessions", help, None, MetricType::Gauge)?;
        ConstGauge::new(relay.sessions() as i64).encode(gauge)?;
        Ok(())
    }
}

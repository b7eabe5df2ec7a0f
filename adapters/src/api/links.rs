//! Links between nodes that were refused, for Prometheus.

use burst_host::ports::{Fabric, Refusal};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};
use std::{fmt, sync::Arc};

/// The fabric of a node that is not alone.
pub(super) struct Links(pub Option<Arc<dyn Fabric>>);

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

impl Collector for Links {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(fabric) = &self.0 else { return Ok(()) };
        let help = "Links from and to other nodes that this one refused";
        let mut family = encoder.encode_descriptor("burst_links_refused", help, None, MetricType::Counter)?;
        for why in Refusal::ALL {
            let label = [("reason", why.name())];
            ConstCounter::new(fabric.refused(why)).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

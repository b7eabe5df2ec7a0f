//! The devices in Prometheus text: what is allocated on each, buffers kept for the next tensor too.

use burst_host::ports::Accelerator;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use std::{fmt, sync::Arc};

/// Those that have memory of their own are listed.
pub struct Devices(pub Vec<Arc<dyn Accelerator>>);

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Devices")
    }
}

impl Collector for Devices {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Device memory that is allocated, whoever holds it";
        let mut family = encoder.encode_descriptor("burst_device_allocated_bytes", help, None, MetricType::Gauge)?;
        for device in &self.0 {
            if let Some(bytes) = device.held_bytes() {
                let label = [("device", device.describe().name.clone())];
                ConstGauge::new(bytes as i64).encode(family.encode_family(&label)?)?;
            }
        }
        Ok(())
    }
}

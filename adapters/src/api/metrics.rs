//! Prometheus text, made when somebody asks: counting costs atomics, watching costs a scrape.

pub use super::lanes::Watched;
use super::{
    devices::Devices, inference::Inference, lanes::Lanes, links::Links, refusal::Refusal, relays::Relays,
    releases::Releases,
};
use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use burst_host::{
    loops::{rollout::Rollout, serve::Deployed},
    mechanisms::{
        relay::Relay,
        statistics::{Histogram, Retired},
    },
    ports::{Accelerator, Fabric},
};
pub use prometheus_client::registry::Registry;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use std::{fmt, sync::Arc};

/// What the guests and their cameras went through.
pub fn registry<I: Inference>(
    inference: Arc<I>,
    lanes: Watched,
    devices: Vec<Arc<dyn Accelerator>>,
    fabric: Option<Arc<dyn Fabric>>,
    relay: Option<Arc<Relay>>,
    rollout: Option<Arc<Rollout>>,
) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Lanes(lanes)));
    registry.register_collector(Box::new(Devices(devices)));
    registry.register_collector(Box::new(Links(fabric)));
    registry.register_collector(Box::new(Relays(relay)));
    registry.register_collector(Box::new(Releases(rollout)));
    registry.register_collector(Box::new(Guests(inference)));
    registry
}

/// `GET /metrics`, on the main port and on its own.
pub fn router(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(registry)
}

async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    let mut page = String::new();
    match text::encode(&mut page, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], page).into_response()
        }
        Err(_) => Refusal::internal("the metrics could not be written").into_response(),
    }
}

struct Guests<I>(Arc<I>);

impl<I> fmt::Debug for Guests<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guests")
    }
}

impl<I: Inference> Collector for Guests<I> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let guests = self.0.guests();
        let mut page = Page { encoder: &mut encoder, guests: &guests };
        page.counters("burst_requests", "Requests that ended", &["outcome"], |guest| {
            let statistics = &guest.statistics;
            vec![(vec!["success"], statistics.success.count()), (vec!["fail"], statistics.fail.count())]
        })?;
        page.counters("burst_refused", "Requests refused because the queue was full", &[], |guest| {
            vec![(vec![], guest.statistics.refused.get())]
        })?;
        page.counters("burst_retired", "Leases that ended", &["reason"], |guest| {
            Retired::ALL.map(|reason| (vec![reason.name()], guest.statistics.retired(reason))).into()
        })?;
        page.histograms("burst_request", "From the arrival of a request to its answer", &["outcome"], |guest| {
            vec![(vec!["success"], &guest.statistics.success), (vec!["fail"], &guest.statistics.fail)]
        })?;
        page.histograms("burst_lease_wait", "From the check of a request to its lease", &[], |guest| {
            vec![(vec![], &guest.statistics.lease_wait)]
        })?;
        page.histograms("burst_compute", "The guest's call", &[], |guest| vec![(vec![], &guest.statistics.compute)])?;
        page.leases()?;
        page.sequences()?;
        page.devices()
    }
}

/// Label values after `guest`, and what they stand for.
type Rows<T> = Vec<(Vec<&'static str>, T)>;

/// Writes families that have a row or a few for each guest.
struct Page<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
    guests: &'a [Deployed],
}

impl Page<'_, '_> {
    fn counters(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &[&'static str],
        rows: impl Fn(&Deployed) -> Rows<u64>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for guest in self.guests {
            for (values, count) in rows(guest) {
                ConstCounter::new(count).encode(family.encode_family(&all(guest, labels, &values))?)?;
            }
        }
        Ok(())
    }

    fn histograms<'g>(
        &'g mut self,
        name: &'static str,
        help: &str,
        labels: &[&'static str],
        rows: impl Fn(&'g Deployed) -> Rows<&'g Histogram>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for guest in self.guests {
            for (values, histogram) in rows(guest) {
                let buckets = buckets(histogram);
                let count = buckets.iter().map(|&(_, count)| count).sum();
                family.encode_family(&all(guest, labels, &values))?.encode_histogram::<Labels>(
                    histogram.sum().as_secs_f64(),
                    count,
                    &buckets,
                    None,
                )?;
            }
        }
        Ok(())
    }

    fn leases(&mut self) -> fmt::Result {
        self.gauges("burst_leases", "Leases, and requests that wait for one", &["state"], |guest| {
            let leases = guest.leases;
            vec![(vec!["ready"], leases.ready), (vec!["busy"], leases.busy), (vec!["waiting"], leases.waiting)]
        })?;
        self.gauges("burst_leases_floor", "Leases that are kept ready", &[], |guest| {
            vec![(vec![], guest.leases.floor)]
        })?;
        self.gauges("burst_leases_max", "The most leases, ready and busy together", &[], |guest| {
            vec![(vec![], guest.leases.max)]
        })
    }

    fn sequences(&mut self) -> fmt::Result {
        let row = |count: Option<usize>| count.map(|count| (vec![], count)).into_iter().collect();
        self.gauges("burst_sequences", "Sequences that are open", &[], |guest| {
            row(guest.sequences.map(|sequences| sequences.open))
        })?;
        self.gauges("burst_sequences_max", "The most open sequences", &[], |guest| {
            row(guest.sequences.map(|sequences| sequences.max))
        })?;
        self.gauges("burst_sequences_bytes", "States of sequences on this node", &[], |guest| {
            row(guest.sequences.map(|sequences| sequences.state_bytes))
        })
    }

    fn devices(&mut self) -> fmt::Result {
        self.gauges("burst_device_bytes", "Device memory; models may be shared by guests", &["holder"], |guest| {
            let device = guest.device_use;
            vec![(vec!["leases"], device.leases_bytes), (vec!["models"], device.models_bytes)]
        })?;
        self.gauges(
            "burst_device_bytes_max",
            "The most device memory of all leases together, and of each model",
            &[],
            |guest| vec![(vec![], guest.device_use.bytes_max)],
        )?;
        self.gauges("burst_device_runs", "Graph runs on the device that are not done", &[], |guest| {
            vec![(vec![], guest.device_use.runs)]
        })?;
        self.gauges("burst_device_runs_max", "The most graph runs on the device at once", &[], |guest| {
            vec![(vec![], guest.device_use.runs_max)]
        })
    }

    fn gauges(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &[&'static str],
        rows: impl Fn(&Deployed) -> Rows<usize>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for guest in self.guests {
            for (values, count) in rows(guest) {
                ConstGauge::new(count).encode(family.encode_family(&all(guest, labels, &values))?)?;
            }
        }
        Ok(())
    }
}

pub(super) type Labels = Vec<(&'static str, String)>;

fn all(guest: &Deployed, labels: &[&'static str], values: &[&str]) -> Labels {
    let own = labels.iter().zip(values).map(|(&label, value)| (label, (*value).to_owned()));
    std::iter::once(("guest", guest.name.to_string())).chain(own).collect()
}

/// Upper bounds in seconds and how many durations are in each, not cumulated.
pub(super) fn buckets(histogram: &Histogram) -> Vec<(f64, u64)> {
    let bounds = Histogram::BOUNDS_US.iter().map(|&micros| micros as f64 / 1e6).chain([f64::INFINITY]);
    bounds.zip(histogram.buckets()).collect()
}

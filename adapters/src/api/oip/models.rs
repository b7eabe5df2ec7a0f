//! What clients may know of the guests: metadata, configuration, statistics, the repository index.

use super::{
    super::{inference::Inference, refusal::Refusal},
    Serving, Shared, VERSION, readiness,
    target::Target,
};
use axum::{Json, extract::State, http::StatusCode};
use burst_host::{
    loops::serve::Deployed,
    mechanisms::statistics::Histogram,
    nouns::{Element, Extent, Port},
};
use serde_json::{Value, json};

type Answer = Result<Json<Value>, Refusal>;

/// A guest that sees frames is no model to a client.
fn all_answering<I: Inference>(serving: &Serving<I>) -> Vec<Deployed> {
    serving.inference.guests().into_iter().filter(|guest| guest.answers).collect()
}

fn answering<I: Inference>(serving: &Serving<I>, target: &Target) -> Result<Deployed, Refusal> {
    serving.inference.guest(&target.0).filter(|guest| guest.answers).ok_or_else(|| target.unknown())
}

/// Names, as KServe lists them.
pub(super) async fn list<I: Inference>(State(serving): Shared<I>) -> Json<Value> {
    let guests = all_answering(&serving);
    Json(json!({ "models": guests.iter().map(|guest| &*guest.name).collect::<Vec<_>>() }))
}

pub(super) async fn ready<I: Inference>(
    State(serving): Shared<I>,
    target: Target,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let guest = answering(&serving, &target)?;
    Ok(readiness(guest.ready))
}

pub(super) async fn metadata<I: Inference>(State(serving): Shared<I>, target: Target) -> Answer {
    let guest = answering(&serving, &target)?;
    let ports = |ports: &[Port]| -> Vec<Value> {
        let describe = |port: &Port| json!({ "name": port.name, "datatype": datatype(port), "shape": dims(port) });
        ports.iter().map(describe).collect()
    };
    Ok(Json(json!({
        "name": &*guest.name,
        "versions": [VERSION],
        "platform": "burst_wasm",
        "inputs": ports(&guest.signature.inputs),
        "outputs": ports(&guest.signature.outputs),
    })))
}

/// Triton's ModelConfig.
pub(super) async fn config<I: Inference>(State(serving): Shared<I>, target: Target) -> Answer {
    let guest = answering(&serving, &target)?;
    let describe = |port: &Port| json!({ "name": port.name, "data_type": data_type(port), "dims": dims(port) });
    let input = |port: &Port| {
        let mut input = describe(port);
        if port.optional {
            input["optional"] = true.into();
        }
        input
    };
    let mut config = json!({
        "name": &*guest.name,
        "platform": "burst_wasm",
        "backend": "burst",
        "version_policy": { "latest": { "num_versions": 1 } },
        "max_batch_size": 0,
        "input": guest.signature.inputs.iter().map(input).collect::<Vec<_>>(),
        "output": guest.signature.outputs.iter().map(describe).collect::<Vec<_>>(),
    });
    if let Some(sequences) = guest.sequences {
        let micros = sequences.idle_ms.saturating_mul(1000);
        config["sequence_batching"] = json!({ "direct": {}, "max_sequence_idle_microseconds": micros });
    }
    Ok(Json(config))
}

pub(super) async fn statistics<I: Inference>(State(serving): Shared<I>, target: Target) -> Answer {
    let guest = answering(&serving, &target)?;
    Ok(Json(json!({ "model_stats": [model_statistics(&guest)] })))
}

pub(super) async fn all_statistics<I: Inference>(State(serving): Shared<I>) -> Json<Value> {
    let guests = all_answering(&serving);
    Json(json!({ "model_stats": guests.iter().map(model_statistics).collect::<Vec<_>>() }))
}

/// The repository index; a body that filters by readiness is not read.
pub(super) async fn index<I: Inference>(State(serving): Shared<I>) -> Json<Value> {
    let entry = |guest: &Deployed| {
        let (state, reason) = if guest.ready { ("READY", "") } else { ("UNAVAILABLE", "not ready yet") };
        json!({ "name": &*guest.name, "version": VERSION, "state": state, "reason": reason })
    };
    Json(all_answering(&serving).iter().map(entry).collect())
}

fn model_statistics(guest: &Deployed) -> Value {
    let statistics = &guest.statistics;
    // One count for every stage: perf_analyzer gives up when a request ends between two of them.
    let count = statistics.success.count();
    let stage = |histogram: &Histogram| duration(count, histogram);
    json!({
        "name": &*guest.name,
        "version": VERSION,
        "last_inference": statistics.last_success_ms(),
        "inference_count": count,
        "execution_count": count,
        "inference_stats": {
            "success": stage(&statistics.success),
            "fail": duration(statistics.fail.count(), &statistics.fail),
            "queue": stage(&statistics.lease_wait),
            "compute_input": stage(&statistics.compute_input),
            "compute_infer": stage(&statistics.compute),
            "compute_output": stage(&statistics.compute_output),
            "cache_hit": { "count": 0, "ns": 0 },
            "cache_miss": { "count": 0, "ns": 0 },
        },
        "batch_stats": [],
    })
}

fn duration(count: u64, histogram: &Histogram) -> Value {
    json!({ "count": count, "ns": u64::try_from(histogram.sum().as_nanos()).unwrap_or(u64::MAX) })
}

fn datatype(port: &Port) -> &'static str {
    port.element.map_or("ANY", Element::oip)
}

/// The spelling of Triton's configuration.
fn data_type(port: &Port) -> String {
    match port.element {
        None => "TYPE_INVALID".into(),
        Some(Element::Bytes) => "TYPE_STRING".into(),
        Some(element) => format!("TYPE_{element}"),
    }
}

/// Extents with -1 for any; a shape that is open altogether is one such axis.
fn dims(port: &Port) -> Vec<i64> {
    let dim = |extent: &Extent| match extent {
        Extent::Fixed(extent) => i64::try_from(*extent).unwrap_or(i64::MAX),
        Extent::Named(_) | Extent::Any => -1,
    };
    port.shape.as_ref().map_or(vec![-1], |shape| shape.iter().map(dim).collect())
}

//! Records as server-sent events: a client that reads slowly loses some and is told how many.

use super::refusal::Refusal;
use crate::sinks::{Broadcast, Heard, Subscription};
use axum::{
    Router,
    extract::{Query, State},
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use burst_host::nouns::{Record, RecordValue};
use futures::Stream;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// So that proxies and clients see that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /v2/events`.
pub(crate) fn router(broadcast: Arc<Broadcast>) -> Router {
    Router::new().route("/v2/events", get(events)).with_state(broadcast)
}

/// What a listener wants to hear; everything when left out.
#[derive(Debug, Default, Deserialize)]
struct Filter {
    camera: Option<String>,
    guest: Option<String>,
}

impl Filter {
    fn admits(&self, record: &Record) -> bool {
        self.camera.as_deref().is_none_or(|camera| camera == &*record.camera)
            && self.guest.as_deref().is_none_or(|guest| guest == &*record.guest)
    }
}

async fn events(
    State(broadcast): State<Arc<Broadcast>>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Refusal> {
    let Query(filter) = filter.map_err(|error| Refusal::invalid(error.body_text()))?;
    let subscription = broadcast.subscribe().ok_or_else(|| Refusal::busy("as many listen as may"))?;
    let stream = futures::stream::unfold((subscription, filter), async |(mut subscription, filter)| {
        let event = next(&mut subscription, &filter).await?;
        Some((event, (subscription, filter)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn next(subscription: &mut Subscription, filter: &Filter) -> Option<Result<Event, axum::Error>> {
    loop {
        match subscription.next().await? {
            Heard::Lost(count) => {
                return Some(Event::default().event("lost").json_data(json!({ "lost": count })));
            }
            Heard::Record(id, record) if filter.admits(&record) => {
                return Some(Event::default().event(kind(&record.value)).id(id.to_string()).json_data(&*record));
            }
            Heard::Record(..) => {}
        }
    }
}

fn kind(value: &RecordValue) -> &'static str {
    match value {
        RecordValue::Detection { .. } => "detection",
        RecordValue::Count { .. } => "count",
        RecordValue::Measure { .. } => "measure",
        RecordValue::State { .. } => "state",
    }
}

//! Links that Zenoh refuses. It has no event for them but what it logs, so these lines are read, and nothing else is: they
//! are written once for each link, and tests with real certificates hold what they say.

use burst_host::ports::Refusal;
use std::{
    fmt::{Debug, Write},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

/// Where a handshake that another node began ends, if it is refused.
const ACCEPTS: &str = "zenoh_link_commons::quic::unicast";
/// Where this node's own attempts end.
const CONNECTS: &str = "zenoh::net::runtime::orchestrator";
/// Where names are looked up.
const RULES: &str = "zenoh::net::routing::interceptor::access_control";

/// Of all sessions of the process: a line does not say whose it is.
static REFUSED: [AtomicU64; Refusal::ALL.len()] = [const { AtomicU64::new(0) }; Refusal::ALL.len()];

/// Links that were refused for this reason so far, while a [`watch`] was part of the log.
pub fn count(why: Refusal) -> u64 {
    REFUSED[why as usize].load(Relaxed)
}

/// The part of a log that counts refused links. It sees those lines whatever the log shows of them.
pub fn watch<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = [(ACCEPTS, Level::WARN), (CONNECTS, Level::DEBUG), (RULES, Level::INFO)];
    Watch.with_filter(Targets::new().with_targets(lines))
}

struct Watch;

impl<S: Subscriber> Layer<S> for Watch {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said(String::new());
        event.record(&mut said);
        if let Some(why) = refusal(event.metadata().target(), &said.0) {
            REFUSED[why as usize].fetch_add(1, Relaxed);
        }
    }
}

/// What a line is about; most are about something else.
fn refusal(target: &str, said: &str) -> Option<Refusal> {
    // The other one says in its own words why it refused.
    let theirs = said.contains("ConnectionClosed(") || said.contains("by peer");
    let certificate = || {
        let about = [
            ("peer sent no certificates", Refusal::NoCertificate),
            ("certificate expired", Refusal::Expired),
            ("certificate not valid yet", Refusal::Expired),
            ("invalid peer certificate", Refusal::UnknownAuthority),
        ];
        about.into_iter().find(|(part, _)| !theirs && said.contains(part)).map(|(_, why)| why)
    };
    match target {
        ACCEPTS => said.contains("QUIC acceptor failed").then(|| certificate().unwrap_or(Refusal::Unfinished)),
        CONNECTS => certificate(),
        RULES => said.contains("did not match any configured ACL subject").then_some(Refusal::NotAMember),
        _ => None,
    }
}

/// The text of a line.
struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // A string takes everything.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_about_links() {
        let check = |target: &str, said: &str, expected| assert_eq!(refusal(target, said), expected, "{said}");
        let failed = |reason: &str| format!("QUIC acceptor failed: TransportError(Error {{ reason: \"{reason}\" }})");
        check(ACCEPTS, &failed("invalid peer certificate: UnknownIssuer"), Some(Refusal::UnknownAuthority));
        check(ACCEPTS, &failed("invalid peer certificate: BadSignature"), Some(Refusal::UnknownAuthority));
        check(ACCEPTS, &failed("peer sent no certificates"), Some(Refusal::NoCertificate));
        check(ACCEPTS, "QUIC acceptor failed: TimedOut", Some(Refusal::Unfinished));
        check(ACCEPTS, "Can not accept QUIC connections: acceptor closed", None);
        let theirs = "ConnectionClosed(ConnectionClose { reason: b\"invalid peer certificate: UnknownIssuer\" })";
        check(ACCEPTS, &format!("QUIC acceptor failed: {theirs}"), Some(Refusal::Unfinished));
        let dialled = |why: &str| format!("Unable to connect to configured peer quic/a:1! {why}. Retry in 1s.");
        check(CONNECTS, &dialled("aborted by peer: invalid peer certificate: UnknownIssuer"), None);
        check(CONNECTS, &dialled("invalid peer certificate: UnknownIssuer"), Some(Refusal::UnknownAuthority));
        check(CONNECTS, &dialled("timed out"), None);
        check("another", &failed("invalid peer certificate: UnknownIssuer"), None);
    }
}

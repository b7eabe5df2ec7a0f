//! A thousand tasks of one process ask for a guest at once, and use it.

use crate::{
    CROWD, ON_DEMAND,
    report::{self, Flags, Report, Row, median, micros, quantile},
    rounds,
    support::{House, block_on, guest, uint8},
};
use burst_host::mechanisms::{pool::Offer, statistics::Retired};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// One burst, in microseconds.
#[derive(Clone, Copy)]
struct Burst {
    /// From asking the pool to having a guest.
    lease_p50: f64,
    lease_p99: f64,
    lease_max: f64,
    /// From the release of all tasks to having a guest: waiting for a core included.
    lent_p99: f64,
    /// From having a guest to its answer.
    respond_p50: f64,
    last_answer: f64,
    /// Minor page faults of this process by request: a guest that nobody touched yet faults its pages in.
    faults: f64,
}

pub fn measure(flags: &Flags, report: &mut Report) {
    let component = guest("echo");
    let pool = |ready| format!("pool = {{ ready = {ready}, max = {CROWD} }}");
    let demand = block_on(House::new(&component, &pool(0)));
    let floor = block_on(House::new(&component, &pool(CROWD)));
    let houses = [Arc::new(floor), Arc::new(demand)];
    let mut bursts: [Vec<Burst>; 2] = Default::default();
    // The first one warms up.
    for round in 0..=rounds(flags) {
        report::silence(if round == 0 { Duration::from_secs(1) } else { crate::window(flags) });
        for (house, bursts) in houses.iter().zip(&mut bursts) {
            bursts.push(block_on(burst(house)));
            block_on(house.settle());
        }
    }
    rows(report, &bursts.map(|bursts| bursts[1..].to_vec()));
}

fn rows(report: &mut Report, [floor, demand]: &[Vec<Burst>; 2]) {
    let mut row = |metric: &str, unit, of: fn(&Burst) -> f64| {
        let figure = |bursts: &[Burst]| Some(median(&bursts.iter().map(of).collect::<Vec<_>>()));
        let (value, peer_value, n) = (figure(floor), figure(demand), floor.len());
        report.add(Row { metric: metric.into(), unit, value, peer: ON_DEMAND, peer_value, n });
    };
    row("burst_lease_p50_us", "us", |burst| burst.lease_p50);
    row("burst_lease_p99_us", "us", |burst| burst.lease_p99);
    row("burst_lease_max_us", "us", |burst| burst.lease_max);
    row("burst_lent_p99_us", "us", |burst| burst.lent_p99);
    row("burst_respond_p50_us", "us", |burst| burst.respond_p50);
    row("burst_lease_last_answer_us", "us", |burst| burst.last_answer);
    row("burst_faults_per_request", "faults", |burst| burst.faults);
}

async fn burst(house: &Arc<House>) -> Burst {
    let gate = watch::Sender::new(None::<Instant>);
    let mut tasks = JoinSet::new();
    for _ in 0..CROWD {
        tasks.spawn(one(house.clone(), gate.subscribe()));
    }
    // Until each of them waits.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let faults = minor_faults();
    gate.send_replace(Some(Instant::now()));
    let times = tasks.join_all().await;
    let faults = (minor_faults() - faults) as f64 / CROWD as f64;
    let of = |which: fn(&[f64; 4]) -> f64| times.iter().map(which).collect::<Vec<_>>();
    let (lease, lent) = (of(|times| times[0]), of(|times| times[1]));
    let (respond, answered) = (of(|times| times[2]), of(|times| times[3]));
    Burst {
        lease_p50: median(&lease),
        lease_p99: quantile(&lease, 0.99),
        lease_max: quantile(&lease, 1.0),
        lent_p99: quantile(&lent, 0.99),
        respond_p50: median(&respond),
        last_answer: quantile(&answered, 1.0),
        faults,
    }
}

/// One request: how long the lease took, when it was lent since the release, how long the guest took, and when it had
/// answered since the release.
async fn one(house: Arc<House>, mut gate: watch::Receiver<Option<Instant>>) -> [f64; 4] {
    let inputs = vec![("x".to_owned(), uint8(&[1]))];
    let released = gate.wait_for(Option::is_some).await.unwrap().unwrap();
    let asked = Instant::now();
    let deadline = asked + Duration::from_secs(30);
    let Offer::Lent(mut lease) = house.deployment.pool.lease(deadline).await else { panic!("no lease") };
    let lent = Instant::now();
    lease.respond(inputs, deadline).await.unwrap();
    let answered = Instant::now();
    lease.end(Retired::Used);
    [lent - asked, lent - released, answered - lent, answered - released].map(micros)
}

/// Page faults of this process so far that needed no disk.
fn minor_faults() -> i64 {
    // SAFETY: all zeros are a valid usage, and getrusage gets a valid pointer to it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage.ru_minflt
    }
}

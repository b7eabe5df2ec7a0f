//! The floor is kept through silence and bursts; above it the pool grows to `max`, queues, refuses and shrinks again.

use crate::support::{House, block_on, eventually, guest, probe, uint8};
use burst_host::{
    loops::serve::{Leases, ServeError},
    mechanisms::{pool::Offer, statistics::Retired},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn the_floor_is_ready_before_the_first_request_and_after_each_burst() {
    block_on(async {
        let house = House::new(&guest("echo"), "pool = { ready = 10, max = 40 }").await;
        let still = Leases { ready: 10, busy: 0, waiting: 0, floor: 10, max: 40 };
        assert_eq!(house.deployment.pool.leases(), still);
        for _ in 0..3 {
            let mut lent = Vec::new();
            for _ in 0..40 {
                let Offer::Lent(lease) = house.deployment.pool.lease(soon()).await else { panic!("no lease") };
                lent.push(lease);
                let leases = house.deployment.pool.leases();
                assert!(leases.ready + leases.busy <= 40, "{leases:?}");
            }
            assert_eq!(house.deployment.pool.leases().busy, 40);
            lent.into_iter().for_each(|lease| lease.end(Retired::Used));
            eventually("the pool shrinks to its floor", || house.deployment.pool.leases() == still).await;
        }
    });
}

#[test]
fn beyond_max_requests_queue_and_beyond_the_queue_they_are_refused() {
    block_on(async {
        let house = Arc::new(House::new(&guest("echo"), "pool = { ready = 1, max = 2, queue_max = 3 }").await);
        let Offer::Lent(first) = house.deployment.pool.lease(soon()).await else { panic!("no lease") };
        let Offer::Lent(second) = house.deployment.pool.lease(soon()).await else { panic!("no lease") };
        let ask = |house: Arc<House>| tokio::spawn(async move { house.ask(&[("x", uint8(&[1]))]).await });
        let queued: Vec<_> = (0..3).map(|_| ask(house.clone())).collect();
        eventually("three wait", || house.deployment.pool.leases().waiting == 3).await;
        let refused = ask(house.clone()).await.unwrap().unwrap_err();
        assert_eq!(refused, ServeError::Busy("guest".into()));
        assert_eq!(house.deployment.statistics.refused.get(), 1);
        first.end(Retired::Used);
        second.end(Retired::Used);
        for answer in queued {
            assert!(answer.await.unwrap().is_ok());
        }
        house.settle().await;
    });
}

#[test]
fn who_waits_too_long_is_told_so() {
    block_on(async {
        let rest = "pool = { ready = 0, max = 1 }\nlimits.deadline_ms = 50";
        let house = House::new(&guest("echo"), rest).await;
        let Offer::Lent(lease) = house.deployment.pool.lease(soon()).await else { panic!("no lease") };
        assert_eq!(house.ask(&[("x", uint8(&[1]))]).await.unwrap_err(), ServeError::TimedOut);
        lease.end(Retired::Used);
        house.settle().await;
        assert!(house.ask(&[("x", uint8(&[1]))]).await.is_ok());
    });
}

/// A client that goes away takes its guest with it.
#[test]
fn a_cancelled_request_retires_its_lease() {
    block_on(async {
        let house = House::new(&probe("spin"), "pool = { ready = 1, max = 2 }\nlimits.deadline_ms = 30000").await;
        let cancelled = tokio::time::timeout(Duration::from_millis(100), house.ask(&[])).await;
        assert!(cancelled.is_err());
        house.settle().await;
        assert_eq!(house.deployment.statistics.retired(Retired::Cancelled), 1);
    });
}

#[test]
fn a_dropped_pool_gives_every_slot_back() {
    block_on(async {
        for _ in 0..50 {
            let house = House::new(&guest("echo"), "pool = { ready = 100, max = 100 }").await;
            let Offer::Lent(lease) = house.deployment.pool.lease(soon()).await else { panic!("no lease") };
            drop(house);
            lease.end(Retired::Used);
        }
    });
}

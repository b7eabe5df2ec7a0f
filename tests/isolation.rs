//! No request sees another's memory, stack or tensors.

use crate::support::{House, block_on, numbers, probe, uint8};
use std::sync::Arc;

/// Every guest leaves a canary in its static memory, heap and stack, and looks for any earlier one before.
#[test]
fn a_hundred_thousand_leases_see_no_canary() {
    const LEASES: usize = 100_000;
    const TASKS: usize = 4;
    block_on(async {
        let pool = "pool = { ready = 4, max = 8 }\nlimits.deadline_ms = 60000";
        let house = Arc::new(House::new(&probe("keep"), pool).await);
        let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(keep(house.clone(), task, LEASES / TASKS))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        house.settle().await;
        assert_eq!(house.deployment.statistics.success.count(), LEASES as u64);
    });
}

async fn keep(house: Arc<House>, task: usize, leases: usize) {
    for lease in 0..leases {
        let canary: Vec<u8> = [task as u64, lease as u64].into_iter().flat_map(u64::to_le_bytes).collect();
        let answer = house.ask(&[("canary", uint8(&canary))]).await.unwrap();
        assert_eq!(numbers::<i64>(&answer, "seen"), [0], "a canary of another request was seen");
    }
}

/// The canary is found where a guest does live on: the check above can fail.
#[test]
fn a_guest_that_lived_on_would_see_it() {
    block_on(async {
        let house = House::new(&probe("keep"), "").await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let burst_host::mechanisms::pool::Offer::Lent(mut lease) = house.deployment.pool.lease(deadline).await else {
            panic!("no lease");
        };
        for expected in [0, 1] {
            let inputs = vec![("canary".to_owned(), uint8(&[7; 16]))];
            let response = lease.respond(inputs, deadline).await.unwrap();
            assert_eq!(response.outputs[0].1.to_vec::<i64>().unwrap(), [expected]);
        }
    });
}

//! `prepare` runs once and every lease starts after it; where no snapshot can be taken, it runs in each lease.

use crate::support::{House, block_on, guest, numbers, probe};
use burst_host::mechanisms::component::Start;

#[test]
fn prepare_runs_once_and_is_baked_in() {
    block_on(async {
        let house = House::new(&probe("prepare-counts"), "").await;
        assert_eq!(house.deployment.pool.guest().start, Start::Snapshot);
        for _ in 0..20 {
            assert_eq!(numbers::<i64>(&house.ask(&[]).await.unwrap(), "prepared"), [1]);
        }
    });
}

#[test]
fn handles_can_not_be_baked_in_so_each_lease_is_prepared() {
    block_on(async {
        let house = House::new(&probe("prepare-holds"), "").await;
        let start = &house.deployment.pool.guest().start;
        assert!(matches!(start, Start::PrepareEach { reason } if reason.contains("handles")), "{start}");
        for _ in 0..20 {
            assert_eq!(numbers::<i64>(&house.ask(&[]).await.unwrap(), "y"), [42]);
        }
    });
}

#[test]
fn a_prepare_that_fails_is_told_at_deploy() {
    block_on(async {
        let error = House::try_new(&probe("prepare-fails"), "").await.err().expect("it is refused");
        assert!(error.to_string().starts_with("prepare failed"), "{error}");
        let error = House::try_new(&guest("digits"), "").await.err().expect("it is refused");
        assert!(error.to_string().contains("digits"), "{error}");
    });
}

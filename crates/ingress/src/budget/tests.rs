//! Buckets and meters on a clock that the test holds.
//!
//! *Invariant:* no test waits.

use super::*;

const TENANT: TenantId = TenantId::from_u128(1);

fn meter(meters: &Meters, device: u128) -> Arc<Meter> {
    meters.of(TENANT, Principal::Device(model::DeviceId::from_u128(device)))
}

fn limits() -> Limits {
    Limits {
        device_messages_per_s_max: 0,
        device_bytes_per_s_max: 0,
        tenant_messages_per_s_max: 1000,
        tenant_messages_burst: 1000,
        tenant_bytes_per_s_max: 0,
        ..Limits::default()
    }
}

#[test]
fn a_bucket_lets_the_burst_through_and_then_the_rate() {
    let rate = Rate { per_s: 10, burst: 100 };
    let bucket = Bucket::default();
    assert_eq!(bucket.take(0, rate, 100), 0);
    assert_eq!(bucket.take(0, rate, 5), SECOND_NS / 2);
    assert_eq!(bucket.wait(SECOND_NS / 2, rate), 0);
    assert_eq!(bucket.try_take(SECOND_NS / 2, rate, 1), Err(SECOND_NS / 10));
    assert_eq!(bucket.try_take(SECOND_NS, rate, 1), Ok(()));
    assert_eq!(bucket.take(SECOND_NS * 100, rate, 100), 0, "full again, and not fuller");
    assert_eq!(bucket.take(SECOND_NS * 100, rate, 1), SECOND_NS / 10);
}

#[test]
fn a_rate_of_0_is_none() {
    let bucket = Bucket::default();
    assert_eq!(bucket.take(0, Rate { per_s: 0, burst: 0 }, u64::MAX), 0);
    assert_eq!(bucket.try_take(0, Rate { per_s: 0, burst: 0 }, u64::MAX), Ok(()));
}

#[test]
fn a_debt_is_never_larger_than_the_clock() {
    let rate = Rate { per_s: 1, burst: 1 };
    let bucket = Bucket::default();
    assert!(bucket.take(0, rate, u64::MAX) > SECOND_NS);
    assert!(bucket.take(u64::MAX, rate, u64::MAX) < u64::MAX);
}

#[test]
fn the_noisy_device_waits_for_the_tenants_bucket_and_its_neighbours_do_not() {
    let (meters, limits) = (Meters::default(), limits());
    let noisy = meter(&meters, 1);
    let quiet: Vec<_> = (2..12).map(|n| meter(&meters, n)).collect();
    let mut now = 0;
    let mut free_at = 0;
    let (mut noisy_sent, mut waited) = (0_u64, 0);
    for _ in 0..10_000 {
        now += 1_000_000;
        if now >= free_at {
            let over = noisy.take((&limits, Caller::Device), now, (50, 0));
            noisy_sent += 50;
            free_at = now + over.map_or(0, |o| u64::try_from(o.wait.as_nanos()).unwrap());
        }
        if now % 50_000_000 == 0 {
            for meter in &quiet {
                // 20 a second each, of a share of 1000 / 11.
                waited += usize::from(meter.take((&limits, Caller::Device), now, (1, 0)).is_some());
            }
        }
    }
    assert_eq!(waited, 0, "a neighbour within its share waited");
    // 10 s at 1000 a second, less the 200 of the quiet ones, and the burst at the start.
    assert!((7_900..=9_200).contains(&noisy_sent), "{noisy_sent}");
}

#[test]
fn a_meter_stays_until_its_buckets_are_full_so_that_connecting_again_refills_nothing() {
    let meters = Meters::default();
    let limits = Limits { device_messages_per_s_max: 1, device_messages_burst: 1, ..limits() };
    let caller = (&limits, Caller::Device);
    assert!(meter(&meters, 1).take(caller, 0, (10, 0)).is_some());
    meters.forget_rested(SECOND_NS);
    assert!(meter(&meters, 1).admit(caller, SECOND_NS, 1).is_err());
    meters.forget_rested(SECOND_NS * 100);
    let known = lock(&meters.0);
    assert_eq!((known.callers.len(), known.tenants.len()), (0, 0));
}

#[test]
fn urgent_messages_have_a_bucket_of_their_own_and_one_more_for_each_child() {
    let (meters, limits) = (Meters::default(), limits());
    let device = meter(&meters, 1);
    let taken = (0..100).filter(|_| device.urgent(&limits, 0, 1).is_ok()).count();
    assert_eq!(taken, 10);
    assert!(device.urgent(&limits, SECOND_NS, 1).is_ok());
    let gateway = meter(&meters, 2);
    let taken = (0..100).filter(|_| gateway.urgent(&limits, 0, 3).is_ok()).count();
    assert_eq!(taken, 30);
}

#[test]
fn the_owner_of_a_noisy_device_is_told_once_a_minute() {
    let meters = Meters::default();
    let device = meter(&meters, 1);
    let told = (0..180).filter(|s| device.tells(s * SECOND_NS)).count();
    assert_eq!(told, 3);
}

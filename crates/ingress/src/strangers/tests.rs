//! Addresses and failed logins on a clock that the test holds.
//!
//! *Invariant:* no test waits.

use std::net::Ipv4Addr;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn limits() -> Limits {
    Limits {
        login_failures_max: 3,
        login_failures_per_address_max: 20,
        login_failures_per_device_max: 10,
        ..Limits::default()
    }
}

#[test]
fn an_address_may_connect_in_a_burst_and_then_at_its_rate() {
    let strangers = Strangers::default();
    let limits = Limits {
        connects_per_address_per_s_max: 10,
        connects_per_address_burst: 50,
        ..Limits::default()
    };
    let met = |now, who| strangers.meet(ip(who), now, &limits);
    assert_eq!((0..200).filter(|_| met(0, 1) == Met::Welcome).count(), 50);
    assert_eq!(met(0, 1), Met::Again);
    assert_eq!(met(0, 2), Met::Welcome, "another address is not touched");
    assert_eq!((0..200).filter(|_| met(SECOND, 1) == Met::Welcome).count(), 10);
}

#[test]
fn all_addresses_of_an_ipv6_network_are_one() {
    let of = |text: &str| Address::of(text.parse().unwrap());
    assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
}

#[test]
fn c13_each_further_failure_of_a_name_is_locked_out_twice_as_long() {
    let (strangers, limits) = (Strangers::default(), limits());
    let attempt = strangers.attempt(ip(1), b"box-1", b"wrong");
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..14 {
        assert_eq!(strangers.locked(attempt, now, &limits), None);
        strangers.failed(attempt, Known::Nobody, now, &limits);
        let wait = strangers.locked(attempt, now, &limits).map_or(Duration::ZERO, |l| l.wait);
        waits.push(wait.as_secs());
        now += nanos(wait);
    }
    assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    let neighbour = strangers.attempt(ip(1), b"box-2", b"wrong");
    assert_eq!(strangers.locked(neighbour, now, &limits), None, "behind the same address");
    strangers.passed(attempt);
    strangers.failed(attempt, Known::Nobody, now, &limits);
    assert_eq!(strangers.locked(attempt, now, &limits), None, "counted from the start again");
}

#[test]
fn c13_guesses_lock_a_name_out_and_a_new_secret_frees_a_broken_device() {
    let (strangers, limits) = (Strangers::default(), limits());
    let with = |secret: u8| strangers.attempt(ip(1), b"box-1", &[secret]);
    for _ in 0..5 {
        strangers.failed(with(0), Known::Name, 0, &limits);
    }
    assert!(strangers.locked(with(0), 0, &limits).is_some());
    assert_eq!(strangers.locked(with(1), 0, &limits), None, "another secret is on it now");
    strangers.failed(with(1), Known::Name, 0, &limits);
    strangers.failed(with(2), Known::Name, 0, &limits);
    assert!(strangers.locked(with(3), 0, &limits).is_some(), "three secrets are guessing");
}

#[test]
fn c13_an_address_that_tries_many_names_is_locked_out_whole() {
    let (strangers, limits) = (Strangers::default(), limits());
    let own = strangers.attempt(ip(1), b"box-1", b"right");
    strangers.passed(own);
    let try_name = |n: u32, now| {
        let attempt = strangers.attempt(ip(1), &n.to_le_bytes(), b"wrong");
        let locked = strangers.locked(attempt, now, &limits);
        if locked.is_none() {
            strangers.failed(attempt, Known::Nobody, now, &limits);
        }
        locked
    };
    assert_eq!((0..1000).filter(|n| try_name(*n, 0).is_none()).count(), 20);
    let locked = try_name(2000, 0).unwrap();
    assert_eq!((locked.limit, locked.max), ("login_failures_per_address_max", 20));
    assert_eq!(strangers.locked(own, 0, &limits), None, "it was let in from there before");
    let later = (0..1000).filter(|n| try_name(3000 + n, 100 * SECOND).is_none()).count();
    assert_eq!(later, 10, "one in login_failure_forgiven");
}

#[test]
fn c13_guessing_from_many_addresses_is_slowed_down_and_the_device_itself_comes_in() {
    let (strangers, limits) = (Strangers::default(), limits());
    let own = strangers.attempt(ip(200), b"box-1", b"right");
    strangers.passed(own);
    let mut guesses = 0;
    for address in 0..100 {
        let attempt = strangers.attempt(ip(address), b"box-1", &[address]);
        if strangers.locked(attempt, 0, &limits).is_none() {
            strangers.failed(attempt, Known::Name, 0, &limits);
            guesses += 1;
        }
    }
    assert_eq!(guesses, 10);
    let stranger = strangers.attempt(ip(150), b"box-1", b"wrong");
    let locked = strangers.locked(stranger, 0, &limits).unwrap();
    assert_eq!(locked.limit, "login_failures_per_device_max");
    assert_eq!(strangers.locked(own, 0, &limits), None);
}

#[test]
fn what_is_remembered_is_bounded_and_forgotten_when_it_is_old() {
    let strangers = Strangers::default();
    let limits = Limits { strangers_max: 100, ..limits() };
    for n in 0_u32..10_000 {
        let attempt = strangers.attempt(IpAddr::V4(Ipv4Addr::from_bits(n)), b"x", b"wrong");
        strangers.failed(attempt, Known::Name, 0, &limits);
        strangers.meet(IpAddr::V4(Ipv4Addr::from_bits(n)), 0, &limits);
    }
    let held = |s: &Strangers| {
        let callers = lock(&s.callers);
        let logins = lock(&s.logins);
        let failures = &logins.failures;
        let callers = callers.fresh.len() + callers.stale.len();
        callers.max(failures.fresh.len() + failures.stale.len())
    };
    assert!((1..=100).contains(&held(&strangers)), "{}", held(&strangers));
    strangers.age();
    strangers.age();
    assert_eq!(held(&strangers), 0);
}

#[test]
fn limits_of_0_lock_nobody_out() {
    let strangers = Strangers::default();
    let limits = Limits {
        login_failures_max: 0,
        login_failures_per_address_max: 0,
        login_failures_per_device_max: 0,
        connects_per_address_per_s_max: 0,
        ..Limits::default()
    };
    let attempt = strangers.attempt(ip(1), b"box-1", b"wrong");
    for _ in 0..1000 {
        strangers.failed(attempt, Known::Name, 0, &limits);
        assert_eq!(strangers.locked(attempt, 0, &limits), None);
        assert_eq!(strangers.meet(ip(1), 0, &limits), Met::Welcome);
    }
}

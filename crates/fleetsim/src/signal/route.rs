//! A round through the city: eight stops, driven by day, at the depot by night.
//!
//! *Invariant:* the position is continuous, and the speed is its derivative.

use std::f64::consts::TAU;

use libm::{cos, floor, sin, sqrt};

use crate::noise::{Seed, whole};

/// Centre of Berlin.
const CENTRE: (f64, f64) = (52.52, 13.405);
const METRES_PER_DEGREE: f64 = 111_320.0;
const STOPS: f64 = 8.0;
const ROUND_MS: i64 = 3 * 3_600_000;
/// Share of a leg that is spent standing at its stop.
const STANDING: f64 = 0.4;
/// Local solar hours of the first and the last round; three rounds fit exactly.
const FIRST_HOUR: i64 = 8;
const ROUNDS: i64 = 3;

/// Latitude and longitude in degrees.
pub(super) fn position(device: Seed, at_ms: i64) -> (f64, f64) {
    let (leg, share) = leg(at_ms);
    let (from, to) = (stop(device, leg), stop(device, leg + 1.0));
    (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
}

/// Metres in a second: the distance covered in the second before.
pub(super) fn speed_m_s(device: Seed, at_ms: i64) -> f64 {
    let (a, b) = (position(device, at_ms - 1000), position(device, at_ms));
    let north = (b.0 - a.0) * METRES_PER_DEGREE;
    let east = (b.1 - a.1) * METRES_PER_DEGREE * cos(CENTRE.0.to_radians());
    sqrt(north * north + east * east)
}

/// Which leg of the round, and how far along it.
fn leg(at_ms: i64) -> (f64, f64) {
    let of_day = whole(crate::climate::solar_hour(at_ms) * 3_600_000.0);
    let since = of_day - FIRST_HOUR * 3_600_000;
    if !(0..ROUNDS * ROUND_MS).contains(&since) {
        return (0.0, 0.0);
    }
    let legs = (since % ROUND_MS) as f64 / ROUND_MS as f64 * STOPS;
    let along = ((legs - floor(legs) - STANDING) / (1.0 - STANDING)).max(0.0);
    // It starts and ends a leg standing, so the speed has no jump either.
    (floor(legs), along * along * (3.0 - 2.0 * along))
}

/// The depot is stop 0; the others lie around the centre at distances of their own.
fn stop(device: Seed, number: f64) -> (f64, f64) {
    let number = if number >= STOPS { 0.0 } else { number };
    let seed = device.named("route").numbered(whole(number));
    let metres = seed.named("distance").between(1_500.0, 5_500.0);
    let angle = TAU * (number + seed.named("angle").between(0.0, 0.6)) / STOPS;
    let north = metres * cos(angle) / METRES_PER_DEGREE;
    let east = metres * sin(angle) / (METRES_PER_DEGREE * cos(CENTRE.0.to_radians()));
    (CENTRE.0 + north, CENTRE.1 + east)
}

//! Temperatures as a first-order body has them: what flows in is proportional to the difference.
//!
//! *Invariant:* a temperature moves towards what surrounds it and never past it, and no faster
//! than the difference divided by the time constant.

use std::f64::consts::TAU;

use libm::{cos, exp, sin};

use crate::climate::solar_hour;
use crate::episodes::Episodes;

use super::Source;

/// An open lid lets the air of the box go in minutes; cooling it again takes longer.
const OPEN_TAU_S: f64 = 360.0;
const CLOSED_TAU_S: f64 = 840.0;
/// An episode is forgotten after this many time constants: e^-10 is less than a sensor shows.
const MEMORY_TAUS: f64 = 10.0;

/// 0 to 1: how far a first-order body has followed the episodes. It rises with one time constant
/// while an episode lasts and falls with the other afterwards.
pub(super) fn follow(episodes: &Episodes, at_ms: i64, rise_s: f64, fall_s: f64) -> f64 {
    let window_ms = crate::noise::whole(MEMORY_TAUS * rise_s.max(fall_s) * 1000.0);
    let mut past: Vec<_> = episodes.before(at_ms, window_ms).collect();
    past.reverse();
    let seconds = |from: i64, to: i64| (to - from).max(0) as f64 / 1000.0;
    let (mut share, mut known_ms) = (0.0, at_ms - window_ms);
    for episode in past {
        share *= exp(-seconds(known_ms, episode.from_ms) / fall_s);
        let until = episode.to_ms.min(at_ms);
        share = 1.0 - (1.0 - share) * exp(-seconds(episode.from_ms, until) / rise_s);
        known_ms = until;
    }
    share * exp(-seconds(known_ms, at_ms) / fall_s)
}

/// A cooled box: near its aim, a little of the day comes through the walls, more through the lid.
pub(super) fn cooled(source: &Source, at_ms: i64, aim: f64) -> f64 {
    let seed = source.device.named("cooling");
    let aim = aim + seed.named("aim").between(-0.7, 0.7);
    let leak = seed.named("leak").between(0.03, 0.08);
    let walls = leak * (source.climate.temperature(at_ms, 6.0 * 3600.0) - aim);
    let cycle_s = seed.named("cycle").between(1800.0, 3600.0);
    let compressor = 0.25 * sin(TAU * source.since_installed_s(at_ms) / cycle_s);
    let inside = aim + walls + compressor;
    // People open it indoors, or outside when it is warmer there.
    let around = source.climate.temperature(at_ms, 1800.0).max(17.0);
    let warmed = follow(&source.openings(), at_ms, OPEN_TAU_S, CLOSED_TAU_S);
    inside + 0.75 * (around - inside) * warmed
}

/// A heated room: warmer in the evening, cooler after the night, a little of the weather.
pub(super) fn room(source: &Source, at_ms: i64) -> f64 {
    let seed = source.device.named("room");
    let aim = seed.named("aim").between(20.0, 22.5);
    let weather = 0.1 * (source.climate.temperature(at_ms, 8.0 * 3600.0) - 10.0);
    let day = 0.8 * cos(TAU * (solar_hour(at_ms) - 17.0) / 24.0);
    let people = follow(&source.presence(), at_ms, 5400.0, 7200.0);
    aim + weather + day + 0.9 * people
}

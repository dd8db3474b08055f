//! What a fleet sent before today, an hour of a device at a time.
//!
//! *Invariant:* the messages of a span are a pure function of (seed, device, span), and those of
//! two spans that touch are those of both together. So a run that was cut short goes on where its
//! last message ended, and hours can be made in any order, on any number of threads.
//!
//! The messages are what a device sends that kept its samples for an hour: one array. What may not
//! share a message has one of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use blueprint::{Kind, Lane};
use model::{Name, Value};

use crate::fault::Fault;
use crate::kind::VirtualKind;
use crate::noise::Seed;
use crate::schedule::{Sample, Schedule};

/// Samples in one array; far above an hour at an interval of ten seconds.
const ARRAY_MAX: usize = 1_000;

/// A fleet that can be asked for any hour.
#[derive(Debug, Clone)]
pub struct Past {
    fleet: Seed,
    kinds: BTreeMap<Name, VirtualKind>,
    faults: Vec<Fault>,
}

/// One message of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// The lane it took.
    pub lane: Lane,
    /// Its body, JSON.
    pub payload: Vec<u8>,
}

/// From after `after_ms` to `until_ms`, which belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastSpan {
    /// Nothing of this moment or before it.
    pub after_ms: i64,
    /// Everything up to this moment.
    pub until_ms: i64,
}

impl Past {
    /// The past of a fleet with these kinds.
    #[must_use]
    pub fn new(kinds: &BTreeMap<Name, Kind>, seed: u64, faults: &[Fault]) -> Self {
        let kinds = kinds.iter().map(|(name, kind)| (name.clone(), VirtualKind::of(kind)));
        Self { fleet: Seed::new(seed), kinds: kinds.collect(), faults: faults.to_vec() }
    }

    /// What a device sent of a span; nothing for a kind the fleet does not have.
    #[must_use]
    pub fn messages(&self, device: &str, kind: &Name, span: PastSpan) -> Vec<PastMessage> {
        let Some(kind) = self.kinds.get(kind) else { return Vec::new() };
        let mut schedule =
            Schedule::resumed(self.fleet, device, kind, (&self.faults, span.after_ms));
        let mut told = Told::default();
        while let Some(sample) = schedule.next_until(span.until_ms) {
            told.take(&sample);
        }
        told.end()
    }
}

/// Messages in the making.
#[derive(Debug, Default)]
struct Told {
    array: String,
    samples: usize,
    /// The newest sample without a time of its own: it is the moment it arrives.
    undated: Option<String>,
    messages: Vec<PastMessage>,
}

impl Told {
    fn take(&mut self, sample: &Sample) {
        match (sample.lane, sample.told_ms) {
            (Lane::Urgent, _) => {
                let mut text = String::new();
                put(sample, &mut text);
                self.push(Lane::Urgent, text);
            }
            (Lane::Normal, None) => {
                let mut text = String::new();
                put(sample, &mut text);
                self.undated = Some(text);
            }
            (Lane::Normal, Some(_)) => {
                self.array.push(if self.samples == 0 { '[' } else { ',' });
                put(sample, &mut self.array);
                self.samples += 1;
                if self.samples == ARRAY_MAX {
                    self.close();
                }
            }
        }
    }

    fn close(&mut self) {
        if self.samples > 0 {
            self.array.push(']');
            let text = std::mem::take(&mut self.array);
            self.samples = 0;
            self.push(Lane::Normal, text);
        }
    }

    fn push(&mut self, lane: Lane, text: String) {
        self.messages.push(PastMessage { lane, payload: text.into_bytes() });
    }

    fn end(mut self) -> Vec<PastMessage> {
        self.close();
        if let Some(text) = self.undated.take() {
            self.push(Lane::Normal, text);
        }
        self.messages
    }
}

/// The sample as a device writes it. Names are snake_case and need no escapes; nothing that is made
/// up here is a text.
fn put(sample: &Sample, out: &mut String) {
    if let Some(ts) = sample.told_ms {
        // A String takes everything.
        let _infallible = write!(out, "{{\"ts\":{ts},\"values\":");
    }
    let mut before = '{';
    for (name, value) in &sample.values {
        let _infallible = match value {
            Value::Number(number) => write!(out, "{before}\"{name}\":{number}"),
            Value::Boolean(on) => write!(out, "{before}\"{name}\":{on}"),
            Value::Position { latitude, longitude } => {
                write!(out, "{before}\"{name}\":{{\"lat\":{latitude},\"lon\":{longitude}}}")
            }
            Value::Text(_) => continue,
        };
        before = ',';
    }
    out.push_str(if before == '{' { "{}" } else { "}" });
    if sample.told_ms.is_some() {
        out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use blueprint::Blueprint;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::tests::COOLBOX;

    /// 2026-07-15T00:00:00Z.
    const START: i64 = 1_784_073_600_000;
    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    fn past(seed: u64) -> Past {
        Past::new(&Blueprint::parse(COOLBOX).blueprint.unwrap().kinds, seed, &[Fault::Breakdown])
    }

    fn samples(past: &Past, device: &str, after_ms: i64, until_ms: i64) -> Vec<serde_json::Value> {
        let kind = "box".parse().unwrap();
        past.messages(device, &kind, PastSpan { after_ms, until_ms })
            .iter()
            .flat_map(|message| {
                let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                body.as_array().unwrap().clone()
            })
            .collect()
    }

    #[test]
    fn an_hour_of_a_device_is_one_message_of_all_its_samples() {
        let kind = "box".parse().unwrap();
        let span = PastSpan { after_ms: START, until_ms: START + HOUR_MS };
        let messages = past(1).messages("box-1", &kind, span);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages, past(1).messages("box-1", &kind, span), "same seed, same bytes");
        let told = samples(&past(1), "box-1", START, START + HOUR_MS);
        let warm = told.iter().filter(|s| s["values"]["temperature"].is_number()).count();
        assert_eq!(warm, 60, "one a minute");
        let names = ["temperature", "battery", "lid_open", "position"];
        assert!(names.iter().all(|name| told.iter().any(|s| !s["values"][*name].is_null())));
    }

    #[test]
    fn a_kind_the_fleet_does_not_have_sent_nothing() {
        let span = PastSpan { after_ms: START, until_ms: START + HOUR_MS };
        assert_eq!(past(1).messages("box-1", &"other".parse().unwrap(), span), []);
    }

    #[test]
    fn three_months_of_thirty_boxes_hold_each_kind_of_breakdown() {
        let past = past(7);
        let (mut silent, mut hot, mut stuck, mut flat) = (0, 0, 0, 0);
        for device in (1..=30).map(|n| format!("box-{n:04}")) {
            for day in 0..90 {
                let from = START + day * DAY_MS;
                let told = samples(&past, &device, from, from + DAY_MS);
                let of = |name: &str| -> Vec<f64> {
                    told.iter().filter_map(|s| s["values"][name].as_f64()).collect()
                };
                let temperatures = of("temperature");
                silent += usize::from(temperatures.len() < 1_300);
                hot += usize::from(temperatures.iter().filter(|t| **t > 12.0).count() > 60);
                let same = |run: &[f64]| run.iter().all(|t| t.to_bits() == run[0].to_bits());
                stuck += usize::from(temperatures.windows(60).any(same));
                flat += usize::from(of("battery").iter().any(|percent| *percent < 10.0));
            }
        }
        let found = [silent, hot, stuck, flat];
        assert!(found.iter().all(|days| (1..40).contains(days)), "{found:?}");
    }

    proptest! {
        #[test]
        fn two_spans_that_touch_are_one(
            seed in 0_u64..50, from in 0_i64..30 * DAY_MS, first in 1..DAY_MS, second in 1..DAY_MS,
        ) {
            let (past, from) = (past(seed), START + from);
            let (middle, end) = (from + first, from + first + second);
            let mut both = samples(&past, "box-1", from, middle);
            both.extend(samples(&past, "box-1", middle, end));
            prop_assert_eq!(both, samples(&past, "box-1", from, end));
        }
    }
}

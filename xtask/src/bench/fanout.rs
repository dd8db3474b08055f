//! One publisher, many subscribers: deliveries in a second, counted at the subscribers.
//!
//! *Invariant:* both servers get the same load, topics of the same length included, and deliver all
//! of it.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::load::{Delivered, Door, Fanout, Running};
use crate::bench::scenes::Cost;
use crate::bench::server::Server;
use crate::bench::table::{Peak, Section};
use crate::place::Place;

/// As long as the topic that our server gets, which names a tenant.
pub const SAME_LENGTH: &str = "t/ten_00000000000000000000000000/bench";
/// Well below what either server holds back for a subscriber before it drops.
const WINDOW: u32 = 200;

/// Measures QoS 0, then QoS 1.
pub fn measure(
    place: &Place,
    options: &Options,
    (server, door): (&Server, &Door<'_>),
    (name, topic): (&str, &str),
    section: &mut Section,
) -> Result<()> {
    for qos in [0, 1] {
        let fanout = Fanout { qos, topic, window: WINDOW };
        let running = Running::fanout(place, options, door, &fanout)?;
        let (report, cost) = Cost::of(server, running)?;
        let delivered = Delivered::parse(&report)?;
        section.peaks.push(Peak {
            load: format!(
                "fan-out 1 to {}, QoS {qos}, {} B, deliveries (asked: ratio >= 5 with QoS 0)",
                options.subscribers, options.payload_bytes
            ),
            server: name.to_owned(),
            per_s: delivered.deliveries_per_s,
            cpu_micros: cost.cpu_s * 1e6 / delivered.all_deliveries,
            busy: cost.busy(),
            p50_ms: delivered.p50_ms,
            p99_ms: delivered.p99_ms,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_for_others_is_as_long_as_ours() {
        // `t/`, then `ten_` and 26 digits, then `/bench`.
        assert_eq!(SAME_LENGTH.len(), 2 + 4 + 26 + 6);
    }
}

//! One publisher, many subscribers: deliveries in a second, counted at the subscribers.
//!
//! *Invariant:* both servers get the same load, topics of the same length included, and deliver all
//! of it.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::load::{Delivered, Door, Fanout, Running};
use crate::bench::scenes::Cost;
use crate::bench::server::Server;
use crate::bench::table::{Figure, Peak, Section};
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
        let peak = Peak {
            load: format!(
                "fan-out 1 to {}, QoS {qos}, {} B: deliveries",
                options.subscribers, options.payload_bytes
            ),
            server: name.to_owned(),
            per_s: delivered.deliveries_per_s,
            cpu_micros: cost.cpu_s * 1e6 / delivered.all_deliveries,
            busy: cost.busy(),
            p50_ms: delivered.p50_ms,
            p99_ms: delivered.p99_ms,
        };
        section.figures.extend(compared(&section.peaks, &peak, qos));
        section.peaks.push(peak);
    }
    Ok(())
}

/// The ratio to the server that got the same load before.
fn compared(before: &[Peak], peak: &Peak, qos: u8) -> Option<Figure> {
    let other = before.iter().find(|other| other.load == peak.load)?;
    let asked = if qos == 0 { ">= 5x" } else { "-" };
    let what = format!("{}, compared with {}", peak.load, other.server);
    Some(Figure::new(what, asked, format!("{:.1}x", peak.per_s / other.per_s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_server_is_compared_with_the_first() {
        let peak = |server: &str, per_s| Peak {
            load: "fan-out 1 to 100".to_owned(),
            server: server.to_owned(),
            per_s,
            cpu_micros: 1.0,
            busy: 1.0,
            p50_ms: 1.0,
            p99_ms: 1.0,
        };
        let first = peak("mosquitto", 10.0);
        assert_eq!(compared(&[], &first, 0), None);
        let what = "fan-out 1 to 100, compared with mosquitto";
        let figure = compared(&[first], &peak("iotbiz", 65.0), 0);
        assert_eq!(figure, Some(Figure::new(what, ">= 5x", "6.5x")));
    }

    #[test]
    fn the_topic_for_others_is_as_long_as_ours() {
        // `t/`, then `ten_` and 26 digits, then `/bench`.
        assert_eq!(SAME_LENGTH.len(), 2 + 4 + 26 + 6);
    }
}

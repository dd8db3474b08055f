//! How what the fleet says of an input came to be, down to the log and to lines of the blueprint.
//!
//! *Invariant:* the numbers are those of the figure itself; the radio's are counted as its tariff
//! bills them.

use bizcase::case::{Binding, Variable};
use bizcase::{Basis, Explain};
use venture::measure::{Measured, Window};

use super::Meeting;
use crate::fleet::Radio;
use crate::place::{Place, places_of_cost};

/// How what the fleet says came to be.
pub(super) fn explain(
    meeting: &Meeting,
    (variable, binding): (&Variable, &Binding),
    (measured, basis): (Option<&Measured>, Basis),
) -> Explain {
    let unit = variable.unit.to_string();
    let Some(m) = measured else {
        let mut missing = Explain::leaf(&binding.metric, 0.0, &unit, Basis::Missing, "");
        missing.value = None;
        return missing;
    };
    let says = said_by(meeting, &binding.metric);
    let leaf = |label: &str, value: f64| Explain::leaf(label, value, "", basis, &says);
    let mut inputs = vec![leaf("sum", m.sum), leaf("by", m.by), leaf("standard error", m.error)];
    if let Some(from) = meeting.fleet().began() {
        let window = Window { from, to: meeting.now };
        let devices = meeting.fleet().devices().0;
        inputs.extend(meeting.paid.explain(&binding.metric, (&devices, window), basis));
    }
    if let Some(radio) = meeting.radio(&variable.name, &binding.metric) {
        inputs.extend(carried(meeting, (&variable.name, basis), &radio));
    }
    Explain::computed(&binding.metric, "sum over devices / sum over devices", m.value, inputs)
        .in_unit(&unit)
        .by("ratio estimator, Cochran 1977, 6.4")
}

/// What a figure counts, and the reading that it is made of.
fn said_by(meeting: &Meeting, metric: &str) -> String {
    let mut known = blueprint::METRICS.iter().chain(blueprint::RECORDED);
    let says = known.find(|known| known.name == metric).map_or("", |known| known.says);
    match blueprint::ReadingFigure::of(metric, &meeting.found.blueprint.kinds) {
        Some(figure) if says.is_empty() => figure.to_string(),
        Some(figure) => format!("{says}: {figure}"),
        None => says.to_owned(),
    }
}

/// What was counted of a radio, the plan of it, and the lines of the blueprint that say so.
fn carried(meeting: &Meeting, (input, basis): (&str, Basis), radio: &Radio) -> Vec<Explain> {
    let fleet = meeting.fleet();
    let Some(from) = fleet.began() else { return Vec::new() };
    let total = fleet.carried(radio, Window { from, to: meeting.now }).total;
    #[expect(clippy::cast_precision_loss, reason = "bytes of a fleet are far below 2^53")]
    let leaf = |label: &str, value: u64, unit: &str, source: &str| {
        Explain::leaf(label, value as f64, unit, basis, source)
    };
    let rounded = radio.increment.map_or_else(
        || "every byte as it is".to_owned(),
        |step| format!("each session rounded up to {step} B"),
    );
    let mut all = vec![
        leaf("messages", total.messages.into(), "", "the log"),
        leaf("bytes of their payloads", total.bytes, "B", "the log"),
        leaf("sessions", total.sessions(), "", "messages at most 10 s apart are one"),
        leaf("bytes billed", total.billed_bytes(radio.increment), "B", &rounded),
    ];
    let places = places_of_cost(&meeting.found, input.split('.').nth(1).unwrap_or_default());
    let planned = meeting.case.slot(input).and_then(|slot| meeting.case.forecast(slot));
    if let Some(planned) = planned {
        let said: Vec<String> = places.iter().map(Place::words).collect();
        let (value, source) = (planned.quantile(0.5), said.join("; "));
        let unit = "MB/device/month";
        all.push(Explain::leaf("planned, median", value, unit, Basis::Assumed, &source));
    }
    all
}

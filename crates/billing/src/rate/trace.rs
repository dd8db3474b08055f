//! From a line back to its readings, and to what it used day by day.
//!
//! *Invariant:* the readings of a trace are those that the line's receipt was made of: the
//! receipts are equal.

use std::collections::BTreeMap;

use jiff::civil::Date;
use model::{DeviceId, Name, Timestamp};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::charge::{measure_pieces, of_line, rule};
use super::{Cutoff, Line, LineKey, Sources, contexts};
use crate::Error;
use crate::contract::Contract;
use crate::plan::{ChargeKind, Each, Pool};
use crate::usage::{Amount, Measure, Measured, Stream};
use crate::zone::{Cadence, Period};

/// A reading that a line counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedReading {
    /// Whose.
    pub device: DeviceId,
    /// Of what.
    pub property: Name,
    /// Event time.
    pub time: Timestamp,
    /// How much.
    pub value: Amount,
    /// Where it stands in the log, or which line of a file it was.
    pub offset: model::Offset,
}

/// What a line was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The readings, by device, property and time.
    pub readings: Vec<TracedReading>,
    /// What was used on each local day; empty for measures that do not add up over days.
    pub days: Vec<(Date, Decimal)>,
    /// SHA-256 over the readings, to compare with the line's.
    pub receipt: Option<[u8; 32]>,
}

/// Finds what a line was made of. A line without usage has an empty trace.
///
/// # Errors
/// As rating.
pub fn trace(
    contract: &Contract,
    sources: Sources<'_>,
    (period, cutoff): (Period, Cutoff),
    line: &Line,
) -> Result<Trace, Error> {
    let contexts = contexts(contract, sources, period, cutoff)?;
    let key = &line.key;
    let Some(context) = of_segment(&contexts, key) else { return Ok(Trace::default()) };
    let charge = context.plan.charges.iter().find(|charge| charge.name == key.charge);
    let Some(ChargeKind::Usage(usage)) = charge.map(|charge| &charge.kind) else {
        return Ok(Trace::default());
    };
    let rule = rule(context, &usage.usage)?;
    let billed = line.period;
    let place = (key.device, key.group.as_slice());
    let (streams, pieces) = of_line(context, usage, rule, billed, place)?;
    let mut trace = Trace::default();
    for stream in &streams {
        let term: Vec<Period> = pieces.iter().filter_map(|piece| piece.meet(stream.term)).collect();
        let inside = stream.own_points().filter(|p| term.iter().any(|t| t.holds(p.time)));
        trace.readings.extend(inside.map(|point| TracedReading {
            device: stream.device,
            property: stream.property.clone(),
            time: point.time,
            value: point.value.clone(),
            offset: point.place.offset,
        }));
    }
    let apart = usage.per == Each::Device || usage.free.pool == Pool::Device;
    let sets = if apart { by_device(&streams) } else { vec![streams.clone()] };
    let mut receipt = Sha256::new();
    for set in sets {
        let part: Measured = measure_pieces(context, rule, &set, (billed, pieces.clone()))?;
        receipt.update(part.receipt);
    }
    trace.receipt = Some(receipt.finalize().into());
    if adds_up(&rule.measure) {
        let zone = &contract.zone;
        let mut at = billed.from;
        while at < billed.to {
            let day = zone.period(Cadence::Day, at)?;
            let of_day = pieces.iter().filter_map(|piece| piece.meet(day)).collect();
            let used = measure_pieces(context, rule, &streams, (billed, of_day))?;
            trace.days.push((zone.day(at)?, used.quantity));
            at = day.to;
        }
    }
    Ok(trace)
}

/// How much each device used of a line, alone; empty where no device did, or the line is no usage.
///
/// # Errors
/// As rating.
pub fn uses(
    contract: &Contract,
    sources: Sources<'_>,
    (period, cutoff): (Period, Cutoff),
    line: &Line,
) -> Result<BTreeMap<DeviceId, Decimal>, Error> {
    let mut used = BTreeMap::new();
    let contexts = contexts(contract, sources, period, cutoff)?;
    let key = &line.key;
    let Some(context) = of_segment(&contexts, key) else { return Ok(used) };
    let charge = context.plan.charges.iter().find(|charge| charge.name == key.charge);
    let Some(ChargeKind::Usage(usage)) = charge.map(|charge| &charge.kind) else {
        return Ok(used);
    };
    let rule = rule(context, &usage.usage)?;
    let place = (key.device, key.group.as_slice());
    let (streams, pieces) = of_line(context, usage, rule, line.period, place)?;
    for set in by_device(&streams) {
        let Some(device) = set.first().map(|stream| stream.device) else { continue };
        let part = measure_pieces(context, rule, &set, (line.period, pieces.clone()))?;
        used.insert(device, part.quantity);
    }
    Ok(used)
}

/// The stretch of the contract that a line is of.
fn of_segment<'c, 'a>(
    contexts: &'c [super::Context<'a>],
    key: &LineKey,
) -> Option<&'c super::Context<'a>> {
    contexts.iter().find(|context| {
        context.segment.period.from == key.segment
            && context.plan.name == key.plan
            && context.plan.revision == key.revision
    })
}

/// The streams of each device.
fn by_device<'a>(streams: &[Stream<'a>]) -> Vec<Vec<Stream<'a>>> {
    let mut devices: Vec<DeviceId> = streams.iter().map(|stream| stream.device).collect();
    devices.sort_unstable();
    devices.dedup();
    let of = |device: &DeviceId| streams.iter().filter(|s| s.device == *device).cloned().collect();
    devices.iter().map(of).collect()
}

/// Whether the quantities of days sum up to that of the period.
const fn adds_up(measure: &Measure) -> bool {
    match measure {
        Measure::Count
        | Measure::Sum
        | Measure::Integral
        | Measure::Duration(_)
        | Measure::DaysWithReading
        | Measure::Register(_) => true,
        Measure::Min
        | Measure::Max
        | Measure::Average
        | Measure::Last
        | Measure::Unique
        | Measure::TimeWeighted
        | Measure::WeightedSum
        | Measure::Percentile95
        | Measure::Availability(_)
        | Measure::OnTime(_)
        | Measure::Expression(_) => false,
    }
}

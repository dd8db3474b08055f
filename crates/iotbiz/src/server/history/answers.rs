//! What history answers to the API.
//!
//! *Invariant:* an answer has what waits for its file in memory too, so it never depends on when
//! that was written; a damaged file is told, never left out in silence.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api::{
    Asked, DayKept, DaysAsked, ExportFormat, Exported, Forgotten, Health, Kept, KindOf, StateAsked,
    StateKept, TimedBy, Unkept, ValueKept,
};
use lake::{Devices, Erasure, Format, Selection, Series, Span, Stamp, TableId};
use model::{DeviceId, Offset};

use super::History;

fn table(of: &KindOf) -> TableId {
    TableId { tenant: of.tenant, venture: of.venture.clone(), kind: of.kind.clone() }
}

pub(super) fn unkept(error: lake::Error) -> Unkept {
    if matches!(error, lake::Error::NoTable { .. } | lake::Error::NoProperty { .. }) {
        return Unkept::Nothing;
    }
    if matches!(error, lake::Error::NotNumeric { .. } | lake::Error::Invalid(_)) {
        return Unkept::Invalid(error.to_string());
    }
    Unkept::Failed(format!("{:#}", anyhow::Error::new(error)))
}

impl History {
    fn offset(&self) -> Offset {
        Offset(self.shared.offset.load(Ordering::Acquire))
    }
}

impl api::History for History {
    fn chart(&self, asked: &Asked) -> Result<Kept, Unkept> {
        let series = Series {
            table: table(&asked.of),
            device: asked.device,
            property: asked.property.clone(),
        };
        let span = Span { from: asked.from, to: asked.to };
        let chart = self.lake().map_err(Unkept::Failed)?.chart(
            &series,
            span,
            u32::from(asked.px),
            asked.gap,
        );
        let chart = chart.map_err(unkept)?;
        let width = i64::try_from(chart.width.as_millis()).unwrap_or(i64::MAX);
        let buckets = chart.buckets.iter().map(|bucket| {
            let values = &bucket.values;
            pipeline::Bucket {
                from: bucket.from,
                min: values.min,
                max: values.max,
                first: values.first,
                last: values.last,
                count: u32::try_from(values.count).unwrap_or(u32::MAX),
            }
        });
        let points = chart.buckets.iter().map(|bucket| bucket.values.count).sum::<u64>();
        let mut notes = Vec::new();
        if !chart.damaged.is_empty() {
            notes.push(format!("{} damaged files are left out", chart.damaged.len()));
        }
        let problem = self.shared.problem();
        if !problem.is_empty() {
            notes.push(format!("history cannot be written now: {problem}"));
        }
        Ok(Kept {
            bucket_ms: width,
            points: usize::try_from(points).unwrap_or(usize::MAX),
            buckets: buckets.collect(),
            gaps: chart.gaps.iter().map(|gap| (gap.from.as_millis(), gap.to.as_millis())).collect(),
            offset: self.offset(),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        })
    }

    fn export(
        &self,
        what: &Exported,
        format: ExportFormat,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, Unkept> {
        let selection = Selection {
            table: table(&what.of),
            devices: what.device.map_or(Devices::All, |device| Devices::Of([device].into())),
            span: Span { from: what.from, to: what.to },
        };
        let format = match format {
            ExportFormat::Csv => Format::Csv,
            ExportFormat::Parquet => Format::Parquet,
            ExportFormat::Arrow => Format::Arrow,
        };
        self.lake().map_err(Unkept::Failed)?.export(&selection, format, out).map_err(unkept)
    }

    fn days(&self, asked: &DaysAsked) -> Result<Vec<DayKept>, Unkept> {
        let series = Series {
            table: table(&asked.of),
            device: asked.device,
            property: asked.property.clone(),
        };
        let lake = self.lake().map_err(Unkept::Failed)?;
        let days = lake.aggregates(&series, &asked.bounds).map_err(unkept)?;
        let days = days.into_iter().enumerate().filter_map(|(day, values)| {
            let values = values?;
            Some(DayKept {
                day,
                count: values.count,
                min: values.min,
                max: values.max,
                sum: values.sum,
                first: values.first,
                last: values.last,
            })
        });
        Ok(days.collect())
    }

    fn state_at(&self, asked: &StateAsked) -> Result<StateKept, Unkept> {
        let (device, at) = (asked.device, asked.at);
        let lake = self.lake().map_err(Unkept::Failed)?;
        let found = lake.state_at(&table(&asked.of), device, at, asked.lookback);
        let values = found.map_err(unkept)?.into_iter().map(|(name, point)| {
            let timed_by = match point.stamp {
                Stamp::Device => TimedBy::Device,
                Stamp::Log => TimedBy::Log,
            };
            let kept = ValueKept {
                value: point.value,
                time: point.time,
                timed_by,
                origin: point.origin,
                offset: point.offset,
            };
            (name, kept)
        });
        Ok(StateKept { values: values.collect(), offset: self.offset() })
    }

    fn forgotten(&self, device: DeviceId, offset: Offset, patience: Duration) -> Option<Forgotten> {
        let forgotten = self.shared.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |all: &mut BTreeMap<DeviceId, (Offset, Erasure)>| {
            all.get(&device).is_none_or(|(at, _)| *at < offset)
        };
        let waited = self.shared.forgot.wait_timeout_while(forgotten, patience, missing);
        let (forgotten, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (_, done) = forgotten.get(&device).filter(|(at, _)| *at >= offset)?;
        Some(Forgotten {
            rows: done.rows,
            files: done.files,
            removed: done.removed,
            bytes: done.bytes,
            unread: done.unread.iter().map(|path| path.display().to_string()).collect(),
        })
    }

    fn replay(&self, what: &api::Recording, take: &mut api::Take<'_>) -> Result<(), Unkept> {
        self.replayed(what, take)
    }

    fn health(&self) -> Health {
        let damaged = self.lake.get().map(|lake| lake.damaged()).unwrap_or_default().into_iter();
        let damaged = damaged.map(|(path, what)| format!("{}: {what}", path.display()));
        Health { problem: self.shared.problem(), damaged: damaged.collect(), offset: self.offset() }
    }
}

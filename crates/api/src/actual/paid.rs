//! What people recorded as paid, as a figure of the case: by the months that devices were in use.
//!
//! *Invariant:* a calendar month (UTC) counts whole, once it is over, and only where an entry of
//! its kind was recorded: what nobody recorded is missing, never nothing. Months are the
//! independent answers; how they differ says how sure the figure is.

use std::collections::{BTreeMap, BTreeSet};

use bizcase::{Basis, Explain};
use jiff::ToSpan as _;
use jiff::civil::Date;
use model::{TenantId, Timestamp};
use pipeline::InForce;
use registry::content::CostKind;
use rust_decimal::Decimal;
use twin::DeviceTwin;
use venture::measure::{Measured, Part, Window, together};

use super::{month_text, window_of};
use crate::app::App;
use crate::money::spent;
use crate::problem::Problem;

/// How figures of recorded costs begin.
pub(crate) const RECORDED: &str = "recorded.";
/// Sources that a figure names.
const SOURCES_NAMED_MAX: usize = 3;

/// Recorded costs of a venture in the currency of its case, by kind and month.
#[derive(Debug, Default)]
pub(crate) struct Paid {
    months: BTreeMap<CostKind, BTreeMap<Date, Entries>>,
    currency: String,
    /// What does not count, in words.
    pub(crate) left_out: Vec<String>,
}

#[derive(Debug, Default)]
struct Entries {
    amount: Decimal,
    sources: BTreeSet<String>,
}

/// A month that counts.
struct Month<'a> {
    first: Date,
    entries: &'a Entries,
    amount: f64,
    device_months: f64,
}

/// The kind whose costs a figure is of.
pub(crate) fn kind_of(metric: &str) -> Option<CostKind> {
    let word = metric.strip_prefix(RECORDED)?;
    CostKind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

impl Paid {
    /// What was recorded, where one of these figures asks for it.
    pub(crate) async fn of<'m>(
        app: &App,
        (tenant, found): (TenantId, &InForce),
        metrics: impl Iterator<Item = &'m str>,
    ) -> Result<Self, Problem> {
        let kinds: BTreeSet<CostKind> = metrics.filter_map(kind_of).collect();
        let currency = found.blueprint.currency_or_euro();
        let mut paid = Self { currency: currency.to_string(), ..Self::default() };
        if kinds.is_empty() {
            return Ok(paid);
        }
        for (_, content) in spent::entries(app, (tenant, &found.blueprint.venture), None).await? {
            if !kinds.contains(&content.kind) {
                continue;
            }
            let Ok(first) = format!("{}-01", content.month).parse::<Date>() else { continue };
            let Some(amount) = spent::amount_of(&content).filter(|m| m.currency == currency) else {
                paid.left_out.push(format!(
                    "recorded for {} in {}: an amount in {}, the case is in {currency}",
                    content.kind.as_str(),
                    content.month,
                    content.currency
                ));
                continue;
            };
            let of_kind = paid.months.entry(content.kind).or_default();
            let entries = of_kind.entry(first).or_default();
            entries.amount += amount.amount();
            entries.sources.insert(content.source);
        }
        Ok(paid)
    }

    /// Whether anything of a kind was recorded for a month.
    pub(crate) fn has(&self, kind: CostKind, month: Date) -> bool {
        self.months.get(&kind).is_some_and(|months| months.contains_key(&month))
    }

    /// Months of a window that count.
    fn counted<'a>(
        &'a self,
        metric: &str,
        devices: &[&DeviceTwin],
        window: Window,
    ) -> Vec<Month<'a>> {
        let of_kind = kind_of(metric).and_then(|kind| self.months.get(&kind));
        let month = |(first, entries): (&Date, &'a Entries)| {
            let whole = window_of(*first)?;
            let inside = whole.to > window.from && whole.to <= window.to;
            let device_months: f64 = devices.iter().map(|twin| share_of(twin, whole)).sum();
            let amount = f64::try_from(entries.amount).ok()?;
            let month = Month { first: *first, entries, amount, device_months };
            (inside && device_months > 0.0).then_some(month)
        };
        of_kind.into_iter().flatten().filter_map(month).collect()
    }

    /// What the months of a window say together.
    pub(crate) fn measured(
        &self,
        metric: &str,
        devices: &[&DeviceTwin],
        window: Window,
    ) -> Option<Measured> {
        let months = self.counted(metric, devices, window);
        let part =
            |month: &Month<'_>| Part::Amount { amount: month.amount, months: month.device_months };
        let parts: Vec<Part> = months.iter().map(part).collect();
        let first = months.first().and_then(|month| window_of(month.first))?;
        let there = devices.iter().filter(|twin| {
            let span = Window { from: first.from, to: window.to };
            share_of(twin, span) > 0.0
        });
        let devices = u64::try_from(there.count()).unwrap_or(u64::MAX);
        together(&parts, f64::INFINITY).map(|found| Measured { devices, ..found })
    }

    /// Each month with its entries.
    pub(super) fn explain(
        &self,
        metric: &str,
        (devices, window): (&[&DeviceTwin], Window),
        basis: Basis,
    ) -> Vec<Explain> {
        let leaf = |label: &str, value: f64, unit: &str, source: &str| {
            Explain::leaf(label, value, unit, basis, source)
        };
        let of_month = |month: &Month<'_>| {
            let named: Vec<&str> =
                month.entries.sources.iter().take(SOURCES_NAMED_MAX).map(String::as_str).collect();
            let more = month.entries.sources.len().saturating_sub(SOURCES_NAMED_MAX);
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            let said = format!("{}{more}", named.join("; "));
            let inputs = vec![
                leaf("recorded", month.amount, &self.currency, &said),
                leaf("device-months", month.device_months, "", "devices in use"),
            ];
            let value = month.amount / month.device_months;
            let formula = "recorded / device-months";
            Explain::computed(&month_text(month.first), formula, value, inputs)
        };
        self.counted(metric, devices, window).iter().map(of_month).collect()
    }

    /// What was recorded and does not count yet, in words.
    pub(super) fn waiting(&self, now: Timestamp) -> Vec<String> {
        let open = self.months.iter().flat_map(|(kind, months)| {
            let open = months
                .keys()
                .filter(|first| window_of(**first).is_some_and(|window| !window.is_over(now)));
            open.map(move |first| {
                let next = first.checked_add(1.month()).unwrap_or(*first);
                format!(
                    "recorded.{} of {} counts from {next} on, when the month is over",
                    kind.as_str(),
                    month_text(*first)
                )
            })
        });
        open.collect()
    }
}

/// How much of a window a device was in use; all of a calendar month is one.
fn share_of(twin: &DeviceTwin, window: Window) -> f64 {
    let from = twin.id.time().max(window.from);
    let until = twin.retired.unwrap_or(Timestamp::MAX).min(window.to);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window are below 2^53")]
    let ms = |from: Timestamp, to: Timestamp| {
        to.as_millis().saturating_sub(from.as_millis()).max(0) as f64
    };
    let whole = ms(window.from, window.to);
    if whole > 0.0 { ms(from, until) / whole } else { 0.0 }
}

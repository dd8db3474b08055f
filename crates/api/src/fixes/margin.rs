//! A margin below what a gate asks for, or below what the plan leaves: money that is missing each
//! month.
//!
//! *Invariant:* the margin is that of `economics.margin`, so a gate and this list never differ. It
//! opens down to revenue, each cost with its formula, and the lines of the blueprint.

use std::collections::BTreeSet;

use bizcase::{Basis, Explain};
use expr::Comparison;
use identity::Action;
use venture::fix::{Fix, Matter};

use crate::actual::Meeting;
use crate::app::App;
use crate::caller::Caller;
use crate::money::economics::{
    Asked, CostTotal, Economics, Months, Recurring, newest_closed, of_month,
};
use crate::place::Place;
use crate::problem::Problem;

/// What a margin is compared with.
struct Target {
    /// `gate.scale` or `plan.care`.
    name: String,
    /// Money of a device and month.
    wanted: f64,
    /// Line of the blueprint, or how it was planned.
    source: String,
}

/// The margin of a month.
struct Margin<'a> {
    economics: &'a Economics,
    each: f64,
    devices: f64,
    basis: Basis,
}

/// What is missing; nothing for somebody who may not see money, or before the first contract.
pub(super) async fn missing(
    app: &App,
    caller: &Caller,
    meeting: &Meeting,
) -> Result<Vec<Fix>, Problem> {
    if caller.may(Action::ReadMoney).is_err() {
        return Ok(Vec::new());
    }
    let targets = targets(meeting);
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let Some(economics) = newest(app, meeting).await? else { return Ok(Vec::new()) };
    let Some(margin) = Margin::of(&economics) else { return Ok(Vec::new()) };
    Ok(targets.iter().filter_map(|target| margin.fix(target)).collect())
}

/// The newest closed month, as gates take it; before the first one is closed this month so far.
async fn newest(app: &App, meeting: &Meeting) -> Result<Option<Economics>, Problem> {
    let today = billing::zone::Zone::utc().day(meeting.now)?;
    let asked =
        |months: Months| Asked { tenant: meeting.tenant, found: meeting.found.as_ref(), months };
    if let Some(closed) = newest_closed(app, asked(Months::Closed), today).await? {
        return Ok(Some(closed));
    }
    let so_far = of_month(app, asked(Months::SoFar), today.first_of_month()).await?;
    Ok((!so_far.rows.is_empty()).then_some(so_far))
}

fn targets(meeting: &Meeting) -> Vec<Target> {
    let blueprint = &meeting.found.blueprint;
    let mut all = Vec::new();
    for (stage, gate) in &blueprint.gates {
        for (level, criteria) in [("must", &gate.must), ("should", &gate.should)] {
            for (name, criterion) in criteria {
                let upward =
                    matches!(criterion.comparison, Some(Comparison::AtLeast | Comparison::Greater));
                let about = criterion.metric.as_deref() == Some("economics.margin") && upward;
                let Some(wanted) = criterion.target.filter(|_| about) else { continue };
                let path = format!("gate.{}.{level}.{name}", stage.as_str());
                let source = Place::of(&meeting.found.text, &path).map(|place| place.words());
                let name = format!("gate.{}", stage.as_str());
                all.push(Target { name, wanted, source: source.unwrap_or(path) });
            }
        }
    }
    let revenue = blueprint.case.as_ref().and_then(|case| case.revenue.as_ref());
    if let (Some(plan), Some(planned)) = (revenue, blueprint::planned_margin(blueprint)) {
        all.push(Target {
            name: format!("plan.{plan}"),
            wanted: planned.left,
            source: planned.how,
        });
    }
    all
}

impl<'a> Margin<'a> {
    fn of(economics: &'a Economics) -> Option<Self> {
        let made = economics.figure("margin")?;
        let each = made.aggregates.value()?;
        let devices: BTreeSet<_> = economics.rows.iter().filter_map(|row| row.device).collect();
        #[expect(clippy::cast_precision_loss, reason = "devices are far below 2^53")]
        let devices = devices.len() as f64;
        Some(Self { economics, each, devices, basis: made.basis })
    }

    fn recurring(&self) -> impl Iterator<Item = &'a CostTotal> {
        self.economics.costs.iter().filter(|cost| cost.recurring == Recurring::Yes)
    }

    fn fix(&self, target: &Target) -> Option<Fix> {
        let money = (target.wanted - self.each) * self.devices;
        if money <= 0.0 {
            return None;
        }
        let currency = self.economics.currency.to_string();
        let largest = self.recurring().max_by_key(|cost| cost.amount.minor);
        let largest =
            largest.map(|cost| format!("; its largest cost is {}", cost.name)).unwrap_or_default();
        let month = self.economics.month.strftime("%Y-%m");
        let asks = if target.name.starts_with("gate.") { "asks for" } else { "plans" };
        let inputs = vec![
            Explain::leaf("target", target.wanted, &currency, Basis::Assumed, &target.source),
            self.economics.explain("margin")?,
            Explain::leaf("devices", self.devices, "device", self.basis, "under contract"),
        ];
        let tree = Explain::computed("missing", "(target - margin) x devices", money, inputs);
        Some(Fix {
            matter: Matter::Margin,
            name: target.name.clone(),
            says: format!(
                "a device left {:.2} {currency} in {month} where {} {asks} {:.2}{largest}",
                self.each, target.name, target.wanted
            ),
            money,
            explain: tree.in_unit(&currency),
        })
    }
}

//! What another text of a venture does to money, gates and alarms, before it is applied: what a
//! device costs and leaves, which criteria of gates that moves, how late an alarm can come.
//!
//! *Invariant:* each figure is computed from one text alone, by the functions that `check` uses,
//! and says how. What comes out the same is not in the list.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::alarms::{Delay, delay};
use crate::check::economics::{Earning, sum};
use crate::check::lifetime::{Margin, margin};
use crate::check::radio::tariffs;
use crate::check::supply::sessions_a_day;
use crate::duration::human;
use crate::{Blueprint, Criterion, KindScope};

/// What a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touched {
    /// What a device costs in a month.
    Cost,
    /// What it leaves.
    Margin,
    /// A criterion of a gate.
    Gate,
    /// How late an alarm can come.
    Alarm,
    /// How long a battery lasts.
    Battery,
}

/// A figure before or after the change.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The number: money, seconds or days.
    pub value: f64,
    /// As people read it: `9.04 EUR`, `11 min`.
    pub words: String,
    /// How it came to be.
    pub how: String,
}

/// One figure that comes out otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Consequence {
    /// What it is about.
    pub touched: Touched,
    /// The entry it stands at: `case.cost.radio`, `gate.scale.must.margin`, `alarm.too_warm`.
    pub path: String,
    /// Of what: `per box and month`; empty where the words say it.
    pub per: String,
    /// None: it was not there, or could not be known.
    pub before: Option<Side>,
    /// None: it is gone, or cannot be known.
    pub after: Option<Side>,
}

/// What a device is planned to leave in a month of 30 days.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedMargin {
    /// The kind of device that earns.
    pub kind: model::Name,
    /// Money, in the blueprint's currency.
    pub left: f64,
    /// `plan.care 9.00 EUR, case.cost.radio -9.04 EUR`.
    pub how: String,
}

impl Touched {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Margin => "margin",
            Self::Gate => "gate",
            Self::Alarm => "alarm",
            Self::Battery => "battery",
        }
    }
}

/// A figure of one text.
struct Fact {
    per: String,
    side: Side,
}

/// Figures of one text, by what they are about and where they stand.
type Facts = BTreeMap<(Touched, String), Fact>;

/// What `after` does that `before` did not; a first text has only figures that are new.
#[must_use]
pub fn consequences(before: Option<&Blueprint>, after: &Blueprint) -> Vec<Consequence> {
    let mut old = before.map(facts).unwrap_or_default();
    let mut all = Vec::new();
    for ((touched, path), fact) in facts(after) {
        let was = old.remove(&(touched, path.clone()));
        all.push(Consequence {
            touched,
            path,
            per: fact.per,
            before: was.map(|was| was.side),
            after: Some(fact.side),
        });
    }
    all.extend(old.into_iter().map(|((touched, path), was)| Consequence {
        touched,
        path,
        per: was.per,
        before: Some(was.side),
        after: None,
    }));
    let words = |side: &Option<Side>| side.as_ref().map(|side| side.words.clone());
    all.retain(|one| words(&one.before) != words(&one.after));
    all.sort_by(|a, b| (a.touched, &a.path).cmp(&(b.touched, &b.path)));
    all
}

/// What a device is planned to leave; none where that cannot be known before the first device.
#[must_use]
pub fn planned_margin(blueprint: &Blueprint) -> Option<PlannedMargin> {
    let margin = margin(&Earning::of(blueprint)?)?;
    let currency = blueprint.currency_or_euro().to_string();
    Some(PlannedMargin {
        kind: margin.kind.clone(),
        left: margin.left,
        how: margin.words(&currency),
    })
}

fn facts(blueprint: &Blueprint) -> Facts {
    let mut facts = Facts::new();
    costs(blueprint, &mut facts);
    let earning = Earning::of(blueprint);
    let margin = earning.as_ref().and_then(margin);
    if let (Some(earning), Some(margin)) = (&earning, &margin) {
        let currency = blueprint.currency_or_euro().to_string();
        let side = Side {
            value: margin.left,
            words: format!("{:.2} {currency}", margin.left),
            how: margin.words(&currency),
        };
        let path = format!("plan.{}", earning.name);
        let per = format!("left per {} and month", margin.kind);
        facts.insert((Touched::Margin, path), Fact { per, side });
    }
    gates(blueprint, margin.as_ref(), &mut facts);
    alarms(blueprint, &mut facts);
    batteries(blueprint, &mut facts);
    facts
}

fn costs(blueprint: &Blueprint, facts: &mut Facts) {
    let currency = blueprint.currency_or_euro().to_string();
    for tariff in tariffs(blueprint) {
        let bill = tariff.bill(&tariff.intervals());
        let how = sum(&tariff, &bill, &currency);
        let side = Side {
            value: bill.cost,
            words: format!("{:.2} {currency}", bill.cost),
            how: how.trim_end_matches(" = ").to_owned(),
        };
        let path = format!("case.cost.{}", tariff.name);
        let per = format!("per {} and month", tariff.of);
        facts.insert((Touched::Cost, path), Fact { per, side });
    }
}

fn gates(blueprint: &Blueprint, margin: Option<&Margin<'_>>, facts: &mut Facts) {
    for (stage, gate) in &blueprint.gates {
        for (level, criteria) in [("must", &gate.must), ("should", &gate.should)] {
            for (name, criterion) in criteria {
                let path = format!("gate.{}.{level}.{name}", stage.as_str());
                let side = match criterion.metric.as_deref() {
                    Some("economics.margin") => {
                        margin.and_then(|margin| planned(blueprint, margin, criterion))
                    }
                    Some("fleet.on_time" | "fleet.completeness") => due(blueprint, criterion),
                    Some(_) | None => None,
                };
                if let Some(side) = side {
                    facts.insert((Touched::Gate, path), Fact { per: String::new(), side });
                }
            }
        }
    }
}

/// What the plan leaves beside what a gate asks for.
fn planned(blueprint: &Blueprint, margin: &Margin<'_>, criterion: &Criterion) -> Option<Side> {
    let meets = criterion.comparison?.holds(margin.left, criterion.target?);
    let currency = blueprint.currency_or_euro().to_string();
    let word = if meets { "meets" } else { "misses" };
    Some(Side {
        value: margin.left,
        words: format!("planned {:.2} {currency}, {word} {}", margin.left, criterion.formula),
        how: margin.words(&currency),
    })
}

/// What counts as on time where a gate asks for a share of it.
fn due(blueprint: &Blueprint, criterion: &Criterion) -> Option<Side> {
    let kinds = blueprint.kinds.iter();
    let shortest: Vec<_> =
        kinds.filter_map(|(name, kind)| Some((name, kind.shortest_every()?))).collect();
    let (_, every) = shortest.iter().min_by_key(|(_, every)| *every)?;
    let one = |(name, every): &(&model::Name, Duration)| {
        format!("{name} due every {}, late after {}", human(*every), human(*every * 2))
    };
    Some(Side {
        value: every.as_secs_f64() * 2.0,
        words: shortest.iter().map(one).collect::<Vec<_>>().join("; "),
        how: criterion.formula.to_string(),
    })
}

fn alarms(blueprint: &Blueprint, facts: &mut Facts) {
    for (name, alarm) in &blueprint.alarms {
        let Some(kind) = blueprint.kinds.get(&alarm.device) else { continue };
        let scope = KindScope { kinds: &blueprint.kinds, kind };
        let Delay { every, silence, hold } = delay(&scope, alarm);
        let whole = every.max(silence) + hold;
        let parts = [("next reading", every), ("silence", silence), ("hold", hold)];
        let told = parts.iter().filter(|(_, span)| !span.is_zero());
        let how: Vec<_> = told.map(|(what, span)| format!("{what} {}", human(*span))).collect();
        let side = Side {
            value: whole.as_secs_f64(),
            words: if whole.is_zero() {
                "raised at once".to_owned()
            } else {
                format!("raised after at most {}", human(whole))
            },
            how: how.join(" + "),
        };
        let per = String::new();
        facts.insert((Touched::Alarm, format!("alarm.{name}")), Fact { per, side });
    }
}

fn batteries(blueprint: &Blueprint, facts: &mut Facts) {
    for (name, kind) in &blueprint.kinds {
        let Some(power) = &kind.power else { continue };
        let due = sessions_a_day(kind, Duration::ZERO);
        let Some(day) = power.day(due) else { continue };
        let side = Side {
            value: day.days,
            words: format!("lasts {:.0} days", day.days),
            how: format!("{due:.0} sessions a day"),
        };
        let path = format!("device.{name}.power");
        facts.insert((Touched::Battery, path), Fact { per: String::new(), side });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coolbox(every: &str) -> Blueprint {
        let template = crate::templates().iter().find(|one| one.name == "coolbox").unwrap();
        let text = template.text.replacen("every = \"1 min\"", &format!("every = {every:?}"), 1);
        Blueprint::parse(&text).blueprint.unwrap()
    }

    #[test]
    fn another_interval_moves_cost_margin_gate_and_alarm() {
        let found = consequences(Some(&coolbox("1 min")), &coolbox("15 min"));
        let words = |side: &Option<Side>| side.as_ref().unwrap().words.clone();
        let told: Vec<_> = found
            .iter()
            .map(|one| format!("{} {} -> {}", one.path, words(&one.before), words(&one.after)))
            .collect();
        let gate = "economics.margin >= 4 EUR/device/month";
        assert_eq!(
            told,
            [
                "case.cost.radio 9.04 EUR -> 0.98 EUR".to_owned(),
                "plan.care -0.04 EUR -> 8.02 EUR".to_owned(),
                "gate.scale.must.delivered base due every 15 min, late after 30 min; box due every \
                 1 min, late after 2 min -> base due every 15 min, late after 30 min; box due every \
                 15 min, late after 30 min"
                    .to_owned(),
                format!(
                    "gate.scale.must.margin planned -0.04 EUR, misses {gate} -> planned 8.02 EUR, \
                     meets {gate}"
                ),
                "alarm.too_warm raised after at most 11 min -> raised after at most 25 min"
                    .to_owned(),
            ]
        );
        assert_eq!(found[0].before.as_ref().unwrap().how, "432 MB x 0.02 EUR + 0.40 EUR");
        assert_eq!(found[0].per, "per box and month");
    }

    #[test]
    fn the_same_text_has_no_consequence_and_a_first_one_is_all_new() {
        assert_eq!(consequences(Some(&coolbox("1 min")), &coolbox("1 min")), []);
        let first = consequences(None, &coolbox("1 min"));
        assert!(first.iter().all(|one| one.before.is_none() && one.after.is_some()));
        assert!(first.iter().any(|one| one.path == "alarm.lost"), "{first:?}");
        let planned = planned_margin(&coolbox("1 min")).unwrap();
        assert_eq!(planned.how, "plan.care 9.00 EUR, case.cost.radio -9.04 EUR");
    }
}

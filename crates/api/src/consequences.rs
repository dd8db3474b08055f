//! What another text of a blueprint does to money, gates and alarms: shown before it is applied.
//!
//! *Invariant:* nothing here changes anything. Figures of one text are computed from it alone;
//! those of the case by the same trials from the same seed on both texts, so that what differs is
//! the text.

use std::collections::BTreeMap;

use bizcase::{Results, Run};
use blueprint::{Blueprint, Consequence, Criterion, Side, Source, Touched};
use model::{ErrorKind, TenantId};
use serde::Serialize;

use crate::app::App;
use crate::case::case_of;
use crate::evidence::{Piece, pieces};
use crate::place::Place;
use crate::problem::Problem;

/// Trials behind a figure of the case.
const TRIALS: u32 = 2_000;
const SEED: u64 = 1;

/// A figure before or after a change.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SideJson {
    /// Money, seconds or days.
    value: f64,
    /// As people read it: `9.04 EUR`, `raised after at most 11 min`.
    words: String,
    /// How it came to be.
    how: String,
}

/// One figure that comes out otherwise than with the text before.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ConsequenceJson {
    /// `cost`, `margin`, `gate`, `alarm` or `battery`.
    of: &'static str,
    /// The entry it stands at: `case.cost.radio`, `gate.scale.must.margin`, `alarm.too_warm`.
    path: String,
    /// Its line in the new text; null where it is gone.
    line: Option<usize>,
    /// Of what: `per box and month`; empty where the words say it.
    per: String,
    /// Null: it was not there, or could not be known.
    before: Option<SideJson>,
    /// Null: it is gone, or cannot be known.
    after: Option<SideJson>,
}

impl From<Side> for SideJson {
    fn from(side: Side) -> Self {
        Self { value: side.value, words: side.words, how: side.how }
    }
}

impl ConsequenceJson {
    fn new(one: Consequence, text: &str) -> Self {
        Self {
            of: one.touched.as_str(),
            line: Place::of(text, &one.path).map(|place| place.line),
            path: one.path,
            per: one.per,
            before: one.before.map(SideJson::from),
            after: one.after.map(SideJson::from),
        }
    }
}

/// What `after` does that `before` did not.
pub(crate) async fn consequences(
    app: &App,
    tenant: TenantId,
    (before, after): (Option<Source<'_>>, Source<'_>),
) -> Result<Vec<ConsequenceJson>, Problem> {
    let old = before.map(|before| before.blueprint);
    let mut all = blueprint::consequences(old, after.blueprint);
    if before.is_none_or(|before| before.text != after.text) {
        let known = pieces(&app.shard.picture(), tenant, &after.blueprint.venture);
        let now = figures(app, after, &known).await?;
        let was = match before {
            Some(before) => figures(app, before, &known).await?,
            None => BTreeMap::new(),
        };
        all.extend(moved(was, now));
    }
    all.sort_by(|a, b| (a.touched, &a.path).cmp(&(b.touched, &b.path)));
    Ok(all.into_iter().map(|one| ConsequenceJson::new(one, after.text)).collect())
}

fn moved(mut was: BTreeMap<String, Side>, now: BTreeMap<String, Side>) -> Vec<Consequence> {
    let one = |path, before, after| Consequence {
        touched: Touched::Gate,
        path,
        per: String::new(),
        before,
        after,
    };
    let mut all: Vec<Consequence> = Vec::new();
    for (path, side) in now {
        let before = was.remove(&path);
        if before.as_ref().is_none_or(|before| before.words != side.words) {
            all.push(one(path, before, Some(side)));
        }
    }
    all.extend(was.into_iter().map(|(path, side)| one(path, Some(side), None)));
    all
}

/// Criteria of gates that ask for a figure of the case, by path, with what trials say of it. A case
/// with mistakes says nothing: `check` tells them.
async fn figures(
    app: &App,
    source: Source<'_>,
    known: &[Piece],
) -> Result<BTreeMap<String, Side>, Problem> {
    let asked = criteria(source.blueprint);
    if asked.is_empty() || source.blueprint.case.is_none() {
        return Ok(BTreeMap::new());
    }
    let Ok(case) = case_of(source, known, app.clock.now()) else { return Ok(BTreeMap::new()) };
    let run = Run { trials: TRIALS, seed: SEED, threads: 1 };
    let made = tokio::task::spawn_blocking(move || case.run(run)).await;
    let made = made.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))?;
    let Ok(results) = made else { return Ok(BTreeMap::new()) };
    let sides = asked
        .into_iter()
        .filter_map(|(path, criterion)| Some((path, side(source.blueprint, criterion, &results)?)));
    Ok(sides.collect())
}

fn criteria(blueprint: &Blueprint) -> Vec<(String, &Criterion)> {
    let mut all = Vec::new();
    for (stage, gate) in &blueprint.gates {
        for (level, criteria) in [("must", &gate.must), ("should", &gate.should)] {
            let of_case = criteria.iter().filter(|(_, criterion)| {
                criterion.metric.as_deref().is_some_and(|metric| metric.starts_with("case."))
            });
            all.extend(of_case.map(|(name, criterion)| {
                (format!("gate.{}.{level}.{name}", stage.as_str()), criterion)
            }));
        }
    }
    all
}

fn side(blueprint: &Blueprint, criterion: &Criterion, results: &Results) -> Option<Side> {
    let metric = criterion.metric.as_deref()?;
    let value = results.metric(metric.strip_prefix("case.")?)?;
    let known = blueprint::METRICS.iter().find(|known| known.name == metric)?;
    let unit = known.unit(blueprint.currency_or_euro());
    let meets = criterion.comparison?.holds(value, criterion.target?);
    let word = if meets { "meets" } else { "misses" };
    let unit = if unit.is_one() { String::new() } else { format!(" {}", unit.shown()) };
    Some(Side {
        value,
        words: format!("{}{unit}, {word} {}", bizcase::text::short(value), criterion.formula),
        how: format!("{TRIALS} trials from seed {SEED}"),
    })
}

//! What the server does about claims by itself: it takes results of the fleet whose window is over,
//! freezes forecasts before their month and compares them after it.
//!
//! *Invariant:* nothing here decides: it only records what was agreed beforehand, and doing it
//! twice changes nothing.

use crate::app::App;
use crate::measure;
use crate::problem::Problem;
use crate::{forecasts, ventures};

/// How many facts were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Results taken from a fleet.
    pub measured: usize,
    /// Forecasts frozen.
    pub frozen: usize,
    /// Forecasts compared with what came.
    pub compared: usize,
}

/// Settles what is due of every venture. A venture that cannot be settled hides no other: why is
/// in the server's log.
pub async fn settle(app: &App) -> Settled {
    let picture = app.shard.picture();
    let mut done = Settled::default();
    for (tenant, venture) in picture.catalog.all_ventures() {
        let Ok(found) = ventures::in_force(&picture, tenant, venture.as_str()) else { continue };
        match measure::take(app, tenant, &found).await {
            Ok(all) => {
                done.measured += all.iter().filter(|one| one.new).count();
            }
            Err(problem) => failed(venture.as_str(), &problem),
        }
        if found.blueprint.case.is_none() {
            continue;
        }
        match forecasts::settle(app, tenant, venture.as_str()).await {
            Ok((compared, frozen)) => {
                done.compared += compared;
                done.frozen += frozen;
            }
            Err(problem) => failed(venture.as_str(), &problem),
        }
    }
    done
}

fn failed(venture: &str, problem: &Problem) {
    tracing::warn!(venture, detail = problem.detail, "claims were not settled");
}

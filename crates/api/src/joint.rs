//! How likely it is that all assumptions of a venture hold together.
//!
//! *Invariant:* the product is said beside the bounds that hold whatever depends on what (Fréchet
//! 1935); it is each belief's probability and nothing else that goes in.

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use serde::Serialize;
use venture::belief::all_hold;

use crate::app::App;
use crate::caller::Caller;
use crate::evidence::{belief, pieces};
use crate::problem::Problem;
use crate::ventures::in_force;

/// All assumptions together.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct JointJson {
    /// How many.
    assumptions: usize,
    /// Their product: as likely as that if none depends on another. Null without any.
    product: Option<f64>,
    /// At least so likely, whatever depends on what.
    low: Option<f64>,
    /// At most so likely.
    high: Option<f64>,
    /// How it came to be: label, formula, value, inputs.
    #[schema(value_type = Object)]
    explain: serde_json::Value,
}

/// The probability that all assumptions hold, with its bounds.
#[utoipa::path(get, path = "/ventures/{venture}/assumptions/joint", tag = "ventures",
    params(("venture" = String, Path, description = "name")),
    responses((status = 200, body = JointJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
) -> Result<Json<JointJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let found = in_force(&picture, tenant, &venture)?;
    let known = pieces(&picture, tenant, &found.blueprint.venture);
    let now = app.clock.now();
    let mut believed = Vec::new();
    for name in found.blueprint.assumptions.keys() {
        believed.push((name.as_str(), belief(&found.blueprint, name, &known, now)?));
    }
    let all: Vec<_> = believed.iter().map(|(name, belief)| (*name, belief)).collect();
    if all.is_empty() {
        let explain = serde_json::Value::Null;
        let (product, low, high) = (None, None, None);
        return Ok(Json(JointJson { assumptions: 0, product, low, high, explain }));
    }
    let (low, high, explain) = all_hold(&all)?;
    Ok(Json(JointJson {
        assumptions: all.len(),
        product: explain.value,
        low: Some(low),
        high: Some(high),
        explain: explain.json(),
    }))
}

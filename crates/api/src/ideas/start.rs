//! From an idea to a venture: a template or a text becomes its first blueprint.
//!
//! *Invariant:* blueprint and idea are written in one transaction: a venture that names an idea has
//! one that names it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use blueprint::templates;
use ideas::{Idea, Status, blueprint_of};
use identity::Action;
use model::Name;
use registry::content::BlueprintContent;
use registry::{Author, Decision, Expect, Kind};
use serde::{Deserialize, Serialize};

use super::shown::{IdeaDetail, Shown};
use super::{Eyes, Found, found, step};
use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::{Body, Params};
use crate::problem::Problem;
use crate::ventures::{DiagnosticJson, checked, diagnostic_json};
use crate::write::{DryRun, applied, json};

/// How an idea becomes a venture.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promote {
    /// Name of the venture: a to z, 0 to 9 and _.
    venture: String,
    /// Template to start from, as `iotbiz init` lists them.
    template: Option<String>,
    /// A blueprint, in place of a template.
    text: Option<String>,
}

/// A venture that began with an idea.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Promoted {
    venture: String,
    /// Null when nothing was written.
    revision: Option<u64>,
    /// The blueprint; it names the idea.
    text: String,
    diagnostics: Vec<DiagnosticJson>,
    idea: IdeaDetail,
}

/// The text of the new venture.
fn text(asked: &Promote, found: &Found, name: &Name) -> Result<String, Problem> {
    match (&asked.template, &asked.text) {
        (Some(wanted), None) => {
            let template = templates().iter().find(|template| template.name == wanted);
            let template = template.ok_or_else(|| {
                let known: Vec<_> = templates().iter().map(|template| template.name).collect();
                let shown: String = wanted.chars().take(40).collect();
                let message = format!("there is no template {shown:?}: use {}", known.join(", "));
                Problem::invalid("/template", message)
            })?;
            Ok(blueprint_of(template.text, found.id, Some((name, &found.idea.title))))
        }
        (None, Some(text)) => Ok(blueprint_of(text, found.id, None)),
        (None, None) | (Some(_), Some(_)) => {
            let known: Vec<_> = templates().iter().map(|template| template.name).collect();
            let message = format!("give a template ({}) or a text", known.join(", "));
            Err(Problem::invalid("/template", message))
        }
    }
}

/// Refuses what cannot begin anything.
fn ready(idea: &Idea) -> Result<(), Problem> {
    if let Some(venture) = &idea.venture {
        let message = format!("it began the venture {venture} already");
        return Err(Problem::new(code::CONFLICT, message));
    }
    match idea.status {
        Status::Open | Status::Planned | Status::InProgress | Status::Done => Ok(()),
        Status::Waiting | Status::Declined | Status::Merged => {
            let message = format!("an idea that is {} begins no venture", idea.status.words());
            Err(Problem::new(code::CONFLICT, message).fix("iotbiz idea status ID open"))
        }
    }
}

/// Begins a venture with an idea: its first blueprint names it.
#[utoipa::path(post, path = "/ideas/{idea}/promote", tag = "ideas",
    params(("idea" = String, Path, description = "id"), DryRun), request_body = Promote,
    responses((status = 200, body = Promoted, description = "dry run"),
        (status = 201, body = Promoted), (status = "default", body = Problem)))]
pub(crate) async fn promote(
    State(app): State<App>,
    caller: Caller,
    Path(idea): Path<String>,
    Params(dry): Params<DryRun>,
    Body(asked): Body<Promote>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeBlueprint)?;
    let mut found = found(&app, (tenant, Eyes::of(&caller)), &idea).await?;
    ready(&found.idea)?;
    let name: Name = asked
        .venture
        .parse()
        .map_err(|error: model::NameError| Problem::invalid("/venture", error.to_string()))?;
    if app.shard.picture().catalog.newest(tenant, &name).is_some() {
        let message = format!("there is a venture {name} already");
        return Err(Problem::new(code::CONFLICT, message).fix("give another name"));
    }
    let text = text(&asked, &found, &name)?;
    let (blueprint, diagnostics) = checked(&text)?;
    if blueprint.venture != name {
        let message = format!("the text is of venture {}, not {name}", blueprint.venture);
        return Err(Problem::invalid("/text", message));
    }
    if blueprint.idea.as_deref() != Some(found.id.to_string().as_str()) {
        let message = "the line of `venture` is not found, so the idea cannot be named in the text";
        return Err(Problem::invalid("/text", message).fix("write venture = \"name\" on its line"));
    }
    let diagnostics = diagnostics.iter().map(|d| diagnostic_json(d, &text)).collect();
    found.idea.venture = Some(name.clone());
    found.idea.announces = None;
    if matches!(found.idea.status, Status::Open | Status::Planned) {
        let reason = format!("venture {name} begins");
        found.idea.step(step(&app, &caller, (Status::InProgress, &reason)))?;
    }
    let (status, revision) = if dry.dry_run {
        (StatusCode::OK, None)
    } else {
        let content =
            BlueprintContent { venture: name.clone(), text: text.clone(), based_on: None };
        let (content, own) = (json(&content)?, json(&found.idea)?);
        let id = found.id.to_string();
        let decisions = [
            Decision::put(tenant, Kind::Blueprint, name.as_str(), &content).expecting(Expect::New),
            Decision::put(tenant, Kind::Idea, &id, &own)
                .expecting(Expect::Revision(found.revision)),
        ];
        let actor = caller.actor();
        let written = app.registry.put_many(&decisions, &Author::new(&actor)).await?;
        if let Some(last) = written.last() {
            applied(&app, last.seq).await?;
            found.revision = last.revision;
        }
        (StatusCode::CREATED, written.first().map(|first| first.revision))
    };
    let idea = Shown::open(&app, &caller, tenant).await?.detail(&found);
    let venture = name.to_string();
    Ok((status, Json(Promoted { venture, revision, text, diagnostics, idea })).into_response())
}

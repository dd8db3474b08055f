//! Earlier revisions of a blueprint, and what three texts of it make of each other.
//!
//! *Invariant:* nothing here changes anything; a merged text is offered only where nobody is undone
//! and what comes out passes `check`.

use axum::Json;
use axum::extract::{Path, State};
use blueprint::{Blueprint, Conflict, Source, locate, marked, merge};
use identity::Action;
use model::{Name, TenantId};
use registry::Kind;
use registry::content::BlueprintContent;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::consequences::{ConsequenceJson, consequences};
use crate::extract::{Body, Params};
use crate::page::{Page, cursor, limit, parse_cursor};
use crate::problem::Problem;
use crate::ventures::{
    ChangeJson, DiagnosticJson, change_json, checked, diagnostic_json, in_force,
};
use crate::write::key;

/// A revision in the list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RevisionJson {
    revision: u64,
    /// Who applied it.
    actor: String,
    /// When, RFC 3339.
    at: String,
    /// The revision its author started from.
    based_on: Option<u64>,
}

/// The text of a revision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RevisionText {
    venture: String,
    revision: u64,
    actor: String,
    at: String,
    text: String,
}

/// A text to compare.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compare {
    /// Mine.
    text: String,
    /// The revision mine was written from; else what `# based on revision N` says, else theirs.
    based_on: Option<u64>,
    /// The revision to compare with; else the one in force.
    against: Option<u64>,
}

/// An entry that both changed, not to the same.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ConflictJson {
    pub(crate) path: String,
    /// Null: it was not there, or is gone.
    base: Option<String>,
    mine: Option<String>,
    theirs: Option<String>,
    /// Where it stands in mine.
    line: Option<usize>,
    column: Option<usize>,
}

impl ConflictJson {
    fn new(found: Conflict, text: &str) -> Self {
        let place = locate(text, &found.path);
        Self {
            line: place.map(|at| at.line),
            column: place.map(|at| at.column),
            path: found.path,
            base: found.base,
            mine: found.mine,
            theirs: found.theirs,
        }
    }

    pub(crate) fn words(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let (base, mine, theirs) = (shown(&self.base), shown(&self.mine), shown(&self.theirs));
        format!("was {base}; mine {mine}, theirs {theirs}")
    }
}

/// What two texts make of a third.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ThreeWay {
    base_revision: u64,
    their_revision: u64,
    /// What mine changes of the base.
    mine: Vec<ChangeJson>,
    /// What theirs changes of the base.
    theirs: Vec<ChangeJson>,
    /// What mine does to costs, gates, alarms and batteries of the base.
    consequences: Vec<ConsequenceJson>,
    pub(crate) conflicts: Vec<ConflictJson>,
    /// Both together; null where they conflict, or where both together do not pass `check`.
    merged: Option<String>,
    /// What `check` says of both together.
    diagnostics: Vec<DiagnosticJson>,
}

/// What is compared; a revision that is not named is found out.
pub(crate) struct Texts<'a> {
    pub(crate) mine: &'a str,
    pub(crate) base: Option<u64>,
    pub(crate) theirs: Option<u64>,
}

struct Row {
    text: String,
    actor: String,
    at: String,
}

async fn revision_of(
    app: &App,
    tenant: TenantId,
    venture: &Name,
    revision: u64,
) -> Result<Row, Problem> {
    let record = key(tenant, Kind::Blueprint, venture.as_str());
    let row = app.registry.at(record, revision).await?.ok_or_else(|| {
        let known = format!("revision {revision} of {venture}");
        Problem::not_found("revision", &known).fix("list them: iotbiz diff --list")
    })?;
    let content: BlueprintContent = row.content()?;
    Ok(Row { text: content.text, actor: row.actor.clone(), at: row.at.to_string() })
}

/// Compares mine and theirs with what both were written from.
pub(crate) async fn three_way(
    app: &App,
    tenant: TenantId,
    texts: &Texts<'_>,
) -> Result<ThreeWay, Problem> {
    let (own, _) = checked(texts.mine)?;
    let newest = in_force(&app.shard.picture(), tenant, own.venture.as_str())?.revision;
    let their_revision = texts.theirs.unwrap_or(newest);
    let base_revision =
        texts.base.or_else(|| blueprint::based_on(texts.mine)).unwrap_or(their_revision);
    let theirs = revision_of(app, tenant, &own.venture, their_revision).await?.text;
    let base = revision_of(app, tenant, &own.venture, base_revision).await?.text;
    let (base_read, theirs_read) = (old(&base, base_revision)?, old(&theirs, their_revision)?);
    let of_base = Source { text: &base, blueprint: &base_read };
    let of_mine = Source { text: texts.mine, blueprint: &own };
    let found = merge(of_base, of_mine, Source { text: &theirs, blueprint: &theirs_read });
    let consequences = consequences(app, tenant, (Some(of_base), of_mine)).await?;
    let text = marked(&found.text, their_revision);
    let parsed = venture::parse(&text);
    let whole = parsed.blueprint.is_some() && found.conflicts.is_empty();
    let conflicts = found.conflicts.into_iter();
    Ok(ThreeWay {
        base_revision,
        their_revision,
        mine: found.mine.iter().map(change_json).collect(),
        theirs: found.theirs.iter().map(change_json).collect(),
        consequences,
        conflicts: conflicts.map(|one| ConflictJson::new(one, texts.mine)).collect(),
        diagnostics: parsed.diagnostics.iter().map(|d| diagnostic_json(d, &text)).collect(),
        merged: whole.then_some(text),
    })
}

/// A revision that was applied once; a newer program may refuse what an older one took.
fn old(text: &str, revision: u64) -> Result<Blueprint, Problem> {
    Blueprint::parse(text).blueprint.ok_or_else(|| {
        let said = format!("revision {revision} cannot be read by this version");
        Problem::new(code::BLUEPRINT_ERRORS, said)
    })
}

/// How much of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct ListParams {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The revisions of a blueprint, newest first.
#[utoipa::path(get, path = "/ventures/{venture}/blueprint/revisions", tag = "ventures",
    params(("venture" = String, Path, description = "name"), ListParams),
    responses((status = 200, body = Page<RevisionJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(asked): Params<ListParams>,
) -> Result<Json<Page<RevisionJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    in_force(&app.shard.picture(), tenant, &venture)?;
    let most = limit(asked.limit)?;
    let before = parse_cursor(asked.cursor.as_deref())?.and_then(|text| text.parse().ok());
    let rows = u32::try_from(most).unwrap_or(u32::MAX);
    let record = key(tenant, Kind::Blueprint, &venture);
    let found = app.registry.history(record, before, rows).await?;
    let next = found.last().filter(|row| found.len() == most && row.revision > 1);
    let next_cursor = next.map(|row| cursor(&row.revision.to_string()));
    let items: Result<Vec<_>, Problem> = found
        .iter()
        .map(|row| {
            let content: BlueprintContent = row.content()?;
            let (revision, actor, at) = (row.revision, row.actor.clone(), row.at.to_string());
            Ok(RevisionJson { revision, actor, at, based_on: content.based_on })
        })
        .collect();
    Ok(Json(Page { items: items?, next_cursor, total_matching: None }))
}

/// The text of one revision.
#[utoipa::path(get, path = "/ventures/{venture}/blueprint/revisions/{revision}", tag = "ventures",
    params(("venture" = String, Path, description = "name"),
        ("revision" = u64, Path, description = "from 1")),
    responses((status = 200, body = RevisionText), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((venture, revision)): Path<(String, String)>,
) -> Result<Json<RevisionText>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let name = in_force(&app.shard.picture(), tenant, &venture)?.blueprint.venture.clone();
    let number: u64 = revision.parse().map_err(|_| Problem::not_found("revision", &revision))?;
    let row = revision_of(&app, tenant, &name, number).await?;
    let (actor, at, text) = (row.actor, row.at, row.text);
    Ok(Json(RevisionText { venture, revision: number, actor, at, text }))
}

/// What a text and a revision change of the revision both were written from; changes nothing.
#[utoipa::path(post, path = "/ventures/{venture}/blueprint/diff", tag = "ventures",
    params(("venture" = String, Path, description = "name")), request_body = Compare,
    responses((status = 200, body = ThreeWay), (status = "default", body = Problem)))]
pub(crate) async fn compare(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Body(asked): Body<Compare>,
) -> Result<Json<ThreeWay>, Problem> {
    let tenant = caller.may(Action::ChangeBlueprint)?;
    let (own, _) = checked(&asked.text)?;
    if own.venture.as_str() != venture {
        let message = format!("the text is of venture {}, not {venture}", own.venture);
        return Err(Problem::invalid("/text", message));
    }
    let texts = Texts { mine: &asked.text, base: asked.based_on, theirs: asked.against };
    Ok(Json(three_way(&app, tenant, &texts).await?))
}

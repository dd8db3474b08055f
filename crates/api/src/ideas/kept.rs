//! Ideas as records: who sees which, and how one is changed.
//!
//! *Invariant:* what waits to be read is found by who may let it in and by nobody else; a change
//! rests on the revision it was read at, and is tried again when somebody was faster.

use std::collections::BTreeMap;

use ideas::{Idea, Settings, Status};
use identity::Action;
use model::{ErrorKind, IdeaId, TenantId, Timestamp};
use registry::{Author, Decision, Expect, Kind, RecordRow};

use super::SETTINGS;
use super::shown::Names;
use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::problem::Problem;
use crate::write::{applied, key};

/// Records read at once.
const PAGE_MAX: u32 = 1_000;

/// How often a change is tried when others change the same idea.
const TRIES_MAX: usize = 5;

/// An idea with its record.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: IdeaId,
    pub(crate) idea: Idea,
    pub(crate) revision: u64,
}

impl Found {
    pub(super) fn of(row: &RecordRow) -> Result<Self, Problem> {
        let corrupt = |error: model::IdError| Problem::from_kind(ErrorKind::Corrupt, &error);
        Ok(Self {
            id: row.id.parse().map_err(corrupt)?,
            idea: row.content()?,
            revision: row.revision,
        })
    }
}

/// Whether somebody sees what waits to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eyes {
    /// They may let it in.
    Moderator,
    /// They see what was let in.
    Everybody,
}

impl Eyes {
    pub(super) fn of(caller: &Caller) -> Self {
        match caller.may(Action::ManageTenant) {
            Ok(_tenant) => Self::Moderator,
            Err(_denied) => Self::Everybody,
        }
    }

    pub(super) fn sees(self, idea: &Idea) -> bool {
        let let_in =
            idea.by != Idea::FORM || idea.steps.iter().any(|step| step.status != Status::Declined);
        self == Self::Moderator || (let_in && idea.status != Status::Waiting)
    }
}

/// One idea, if the caller may see it.
pub(crate) async fn found(
    app: &App,
    (tenant, eyes): (TenantId, Eyes),
    text: &str,
) -> Result<Found, Problem> {
    let missing = || Problem::not_found("idea", text).fix("iotbiz idea ls");
    let row = app.registry.get(key(tenant, Kind::Idea, text)).await?;
    let found = Found::of(&row.ok_or_else(missing)?)?;
    if eyes.sees(&found.idea) { Ok(found) } else { Err(missing()) }
}

/// All ideas of a tenant, oldest first.
pub(crate) async fn all(app: &App, tenant: TenantId) -> Result<Vec<Found>, Problem> {
    let mut ideas: Vec<Found> = Vec::new();
    loop {
        let after = ideas.last().map(|found| found.id.to_string()).unwrap_or_default();
        let rows = app.registry.list(tenant, Kind::Idea, &after, PAGE_MAX).await?;
        ideas.extend(rows.iter().map(Found::of).collect::<Result<Vec<_>, _>>()?);
        if rows.len() < usize::try_from(PAGE_MAX).unwrap_or(usize::MAX) {
            return Ok(ideas);
        }
    }
}

/// What a tenant declared, and at which revision; 0 is what holds when nothing was.
pub(crate) async fn settings(app: &App, tenant: TenantId) -> Result<(u64, Settings), Problem> {
    let row = app.registry.get(key(tenant, Kind::IdeaSettings, SETTINGS)).await?;
    match row {
        None => Ok((0, Settings::default())),
        Some(row) => Ok((row.revision, row.content()?)),
    }
}

/// Writes an idea anew and waits until it is in the log.
pub(crate) async fn write(
    app: &App,
    (tenant, actor): (TenantId, &str),
    found: &mut Found,
    expect: Expect,
) -> Result<(), registry::Error> {
    let id = found.id.to_string();
    let content = serde_json::to_value(&found.idea).unwrap_or_default();
    let decision = Decision::put(tenant, Kind::Idea, &id, &content).expecting(expect);
    let written = app.registry.put(&decision, &Author::new(actor)).await?;
    found.revision = written.revision;
    // Whoever reads the log later tells of it; the record is what the answer shows.
    if let Err(problem) = applied(app, written.seq).await {
        tracing::warn!(id, detail = problem.detail, "an idea is durable and not yet in the log");
    }
    Ok(())
}

/// Changes an idea; when somebody was faster it is read and changed again.
pub(crate) async fn change(
    app: &App,
    (caller, tenant): (&Caller, TenantId),
    text: &str,
    edit: impl Fn(&mut Idea) -> Result<(), Problem>,
) -> Result<Found, Problem> {
    for _try in 0..TRIES_MAX {
        let mut found = found(app, (tenant, Eyes::of(caller)), text).await?;
        found.idea.announces = None;
        edit(&mut found.idea)?;
        found.idea.check(app.clock.now())?;
        let expect = Expect::Revision(found.revision);
        match write(app, (tenant, &caller.actor()), &mut found, expect).await {
            Ok(()) => return Ok(found),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    let message = format!("others changed it {TRIES_MAX} times meanwhile");
    Err(Problem::new(code::CONFLICT, message).fix("try again"))
}

/// When somebody without an account can look, what they see: the idea that stands for theirs.
pub(crate) async fn standing(app: &App, tenant: TenantId, first: Found) -> Result<Found, Problem> {
    /// Merges that are followed; more would be a circle, which merging refuses.
    const MERGES_MAX: usize = 32;
    let mut found = first;
    for _step in 0..MERGES_MAX {
        let Some(into) = found.idea.merged_into else { break };
        found = self::found(app, (tenant, Eyes::Moderator), &into.to_string()).await?;
    }
    Ok(found)
}

/// Names of users by actor.
pub(crate) async fn names(app: &App, tenant: TenantId) -> Result<Names, Problem> {
    let rows = app.registry.list(tenant, Kind::User, "", PAGE_MAX).await?;
    let mut names = BTreeMap::new();
    for row in &rows {
        let user: registry::content::UserContent = row.content()?;
        let channels = user.notify.map(|notify| notify.channels).unwrap_or_default();
        names.insert(row.id.clone(), (user.name, channels));
    }
    Ok(Names(names))
}

/// Milliseconds since the epoch of the moment an idea was written down.
pub(crate) fn born(found: &Found) -> Timestamp {
    found.id.time()
}

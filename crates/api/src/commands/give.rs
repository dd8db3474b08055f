//! From what a caller asks to a decision in the log.
//!
//! *Invariant:* arguments are checked by the blueprint in force for the device: type, unit, bounds,
//! none unknown and none missing.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::HeaderMap;
use model::{CommandId, DeviceId, Name, TenantId};
use twin::{COMMAND_TIMEOUT_MAX, CommandState};

use super::NewCommand;
use crate::app::App;
use crate::code;
use crate::desired::read_value;
use crate::devices::{find, random};
use crate::json::Look;
use crate::problem::Problem;
use crate::write::PATIENCE;

/// What a caller may be given.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    name: Name,
    args: serde_json::Map<String, serde_json::Value>,
    timeout: Duration,
}

/// Whom, and who asks.
type Whom<'a> = (TenantId, DeviceId, &'a str);

impl Wish {
    pub(super) fn checked(look: &Look<'_>, asked: &NewCommand) -> Result<Self, Problem> {
        let kind = &look.twin.kind;
        let found = look.in_force().and_then(|found| found.blueprint.kinds.get(kind));
        let known = found.map(|kind| &kind.commands);
        let command = known.and_then(|known| known.get_key_value(asked.name.as_str()));
        let Some((name, command)) = command else {
            let names: Vec<_> =
                known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("device kind {kind} has no command {:?}", asked.name);
            return Err(Problem::invalid("/name", message)
                .fix(format!("commands of the blueprint in force: {names}")));
        };
        let timeout = asked.timeout.as_deref().map_or(Ok(command.timeout), timeout)?;
        Ok(Self { name: name.clone(), args: args(&command.arguments, &asked.args)?, timeout })
    }
}

fn timeout(text: &str) -> Result<Duration, Problem> {
    let asked = expr::Quantity::parse(text).ok().and_then(|quantity| quantity.duration());
    asked.filter(|asked| !asked.is_zero() && *asked <= COMMAND_TIMEOUT_MAX).ok_or_else(|| {
        let days = COMMAND_TIMEOUT_MAX.as_secs() / 86_400;
        let message = format!("{text:?} is not a time up to {days} days, such as 30 s");
        Problem::invalid("/timeout", message)
    })
}

fn args(
    known: &BTreeMap<Name, blueprint::Property>,
    asked: &BTreeMap<String, serde_json::Value>,
) -> Result<serde_json::Map<String, serde_json::Value>, Problem> {
    let mut wrong = Vec::new();
    let mut args = serde_json::Map::new();
    for (name, value) in asked {
        let Some((known_name, property)) = known.get_key_value(name.as_str()) else {
            let names: Vec<_> = known.keys().map(Name::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            wrong.push((name.clone(), format!("there is no such argument; there is {names}")));
            continue;
        };
        match read_value(&pipeline::rule_of(known_name, &property.kind), value) {
            Ok(value) => drop(args.insert(name.clone(), twin::json_value(&value))),
            Err(why) => wrong.push((name.clone(), why)),
        }
    }
    for (name, property) in known.iter().filter(|(name, _)| !asked.contains_key(name.as_str())) {
        wrong.push((name.to_string(), format!("is missing: {}", property.kind.shown())));
    }
    let mut wrong = wrong.into_iter().map(|(name, why)| (format!("/args/{name}"), why));
    let Some((pointer, why)) = wrong.next() else { return Ok(args) };
    let first = Problem::invalid(&pointer, format!("{pointer} {why}"));
    Err(wrong.fold(first, |problem, (pointer, why)| problem.at(pointer, why)))
}

/// The caller's own name for a request.
pub(super) fn key_of(headers: &HeaderMap) -> &str {
    headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default()
}

/// Appends the decision; its offset and the id it gets unless the key is known.
pub(super) fn decide(
    app: &App,
    (tenant, device, by): Whom<'_>,
    wish: &Wish,
    key: &str,
) -> Result<(model::Offset, CommandId), Problem> {
    let id = CommandId::new(app.clock.now(), random()?);
    let timeout_ms = u64::try_from(wish.timeout.as_millis()).unwrap_or(u64::MAX);
    let content = serde_json::json!({
        "id": id, "name": wish.name, "args": wish.args, "by": by, "key": key,
        "timeout_ms": timeout_ms,
    });
    let offset = app.shard.decide(tenant, "command", &device.to_string(), &content.to_string())?;
    Ok((offset, id))
}

/// What became of a decision: the id of the command, or why there is none.
pub(super) fn outcome(
    app: &App,
    (tenant, device, by): Whom<'_>,
    (id, wish, key): (CommandId, &Wish, &str),
) -> Result<CommandId, Problem> {
    let twin = find(&app.shard.picture(), tenant, &device.to_string())?;
    let Some(command) = twin.commands.get(id).or_else(|| twin.commands.by_key(by, key)) else {
        let why = format!("{} commands of it are open: wait for one to close", twin.commands.len());
        return Err(Problem::new(code::REFUSED, why));
    };
    let same = command.name == wish.name
        && *command.args == *serde_json::Value::Object(wish.args.clone()).to_string();
    if !same {
        let why = format!("this key was used for another command, {}", command.id);
        return Err(Problem::invalid("Idempotency-Key", why));
    }
    match &command.state {
        CommandState::Refused { reason } => Err(Problem::new(code::REFUSED, reason.clone())),
        CommandState::Queued
        | CommandState::Delivered
        | CommandState::Done
        | CommandState::Failed
        | CommandState::Expired => Ok(command.id),
    }
}

/// Gives a command and waits until the folds have it.
pub(super) async fn give(
    app: &App,
    whom: Whom<'_>,
    wish: &Wish,
    key: &str,
) -> Result<CommandId, Problem> {
    let (offset, id) = decide(app, whom, wish, key)?;
    app.shard.applied(offset, PATIENCE).await?;
    outcome(app, whom, (id, wish, key))
}

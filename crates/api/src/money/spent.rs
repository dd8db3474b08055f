//! Costs that people record: what was paid in a month for radio, cloud, support, returns or else.
//!
//! *Invariant:* the same entry is recorded once: its id is made of what it says. An entry is never
//! changed; a wrong one is removed, and both stay in the history of the records.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use billing::entry::sha256;
use billing::rounding::RoundingMode;
use billing::usage::Amount;
use identity::Action;
use model::{CostId, Currency, Money, Name, TenantId};
use registry::content::{CostContent, CostKind, CustomerContent};
use registry::{Author, Decision, Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices;
use crate::extract::{Body, Params};
use crate::money::{customers, shelf};
use crate::page::Page;
use crate::problem::Problem;
use crate::ventures::in_force;
use crate::write::{DryRun, applied, json, key};

/// Entries of one file.
const IMPORT_ROWS_MAX: usize = 5_000;
/// Wrong lines that an answer names.
const WRONG_SHOWN_MAX: usize = 20;

/// A cost to record; also the columns of a file.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCost {
    /// `2026-10`.
    month: String,
    /// `radio`, `cloud`, `support`, `returns` or `other`.
    #[schema(value_type = String)]
    kind: CostKind,
    /// With its currency: `312.40 EUR`; what came back is negative.
    amount: String,
    /// Only on the devices of this customer, by id or name.
    #[serde(default)]
    customer: Option<String>,
    /// Only on this device, by id or name.
    #[serde(default)]
    device: Option<String>,
    /// Where it stands: an invoice, a bank statement, who said so.
    source: String,
}

/// A recorded cost.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Cost {
    id: String,
    month: String,
    /// `radio`, `cloud`, `support`, `returns` or `other`.
    kind: &'static str,
    /// Major units.
    amount: String,
    currency: String,
    /// What it lies on: `venture`, `customer` or `device`.
    over: &'static str,
    /// Name of the customer.
    customer: Option<String>,
    /// Id of the device.
    device: Option<String>,
    source: String,
    recorded_by: String,
    #[schema(value_type = String)]
    recorded_at: model::Timestamp,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct CostQuery {
    /// Of this month: `2026-10`.
    month: Option<String>,
}

/// What an import did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ImportedCosts {
    added: usize,
    /// Entries that were recorded before.
    known: usize,
}

/// An entry as money; none: its currency is none.
pub(crate) fn amount_of(content: &CostContent) -> Option<Money> {
    Some(Money { minor: content.minor, currency: content.currency.parse().ok()? })
}

/// Entries of a venture, of a month or of all.
pub(crate) async fn entries(
    app: &App,
    (tenant, venture): (TenantId, &Name),
    month: Option<&str>,
) -> Result<Vec<(RecordRow, CostContent)>, Problem> {
    let rows = shelf::owned(app, key(tenant, Kind::Cost, venture.as_str())).await?;
    let mut found = Vec::new();
    for row in rows {
        let content: CostContent = row.content()?;
        if month.is_none_or(|month| month == content.month) {
            found.push((row, content));
        }
    }
    found.sort_by(|(a, one), (b, other)| (&one.month, &a.id).cmp(&(&other.month, &b.id)));
    Ok(found)
}

/// Costs that were recorded for a venture, by month.
#[utoipa::path(get, path = "/ventures/{venture}/costs", tag = "money",
    params(("venture" = String, Path, description = "name"), CostQuery),
    responses((status = 200, body = Page<Cost>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(query): Params<CostQuery>,
) -> Result<Json<Page<Cost>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let found = in_force(&app.shard.picture(), tenant, &venture)?;
    let of = (tenant, &found.blueprint.venture);
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut items = Vec::new();
    for (row, content) in entries(&app, of, query.month.as_deref()).await? {
        let customer = match content.customer.map(|id| id.to_string()) {
            None => None,
            Some(id) => Some(match names.get(&id) {
                Some(known) => known.clone(),
                None => {
                    let row = app.registry.get(key(tenant, Kind::Customer, &id)).await?;
                    let known = row.map(|row| row.content::<CustomerContent>()).transpose()?;
                    let name = known.map_or_else(|| id.clone(), |known| known.name.to_string());
                    names.entry(id).or_insert(name).clone()
                }
            }),
        };
        items.push(shown(&row, &content, customer));
    }
    Ok(Json(Page::whole(items)))
}

fn shown(row: &RecordRow, content: &CostContent, customer: Option<String>) -> Cost {
    let amount = amount_of(content).map(|money| money.amount().to_string());
    Cost {
        id: row.id.clone(),
        month: content.month.clone(),
        kind: content.kind.as_str(),
        amount: amount.unwrap_or_else(|| content.minor.to_string()),
        currency: content.currency.clone(),
        over: match (&content.customer, &content.device) {
            (_, Some(_)) => "device",
            (Some(_), None) => "customer",
            (None, None) => "venture",
        },
        customer,
        device: content.device.map(|device| device.to_string()),
        source: content.source.clone(),
        recorded_by: row.actor.clone(),
        recorded_at: row.at,
    }
}

/// Reads what somebody writes.
struct Reading<'a> {
    app: &'a App,
    tenant: TenantId,
    venture: &'a Name,
}

impl Reading<'_> {
    async fn content(&self, new: NewCost) -> Result<CostContent, Problem> {
        let money = money(&new.amount)?;
        if format!("{}-01", new.month).parse::<jiff::civil::Date>().is_err() {
            let what = format!("{:?} is no month", new.month);
            return Err(Problem::invalid("/month", what).fix("write 2026-10"));
        }
        let customer = match new.customer.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let row = customers::find(self.app, self.tenant, text).await?;
                Some(row.id.parse().map_err(|_| Problem::not_found("customer", &row.id))?)
            }
        };
        let device = match new.device.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let twin = devices::find(&self.app.shard.picture(), self.tenant, text)?;
                if twin.venture != *self.venture {
                    let what = format!("{text} is a device of {}", twin.venture);
                    return Err(Problem::invalid("/device", what));
                }
                Some(twin.id)
            }
        };
        Ok(CostContent {
            venture: self.venture.clone(),
            month: new.month,
            kind: new.kind,
            minor: money.minor,
            currency: money.currency.to_string(),
            customer,
            device,
            source: new.source,
        })
    }
}

fn money(text: &str) -> Result<Money, Problem> {
    let wrong =
        || Problem::invalid("/amount", format!("{text:?} is no amount")).fix("write 312.40 EUR");
    let (amount, currency) = text.trim().rsplit_once(' ').ok_or_else(wrong)?;
    let currency: Currency = currency.parse().map_err(|_| wrong())?;
    let exact = Amount::parse(amount.trim()).ok_or_else(wrong)?;
    let money = RoundingMode::HalfUp.money(exact, currency)?;
    (money.amount() == exact).then_some(money).ok_or_else(wrong)
}

/// Equal entries have one id.
fn id(content: &CostContent) -> Result<(String, serde_json::Value), Problem> {
    let content = json(content)?;
    let hash = sha256(content.to_string().as_bytes());
    let number = hash.get(..32).and_then(|text| u128::from_str_radix(text, 16).ok());
    Ok((CostId::from_u128(number.unwrap_or_default()).to_string(), content))
}

/// Records a cost. Economics of its month use it instead of what the case believes.
#[utoipa::path(post, path = "/ventures/{venture}/costs", tag = "money", request_body = NewCost,
    params(("venture" = String, Path, description = "name")),
    responses((status = 201, body = Cost), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Body(new): Body<NewCost>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let found = in_force(&app.shard.picture(), tenant, &venture)?;
    let reading = Reading { app: &app, tenant, venture: &found.blueprint.venture };
    let customer = new.customer.clone();
    let content = reading.content(new).await?;
    let (id, value) = id(&content)?;
    let decision = Decision::put(tenant, Kind::Cost, &id, &value).expecting(Expect::New);
    let actor = caller.actor();
    let written = app.registry.put(&decision, &Author::new(&actor)).await.map_err(|error| {
        let problem = Problem::from(error);
        if problem.code != code::CONFLICT.code {
            return problem;
        }
        let what = format!("exactly this is recorded already as {id}");
        Problem::new(code::CONFLICT, what).fix("a second one needs another source text")
    })?;
    applied(&app, written.seq).await?;
    let row = app.registry.get(key(tenant, Kind::Cost, &id)).await?;
    let row = row.ok_or_else(|| Problem::not_found("cost", &id))?;
    Ok((StatusCode::CREATED, Json(shown(&row, &content, customer))).into_response())
}

/// Takes a recorded cost back.
#[utoipa::path(delete, path = "/ventures/{venture}/costs/{cost}", tag = "money",
    params(("venture" = String, Path, description = "name"),
        ("cost" = String, Path, description = "id")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path((venture, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let unknown = || Problem::not_found("cost", &id).fix("iotbiz cost ls");
    let row = app.registry.get(key(tenant, Kind::Cost, &id)).await?.ok_or_else(unknown)?;
    let content: CostContent = row.content()?;
    if content.venture.as_str() != venture {
        return Err(unknown());
    }
    let decision = Decision::remove(tenant, Kind::Cost, &id);
    let decision = decision.expecting(Expect::Revision(row.revision));
    let actor = caller.actor();
    let written = app.registry.put(&decision, &Author::new(&actor)).await?;
    applied(&app, written.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Records the costs of a CSV file: `month,kind,amount,customer,device,source`; one wrong line and
/// nothing is recorded. A file may be sent again: entries that are known are counted.
#[utoipa::path(post, path = "/ventures/{venture}/costs/import", tag = "money",
    params(("venture" = String, Path, description = "name"), DryRun),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 201, body = ImportedCosts), (status = 200, body = ImportedCosts),
        (status = "default", body = Problem)))]
pub(crate) async fn import(
    State(app): State<App>,
    caller: Caller,
    Path(venture): Path<String>,
    Params(dry): Params<DryRun>,
    body: Bytes,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let found = in_force(&app.shard.picture(), tenant, &venture)?;
    let reading = Reading { app: &app, tenant, venture: &found.blueprint.venture };
    let mut new: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    let rows = read(&reading, &body).await?;
    let all = rows.len();
    for content in &rows {
        let (id, value) = id(content)?;
        if app.registry.get(key(tenant, Kind::Cost, &id)).await?.is_none() {
            new.insert(id, value);
        }
    }
    let done = ImportedCosts { added: new.len(), known: all - new.len() };
    if dry.dry_run || new.is_empty() {
        return Ok(Json(done).into_response());
    }
    let put = |(id, content)| {
        let put: Decision<'_> = Decision::put(tenant, Kind::Cost, id, content);
        put.expecting(Expect::New)
    };
    let decisions: Vec<_> = new.iter().map(|(id, content)| put((id.as_str(), content))).collect();
    let actor = caller.actor();
    let written = app.registry.put_many(&decisions, &Author::new(&actor)).await?;
    if let Some(last) = written.last() {
        applied(&app, last.seq).await?;
    }
    Ok((StatusCode::CREATED, Json(done)).into_response())
}

async fn read(reading: &Reading<'_>, body: &[u8]) -> Result<Vec<CostContent>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let mut contents = Vec::new();
    let mut wrong: Vec<(u64, String)> = Vec::new();
    for (line, number) in reader.deserialize::<NewCost>().zip(2_u64..) {
        if contents.len() + wrong.len() == IMPORT_ROWS_MAX {
            let detail = format!("more than IMPORT_ROWS_MAX = {IMPORT_ROWS_MAX} costs");
            return Err(Problem::new(code::TOO_LARGE, detail).fix("split the file"));
        }
        match line {
            Ok(line) => match reading.content(line).await {
                Ok(content) => contents.push(content),
                Err(problem) => wrong.push((number, problem.detail)),
            },
            Err(error) => wrong.push((number, error.to_string())),
        }
    }
    if wrong.is_empty() {
        return Ok(contents);
    }
    let count = wrong.len();
    let what = format!("{count} lines are wrong; nothing was recorded");
    let mut problem = Problem::new(code::INVALID, what);
    for (number, reason) in wrong.into_iter().take(WRONG_SHOWN_MAX) {
        problem = problem.at(format!("line {number}"), reason);
    }
    Err(problem)
}

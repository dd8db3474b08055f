//! Customers: who pays.
//!
//! *Invariant:* a file of customers is added whole or not at all, and each wrong line is named.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::{CustomerId, TenantId};
use registry::content::{Address, CustomerContent, Identifiers};
use registry::{Author, Decision, Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::random;
use crate::extract::{Body, Params, Raw};
use crate::money::shelf;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{DryRun, applied, etag, if_match, json, key, put};

/// Most customers of one file.
const IMPORT_ROWS_MAX: usize = 4_000;
/// Wrong lines that an answer names.
const WRONG_SHOWN_MAX: usize = 50;

/// One customer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Customer {
    id: String,
    revision: u64,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    content: CustomerContent,
}

/// What was added.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ImportedCustomers {
    /// How many; in a dry run, how many would be.
    added: usize,
}

fn customer(row: &RecordRow) -> Result<Customer, Problem> {
    Ok(Customer { id: row.id.clone(), revision: row.revision, content: row.content()? })
}

/// Finds a customer by id or name.
pub(crate) async fn find(app: &App, tenant: TenantId, text: &str) -> Result<RecordRow, Problem> {
    shelf::find(app, tenant, (Kind::Customer, "customer"), text)
        .await
        .map_err(|problem| problem.fix("iotbiz customer ls"))
}

/// Whether what only other crates know is right: the time zone, the legal entity.
async fn check(app: &App, tenant: TenantId, content: &CustomerContent) -> Result<(), Problem> {
    billing::zone::Zone::named(&content.timezone)
        .map_err(|error| Problem::invalid("/timezone", error.to_string()))?;
    if let Some(text) = &content.tax
        && billing::plan::tax_class(text).is_none()
    {
        let message = format!("{text:?} is no tax class");
        let fix = "write \"19 %\", or a category of EN 16931 alone: Z, E, AE, K, G or O";
        return Err(Problem::invalid("/tax", message).fix(fix));
    }
    let entity = app.registry.get(key(tenant, Kind::Entity, content.entity.as_str())).await?;
    if entity.is_none() {
        let message = format!("there is no legal entity {}", content.entity);
        let fix = format!("iotbiz entity set {} --legal-name NAME --country DE", content.entity);
        return Err(Problem::invalid("/entity", message).fix(fix));
    }
    Ok(())
}

/// Customers of the tenant.
#[utoipa::path(get, path = "/customers", tag = "money",
    responses((status = 200, body = Page<Customer>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<Customer>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let rows = shelf::all(&app, tenant, Kind::Customer).await?;
    Ok(Json(Page::whole(rows.iter().map(customer).collect::<Result<_, _>>()?)))
}

/// One customer, by id or name.
#[utoipa::path(get, path = "/customers/{customer}", tag = "money",
    params(("customer" = String, Path, description = "id or name")),
    responses((status = 200, body = Customer), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let row = find(&app, tenant, &text).await?;
    Ok((etag(row.revision), Json(customer(&row)?)).into_response())
}

/// Adds a customer.
#[utoipa::path(post, path = "/customers", tag = "money", request_body = serde_json::Value,
    responses((status = 201, body = Customer), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(content): Body<CustomerContent>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    check(&app, tenant, &content).await?;
    let id = CustomerId::new(app.clock.now(), random()?).to_string();
    let record = key(tenant, Kind::Customer, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, written.seq).await?;
    let made = Customer { id, revision: written.revision, content };
    Ok((StatusCode::CREATED, etag(written.revision), Json(made)).into_response())
}

/// Puts another content in its place; contracts keep the customer, whatever it is called.
#[utoipa::path(put, path = "/customers/{customer}", tag = "money",
    params(("customer" = String, Path, description = "id or name")),
    request_body = serde_json::Value,
    responses((status = 200, body = Customer), (status = "default", body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    headers: HeaderMap,
    Body(content): Body<CustomerContent>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let row = find(&app, tenant, &text).await?;
    check(&app, tenant, &content).await?;
    let record = key(tenant, Kind::Customer, &row.id);
    let expect = match if_match(&headers)? {
        Expect::Any => Expect::Revision(row.revision),
        expect @ (Expect::New | Expect::Revision(_)) => expect,
    };
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    let now = Customer { id: row.id, revision: written.revision, content };
    Ok((etag(written.revision), Json(now)).into_response())
}

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    legal_name: String,
    #[serde(default)]
    street: String,
    #[serde(default)]
    post_code: String,
    #[serde(default)]
    city: String,
    country: String,
    #[serde(default)]
    vat_id: Option<String>,
    #[serde(default)]
    tax_number: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    contact: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    electronic: Option<String>,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    tax: Option<String>,
    timezone: String,
    currency: String,
    entity: String,
    #[serde(default)]
    due_days: Option<u32>,
}

impl Line {
    fn content(self) -> Result<CustomerContent, String> {
        Ok(CustomerContent {
            name: self.name.parse().map_err(|e| format!("name: {e}"))?,
            legal_name: self.legal_name,
            address: Address {
                street: self.street,
                post_code: self.post_code,
                city: self.city,
                country: self.country,
            },
            identifiers: Identifiers {
                vat_id: self.vat_id,
                tax_number: self.tax_number,
                email: self.email,
                contact: self.contact,
                phone: self.phone,
                electronic: self.electronic,
                register: None,
            },
            timezone: self.timezone,
            currency: self.currency,
            entity: self.entity.parse().map_err(|e| format!("entity: {e}"))?,
            due_days: self.due_days,
            reference: self.reference,
            tax: self.tax,
        })
    }
}

/// Adds the customers of a CSV file: `name,legal_name,street,post_code,city,country,vat_id,
/// timezone,currency,entity` and more; one wrong line and nothing is added.
#[utoipa::path(post, path = "/customers/import", tag = "money", params(DryRun),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 201, body = ImportedCustomers), (status = 200, body = ImportedCustomers),
        (status = "default", body = Problem)))]
pub(crate) async fn import(
    State(app): State<App>,
    caller: Caller,
    Params(dry): Params<DryRun>,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let contents = read(&app, tenant, &body).await?;
    let added = contents.len();
    if dry.dry_run || contents.is_empty() {
        return Ok(Json(ImportedCustomers { added }).into_response());
    }
    let mut written = Vec::with_capacity(added);
    for content in &contents {
        let id = CustomerId::new(app.clock.now(), random()?).to_string();
        written.push((id, json(content)?));
    }
    let decisions: Vec<Decision<'_>> = written
        .iter()
        .map(|(id, content)| Decision::put(tenant, Kind::Customer, id, content))
        .collect();
    let actor = caller.actor();
    let revisions = app.registry.put_many(&decisions, &Author::new(&actor)).await?;
    if let Some(last) = revisions.last() {
        applied(&app, last.seq).await?;
    }
    Ok((StatusCode::CREATED, Json(ImportedCustomers { added })).into_response())
}

async fn read(app: &App, tenant: TenantId, body: &[u8]) -> Result<Vec<CustomerContent>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let mut contents = Vec::new();
    let mut wrong: Vec<(u64, String)> = Vec::new();
    for (line, number) in reader.deserialize::<Line>().zip(2_u64..) {
        if contents.len() + wrong.len() == IMPORT_ROWS_MAX {
            let detail = format!("more than IMPORT_ROWS_MAX = {IMPORT_ROWS_MAX} customers");
            return Err(Problem::new(code::TOO_LARGE, detail).fix("split the file"));
        }
        let content = line.map_err(|error| error.to_string()).and_then(Line::content);
        match content {
            Ok(content) => match check(app, tenant, &content).await {
                Ok(()) => contents.push(content),
                Err(problem) => wrong.push((number, problem.detail)),
            },
            Err(reason) => wrong.push((number, reason)),
        }
    }
    if wrong.is_empty() {
        return Ok(contents);
    }
    let count = wrong.len();
    let mut problem =
        Problem::new(code::INVALID, format!("{count} lines are wrong; nothing was added"));
    for (number, reason) in wrong.into_iter().take(WRONG_SHOWN_MAX) {
        problem = problem.at(format!("line {number}"), reason);
    }
    Err(problem)
}

//! Devices by the thousand, from a spreadsheet.
//!
//! *Invariant:* one wrong line and nothing is added; the answer names each wrong line and column.
//! *Invariant:* a token that a line brings is kept as its hash; one that we make is shown once.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use identity::{Action, SecretHash, Token};
use model::{CredentialId, DeviceId, TenantId};
use registry::content::{CredentialContent, CredentialOwner, DeviceContent};
use registry::{Author, Decision, Kind};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{self, NewDevice, random};
use crate::extract::{Params, Raw};
use crate::problem::Problem;
use crate::write::{applied, json};

/// The largest file.
pub(crate) const IMPORT_BYTES_MAX: usize = 8 << 20;
/// Most devices of one file.
const IMPORT_ROWS_MAX: usize = 50_000;
/// Devices of one transaction; each is a device and a credential.
const BATCH_DEVICES: usize = 1_000;
/// Wrong lines that an answer names.
const WRONG_SHOWN_MAX: usize = 50;
/// The shortest token that may be brought along: ThingsBoard's have 20 characters.
const TOKEN_CHARS_MIN: usize = 12;

/// How to read the file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct ImportQuery {
    /// The kind of lines that name none.
    kind: Option<String>,
    /// The venture of lines that name none.
    venture: Option<String>,
    /// Say what would be added and add nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What was added.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Imported {
    /// How many; in a dry run, how many would be.
    added: usize,
    devices: Vec<ImportedDevice>,
}

/// One device of the file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ImportedDevice {
    /// Line of the file.
    line: u64,
    name: String,
    /// Id and MQTT user name.
    id: String,
    /// Shown once; none when the line brought its own.
    token: Option<String>,
}

/// A line that was understood.
struct Line {
    number: u64,
    content: DeviceContent,
    token: Option<String>,
}

/// Adds the devices of a CSV file: `name,kind,venture,site,tags,serial,hardware,origin,token` and
/// `link:NAME` columns; only `name` is needed when the query gives the kind.
#[utoipa::path(post, path = "/devices/import", tag = "devices", params(ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 201, body = Imported), (status = 200, body = Imported),
        (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<ImportQuery>,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    caller.may(Action::ChangeCredentials)?;
    let lines = read(&app, tenant, &query, &body)?;
    if query.dry_run {
        let devices = Vec::new();
        return Ok(Json(Imported { added: lines.len(), devices }).into_response());
    }
    let mut devices = Vec::with_capacity(lines.len());
    let mut last = None;
    for batch in lines.chunks(BATCH_DEVICES) {
        let (seq, added) = put(&app, tenant, &caller.actor(), batch).await.map_err(|problem| {
            let done = devices.len();
            problem.fix(format!("{done} devices of earlier lines were added; remove their lines"))
        })?;
        last = Some(seq);
        devices.extend(added);
    }
    if let Some(seq) = last {
        applied(&app, seq).await?;
    }
    let added = devices.len();
    Ok((StatusCode::CREATED, Json(Imported { added, devices })).into_response())
}

fn read(
    app: &App,
    tenant: TenantId,
    query: &ImportQuery,
    body: &[u8],
) -> Result<Vec<Line>, Problem> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(body);
    let heads = reader.headers().map_err(|error| malformed(&error))?.clone();
    let columns = Columns::of(&heads)?;
    let mut wrong = Vec::new();
    let mut lines = Vec::new();
    let (mut names, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    for record in reader.records() {
        let record = record.map_err(|error| malformed(&error))?;
        let number = record.position().map_or(0, csv::Position::line);
        if lines.len() + wrong.len() == IMPORT_ROWS_MAX {
            let detail = format!("more than IMPORT_ROWS_MAX = {IMPORT_ROWS_MAX} devices");
            return Err(Problem::new(code::TOO_LARGE, detail).fix("split the file"));
        }
        match line(app, tenant, query, (&columns, &record), number) {
            Ok(line) if !names.insert(line.content.name.as_str().to_owned()) => {
                let name = line.content.name;
                wrong.push((number, "name".to_owned(), format!("{name} stands there twice")));
            }
            Ok(line) if line.token.as_ref().is_some_and(|token| !tokens.insert(token.clone())) => {
                wrong.push((number, "token".to_owned(), "it stands there twice".to_owned()));
            }
            Ok(line) => lines.push(line),
            Err(problem) => {
                let at = problem.errors.first().map_or("", |wrong| wrong.pointer.as_str());
                wrong.push((number, at.trim_start_matches('/').to_owned(), problem.detail));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(lines);
    }
    let detail = format!("{} of {} lines are wrong", wrong.len(), wrong.len() + lines.len());
    let problem = Problem::new(code::INVALID, detail).fix("correct the lines; nothing was added");
    Err(wrong.into_iter().take(WRONG_SHOWN_MAX).fold(problem, |problem, (line, column, why)| {
        problem.at(format!("line {line}, column {column}"), why)
    }))
}

fn malformed(error: &csv::Error) -> Problem {
    Problem::invalid("/", format!("the file is no CSV with one head line: {error}"))
        .fix("export the sheet as CSV, comma-separated, UTF-8")
}

/// Where each column is.
struct Columns {
    known: BTreeMap<&'static str, usize>,
    links: Vec<(String, usize)>,
}

const COLUMNS: [&str; 9] =
    ["name", "kind", "venture", "site", "tags", "serial", "hardware", "origin", "token"];

impl Columns {
    fn of(heads: &csv::StringRecord) -> Result<Self, Problem> {
        let mut columns = Self { known: BTreeMap::new(), links: Vec::new() };
        for (at, head) in heads.iter().enumerate() {
            let lower = head.to_lowercase();
            if let Some(link) = lower.strip_prefix("link:") {
                columns.links.push((link.to_owned(), at));
            } else if let Some(known) = COLUMNS.iter().find(|known| **known == lower) {
                columns.known.insert(known, at);
            } else {
                let message = format!("column {head:?} is not known");
                return Err(Problem::invalid("line 1", message)
                    .fix(format!("use {} or link:NAME", COLUMNS.join(", "))));
            }
        }
        if !columns.known.contains_key("name") {
            return Err(Problem::invalid("line 1", "there is no column name"));
        }
        Ok(columns)
    }

    fn text<'a>(&self, record: &'a csv::StringRecord, column: &str) -> Option<&'a str> {
        let at = self.known.get(column)?;
        record.get(*at).filter(|text| !text.is_empty())
    }
}

fn line(
    app: &App,
    tenant: TenantId,
    query: &ImportQuery,
    (columns, record): (&Columns, &csv::StringRecord),
    number: u64,
) -> Result<Line, Problem> {
    let text = |column: &str| columns.text(record, column).map(str::to_owned);
    let kind = text("kind").or_else(|| query.kind.clone());
    let links = columns.links.iter().filter_map(|(link, at)| {
        let target = record.get(*at).filter(|target| !target.is_empty())?;
        Some((link.clone(), target.to_owned()))
    });
    let new = NewDevice {
        name: text("name").unwrap_or_default(),
        kind: kind.ok_or_else(|| Problem::invalid("/kind", "no kind is named"))?,
        venture: text("venture").or_else(|| query.venture.clone()),
        site: text("site"),
        tags: text("tags").iter().flat_map(|t| t.split_whitespace()).map(str::to_owned).collect(),
        origin: text("origin"),
        links: links.collect(),
        children: Vec::new(),
        hardware: text("hardware"),
        serial: text("serial"),
    };
    let content = devices::content(app, tenant, &new)?;
    if app.shard.picture().twins.by_name(tenant, content.name.as_str()).is_some() {
        return Err(Problem::invalid("/name", format!("{} is already there", content.name)));
    }
    let token = text("token");
    if let Some(token) = &token {
        check_token(app, token)?;
    }
    Ok(Line { number, content, token })
}

/// A token that is brought along opens for one device, and can be neither guessed nor too long.
fn check_token(app: &App, token: &str) -> Result<(), Problem> {
    let wrong = |message: String| Err(Problem::invalid("/token", message));
    if token.chars().count() < TOKEN_CHARS_MIN {
        return wrong(format!("a token of less than {TOKEN_CHARS_MIN} characters can be guessed"));
    }
    match app.door.authenticate_bearer(token.as_bytes()) {
        Err(refused) if refused.reason == identity::Refusal::UnknownSecret => Ok(()),
        Err(refused) if matches!(refused.reason, identity::Refusal::SecretTooLong { .. }) => {
            wrong(refused.reason.to_string())
        }
        Ok(_) | Err(_) => wrong("it is in use already".to_owned()),
    }
}

/// Writes a batch in one transaction; the last place in the outbox.
async fn put(
    app: &App,
    tenant: TenantId,
    actor: &str,
    batch: &[Line],
) -> Result<(u64, Vec<ImportedDevice>), Problem> {
    let mut records = Vec::with_capacity(2 * batch.len());
    let mut added = Vec::with_capacity(batch.len());
    for line in batch {
        let id = DeviceId::new(app.clock.now(), random()?);
        let (hash, token) = match &line.token {
            Some(token) => (SecretHash::of(token.as_bytes()), None),
            None => {
                let made = Token::generate();
                let made = made.map_err(|e| Problem::new(code::UNAVAILABLE, e.to_string()))?;
                (made.hash(), Some(made.reveal().to_owned()))
            }
        };
        let credential = CredentialContent {
            owner: CredentialOwner::Device(id),
            secret_sha256: hash.to_string(),
            certificate: None,
            origin: line.content.origin,
            role: None,
            not_before: None,
            expires: None,
            revoked: None,
        };
        let credential_id = CredentialId::new(app.clock.now(), random()?).to_string();
        records.push((Kind::Device, id.to_string(), json(&line.content)?));
        records.push((Kind::Credential, credential_id, json(&credential)?));
        let name = line.content.name.as_str().to_owned();
        added.push(ImportedDevice { line: line.number, name, id: id.to_string(), token });
    }
    let decisions: Vec<_> = records
        .iter()
        .map(|(kind, id, content)| {
            Decision::put(tenant, *kind, id, content).expecting(registry::Expect::New)
        })
        .collect();
    let written = app.registry.put_many(&decisions, &Author::new(actor)).await?;
    Ok((written.last().map_or(0, |revision| revision.seq), added))
}

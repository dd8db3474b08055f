//! From readings that were kept to the bill of a contract and period.
//!
//! *Invariant:* only readings of a billable origin count; a demo tenant counts all and every
//! document of it says "simulated". Where a plan counts days, one reading of each local day stands
//! for all of it: the first by time, whatever the order they came in.

mod bases;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use billing::entry::{Entry, EntryReading};
use billing::terms::{DeviceOf, SellerOf, Terms};
use billing::usage::Amount;
use billing::zone::{Period, Zone};
use billing::{Billable, Depth, Files, PeriodBill};
use model::{ContractId, DeviceId, Name, Offset, Origin, TenantId, Timestamp, Value};
use registry::content::{
    BlueprintContent, ContractContent, ContractDevice, CustomerContent, EntityContent,
};
use registry::{IDS_MAX, Kind, RecordRow};
use std::time::Duration;

use self::bases::Bases;
use crate::app::App;
use crate::code;
use crate::money::shelf::{Kept, documents_of, documents_of_all, drawn};
use crate::money::{KeptReading, Wanted, agreed, party};
use crate::problem::Problem;
use crate::write::key;

/// How far before and after a period a register looks for its neighbours.
const EDGE: Duration = Duration::from_secs(35 * 86_400);

/// Behind every frame there will be, with no more digits than a usage line keeps as a number.
const BEHIND_ALL: Offset = Offset(999_999_999_999_999);

/// A contract with everybody in it.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) id: ContractId,
    pub(crate) content: ContractContent,
    pub(crate) customer: CustomerContent,
    pub(crate) entity: EntityContent,
    /// Revision of the legal entity's record.
    pub(crate) entity_revision: u64,
    pub(crate) billable: Billable,
    blueprint: Arc<str>,
    bases: Arc<Bases>,
    /// The text of its plan, and that text read: made with the first need of it, as a step of a
    /// document has none.
    read: OnceLock<(String, Files)>,
}

/// What rating gave, and from what.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) entry: Entry,
    /// None: nothing was in force.
    pub(crate) bill: Option<PeriodBill>,
}

impl Loaded {
    pub(crate) fn name(&self) -> &str {
        self.content.name.as_str()
    }

    /// The contract without readings.
    pub(crate) fn files(&self) -> Result<&Files, Problem> {
        self.read().map(|(_, files)| files)
    }

    fn read(&self) -> Result<&(String, Files), Problem> {
        if let Some(read) = self.read.get() {
            return Ok(read);
        }
        let terms = terms(self.id, &self.content, (&self.customer, &self.entity));
        let (head, tail) = (terms.head(&self.blueprint), terms.tail());
        let book = self.bases.of(&head).and_then(|base| base.with(&tail));
        let plan = head + &tail;
        let files = match book {
            Some(book) => Files::of(book),
            // It has a fault, or says something that only the whole text tells.
            None => Files::new(&plan).map_err(|error| unusable(&self.content, &error))?,
        };
        Ok(self.read.get_or_init(|| (plan, files)))
    }

    /// Whose days and months count.
    pub(crate) fn zone(&self) -> Result<Zone, Problem> {
        Ok(Zone::named(&self.customer.timezone)?)
    }
}

fn unusable(content: &ContractContent, error: &billing::Error) -> Problem {
    let what = format!(
        "plan {} of {} revision {} cannot be rated: {error}",
        content.plan, content.venture, content.revision
    );
    Problem::invalid("/plan", what).fix("iotbiz check blueprint.toml, then iotbiz apply")
}

/// What a contract's record needs.
pub(crate) async fn load(app: &App, tenant: TenantId, row: &RecordRow) -> Result<Loaded, Problem> {
    let content: ContractContent = row.content()?;
    let documents = if content.prepaid.is_empty() {
        Vec::new()
    } else {
        documents_of(app, tenant, &row.id).await?
    };
    let (id, content) = content_of(row, &documents)?;
    of_content(app, tenant, (id, &content)).await
}

/// The same for a contract that is not written yet.
pub(crate) async fn of_content(
    app: &App,
    tenant: TenantId,
    (id, content): (ContractId, &ContractContent),
) -> Result<Loaded, Problem> {
    let customer_id = content.customer.to_string();
    let customer = app.registry.get(key(tenant, Kind::Customer, &customer_id)).await?;
    let customer = customer.ok_or_else(|| Problem::not_found("customer", &customer_id))?;
    let mut known = Around::new(app, tenant);
    known.customers.insert(customer_id, customer.content()?);
    let loaded = known.load((id, content.clone())).await?;
    loaded.files()?;
    Ok(loaded)
}

/// Contracts with everybody in them, and their documents in the order of their numbers.
pub(crate) async fn load_many(
    app: &App,
    tenant: TenantId,
    rows: &[RecordRow],
) -> Result<Vec<(Result<Loaded, Problem>, Vec<Kept>)>, Problem> {
    let mut documents = documents_of_all(app, tenant, rows).await?;
    let mut around = Around::new(app, tenant);
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let own = documents.remove(&row.id).unwrap_or_default();
        read.push((content_of(row, &own), own));
    }
    around.customers_of(read.iter().filter_map(|(content, _)| content.as_ref().ok())).await?;
    let mut all = Vec::with_capacity(rows.len());
    for (content, own) in read {
        let loaded = match content {
            Ok(of) => around.load(of).await,
            Err(problem) => Err(problem),
        };
        all.push((loaded, own));
    }
    Ok(all)
}

/// A contract as it stands, less what documents drew of its credit.
fn content_of(
    row: &RecordRow,
    documents: &[Kept],
) -> Result<(ContractId, ContractContent), Problem> {
    let mut content: ContractContent = row.content()?;
    let id = row.id.parse().map_err(|_| Problem::not_found("contract", &row.id))?;
    if !content.prepaid.is_empty() {
        agreed::use_up(&mut content.prepaid, &drawn(documents))?;
    }
    Ok((id, content))
}

/// What stands around contracts, each read once.
struct Around<'a> {
    app: &'a App,
    tenant: TenantId,
    billable: Billable,
    customers: BTreeMap<String, CustomerContent>,
    entities: BTreeMap<Name, (EntityContent, u64)>,
    blueprints: BTreeMap<(Name, u64), Arc<str>>,
    bases: Arc<Bases>,
}

impl<'a> Around<'a> {
    fn new(app: &'a App, tenant: TenantId) -> Self {
        let simulated = app.shard.picture().catalog.tenant(tenant).is_some_and(|t| t.demo);
        let billable = if simulated { Billable::All } else { Billable::Real };
        Self {
            app,
            tenant,
            billable,
            customers: BTreeMap::new(),
            entities: BTreeMap::new(),
            blueprints: BTreeMap::new(),
            bases: Arc::default(),
        }
    }

    /// Reads the customers of contracts together.
    async fn customers_of(
        &mut self,
        contracts: impl Iterator<Item = &(ContractId, ContractContent)>,
    ) -> Result<(), Problem> {
        let mut ids: Vec<String> =
            contracts.map(|(_, content)| content.customer.to_string()).collect();
        ids.sort();
        ids.dedup();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for ids in ids.chunks(IDS_MAX) {
            for row in self.app.registry.get_many(self.tenant, Kind::Customer, ids).await? {
                let content = row.content()?;
                self.customers.insert(row.id, content);
            }
        }
        Ok(())
    }

    async fn load(
        &mut self,
        (id, content): (ContractId, ContractContent),
    ) -> Result<Loaded, Problem> {
        let customer_id = content.customer.to_string();
        let customer = self.customers.get(&customer_id).cloned();
        let customer = customer.ok_or_else(|| Problem::not_found("customer", &customer_id))?;
        let (entity, entity_revision) = self.entity(&customer.entity).await?;
        let blueprint = self.blueprint(&content.venture, content.revision).await?;
        let (billable, bases) = (self.billable, Arc::clone(&self.bases));
        let read = OnceLock::new();
        Ok(Loaded {
            id,
            content,
            customer,
            entity,
            entity_revision,
            billable,
            blueprint,
            bases,
            read,
        })
    }

    async fn entity(&mut self, name: &Name) -> Result<(EntityContent, u64), Problem> {
        if let Some(known) = self.entities.get(name) {
            return Ok(known.clone());
        }
        let row = self.app.registry.get(key(self.tenant, Kind::Entity, name.as_str())).await?;
        let row = row.ok_or_else(|| Problem::not_found("legal entity", name.as_str()))?;
        let entity = (row.content()?, row.revision);
        self.entities.insert(name.clone(), entity.clone());
        Ok(entity)
    }

    async fn blueprint(&mut self, venture: &Name, revision: u64) -> Result<Arc<str>, Problem> {
        let of = (venture.clone(), revision);
        if let Some(known) = self.blueprints.get(&of) {
            return Ok(Arc::clone(known));
        }
        let blueprint = key(self.tenant, Kind::Blueprint, venture.as_str());
        let row = self.app.registry.at(blueprint, revision).await?;
        let missing = || {
            let what = format!("{venture} has no revision {revision}");
            Problem::invalid("/revision", what)
        };
        let text: BlueprintContent = row.ok_or_else(missing)?.content()?;
        let text: Arc<str> = text.text.into();
        self.blueprints.insert(of, Arc::clone(&text));
        Ok(text)
    }
}

fn terms(
    id: ContractId,
    content: &ContractContent,
    (customer, entity): (&CustomerContent, &EntityContent),
) -> Terms {
    let device = |device: &ContractDevice| DeviceOf {
        device: device.device,
        name: device.name.clone(),
        from: device.from,
        to: device.to,
        swaps: device.swaps.iter().map(agreed::swap_of).collect(),
    };
    Terms {
        id,
        name: content.name.as_str().to_owned(),
        revision: content.revision,
        plan: content.plan.clone(),
        timezone: customer.timezone.clone(),
        from: content.from,
        to: content.to,
        devices: content.devices.iter().map(device).collect(),
        seller: SellerOf {
            entity: customer.entity.clone(),
            party: party(&entity.legal_name, &entity.address, &entity.identifiers),
            payment: billing::invoice::PaymentTerms {
                iban: entity.iban.clone(),
                bic: entity.bic.clone(),
                terms: entity.terms.clone(),
            },
            due_days: customer.due_days.unwrap_or(entity.due_days),
            profile: entity.profile.clone(),
        },
        buyer: party(&customer.legal_name, &customer.address, &customer.identifiers),
        reference: customer.reference.clone(),
        tax: customer.tax.clone(),
        coupons: content.coupons.iter().map(agreed::coupon_of).collect(),
        prepaid: content.prepaid.iter().map(agreed::prepaid_of).collect(),
    }
}

/// A reading with another value than it has; without one it is taken out.
#[derive(Debug, Clone)]
pub(crate) struct Corrected {
    pub(crate) device: DeviceId,
    pub(crate) property: Name,
    pub(crate) time: Timestamp,
    pub(crate) value: Option<Value>,
}

/// Rates a period of a contract from what was kept so far.
pub(crate) async fn rate(
    app: &App,
    tenant: TenantId,
    of: (&Loaded, Period),
) -> Result<Outcome, Problem> {
    rate_with(app, tenant, of, None).await
}

/// The same as if a reading had been corrected.
pub(crate) async fn rate_corrected(
    app: &App,
    tenant: TenantId,
    of: (&Loaded, Period),
    corrected: Corrected,
) -> Result<Outcome, Problem> {
    rate_with(app, tenant, of, Some(corrected)).await
}

async fn rate_with(
    app: &App,
    tenant: TenantId,
    (loaded, period): (&Loaded, Period),
    corrected: Option<Corrected>,
) -> Result<Outcome, Problem> {
    let (app, loaded) = (app.clone(), loaded.clone());
    let work = move || rated(&app, tenant, (&loaded, period), corrected.as_ref());
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?
}

/// The same where a thread may wait.
pub(crate) fn rated(
    app: &App,
    tenant: TenantId,
    (loaded, period): (&Loaded, Period),
    corrected: Option<&Corrected>,
) -> Result<Outcome, Problem> {
    let files = loaded.files()?;
    let zone = files.zone(loaded.name())?;
    let needs = files.needs(loaded.name())?;
    let mut readings = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for device in &loaded.content.devices {
        if !seen.insert(device.device) {
            continue;
        }
        for need in &needs {
            let days = need.depth == Depth::Days;
            let wanted = Wanted {
                tenant,
                venture: loaded.content.venture.clone(),
                kind: device.kind.clone(),
                device: device.device,
                property: need.property.clone(),
                from: if days { period.from } else { period.from - EDGE },
                to: if days { period.to } else { period.to + EDGE },
            };
            let mut kept = Needed::new(device.device, period, days.then_some(&zone));
            let other = corrected.filter(|other| {
                let named = need.property.as_ref().is_none_or(|named| *named == other.property);
                let inside = wanted.from <= other.time && other.time < wanted.to;
                other.device == device.device && named && inside
            });
            let told = (app.facts.readings.0)(&wanted, &mut |reading| {
                let replaced = other.is_some_and(|other| {
                    other.time == reading.time && other.property == reading.property
                });
                if loaded.billable.counts(reading.origin) && !replaced {
                    kept.take(reading);
                }
            });
            if let Some((other, value)) = other.and_then(|o| Some((o, o.value.clone()?))) {
                kept.take(other.as_kept(value));
            }
            told.map_err(|why| Problem::new(code::UNAVAILABLE, format!("readings: {why}")))?;
            readings.extend(kept.into_readings());
        }
    }
    let whose = (loaded.name().to_owned(), loaded.read()?.0.clone());
    let mut events = Vec::new();
    let of = (tenant, loaded.id);
    let told = app.facts.usage_events.lines(of, (period.from, period.to), &mut |line| {
        events.push(line.to_owned());
    });
    told.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    let entry = Entry::new(whose, (period, loaded.billable), readings)?.with_events(events)?;
    let bill = entry.fill(files.clone()).period(loaded.name())?;
    Ok(Outcome { entry, bill })
}

impl Corrected {
    /// Where it would stand: behind all that was said.
    fn as_kept(&self, value: Value) -> KeptReading {
        KeptReading {
            property: self.property.clone(),
            time: self.time,
            value,
            offset: BEHIND_ALL,
            origin: Origin::Real,
        }
    }
}

/// The readings of a device that a bill looks at.
#[derive(Debug)]
struct Needed<'a> {
    device: DeviceId,
    period: Period,
    /// Set where one reading of each day is enough.
    zone: Option<&'a Zone>,
    days: BTreeMap<jiff::civil::Date, EntryReading>,
    inside: Vec<EntryReading>,
    before: BTreeMap<Name, EntryReading>,
    after: BTreeMap<Name, EntryReading>,
}

impl<'a> Needed<'a> {
    const fn new(device: DeviceId, period: Period, zone: Option<&'a Zone>) -> Self {
        Self {
            device,
            period,
            zone,
            days: BTreeMap::new(),
            inside: Vec::new(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
        }
    }

    fn take(&mut self, reading: KeptReading) {
        let Some(value) = amount(&reading.value) else { return };
        let KeptReading { property, time, offset, .. } = reading;
        let reading = EntryReading { device: self.device, property, time, offset, value };
        if let Some(zone) = self.zone {
            let Ok(day) = zone.day(time) else { return };
            let first = self.days.entry(day).or_insert_with(|| reading.clone());
            if (reading.time, &reading.property) < (first.time, &first.property) {
                *first = reading;
            }
        } else if time < self.period.from {
            nearest(&mut self.before, reading, |new, known| new > known);
        } else if time >= self.period.to {
            nearest(&mut self.after, reading, |new, known| new < known);
        } else {
            self.inside.push(reading);
        }
    }

    fn into_readings(self) -> impl Iterator<Item = EntryReading> {
        let days = self.days.into_values();
        let edges = self.before.into_values().chain(self.after.into_values());
        days.chain(self.inside).chain(edges)
    }
}

/// Of the readings outside, the nearest of each property.
fn nearest(
    edge: &mut BTreeMap<Name, EntryReading>,
    reading: EntryReading,
    nearer: impl Fn(Timestamp, Timestamp) -> bool,
) {
    match edge.get_mut(&reading.property) {
        Some(known) if nearer(reading.time, known.time) => *known = reading,
        Some(_) => {}
        None => {
            edge.insert(reading.property.clone(), reading);
        }
    }
}

/// A value that can be counted; a position is counted as what it says.
fn amount(value: &Value) -> Option<Amount> {
    match value {
        Value::Position { latitude, longitude } => {
            Some(Amount::Text(format!("{latitude},{longitude}").as_str().into()))
        }
        Value::Number(_) | Value::Boolean(_) | Value::Text(_) => Amount::from_value(value).ok(),
    }
}

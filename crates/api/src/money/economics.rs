//! Unit economics of a month: what each device of a venture brings, costs and leaves.
//!
//! *Invariant:* revenue is that of the usage ledger where the month is closed, else it is rated
//! from the readings of now and says so. Costs are those of the blueprint's case; what devices sent
//! is measured. Recurring and one-time amounts stay apart. The parts of every sum add up to it, to
//! the cent.

mod costs;
mod figure;
mod recorded;
pub(crate) mod show;

use billing::economics::DeviceEconomics;
use billing::ledger::InvoiceState;
use billing::rate::{Part, Rated};
use billing::zone::Period;
use jiff::civil::Date;
use model::{Currency, DeviceId, Money, Name, TenantId, Timestamp};
use pipeline::InForce;
use registry::Kind;
use registry::content::{ContractContent, Mode};
use rust_decimal::Decimal;

use crate::app::App;
use crate::money::closing::mode_word;
use crate::money::rating::{Loaded, load, rate};
use crate::money::shelf::{Kept, documents_of};
use crate::money::{documents, shelf};
use crate::place::Place;
use crate::problem::Problem;

/// Months that are looked back for one that is closed.
const MONTHS_BACK_MAX: usize = 24;

/// Which contracts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Months {
    /// Only what is closed, in shadow or for good.
    Closed,
    /// What is not closed is rated from the readings of now.
    SoFar,
}

/// Whether an amount was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// By what devices and documents say.
    Measured,
    /// Devices that are virtual say so.
    Simulated,
    /// A price that the blueprint says.
    Defined,
    /// A range in the blueprint's case: people believe it.
    Assumed,
    /// What somebody paid and wrote down, with its source.
    Recorded,
}

impl Basis {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Simulated => "simulated",
            Self::Defined => "defined",
            Self::Assumed => "assumed",
            Self::Recorded => "recorded",
        }
    }
}

/// Where revenue comes from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The document, if its period is closed.
    pub(crate) document: Option<String>,
    /// Its number.
    pub(crate) number: Option<String>,
    /// `final`, `draft`, `draft in shadow` or `rated from the readings of now`.
    pub(crate) state: String,
    pub(crate) plan: String,
    /// Revision of the blueprint that the contract froze.
    pub(crate) revision: u64,
}

/// A part of a device's cost.
#[derive(Debug, Clone)]
pub(crate) struct CostPart {
    /// Which of [`Economics::costs`].
    pub(crate) cost: usize,
    pub(crate) amount: Money,
    /// With the device's own numbers.
    pub(crate) formula: String,
}

/// One device of one contract.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) device: Option<DeviceId>,
    pub(crate) name: String,
    pub(crate) kind: Option<Name>,
    pub(crate) customer: String,
    pub(crate) contract: String,
    pub(crate) period: Period,
    /// Months in the contract; a whole calendar month is one.
    pub(crate) months: Decimal,
    /// Whether it came under contract in this period.
    pub(crate) joined: Joined,
    pub(crate) money: DeviceEconomics,
    /// Taken back for broken promises, as a positive amount.
    pub(crate) credited: Money,
    pub(crate) source: usize,
    pub(crate) costs: Vec<CostPart>,
}

/// When a device came under contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    /// Earlier.
    Before,
    /// In the period.
    Now,
}

/// A cost of the month over all devices.
#[derive(Debug, Clone)]
pub(crate) struct CostTotal {
    pub(crate) name: Name,
    /// As the blueprint says it.
    pub(crate) text: String,
    pub(crate) said_by: Option<String>,
    /// Lines of the blueprint that say how much it is.
    pub(crate) places: Vec<Place>,
    pub(crate) recurring: Recurring,
    pub(crate) basis: Basis,
    pub(crate) amount: Money,
    pub(crate) formula: String,
}

/// Whether a cost comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recurring {
    Yes,
    Once,
}

/// A month of a venture.
#[derive(Debug)]
pub(crate) struct Economics {
    pub(crate) venture: Name,
    pub(crate) month: Date,
    pub(crate) currency: Currency,
    /// Revision of the blueprint whose case says the costs.
    pub(crate) revision: u64,
    pub(crate) offset: u64,
    /// The end of the last period in it.
    pub(crate) until: Option<Timestamp>,
    pub(crate) revenue_basis: Basis,
    pub(crate) sources: Vec<Source>,
    pub(crate) costs: Vec<CostTotal>,
    pub(crate) rows: Vec<Row>,
    /// What is not in it, in words.
    pub(crate) left_out: Vec<String>,
}

/// Sums over rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sum {
    pub(crate) revenue: Money,
    pub(crate) cost: Money,
    pub(crate) margin: Money,
    pub(crate) once_revenue: Money,
    pub(crate) once_cost: Money,
    pub(crate) credited: Money,
    pub(crate) months: Decimal,
}

impl Sum {
    pub(crate) fn of<'a>(
        rows: impl Iterator<Item = &'a Row>,
        currency: Currency,
    ) -> Result<Self, Problem> {
        let zero = Money::zero(currency);
        let mut sum = Self {
            revenue: zero,
            cost: zero,
            margin: zero,
            once_revenue: zero,
            once_cost: zero,
            credited: zero,
            months: Decimal::ZERO,
        };
        let plus = |a: Money, b: Money| a.plus(b).map_err(billing::Error::from);
        for row in rows {
            sum.revenue = plus(sum.revenue, row.money.revenue)?;
            sum.cost = plus(sum.cost, row.money.cost)?;
            sum.margin = plus(sum.margin, row.money.margin)?;
            sum.once_revenue = plus(sum.once_revenue, row.money.once_revenue)?;
            sum.once_cost = plus(sum.once_cost, row.money.once_cost)?;
            sum.credited = plus(sum.credited, row.credited)?;
            sum.months += row.months;
        }
        Ok(sum)
    }
}

/// Whose economics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) found: &'a InForce,
    pub(crate) months: Months,
}

/// The economics of a month.
pub(crate) async fn of_month(
    app: &App,
    asked: Asked<'_>,
    month: Date,
) -> Result<Economics, Problem> {
    let venture = asked.found.blueprint.venture.clone();
    let contracts = of_venture(app, asked.tenant, &venture).await?;
    let picture = app.shard.picture();
    let demo = picture.catalog.tenant(asked.tenant).is_some_and(|tenant| tenant.demo);
    let mut economics = Economics {
        venture,
        month,
        currency: asked.found.blueprint.currency_or_euro(),
        revision: asked.found.revision,
        offset: picture.offset.0,
        until: None,
        revenue_basis: if demo { Basis::Simulated } else { Basis::Measured },
        sources: Vec::new(),
        costs: Vec::new(),
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    for loaded in &contracts {
        // One contract that cannot be rated hides no other.
        if let Err(problem) = economics.take(app, asked, loaded).await {
            economics.left_out.push(format!("contract {}: {}", loaded.name(), problem.detail));
        }
    }
    economics.spend(app, asked).await?;
    Ok(economics)
}

/// The newest month, not after `before`, of which something is closed.
pub(crate) async fn newest_closed(
    app: &App,
    asked: Asked<'_>,
    before: Date,
) -> Result<Option<Economics>, Problem> {
    let venture = &asked.found.blueprint.venture;
    let mut newest: Option<Timestamp> = None;
    for loaded in of_venture(app, asked.tenant, venture).await? {
        let documents = documents_of(app, asked.tenant, &loaded.id.to_string()).await?;
        let parts = documents.iter().filter(|kept| counts(kept)).flat_map(|k| &k.content.parts);
        newest = newest.max(parts.map(|part| part.to).max());
    }
    let Some(newest) = newest else { return Ok(None) };
    let last = billing::zone::Zone::utc().day(newest - std::time::Duration::from_secs(86_400))?;
    let mut month = last.min(before).first_of_month();
    for _ in 0..MONTHS_BACK_MAX {
        let economics = of_month(app, asked, month).await?;
        if !economics.rows.is_empty() {
            return Ok(Some(economics));
        }
        let Ok(earlier) = month.yesterday() else { break };
        month = earlier.first_of_month();
    }
    Ok(None)
}

fn counts(kept: &Kept) -> bool {
    kept.invoice.state != InvoiceState::Discarded && kept.content.reverses.is_none()
}

async fn of_venture(app: &App, tenant: TenantId, venture: &Name) -> Result<Vec<Loaded>, Problem> {
    let mut found = Vec::new();
    for row in shelf::all(app, tenant, Kind::Contract).await? {
        let content: ContractContent = row.content()?;
        if content.venture == *venture {
            found.push(load(app, tenant, &row).await?);
        }
    }
    Ok(found)
}

impl Economics {
    /// Takes in what a contract brings.
    async fn take(&mut self, app: &App, asked: Asked<'_>, loaded: &Loaded) -> Result<(), Problem> {
        let files = loaded.files()?;
        let zone = files.zone(loaded.name())?;
        let from = zone.start_of(self.month)?;
        let next = self.month.last_of_month().tomorrow().unwrap_or(self.month);
        let to = zone.start_of(next)?;
        let documents = documents_of(app, asked.tenant, &loaded.id.to_string()).await?;
        for period in files.periods_ending(loaded.name(), Period { from, to })? {
            let found = revenue(app, asked, (loaded, period), &documents).await?;
            let Some((rated, devices, source)) = found else {
                self.left_out.push(format!("contract {} is not closed", loaded.name()));
                continue;
            };
            if rated.currency != self.currency {
                self.left_out.push(format!(
                    "contract {} is in {}, the venture in {}",
                    loaded.name(),
                    rated.currency,
                    self.currency
                ));
                continue;
            }
            self.sources.push(source);
            self.until = self.until.max(Some(period.to));
            let whole = Decimal::from(to.as_millis() - from.as_millis());
            let credited = credited(&rated, &devices)?;
            for (money, credited) in devices.into_iter().zip(credited) {
                let row = self.row(loaded, (period, whole), (money, credited));
                self.rows.push(row);
            }
        }
        Ok(())
    }

    fn row(
        &self,
        loaded: &Loaded,
        (period, whole): (Period, Decimal),
        (money, credited): (DeviceEconomics, Money),
    ) -> Row {
        let known = loaded.content.devices.iter().find(|d| Some(d.device) == money.device);
        let begun = known.and_then(|d| d.from).unwrap_or(loaded.content.from);
        let begun = begun.max(loaded.content.from);
        Row {
            device: money.device,
            name: known.map_or_else(|| loaded.name().to_owned(), |device| device.name.clone()),
            kind: known.map(|device| device.kind.clone()),
            customer: loaded.customer.name.to_string(),
            contract: loaded.name().to_owned(),
            period,
            months: Decimal::from(money.millis) / whole,
            joined: if period.holds(begun) { Joined::Now } else { Joined::Before },
            credited,
            money,
            source: self.sources.len() - 1,
            costs: Vec::new(),
        }
    }
}

/// What was given back for broken promises, as positive amounts of the devices.
fn credited(rated: &Rated, devices: &[DeviceEconomics]) -> Result<Vec<Money>, Problem> {
    let promised = || rated.lines.iter().filter(|line| line.key.part == Part::Promise);
    let own = |device: &DeviceEconomics| -> i64 {
        let own = promised().filter(|l| l.key.device.is_some() && l.key.device == device.device);
        own.map(|line| line.amount.minor).sum()
    };
    let own: Vec<i64> = devices.iter().map(own).collect();
    let all: i64 = promised().map(|line| line.amount.minor).sum();
    let shared = Money { minor: all - own.iter().sum::<i64>(), currency: rated.currency };
    let weights: Vec<_> = devices.iter().map(|device| Decimal::from(device.millis)).collect();
    let shared = billing::rounding::split(shared, &weights)?;
    let both = own.iter().zip(shared);
    Ok(both.map(|(own, part)| Money { minor: -(own + part.minor), ..part }).collect())
}

/// What a period brings: from its newest document, or from the readings of now.
async fn revenue(
    app: &App,
    asked: Asked<'_>,
    (loaded, period): (&Loaded, Period),
    documents: &[Kept],
) -> Result<Option<(Rated, Vec<DeviceEconomics>, Source)>, Problem> {
    let of_period = |kept: &&Kept| {
        counts(kept) && kept.content.parts.iter().any(|part| part.from == period.from)
    };
    // Documents with a number come first, in their order; a draft of shadow mode is the last.
    let numbered = documents.iter().filter(|kept| kept.invoice.number.is_some());
    let newest = numbered.rev().find(of_period).or_else(|| documents.iter().rfind(of_period));
    let mut source = Source {
        document: None,
        number: None,
        state: "rated from the readings of now".to_owned(),
        plan: loaded.content.plan.to_string(),
        revision: loaded.content.revision,
    };
    if let Some(kept) = newest {
        let part = kept.content.parts.iter().find(|part| part.from == period.from);
        let Some(part) = part else { return Ok(None) };
        let (_, files) = documents::entry(app, &part.usage)?;
        source.document = Some(kept.id.clone());
        source.number = kept.invoice.number.clone();
        source.state = match kept.content.mode {
            Mode::Shadow => format!("{}, {}", kept.invoice.state.as_str(), mode_word(Mode::Shadow)),
            Mode::Live => kept.invoice.state.as_str().to_owned(),
        };
        let Some(bill) = files.period(loaded.name())? else { return Ok(None) };
        let devices = files.economics(loaded.name(), &bill.rated)?;
        return Ok(Some((bill.rated, devices, source)));
    }
    match asked.months {
        Months::Closed => Ok(None),
        Months::SoFar => {
            let outcome = rate(app, asked.tenant, (loaded, period)).await?;
            let Some(bill) = outcome.bill else { return Ok(None) };
            let devices = outcome.entry.files()?.economics(loaded.name(), &bill.rated)?;
            Ok(Some((bill.rated, devices, source)))
        }
    }
}

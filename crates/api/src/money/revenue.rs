//! Revenue of a month: from usage to price to money, for each customer, contract and device.
//!
//! *Invariant:* a figure says where it comes from: a document, or readings so far.

use axum::Json;
use axum::extract::State;
use billing::ledger::InvoiceState;
use billing::zone::Period;
use identity::Action;
use model::{Money, TenantId};
use registry::Kind;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::extract::Params;
use crate::money::rating::{Loaded, load, rate};
use crate::money::shelf::{self, Kept, documents_of};
use crate::page::Page;
use crate::problem::Problem;

/// Contracts of one answer.
const CONTRACTS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct RevenueQuery {
    /// `2026-10`; this month, so far, if left out.
    month: Option<String>,
}

/// One contract in a month.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RevenueRow {
    contract: String,
    customer: String,
    venture: String,
    plan: String,
    devices: usize,
    currency: String,
    /// Rated from the readings that were kept so far.
    rated: String,
    /// What comes again, of it.
    recurring: String,
    /// Of final documents of that month.
    invoiced: String,
    /// Of drafts of that month.
    drafted: String,
    simulated: bool,
    /// What is charged: `id`, `charge`, `quantity`, `unit`, `formula`, `amount`.
    #[schema(value_type = Vec<Object>)]
    lines: Vec<billing::output::BillLine>,
    /// By device: `device`, `name`, `recurring`, `once`.
    per_device: Vec<RevenueDevice>,
    /// Why it could not be rated.
    why: Option<String>,
}

/// What one device brings.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RevenueDevice {
    device: Option<String>,
    recurring: String,
    once: String,
}

/// Revenue of a month by contract.
#[utoipa::path(get, path = "/billing/revenue", tag = "money", params(RevenueQuery),
    responses((status = 200, body = Page<RevenueRow>), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<RevenueQuery>,
) -> Result<Json<Page<RevenueRow>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let today = billing::zone::Zone::utc().day(app.clock.now())?;
    let first = match &query.month {
        Some(month) => format!("{month}-01").parse::<jiff::civil::Date>().map_err(|_| {
            Problem::invalid("month", format!("{month:?} is no month")).fix("write 2026-10")
        })?,
        None => today.first_of_month(),
    };
    let mut items = Vec::new();
    for row in shelf::all(&app, tenant, Kind::Contract).await?.into_iter().take(CONTRACTS_MAX) {
        let loaded = load(&app, tenant, &row).await?;
        let zone = loaded.files()?.zone(loaded.name())?;
        let from = zone.start_of(first)?;
        let to = zone.start_of(first.last_of_month().tomorrow().unwrap_or(first))?;
        let month = Period { from, to };
        let mut shown = empty(&loaded);
        match rated(&app, tenant, (&loaded, month), &mut shown).await {
            Ok(()) => {}
            // One contract that cannot be rated hides no other.
            Err(problem) => shown.why = Some(problem.detail),
        }
        booked(&documents_of(&app, tenant, &row.id).await?, month, &mut shown);
        items.push(shown);
    }
    Ok(Json(Page::whole(items)))
}

fn empty(loaded: &Loaded) -> RevenueRow {
    let none = || "0".to_owned();
    RevenueRow {
        contract: loaded.name().to_owned(),
        customer: loaded.customer.name.to_string(),
        venture: loaded.content.venture.to_string(),
        plan: loaded.content.plan.to_string(),
        devices: loaded.content.devices.len(),
        currency: loaded.customer.currency.clone(),
        rated: none(),
        recurring: none(),
        invoiced: none(),
        drafted: none(),
        simulated: loaded.billable == billing::Billable::All,
        lines: Vec::new(),
        per_device: Vec::new(),
        why: None,
    }
}

/// What was used and what it is worth.
async fn rated(
    app: &App,
    tenant: TenantId,
    (loaded, month): (&Loaded, Period),
    shown: &mut RevenueRow,
) -> Result<(), Problem> {
    let files = loaded.files()?;
    for period in files.periods_ending(loaded.name(), month)? {
        let outcome = rate(app, tenant, (loaded, period)).await?;
        let Some(bill) = outcome.bill else { continue };
        let devices = outcome.entry.files()?.economics(loaded.name(), &bill.rated)?;
        let sum: i64 = devices.iter().map(|device| device.revenue.minor).sum();
        shown.rated = bill.totals.net.amount().to_string();
        shown.recurring = Money { minor: sum, ..bill.totals.net }.amount().to_string();
        shown.per_device.extend(devices.iter().map(|device| RevenueDevice {
            device: device.device.map(|id| id.to_string()),
            recurring: device.revenue.amount().to_string(),
            once: device.once_revenue.amount().to_string(),
        }));
        shown.lines.extend(bill.bill.lines);
    }
    Ok(())
}

/// What documents of the month say.
fn booked(documents: &[Kept], month: Period, shown: &mut RevenueRow) {
    let (mut invoiced, mut drafted) = (0, 0);
    let mut digits = Money::zero(model::Currency::EUR);
    for kept in documents {
        let net = kept.invoice.draft.totals.net;
        digits = net;
        if !kept.content.parts.first().is_some_and(|part| month.holds(part.from)) {
            continue;
        }
        match kept.invoice.state {
            InvoiceState::Draft | InvoiceState::Approved => drafted += net.minor,
            InvoiceState::Final
            | InvoiceState::Sent
            | InvoiceState::Overdue
            | InvoiceState::Paid
            | InvoiceState::Credited => invoiced += net.minor,
            InvoiceState::Discarded => {}
        }
    }
    shown.invoiced = Money { minor: invoiced, ..digits }.amount().to_string();
    shown.drafted = Money { minor: drafted, ..digits }.amount().to_string();
}

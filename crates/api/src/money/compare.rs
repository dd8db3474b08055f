//! Last month's real invoices against what was rated here: every difference with its cause.
//!
//! *Invariant:* it changes nothing; a line of the file that cannot be read is refused by number.

use axum::Json;
use axum::extract::State;
use billing::compare::{Compared, Side, SideLine, compare, figure};
use identity::Action;
use model::TenantId;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::{Params, Raw};
use crate::money::documents::{InvoiceQuery, found};
use crate::money::shelf::Kept;
use crate::problem::Problem;

/// Lines of one file.
const LINES_MAX: usize = 100_000;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct CompareQuery {
    /// The month that was closed here: `2026-10`.
    month: String,
}

/// A line of the file; several of one contract and charge are added up.
#[derive(Debug, Deserialize)]
struct Line {
    contract: String,
    #[serde(default)]
    charge: String,
    #[serde(default)]
    quantity: String,
    amount: String,
}

/// Both sides.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Comparison {
    month: String,
    /// Sums of both sides, net.
    ours: String,
    theirs: String,
    difference: String,
    /// How many lines differ.
    differing: usize,
    /// All lines: `contract`, `charge`, `ours`, `theirs`, `difference`, `causes`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Compared>,
}

/// Compares a CSV of real invoices, `contract,charge,quantity,amount` (net; charge and quantity
/// may be empty), with the documents of a month.
#[utoipa::path(post, path = "/billing/compare", tag = "money", params(CompareQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Comparison), (status = "default", body = Problem)))]
pub(crate) async fn run(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<CompareQuery>,
    Raw(body): Raw,
) -> Result<Json<Comparison>, Problem> {
    // Comparing is work on money, not a look at it.
    let tenant = caller.may(Action::ChangeMoney)?;
    let theirs = theirs(&body)?;
    let whole: Vec<String> =
        theirs.keys().filter(|(_, charge)| charge.is_empty()).map(|(c, _)| c.clone()).collect();
    let ours = ours(&app, tenant, (&query.month, &whole)).await?;
    let items = compare(&ours, &theirs);
    let sum = |side: &Side| side.values().map(|line| line.amount).sum::<rust_decimal::Decimal>();
    let (ours, theirs) = (sum(&ours), sum(&theirs));
    Ok(Json(Comparison {
        month: query.month,
        ours: ours.to_string(),
        theirs: theirs.to_string(),
        difference: (ours - theirs).to_string(),
        differing: items.iter().filter(|line| !line.causes.is_empty()).count(),
        items,
    }))
}

fn theirs(body: &[u8]) -> Result<Side, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let mut side = Side::new();
    for (line, number) in reader.deserialize::<Line>().zip(2_u64..) {
        let wrong = |why: String| {
            let place = format!("line {number}");
            Problem::new(code::INVALID, format!("{place}: {why}")).at(place, why)
        };
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let amount = figure(&line.amount)
            .ok_or_else(|| wrong(format!("amount {:?} is no number", line.amount)))?;
        let quantity = match line.quantity.as_str() {
            "" => None,
            text => {
                let read = figure(text);
                Some(read.ok_or_else(|| wrong(format!("quantity {text:?} is no number")))?)
            }
        };
        add(&mut side, (line.contract, line.charge), (quantity, amount));
        if side.len() > LINES_MAX {
            let detail = format!("more than LINES_MAX = {LINES_MAX} lines");
            return Err(Problem::new(code::TOO_LARGE, detail).fix("compare contract by contract"));
        }
    }
    Ok(side)
}

type Figures = (Option<rust_decimal::Decimal>, rust_decimal::Decimal);

fn add(side: &mut Side, key: (String, String), (quantity, amount): Figures) {
    let zero = SideLine { quantity: Some(rust_decimal::Decimal::ZERO), ..SideLine::default() };
    let line = side.entry(key).or_insert(zero);
    line.amount += amount;
    line.quantity = line.quantity.zip(quantity).map(|(a, b)| a + b);
}

/// What the documents of the month say; contracts that the file tells as one sum are one here.
async fn ours(
    app: &App,
    tenant: TenantId,
    (month, whole): (&str, &[String]),
) -> Result<Side, Problem> {
    let query = InvoiceQuery { month: Some(month.to_owned()), ..InvoiceQuery::default() };
    let mut side = Side::new();
    for (kept, contract, _) in found(app, tenant, &query).await?.0 {
        let Kept { invoice, .. } = kept;
        for line in invoice.draft.deltas.iter().flat_map(|delta| &delta.lines) {
            let one = whole.contains(&contract);
            let charge = if one { String::new() } else { line.key.charge.to_string() };
            let quantity = (!one).then_some(line.quantity);
            add(&mut side, (contract.clone(), charge), (quantity, line.amount.amount()));
        }
    }
    Ok(side)
}

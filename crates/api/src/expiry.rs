//! What ends and when: authorities, claims, certificates of devices.
//!
//! *Invariant:* a device counts once, by the last of its certificates; whoever renewed is not
//! listed under the certificate before.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use identity::Action;
use identity::certificate::ForeignAuthority;
use model::{DeviceId, Timestamp};
use registry::Kind;
use registry::content::{AuthorityContent, ClaimContent};
use serde::Serialize;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// How far ahead certificates are counted, one entry a 30-day month.
const MONTHS: usize = 12;
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Claims and authorities that are looked at.
const LIST_MAX: u32 = 1_000;

/// What ends and when.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Expiry {
    /// Soonest first.
    items: Vec<Ending>,
    /// Devices whose last certificate ends, by 30-day month from now on; the last entry holds all
    /// that end later.
    devices_by_month: Vec<usize>,
    /// Of those, the ones that did not renew at two thirds of a year: they end within four months
    /// and hold no newer certificate.
    due: usize,
    /// Devices with a certificate that opens now.
    devices: usize,
}

/// One thing that ends.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Ending {
    /// `root`, `authority`, `maker` or `claim`.
    kind: &'static str,
    name: String,
    #[schema(value_type = String)]
    at: Timestamp,
    /// What ends with it, or what renews it.
    note: String,
}

/// What ends and when.
#[utoipa::path(get, path = "/expiry", tag = "server",
    responses((status = 200, body = Expiry), (status = "default", body = Problem)))]
pub(crate) async fn show(State(app): State<App>, caller: Caller) -> Result<Json<Expiry>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let now = app.clock.now();
    let of_tenant = app.keyring.of(tenant, now);
    let of_tenant = of_tenant.map_err(|error| Problem::from_kind(error.kind(), &error))?;
    let mut items = vec![
        Ending {
            kind: "root",
            name: "root of this server".to_owned(),
            at: app.keyring.root().not_after(),
            note: "what devices trust".to_owned(),
        },
        Ending {
            kind: "authority",
            name: "authority of this tenant".to_owned(),
            at: of_tenant.not_after(),
            note: "replaced by itself 400 days before; both are trusted until it ends".to_owned(),
        },
    ];
    for row in app.registry.list(tenant, Kind::Authority, "", LIST_MAX).await? {
        let content: AuthorityContent = row.content()?;
        let Ok(parsed) = ForeignAuthority::parse(&content.certificate, now) else { continue };
        items.push(Ending {
            kind: "maker",
            name: content.name.as_str().to_owned(),
            at: parsed.not_after,
            note: "its devices come in until then".to_owned(),
        });
    }
    for row in app.registry.list(tenant, Kind::Claim, "", LIST_MAX).await? {
        let content: ClaimContent = row.content()?;
        let uses = row.id.parse().map_or(0, |claim| app.door.claim_uses(claim));
        let left = content.uses_max.saturating_sub(uses);
        if content.revoked.is_some() || content.expires <= now || left == 0 {
            continue;
        }
        items.push(Ending {
            kind: "claim",
            name: content.name.as_str().to_owned(),
            at: content.expires,
            note: format!("{left} of {} devices not yet claimed", content.uses_max),
        });
    }
    items.sort_by_key(|ending| ending.at);
    let mut last: BTreeMap<DeviceId, Timestamp> = BTreeMap::new();
    for (device, at) in app.door.certificate_ends(tenant) {
        let end = last.entry(device).or_insert(at);
        *end = (*end).max(at);
    }
    let mut devices_by_month = vec![0; MONTHS];
    for at in last.values() {
        let month = at.since(now).as_millis() / MONTH.as_millis().max(1);
        let month = usize::try_from(month).unwrap_or(MONTHS).min(MONTHS - 1);
        if let Some(count) = devices_by_month.get_mut(month) {
            *count += 1;
        }
    }
    let due = devices_by_month.iter().take(4).sum();
    Ok(Json(Expiry { items, devices_by_month, due, devices: last.len() }))
}

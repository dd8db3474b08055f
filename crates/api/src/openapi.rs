//! All routes, and the OpenAPI 3.1 document made from them.
//!
//! *Invariant:* a route that is not in the document does not exist, except for the console's files
//! and the live feed's upgrade.

use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Extension, Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::idempotency::{self, Once};
use crate::problem::Problem;
use crate::{
    actual, alarms, authorities, backfill, case, certificates, claims, code, commands, connect,
    console, credentials, days, delivery, desired, devices, erase, evidence, expiry, export,
    extract, fixes, forecasts, gates, health, history, ideas, import, intervals, joint, measure,
    messages, money, notices, people, provision, quarantine, rederive, refusals, revisions,
    service_life, session, sites, status, stream, tokens, ventures,
};

/// The largest body of a route that is not in [`OWN_BYTES_MAX`].
const BODY_BYTES_MAX: usize = 1 << 20;
/// Routes that take more at once, or less.
const OWN_BYTES_MAX: [(&str, usize); 4] = [
    ("/api/v1/devices/import", import::IMPORT_BYTES_MAX),
    ("/api/v1/import", backfill::BACKFILL_BYTES_MAX),
    ("/api/v1/usage/events", money::events::EVENTS_BYTES_MAX),
    ("/api/v1/public/{tenant}/ideas", ideas::form::FORM_BYTES_MAX),
];

/// The largest body of a route, by its path in the document.
pub(crate) fn body_bytes_max(route: &str) -> usize {
    let own = OWN_BYTES_MAX.iter().find(|(path, _)| *path == route);
    own.map_or(BODY_BYTES_MAX, |(_, max)| *max)
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "iotbiz",
        description = "From sensor to invoice, with a receipt for every number.",
        license(name = "Apache-2.0")
    ),
    tags(
        (name = "devices", description = "Devices, twins, messages, quarantine"),
        (name = "provision", description = "How a new device gets in"),
        (name = "ventures", description = "Product lines and their blueprints"),
        (name = "ideas", description = "What people would like to exist, judged and begun"),
        (name = "money", description = "Customers, contracts, usage, invoices"),
        (name = "alarms", description = "What was raised, why, and what people do about it"),
        (name = "people", description = "Who signs in, and how they are told of alarms"),
        (name = "live", description = "What happens now"),
        (name = "server", description = "This server")
    )
)]
struct Document;

/// Devices: records, credentials, what they said and what is wanted of them.
fn devices_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(devices::list, devices::add))
        .routes(routes!(devices::show, devices::change, devices::remove))
        .routes(routes!(desired::show))
        .routes(routes!(desired::change))
        .routes(routes!(desired::change_all))
        .routes(routes!(commands::list, commands::send))
        .routes(routes!(commands::send_all))
        .routes(routes!(commands::show))
        .routes(routes!(import::add))
        .routes(routes!(service_life::replace))
        .routes(routes!(service_life::retire))
        .routes(routes!(certificates::list, credentials::add))
        .routes(routes!(certificates::add))
        .routes(routes!(certificates::authorities))
        .routes(routes!(certificates::revocation_list))
        .routes(routes!(credentials::revoke))
        .routes(routes!(history::show))
        .routes(routes!(days::show))
        .routes(routes!(delivery::show))
        .routes(routes!(export::show))
        .routes(routes!(erase::erase))
        .routes(routes!(erase::list))
        .routes(routes!(backfill::add))
        .routes(routes!(messages::list))
}

/// Alarms, and who is told of them.
fn alarms_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(alarms::list))
        .routes(routes!(alarms::server))
        .routes(routes!(alarms::take_server_alarm))
        .routes(routes!(alarms::shelve_server_alarm))
        .routes(routes!(alarms::unshelve_server_alarm))
        .routes(routes!(alarms::held_back))
        .routes(routes!(alarms::show))
        .routes(routes!(alarms::acknowledge))
        .routes(routes!(alarms::verdict))
        .routes(routes!(alarms::shelve))
        .routes(routes!(alarms::unshelve))
        .routes(routes!(alarms::explain))
        .routes(routes!(alarms::care, alarms::maintain, alarms::end))
        .routes(routes!(alarms::ignore, alarms::heed))
        .routes(routes!(alarms::quiet))
        .routes(routes!(alarms::windows, alarms::plan))
        .routes(routes!(alarms::cancel))
        .routes(routes!(alarms::dry_run))
        .routes(routes!(people::list, people::add))
        .routes(routes!(people::notify, people::change))
        .routes(routes!(notices::status))
        .routes(routes!(notices::retry))
        .routes(routes!(notices::enable))
}

/// Ventures: blueprints, evidence, case, gates.
fn ventures_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(evidence::list))
        .routes(routes!(joint::show))
        .routes(routes!(evidence::add))
        .routes(routes!(evidence::withdraw))
        .routes(routes!(measure::now))
        .routes(routes!(case::show))
        .routes(routes!(actual::show))
        .routes(routes!(forecasts::list, forecasts::add))
        .routes(routes!(fixes::list))
        .routes(routes!(gates::list))
        .routes(routes!(gates::decide))
        .routes(routes!(gates::decisions))
        .routes(routes!(rederive::rederive))
        .routes(routes!(ventures::list))
        .routes(routes!(ventures::show, ventures::apply))
        .routes(routes!(intervals::show, intervals::tell))
        .routes(routes!(revisions::list))
        .routes(routes!(revisions::show))
        .routes(routes!(revisions::compare))
}

/// Ideas, and the form for strangers.
fn ideas_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ideas::list, ideas::add))
        .routes(routes!(ideas::judge::declared, ideas::judge::declare))
        .routes(routes!(ideas::show))
        .routes(routes!(ideas::status))
        .routes(routes!(ideas::follow, ideas::unfollow))
        .routes(routes!(ideas::merge))
        .routes(routes!(ideas::judge::score, ideas::judge::scores))
        .routes(routes!(ideas::judge::market))
        .routes(routes!(ideas::judge::competitors))
        .routes(routes!(ideas::start::promote))
        .routes(routes!(ideas::cycle::of_idea))
        .routes(routes!(ideas::cycle::of_venture))
        .routes(routes!(ideas::form::show, ideas::form::send))
        .routes(routes!(ideas::form::status))
}

/// Customers, contracts, documents.
fn money_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(money::customers::list, money::customers::add))
        .routes(routes!(money::customers::import))
        .routes(routes!(money::customers::show, money::customers::change))
        .routes(routes!(money::entities::list))
        .routes(routes!(money::entities::change))
        .routes(routes!(money::contracts::list, money::contracts::add))
        .routes(routes!(money::contracts::show, money::contracts::change))
        .routes(routes!(money::closing::close))
        .routes(routes!(money::compare::run))
        .routes(routes!(money::revenue::show))
        .routes(routes!(money::economics::show::show))
        .routes(routes!(money::spent::list, money::spent::add))
        .routes(routes!(money::spent::import))
        .routes(routes!(money::spent::remove))
        .routes(routes!(money::impact::show))
        .routes(routes!(money::events::show))
        .routes(routes!(money::events::standing, money::events::take))
        .routes(routes!(money::events::held))
        .routes(routes!(money::documents::again::explain))
        .routes(routes!(money::documents::files::booked))
        .routes(routes!(money::documents::list))
        .routes(routes!(money::documents::show))
        .routes(routes!(money::documents::again::verify))
        .routes(routes!(money::documents::files::document))
        .routes(routes!(money::steps::step))
        .routes(routes!(money::steps::many::steps))
}

/// The server itself, who signs in, what was refused, how things get in.
fn server_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(status::show))
        .routes(routes!(session::sign_in, session::sign_out))
        .routes(routes!(session::set_up))
        .routes(routes!(expiry::show))
        .routes(routes!(authorities::challenge))
        .routes(routes!(authorities::list, authorities::add))
        .routes(routes!(authorities::remove))
        .routes(routes!(claims::list, claims::add))
        .routes(routes!(claims::revoke))
        .routes(routes!(connect::show))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::replay))
        .routes(routes!(refusals::list))
        .routes(routes!(sites::list, sites::add))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
        .routes(routes!(stream::stream))
}

fn routes() -> OpenApiRouter<App> {
    let v1 = devices_routes()
        .merge(alarms_routes())
        .merge(ventures_routes())
        .merge(ideas_routes())
        .merge(money_routes())
        .merge(server_routes());
    let provision = OpenApiRouter::new()
        .routes(routes!(provision::csr))
        .routes(routes!(provision::register))
        .routes(routes!(provision::renew));
    OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", v1)
        .nest("/provision/v1", provision)
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(ventures::schema))
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = routes().split_for_parts();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    document
}

/// A route that exists, asked in another way than it is made for.
async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(code::WRONG_METHOD, format!("{} does not take {method}", uri.path()))
}

/// The API and the console.
pub fn router(app: App) -> Router {
    let (router, _) = routes().split_for_parts();
    let document = document();
    let once = Once::new(app.clone(), &document);
    router
        .route("/api/openapi.json", get(move || async move { Json(document) }))
        .route("/fallback.js", get(console::fallback_script))
        .route("/assets/{*path}", get(console::asset))
        .fallback(console::page)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(once, idempotency::once))
        .layer(from_fn(extract::sized))
        .layer(Extension(ideas::form::Intake::default()))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_with_a_limit_of_its_own_is_in_the_document() {
        let document = document();
        for (route, _) in OWN_BYTES_MAX {
            assert!(document.paths.paths.contains_key(route), "{route}");
        }
    }
}

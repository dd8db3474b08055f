//! Places where devices are.
//!
//! *Invariant:* what is listed is what the folds have; a new one is answered once they have it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use identity::Action;
use model::SiteId;
use registry::content::SiteContent;
use registry::{Expect, Kind};
use serde::Serialize;

use crate::app::App;
use crate::caller::Caller;
use crate::devices::random;
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// One site.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Site {
    id: String,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    content: SiteContent,
}

/// All sites of the tenant.
#[utoipa::path(get, path = "/sites", tag = "devices",
    responses((status = 200, body = Page<Site>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<Site>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let site = |(id, content): (SiteId, &std::sync::Arc<SiteContent>)| Site {
        id: id.to_string(),
        content: content.as_ref().clone(),
    };
    Ok(Json(Page::whole(picture.catalog.sites(tenant).map(site).collect())))
}

/// Adds a site: `{"name":"Lyon Est","timezone":"Europe/Paris"}`.
#[utoipa::path(post, path = "/sites", tag = "devices", request_body = serde_json::Value,
    responses((status = 201, body = Site), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(content): Body<SiteContent>,
) -> Result<(StatusCode, Json<Site>), Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    let id = SiteId::new(app.clock.now(), random()?).to_string();
    let record = key(tenant, Kind::Site, &id);
    let put = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, put.seq).await?;
    Ok((StatusCode::CREATED, Json(Site { id, content })))
}

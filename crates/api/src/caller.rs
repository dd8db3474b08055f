//! Who makes a request.
//!
//! *Invariant:* an [`Identity`] comes from a token or, on a loopback console, from being on this
//! machine; a loopback console answers only to its own `Host` and `Origin`, so that a page
//! elsewhere cannot reach it through the browser (DNS rebinding, cross-site requests).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use identity::certificate::PeerCertificate;
use identity::{Action, Identity, Resource, authorize};
use model::{DeviceId, TenantId};

use crate::app::{Access, App};
use crate::code;
use crate::problem::Problem;

/// Cookie of a browser that signed in.
pub(crate) const SESSION_COOKIE: &str = "iotbiz_session";

/// An accepted caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Identity);

impl Caller {
    /// May it do this in its own tenant?
    pub(crate) fn may(&self, action: Action) -> Result<TenantId, Problem> {
        authorize(&self.0, action, &Resource::Tenant(self.0.tenant))?;
        Ok(self.0.tenant)
    }

    /// May it do this to the device?
    pub(crate) fn may_with(&self, action: Action, device: DeviceId) -> Result<TenantId, Problem> {
        authorize(&self.0, action, &Resource::Device(self.0.tenant, device))?;
        Ok(self.0.tenant)
    }

    /// Who it is, for records.
    pub(crate) fn actor(&self) -> String {
        self.0.actor.to_string()
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        identify(app, parts).map(Self)
    }
}

fn identify(app: &App, parts: &Parts) -> Result<Identity, Problem> {
    let headers = &parts.headers;
    if let Access::LoopbackOwner(_) = app.facts.access {
        check_loopback(headers)?;
    }
    if let Some(token) = bearer(headers).or_else(|| session(headers)) {
        return app.door.authenticate_bearer(token.as_bytes()).map_err(|refused| {
            app.refusals.login(&refused);
            Problem::new(code::UNAUTHENTICATED, "the token is not accepted")
                .fix("issue a new one: iotbiz token add")
        });
    }
    // Put there by a listener that has seen the proof of its key.
    if let Some(certificate) = parts.extensions.get::<Arc<PeerCertificate>>() {
        return app.door.authenticate_certificate(certificate).map_err(|refused| {
            app.refusals.login(&refused);
            Problem::new(code::UNAUTHENTICATED, "the certificate is not accepted")
                .fix("issue a new one: iotbiz device certificate NAME")
        });
    }
    match app.facts.access {
        Access::LoopbackOwner(tenant) => Ok(Identity::loopback(tenant)),
        Access::Tokens => Err(Problem::new(code::UNAUTHENTICATED, "the request carries no token")
            .fix("send the header Authorization: Bearer TOKEN")),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::AUTHORIZATION)?.strip_prefix("Bearer ").map(str::trim)
}

fn session(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::COOKIE)?
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}

/// Host and Origin of a loopback console.
pub(crate) fn check_loopback(headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        return Err(Problem::new(
            code::WRONG_HOST,
            format!("this console answers to localhost, not to {host:?}"),
        ));
    }
    match text(headers, header::ORIGIN) {
        None => Ok(()),
        Some(origin) => {
            let from = origin.split_once("://").map_or(origin, |(_, host)| host);
            if from == host {
                Ok(())
            } else {
                Err(Problem::new(code::WRONG_HOST, format!("request comes from {origin:?}")))
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_foreign_host_or_origin_is_refused() {
        use header::{HOST, ORIGIN};
        assert!(check_loopback(&headers(&[(HOST, "localhost:7070")])).is_ok());
        assert!(check_loopback(&headers(&[(HOST, "[::1]:7070")])).is_ok());
        let own = [(HOST, "127.0.0.1:7070"), (ORIGIN, "http://127.0.0.1:7070")];
        assert!(check_loopback(&headers(&own)).is_ok());
        assert!(check_loopback(&headers(&[(HOST, "evil.example:7070")])).is_err());
        assert!(check_loopback(&headers(&[])).is_err());
        let cross = [(HOST, "127.0.0.1:7070"), (ORIGIN, "http://evil.example")];
        assert!(check_loopback(&headers(&cross)).is_err());
    }
}

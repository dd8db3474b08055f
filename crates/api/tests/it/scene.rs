//! A venture with its owner, and the blueprint of the coolbox by parts.
//!
//! *Invariant:* a test adds only what its facts hang on; the rest of the venture stands here, once.

use axum::http::StatusCode;
use model::TenantId;
use serde_json::{Value, json};

use crate::site::Site;

/// Where the venture is.
pub(crate) const PATH: &str = "/api/v1/ventures/coolbox";

/// Whether somebody would pay, and the test of it.
pub(crate) const WILL_PAY: &str = r#"
[assumption.will_pay]
says = "Of the pharmacies we ask, at least 30 % sign plan care"
count = "signed / asked"
holds = ">= 30 %"
guess = "10 to 45 %"
[experiment.preorder]
tests = "will_pay"
kind = "pay"
asked = 40
cost = "400 EUR"
takes = "10 days"
pass = ">= 35 %"
kill = "< 10 %"
"#;

/// A case without `reachable`, `share` and `churn`, which a test adds behind it.
pub(crate) const CASE: &str = r#"
[case]
horizon = "24 months"
discount = "9 %/year"
fleet_size = "8 to 12 devices/customer"
adoption = { bass_p = "0.012/year", bass_q = "0.31/year" }
revenue = "care"
"#;

/// A box with one reading, and a plan that bills its days. `keys` stand at the top; `sections` may
/// begin with more lines of that plan.
pub(crate) fn coolbox(keys: &str, sections: &[&str]) -> String {
    let sections = sections.concat();
    format!(
        r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
{keys}
[device.box.readings]
temperature = {{ unit = "°C", min = -90, max = 80, every = "1 min" }}
[usage.box_days]
device = "box"
measure = "days_with_reading"
[plan.care]
boxes = {{ usage = "box_days", price = "0.30 EUR/device/day" }}
{sections}"#
    )
}

/// A site with one tenant, whose owner put a venture in force.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) tenant: TenantId,
    pub(crate) owner: String,
}

impl Scene {
    pub(crate) async fn open(blueprint: &str) -> Self {
        let (site, tenant, owner) = Site::owned().await;
        let scene = Self { site, tenant, owner };
        let (status, said) = scene.apply(blueprint).await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        scene
    }

    /// A request of the owner below the venture.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.site.call(method, &format!("{PATH}{path}"), &self.owner, body).await;
        (answer.status, answer.json())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, found) = self.call("GET", path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        found
    }

    pub(crate) async fn apply(&self, text: &str) -> (StatusCode, Value) {
        self.call("PUT", "/blueprint", &json!({ "text": text })).await
    }

    /// A request of the owner that succeeds, wherever it leads.
    pub(crate) async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        self.site.done(method, path, &self.owner, body).await
    }

    /// A new box; gives its id.
    pub(crate) async fn device(&self, name: &str) -> String {
        self.device_of(name, "box").await
    }

    pub(crate) async fn device_of(&self, name: &str, kind: &str) -> String {
        let body = json!({ "name": name, "kind": kind });
        let added = self.done("POST", "/api/v1/devices", &body).await;
        added["device"]["id"].as_str().unwrap().to_owned()
    }

    /// A criterion of the first gate as it stands now.
    pub(crate) async fn criterion(&self, name: &str) -> Value {
        let gates = self.get("/gates").await;
        let criteria = gates["items"][0]["criteria"].as_array().unwrap().clone();
        criteria.into_iter().find(|criterion| criterion["name"] == name).unwrap()
    }

    /// A result of the experiment that asks for orders.
    pub(crate) async fn preorder(&self, of: u64, out_of: u64) -> (StatusCode, Value) {
        let body = json!({
            "experiment": "preorder", "source": "letters",
            "outcome": { "counts": { "of": of, "out_of": out_of } },
        });
        self.call("POST", "/evidence", &body).await
    }
}

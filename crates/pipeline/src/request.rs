//! What a device asks on `me/request/{id}`.
//!
//! *Invariant:* a request that cannot be read is told in words; one with a name that no fold
//! answers is left to a service of the tenant.

use serde::Deserialize;
use twin::Asked;

#[derive(Deserialize)]
struct Request {
    name: String,
    #[serde(default = "no_args")]
    args: serde_json::Value,
}

fn no_args() -> serde_json::Value {
    serde_json::json!({})
}

/// What is asked of the twin; `None`: it is not the twin that is asked.
pub(crate) fn of_twin(payload: &[u8]) -> Result<Option<Asked>, String> {
    let told = |error| format!("a request is {{\"name\":\"twin\",\"args\":{{}}}}: {error}");
    let request: Request = serde_json::from_slice(payload).map_err(told)?;
    if request.name != "twin" {
        return Ok(None);
    }
    Asked::deserialize(request.args).map(Some).map_err(told)
}

//! A device asks for its own twin and is answered on its branch.
//!
//! *Invariant:* the answer is what the twin holds at the offset of the request; only names that
//! the twin has are in it, so its size is bounded by the twin's.
//!
//! ```text
//! me/request/{id}         {"name":"twin","args":{"reported":["interval"],"desired":["interval"]}}
//! me/request/{id}/answer  {"ok":true,"result":{"version":3,"reported":{...},"desired":{...}}}
//! ```
//! A list that is left out asks for nothing of its kind; without both the answer is the whole twin.

use std::collections::{BTreeMap, BTreeSet};

use model::{DeviceId, FoldId, Name, Output, Outputs, Retain, TenantId, Value};
use serde::Deserialize;
use serde_json::{Map, json};

use super::{Twins, json_value};

/// Which values of its twin a device asks for.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// Names of settings as they are.
    pub reported: Option<BTreeSet<String>>,
    /// Names of settings as they shall be.
    pub desired: Option<BTreeSet<String>>,
}

impl Twins {
    /// Answers the request `id` of a device; an unknown device gets no answer.
    pub fn answer(
        &self,
        (tenant, device, id): (TenantId, DeviceId, &str),
        asked: &Asked,
        out: &mut Outputs,
    ) {
        let Some(twin) = self.get(device).filter(|twin| twin.tenant == tenant) else { return };
        let all = asked.reported.is_none() && asked.desired.is_none();
        let mut result = Map::new();
        result.insert("version".to_owned(), twin.desired_version.into());
        if all || asked.reported.is_some() {
            let reported = picked(&twin.reported, asked.reported.as_ref(), |last| &last.value);
            result.insert("reported".to_owned(), reported.into());
        }
        if all || asked.desired.is_some() {
            let desired = picked(&twin.desired, asked.desired.as_ref(), |desired| &desired.value);
            result.insert("desired".to_owned(), desired.into());
        }
        let output = Output::Publish {
            device,
            topic: format!("request/{id}/answer"),
            retain: Retain::Pass,
            expires: None,
            payload: json!({ "ok": true, "result": result }).to_string().into_bytes(),
        };
        out.push(FoldId::Twin, tenant, output);
    }
}

fn picked<T>(
    all: &BTreeMap<Name, T>,
    names: Option<&BTreeSet<String>>,
    value: impl Fn(&T) -> &Value,
) -> Map<String, serde_json::Value> {
    let wanted = |name: &Name| names.is_none_or(|names| names.contains(name.as_str()));
    all.iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, held)| (name.as_str().to_owned(), json_value(value(held))))
        .collect()
}

//! Devices that one request is about: by a filter, or by name.
//!
//! *Invariant:* an empty filter is refused, so that nobody changes a fleet by leaving out a word;
//! a name that nobody has is told and holds up none of the others.

use std::sync::Arc;

use model::TenantId;
use pipeline::Picture;
use twin::DeviceTwin;

use crate::app::App;
use crate::code;
use crate::devices::{find, parse_filter};
use crate::json::Look;
use crate::problem::Problem;

/// Devices that one request may change.
pub(crate) const BULK_DEVICES_MAX: usize = 10_000;

/// Which devices are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// What holds for them.
    pub(crate) filter: Option<&'a str>,
    /// Names or ids.
    pub(crate) devices: Option<&'a [String]>,
}

/// The devices that are meant.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) found: Vec<Arc<DeviceTwin>>,
    /// Names that nobody has.
    pub(crate) unknown: Vec<(String, Problem)>,
}

/// Finds them.
pub(crate) fn chosen(
    app: &App,
    (picture, tenant): (&Picture, TenantId),
    asked: Asked<'_>,
) -> Result<Chosen, Problem> {
    let mut chosen = Chosen::default();
    match (asked.filter.map(str::trim), asked.devices) {
        (None, None) | (Some(_), Some(_)) => {
            let why = "the devices are chosen by filter or by devices, by one of them";
            return Err(Problem::invalid("/filter", why));
        }
        (Some(""), None) => {
            let problem = Problem::invalid("/filter", "an empty filter would change all devices");
            return Err(problem.fix("name what you mean, for example kind:box"));
        }
        (Some(filter), None) => {
            let (filter, now) = (parse_filter(Some(filter))?, app.clock.now());
            let matching = picture
                .twins
                .devices_by_name(tenant, None)
                .filter(|twin| filter.matches(twin, Look { picture, twin, now }.facts()));
            chosen.found = matching.take(BULK_DEVICES_MAX + 1).map(Arc::clone).collect();
        }
        (None, Some(names)) => {
            for name in names.iter().take(BULK_DEVICES_MAX + 1) {
                match find(picture, tenant, name) {
                    Ok(twin) => chosen.found.push(twin),
                    Err(problem) => chosen.unknown.push((name.clone(), problem)),
                }
            }
        }
    }
    if chosen.found.len() + chosen.unknown.len() > BULK_DEVICES_MAX {
        let why = format!("more than {BULK_DEVICES_MAX} devices: choose fewer at a time");
        return Err(Problem::new(code::TOO_LARGE, why));
    }
    Ok(chosen)
}

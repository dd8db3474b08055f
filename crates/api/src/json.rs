//! Devices and values as public JSON.
//!
//! *Invariant:* every number carries its unit, its time and its origin; times are RFC 3339 UTC.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Name, Origin, ReadingMark, TenantId, Timestamp, Value};
use pipeline::{InForce, Picture, Shape};
use serde::Serialize;
use twin::{DeviceTwin, Facts, Last, Status};

/// A kind that the blueprint does not know counts as silent after this long.
const SILENT_AFTER_UNKNOWN: Duration = Duration::from_secs(3600);

/// A reading with everything it needs to be understood.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct ReadingJson {
    /// Number, boolean, text or `[latitude, longitude]`.
    #[schema(value_type = Object)]
    pub(crate) value: serde_json::Value,
    /// UCUM code; null where the type has none.
    pub(crate) unit: Option<String>,
    /// Event time.
    #[schema(value_type = String)]
    pub(crate) at: Timestamp,
    /// `real`, `replayed` or `virtual`.
    pub(crate) origin: &'static str,
    /// Where the time comes from: `device_time`, `log_time`, `future_clamped`, `redecoded`.
    pub(crate) mark: &'static str,
    /// Place of its message in the log.
    pub(crate) offset: u64,
}

/// A name with its id.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// One device in a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) venture: String,
    /// `real`, `replayed` or `virtual`.
    pub(crate) origin: &'static str,
    pub(crate) site: Option<Named>,
    pub(crate) tags: Vec<String>,
    /// `live`, `silent` or `never`.
    pub(crate) status: &'static str,
    /// Log time of its newest message.
    #[schema(value_type = Option<String>)]
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) firmware: Option<String>,
    pub(crate) hardware: Option<String>,
    pub(crate) readings: BTreeMap<String, ReadingJson>,
    /// Desired settings it has not reported yet.
    pub(crate) desired_pending: usize,
    /// Values of it in quarantine.
    pub(crate) quarantined: u32,
    /// Revision of its record; the ETag of a change.
    pub(crate) revision: u64,
}

pub(crate) fn value_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Text(text) => (**text).into(),
        Value::Position { latitude, longitude } => serde_json::json!([latitude, longitude]),
    }
}

pub(crate) const fn mark_word(mark: ReadingMark) -> &'static str {
    match mark {
        ReadingMark::DeviceTime => "device_time",
        ReadingMark::LogTime => "log_time",
        ReadingMark::FutureClamped => "future_clamped",
        ReadingMark::Redecoded => "redecoded",
    }
}

/// A device as others look at it: its twin with the definitions it needs.
pub(crate) struct Look<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) twin: &'a DeviceTwin,
    pub(crate) now: Timestamp,
}

impl<'a> Look<'a> {
    pub(crate) fn in_force(&self) -> Option<&'a InForce> {
        let twin = self.twin;
        let found = self.picture.catalog.blueprint(twin.tenant, &twin.venture, twin.profile);
        found.map(AsRef::as_ref)
    }

    pub(crate) fn silent_after(&self) -> Duration {
        let known = self.in_force().and_then(|found| found.silent_after.get(&self.twin.kind));
        known.copied().unwrap_or(SILENT_AFTER_UNKNOWN)
    }

    pub(crate) fn status(&self) -> Status {
        if self.twin.retired.is_some() {
            return Status::Retired;
        }
        Status::judge(self.twin.seen.last, self.now, self.silent_after())
    }

    fn site_name(&self) -> Option<&'a str> {
        let site = self.picture.catalog.site(self.twin.tenant, self.twin.site?)?;
        Some(site.name.as_str())
    }

    pub(crate) fn facts(&self) -> Facts<'a> {
        Facts { status: self.status(), site: self.site_name() }
    }

    pub(crate) fn unit(&self, name: &Name) -> Option<String> {
        let profile = self.in_force()?.profiles.get(&self.twin.kind)?;
        let rule = profile.readings.get(name).or_else(|| profile.settings.get(name))?;
        match &rule.shape {
            Shape::Number { unit, .. } if !unit.is_empty() => Some(unit.clone()),
            Shape::Number { .. } | Shape::Boolean | Shape::Text | Shape::Position => None,
        }
    }

    pub(crate) fn reading(&self, name: &Name, last: &Last) -> ReadingJson {
        ReadingJson {
            value: value_json(&last.value),
            unit: self.unit(name),
            at: last.time,
            origin: last.origin.as_str(),
            mark: mark_word(last.mark),
            offset: last.offset.0,
        }
    }

    pub(crate) fn readings(&self) -> BTreeMap<String, ReadingJson> {
        let named = |(name, last): (&Name, &Last)| (name.to_string(), self.reading(name, last));
        self.twin.readings.iter().map(named).collect()
    }

    pub(crate) fn device(&self) -> Device {
        let twin = self.twin;
        let site = twin.site.zip(self.site_name());
        Device {
            id: twin.id.to_string(),
            name: twin.name.clone(),
            kind: twin.kind.to_string(),
            venture: twin.venture.to_string(),
            origin: twin.origin.as_str(),
            site: site.map(|(id, name)| Named { id: id.to_string(), name: name.to_owned() }),
            tags: twin.tags.clone(),
            status: self.status().as_str(),
            last_seen: twin.seen.last,
            firmware: twin.reported_text("firmware").map(str::to_owned),
            hardware: twin.reported_text("hardware").map(str::to_owned),
            readings: self.readings(),
            desired_pending: twin.pending().count(),
            quarantined: self.picture.quarantine.count(twin.tenant, twin.id),
            revision: twin.revision,
        }
    }
}

/// Counts of a tenant's devices by status.
#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Counts {
    pub(crate) devices: usize,
    pub(crate) live: usize,
    pub(crate) silent: usize,
    pub(crate) never: usize,
    /// Out of service; their history stays.
    pub(crate) retired: usize,
    #[serde(rename = "virtual")]
    pub(crate) virtual_: usize,
}

impl Counts {
    pub(crate) fn of<'a>(
        picture: &Picture,
        twins: impl Iterator<Item = &'a DeviceTwin>,
        now: Timestamp,
    ) -> Self {
        twins.fold(Self::default(), |mut counts, twin| {
            counts.devices += 1;
            match (Look { picture, twin, now }).status() {
                Status::Live => counts.live += 1,
                Status::Silent => counts.silent += 1,
                Status::Never => counts.never += 1,
                Status::Retired => counts.retired += 1,
            }
            counts.virtual_ += usize::from(twin.origin == Origin::Virtual);
            counts
        })
    }

    pub(crate) fn of_tenant(picture: &Picture, tenant: TenantId, now: Timestamp) -> Self {
        Self::of(picture, picture.twins.devices(tenant).map(AsRef::as_ref), now)
    }
}

//! The contents of records that the program itself reads, as types.
//!
//! *Invariant:* what is stored reads back as the type of its kind; an unknown field is refused, so
//! a misspelt one cannot be lost. Absent and empty fields are left out of the text.
//!
//! Kinds without a type here are JSON objects; the feature that writes them knows their form.

mod person;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use model::{ClaimId, CredentialId, DeviceId, Name, Origin, Returned, SiteId, Timestamp, UserId};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

mod cost;
mod evidence;

pub use evidence::{
    ClosedContent, EvidenceContent, ForecastContent, ForecastItem, GateDecisionContent,
    MeasuredContent, OutcomeContent,
};

use crate::{Error, Key, Kind};

mod money;

pub use money::{
    Address, CONTRACT_COUPONS_MAX, CONTRACT_DEVICES_MAX, CONTRACT_PREPAID_MAX, CONTRACT_SWAPS_MAX,
    ContractContent, ContractDevice, CouponContent, CustomerContent, EntityContent, Identifiers,
    InvoiceContent, InvoicePart, Mode, PrepaidContent, PrepaidKind, SwapContent,
};

/// The longest name, title, hardware text or serial number, in characters.
const TEXT_CHARS_MAX: usize = 128;
/// The longest tag, in characters.
const TAG_CHARS_MAX: usize = 64;
/// How many tags a device has.
const TAGS_MAX: usize = 32;
/// How many links a device has.
const LINKS_MAX: usize = 32;
/// How many devices a gateway speaks for.
const CHILDREN_MAX: usize = 1_000;
/// The longest certificate of an authority, PEM, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// How many serial numbers a claim lists.
const SERIALS_MAX: usize = 10_000;
/// The longest blueprint, in bytes.
const BLUEPRINT_BYTES_MAX: usize = 256 * 1024;
/// The longest device name, in characters.
const DEVICE_NAME_CHARS_MAX: usize = 64;

/// Isolation boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantContent {
    /// Unique among all tenants.
    pub name: String,
    /// Counts readings of every origin and stamps "simulated" on every figure. Fixed at creation.
    pub demo: bool,
}

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserContent {
    /// Unique in its tenant.
    pub name: String,
    /// Where to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A role of `identity`.
    pub role: Name,
    /// How they are told of alarms; none: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifyContent>,
}

/// Where devices are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteContent {
    /// Unique in its tenant.
    pub name: String,
    /// Name in the IANA time zone database.
    pub timezone: String,
    /// On the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// WGS 84, degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// -90 to 90.
    pub latitude: f64,
    /// -180 to 180.
    pub longitude: f64,
}

/// A connected thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceContent {
    /// Unique in its tenant; may be its MQTT user name.
    pub name: DeviceName,
    /// Which product line.
    pub venture: Name,
    /// Which device kind of its blueprint.
    pub kind: Name,
    /// Whether it is physical.
    #[serde(with = "origin_text")]
    pub origin: Origin,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// For filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Other devices, by the link's name in the blueprint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<Name, DeviceId>,
    /// The devices this gateway speaks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<DeviceId>,
    /// Hardware revision, as on the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// As on the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The blueprint revision it is pinned to; none: the newest of its venture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<u64>,
    /// Out of service since: its history stays, its credentials are revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Timestamp>,
    /// Boards that left it, the oldest first; at most [`RETURNS_MAX`], the newest stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Returned>,
}

/// Boards that a record remembers to have left its device.
pub const RETURNS_MAX: usize = 64;

impl DeviceContent {
    /// Remembers a board that left.
    pub fn board_left(&mut self, returned: Returned) {
        if self.returns.len() >= RETURNS_MAX {
            self.returns.remove(0);
        }
        self.returns.push(returned);
    }
}

/// What proves who is calling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialContent {
    /// Whom it speaks for; that makes it a device's, a service's or a person's.
    pub owner: CredentialOwner,
    /// SHA-256 of the secret, or of the certificate's DER, in lower-case hexadecimal.
    pub secret_sha256: String,
    /// A certificate; none: a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateContent>,
    /// Where what it sends comes from.
    #[serde(with = "origin_text")]
    pub origin: Origin,
    /// A role of `identity`, for a service; none: only the tenant's topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Name>,
    /// Refused before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Refused from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Refused since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// What is kept of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateContent {
    /// Serial number in lower-case hexadecimal, as in the revocation list.
    pub serial: String,
    /// SHA-256 of its public key, in lower-case hexadecimal: a key is used by one device.
    pub key_sha256: String,
}

/// An authority of a maker, whose certificates name their devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityContent {
    /// Unique in its tenant.
    pub name: DeviceName,
    /// Its certificate, PEM.
    pub certificate: String,
}

/// The right of a production batch to enrol its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimContent {
    /// Unique in its tenant: the batch.
    pub name: DeviceName,
    /// Which product line.
    pub venture: Name,
    /// Which device kind it makes.
    pub kind: Name,
    /// SHA-256 of the claim token in lower-case hexadecimal.
    pub secret_sha256: String,
    /// Whether what it makes is physical.
    #[serde(with = "origin_text")]
    pub origin: Origin,
    /// How many devices.
    pub uses_max: u32,
    /// Refused from then on.
    pub expires: Timestamp,
    /// The serial numbers of the batch; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
    /// Refused since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// A device that a claim enrolled; the record's id is the device's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentContent {
    /// The serial number: one device for ever.
    pub name: String,
    /// By which batch.
    pub claim: ClaimId,
}

/// Whom a credential speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialOwner {
    /// A device.
    Device(DeviceId),
    /// A program, by the name it logs in with.
    Service(DeviceName),
    /// A user.
    Person(UserId),
}

/// The text of a venture; the record's id is the venture's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlueprintContent {
    /// Which product line.
    pub venture: Name,
    /// TOML, as it was written.
    pub text: String,
    /// The revision the author started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u64>,
}

/// Name of a device or service: `a` to `z`, `0` to `9`, `-`, `_` and `.`, starting with a letter
/// or digit, at most 64, and never of the form of an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceName(String);

impl DeviceName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a device name: use a to z, 0 to 9, -, _ and ., starting with a letter or \
     digit, at most {max} characters, and not the form of an id"
)]
pub struct DeviceNameError {
    /// What was given, cut to a readable length.
    pub text: String,
    /// The longest name allowed.
    pub max: usize,
}

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, DeviceNameError> {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        // A name that reads as an id would let one device log in under another's.
        let id = text.parse::<DeviceId>().is_ok() || text.parse::<CredentialId>().is_ok();
        let plain = text.len() <= DEVICE_NAME_CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text.bytes().all(allowed);
        if plain && !id {
            return Ok(Self(text.to_owned()));
        }
        let text = text.chars().take(DEVICE_NAME_CHARS_MAX + 1).collect();
        Err(DeviceNameError { text, max: DEVICE_NAME_CHARS_MAX })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeviceName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

pub use cost::{CostContent, CostKind};
pub use person::{DigestContent, NotifyContent, QuietContent, WebhookContent};

mod origin_text {
    use super::{Deserialize, Deserializer, Origin, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(origin: &Origin, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(origin.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Origin, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether `value` may be stored as a record of the key's kind.
pub(crate) fn check(key: Key<'_>, value: &Value) -> Result<(), Error> {
    let broken = match key.kind {
        Kind::Tenant => rules(value, |content: &TenantContent| text("name", &content.name)),
        Kind::User => rules(value, |content: &UserContent| {
            text("name", &content.name)?;
            content.email.as_deref().map_or(Ok(()), |email| text("email", email))?;
            content.notify.as_ref().map_or(Ok(()), person::check)
        }),
        Kind::Site => rules(value, site),
        Kind::Device => rules(value, |content: &DeviceContent| device(key.id, content)),
        Kind::Credential => rules(value, |content: &CredentialContent| {
            let hash = &content.secret_sha256;
            let hex =
                hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            hex.then_some(())
                .ok_or_else(|| "secret_sha256: use 64 lower-case hexadecimal digits".to_owned())
        }),
        Kind::Authority => rules(value, |content: &AuthorityContent| {
            at_most("certificate", content.certificate.len(), CERTIFICATE_BYTES_MAX)
        }),
        Kind::Claim => rules(value, |content: &ClaimContent| {
            at_most("serials", content.serials.len(), SERIALS_MAX)?;
            content.serials.iter().try_for_each(|serial| text("serials", serial))
        }),
        Kind::Enrolment => rules(value, |content: &EnrolmentContent| text("name", &content.name)),
        Kind::Blueprint => rules(value, |content: &BlueprintContent| {
            (content.venture.as_str() == key.id).then_some(()).ok_or_else(|| {
                format!("venture {} is not the id of the record", content.venture)
            })?;
            at_most("text", content.text.len(), BLUEPRINT_BYTES_MAX)
        }),
        Kind::Evidence => rules(value, evidence::evidence),
        Kind::GateDecision => rules(value, evidence::gate_decision),
        Kind::Forecast => rules(value, evidence::forecast),
        Kind::Customer => rules(value, money::customer),
        Kind::Contract => rules(value, money::contract),
        Kind::Entity => rules(value, money::entity),
        Kind::Invoice => rules(value, |_: &InvoiceContent<IgnoredAny>| Ok(())),
        Kind::Cost => rules(value, cost::check),
        Kind::Assumption
        | Kind::Experiment
        | Kind::Idea
        | Kind::IdeaSettings
        | Kind::Plan
        | Kind::Ledger
        | Kind::Erasure => {
            value.is_object().then_some(()).ok_or_else(|| "a content is a JSON object".to_owned())
        }
    };
    broken.map_err(|detail| Error::Content { kind: key.kind, id: key.id.to_owned(), detail })
}

/// The same for a content that was written from its type.
pub(crate) fn check_text(key: Key<'_>, text: &str) -> Result<(), Error> {
    let broken = |refused: serde_json::Error| {
        let (kind, id, detail) = (key.kind, key.id.to_owned(), refused.to_string());
        Error::Content { kind, id, detail }
    };
    // Made by thousands: no tree is built of them.
    if key.kind == Kind::Invoice {
        return match serde_json::from_str::<InvoiceContent<IgnoredAny>>(text) {
            Ok(_) => Ok(()),
            Err(refused) => Err(broken(refused)),
        };
    }
    check(key, &serde_json::from_str(text).map_err(broken)?)
}

fn rules<T: DeserializeOwned>(
    value: &Value,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<(), String> {
    check(&T::deserialize(value).map_err(|refused| refused.to_string())?)
}

fn site(content: &SiteContent) -> Result<(), String> {
    text("name", &content.name)?;
    text("timezone", &content.timezone)?;
    let Some(Position { latitude, longitude }) = content.position else { return Ok(()) };
    let on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    on_earth
        .then_some(())
        .ok_or_else(|| format!("position {latitude}, {longitude} is not on Earth"))
}

fn device(id: &str, content: &DeviceContent) -> Result<(), String> {
    at_most("tags", content.tags.len(), TAGS_MAX)?;
    for tag in &content.tags {
        text("tags", tag)?;
        at_most("tags", tag.chars().count(), TAG_CHARS_MAX)?;
    }
    at_most("links", content.links.len(), LINKS_MAX)?;
    at_most("children", content.children.len(), CHILDREN_MAX)?;
    let own = |child: &DeviceId| child.to_string() == id;
    (!content.children.iter().any(own))
        .then_some(())
        .ok_or_else(|| "children: a device is not its own child".to_owned())?;
    for (field, value) in [("hardware", &content.hardware), ("serial", &content.serial)] {
        value.as_deref().map_or(Ok(()), |value| text(field, value))?;
    }
    Ok(())
}

/// One line of a bounded length.
fn text(field: &str, value: &str) -> Result<(), String> {
    at_most(field, value.chars().count(), TEXT_CHARS_MAX)?;
    let plain = !value.is_empty() && !value.contains(char::is_control) && value.trim() == value;
    plain
        .then_some(())
        .ok_or_else(|| format!("{field} {value:?}: use one line without spaces around it"))
}

fn at_most(field: &str, count: usize, max: usize) -> Result<(), String> {
    (count <= max)
        .then_some(())
        .ok_or_else(|| format!("{field}: {count} exceeds the limit of {max}"))
}

//! The closed list of what is kept.
//!
//! *Invariant:* the text of a kind is stored and stands in frames, so it never changes.

use std::fmt;
use std::str::FromStr;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Isolation boundary; its record lies in itself.
    Tenant,
    /// Who signs in.
    User,
    /// Where devices are.
    Site,
    /// A connected thing.
    Device,
    /// What proves who is calling.
    Credential,
    /// An authority of a maker, whose certificates name their devices.
    Authority,
    /// The right of a production batch to enrol its devices.
    Claim,
    /// A device that a claim enrolled; its id is the device's.
    Enrolment,
    /// The text of a venture; its id is the venture's name.
    Blueprint,
    /// A falsifiable sentence, where it is not in a blueprint.
    Assumption,
    /// A test of one.
    Experiment,
    /// Its dated result.
    Evidence,
    /// Go, hold, rework, stop.
    GateDecision,
    /// What somebody would like to exist.
    Idea,
    /// How ideas are judged, and whether strangers may send some; one for each tenant.
    IdeaSettings,
    /// What was expected of a month, frozen before it began.
    Forecast,
    /// Prices.
    Plan,
    /// A company of ours that invoices; its id is its name.
    Entity,
    /// Who pays.
    Customer,
    /// Customer x plan revision x devices x from/to.
    Contract,
    /// An entry of the ledger.
    Ledger,
    /// A numbered document of money.
    Invoice,
    /// What somebody paid in a month for a venture's devices.
    Cost,
    /// The receipt of a device that was forgotten; its id is the device's.
    Erasure,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Tenant,
        Self::User,
        Self::Site,
        Self::Device,
        Self::Credential,
        Self::Authority,
        Self::Claim,
        Self::Enrolment,
        Self::Blueprint,
        Self::Assumption,
        Self::Experiment,
        Self::Evidence,
        Self::GateDecision,
        Self::Idea,
        Self::IdeaSettings,
        Self::Forecast,
        Self::Plan,
        Self::Entity,
        Self::Customer,
        Self::Contract,
        Self::Ledger,
        Self::Invoice,
        Self::Cost,
        Self::Erasure,
    ];

    /// The word in tables, frames and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Site => "site",
            Self::Device => "device",
            Self::Credential => "credential",
            Self::Authority => "authority",
            Self::Claim => "claim",
            Self::Enrolment => "enrolment",
            Self::Blueprint => "blueprint",
            Self::Assumption => "assumption",
            Self::Experiment => "experiment",
            Self::Evidence => "evidence",
            Self::GateDecision => "gate_decision",
            Self::Idea => "idea",
            Self::IdeaSettings => "idea_settings",
            Self::Forecast => "forecast",
            Self::Plan => "plan",
            Self::Entity => "entity",
            Self::Customer => "customer",
            Self::Contract => "contract",
            Self::Ledger => "ledger",
            Self::Invoice => "invoice",
            Self::Cost => "cost",
            Self::Erasure => "erasure",
        }
    }

    /// The field another record's id is in, by which records of this kind are also listed.
    pub(crate) const fn owner_field(self) -> Option<&'static str> {
        match self {
            Self::Credential => Some("owner"),
            Self::Enrolment => Some("claim"),
            Self::Evidence
            | Self::GateDecision
            | Self::Forecast
            | Self::Cost
            | Self::Assumption
            | Self::Experiment => Some("venture"),
            Self::Contract => Some("customer"),
            Self::Invoice | Self::Ledger => Some("contract"),
            Self::Tenant
            | Self::User
            | Self::Site
            | Self::Device
            | Self::Authority
            | Self::Claim
            | Self::Blueprint
            | Self::Idea
            | Self::IdeaSettings
            | Self::Plan
            | Self::Entity
            | Self::Customer
            | Self::Erasure => None,
        }
    }

    /// Whether `name` in the content is unique, and where.
    pub(crate) const fn name_scope(self) -> NameScope {
        match self {
            Self::Tenant => NameScope::Everywhere,
            Self::User
            | Self::Site
            | Self::Device
            | Self::Authority
            | Self::Claim
            | Self::Enrolment
            | Self::Plan
            | Self::Customer
            | Self::Contract => NameScope::Tenant,
            Self::Credential
            | Self::Blueprint
            | Self::Assumption
            | Self::Experiment
            | Self::Evidence
            | Self::GateDecision
            | Self::Idea
            | Self::IdeaSettings
            | Self::Forecast
            | Self::Entity
            | Self::Ledger
            | Self::Invoice
            | Self::Cost
            | Self::Erasure => NameScope::None,
        }
    }
}

/// Where a name may occur once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameScope {
    Everywhere,
    Tenant,
    None,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind { text: text.chars().take(32).collect() })
    }
}

/// Why a text is not a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a kind of record")]
pub struct UnknownKind {
    /// What was given, cut to a readable length.
    pub text: String,
}

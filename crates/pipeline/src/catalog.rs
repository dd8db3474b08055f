//! Definitions in force: blueprints by revision, sites, tenants; and what was found and agreed:
//! evidence by venture, contracts.
//!
//! *Invariant:* what is in force changes only by a `Decided` frame with a newer revision; old
//! blueprint revisions stay, because a device may be pinned to one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blueprint::Blueprint;
use model::{Name, SiteId, TenantId};
use registry::content::{
    BlueprintContent, ContractContent, EvidenceContent, SiteContent, TenantContent,
};

use crate::profile::Profile;
use crate::profile_of;

/// A kind without any `every` counts as silent after this long.
const SILENT_AFTER_DEFAULT: Duration = Duration::from_secs(3600);
/// Intervals that may be missed before a device counts as silent (console behaviour 20).
const MISSED_INTERVALS: u32 = 3;

/// One blueprint revision, ready for use.
#[derive(Debug)]
pub struct InForce {
    /// Revision of the record.
    pub revision: u64,
    /// The text as it was applied.
    pub text: String,
    /// The text, understood.
    pub blueprint: Blueprint,
    /// What decoding needs, by kind.
    pub profiles: BTreeMap<Name, Arc<Profile>>,
    /// When a device of a kind counts as silent.
    pub silent_after: BTreeMap<Name, Duration>,
}

/// Records by id; cheap to clone.
type ById<T> = Arc<BTreeMap<Box<str>, Arc<T>>>;

/// Definitions of all tenants of a shard.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    evidence: BTreeMap<(TenantId, Name), ById<EvidenceContent>>,
    contracts: BTreeMap<TenantId, ById<ContractContent>>,
    blueprints: BTreeMap<(TenantId, Name), BTreeMap<u64, Arc<InForce>>>,
    sites: BTreeMap<(TenantId, SiteId), Arc<SiteContent>>,
    tenants: BTreeMap<TenantId, Arc<TenantContent>>,
}

impl Catalog {
    /// The newest blueprint revision of a venture.
    #[must_use]
    pub fn newest(&self, tenant: TenantId, venture: &Name) -> Option<&Arc<InForce>> {
        let revisions = self.blueprints.get(&(tenant, venture.clone()))?;
        revisions.last_key_value().map(|(_, newest)| newest)
    }

    /// The blueprint that a device uses: its pinned revision, otherwise the newest.
    #[must_use]
    pub fn blueprint(
        &self,
        tenant: TenantId,
        venture: &Name,
        pinned: Option<u64>,
    ) -> Option<&Arc<InForce>> {
        let revisions = self.blueprints.get(&(tenant, venture.clone()))?;
        pinned
            .and_then(|revision| revisions.get(&revision))
            .or_else(|| revisions.last_key_value().map(|(_, newest)| newest))
    }

    /// The newest revision of every venture of a tenant, by name.
    pub fn ventures(&self, tenant: TenantId) -> impl Iterator<Item = (&Name, &Arc<InForce>)> {
        self.blueprints.iter().filter(move |((of, _), _)| *of == tenant).filter_map(
            |((_, venture), revisions)| {
                revisions.last_key_value().map(|(_, newest)| (venture, newest))
            },
        )
    }

    /// Every revision of a venture's blueprint that is known, oldest first.
    pub fn revisions(
        &self,
        tenant: TenantId,
        venture: &Name,
    ) -> impl DoubleEndedIterator<Item = &Arc<InForce>> {
        let revisions = self.blueprints.get(&(tenant, venture.clone()));
        revisions.into_iter().flat_map(BTreeMap::values)
    }

    /// Evidence of a venture by id, which is also the order in which it was recorded.
    pub fn evidence(
        &self,
        tenant: TenantId,
        venture: &Name,
    ) -> impl Iterator<Item = (&str, &Arc<EvidenceContent>)> {
        let all = self.evidence.get(&(tenant, venture.clone()));
        all.into_iter().flat_map(|all| all.iter()).map(|(id, content)| (&**id, content))
    }

    /// Contracts of a tenant, by id.
    pub fn contracts(
        &self,
        tenant: TenantId,
    ) -> impl Iterator<Item = (&str, &Arc<ContractContent>)> {
        let all = self.contracts.get(&tenant);
        all.into_iter().flat_map(|all| all.iter()).map(|(id, content)| (&**id, content))
    }

    /// Tenants that have a venture, with their ventures.
    pub fn all_ventures(&self) -> impl Iterator<Item = (TenantId, &Name)> {
        self.blueprints.keys().map(|(tenant, venture)| (*tenant, venture))
    }

    /// One site of a tenant.
    #[must_use]
    pub fn site(&self, tenant: TenantId, site: SiteId) -> Option<&Arc<SiteContent>> {
        self.sites.get(&(tenant, site))
    }

    /// All sites of a tenant, by id.
    pub fn sites(&self, tenant: TenantId) -> impl Iterator<Item = (SiteId, &Arc<SiteContent>)> {
        let of_tenant = self.sites.iter().filter(move |((of, _), _)| *of == tenant);
        of_tenant.map(|((_, site), content)| (*site, content))
    }

    /// One tenant.
    #[must_use]
    pub fn tenant(&self, tenant: TenantId) -> Option<&Arc<TenantContent>> {
        self.tenants.get(&tenant)
    }

    /// Takes in a record; `content` is `null` for a removed one. A text that does not parse was
    /// checked by a newer version and is left out rather than stopping an older one.
    pub(crate) fn put(&mut self, tenant: TenantId, record: &Definition<'_>) {
        let removed = record.content == "null";
        match record.kind {
            "blueprint" if removed => {
                if let Ok(venture) = record.id.parse() {
                    self.blueprints.remove(&(tenant, venture));
                }
            }
            "blueprint" => self.put_blueprint(tenant, record),
            "site" => {
                let Ok(site) = record.id.parse::<SiteId>() else { return };
                match serde_json::from_str(record.content) {
                    Ok(content) if !removed => {
                        self.sites.insert((tenant, site), Arc::new(content));
                    }
                    _ => {
                        self.sites.remove(&(tenant, site));
                    }
                }
            }
            "evidence" => self.put_evidence(tenant, record),
            "contract" => {
                let all = Arc::make_mut(self.contracts.entry(tenant).or_default());
                match serde_json::from_str::<ContractContent>(record.content) {
                    Ok(content) => drop(all.insert(record.id.into(), Arc::new(content))),
                    Err(_) => drop(all.remove(record.id)),
                }
            }
            "tenant" => {
                if let Ok(content) = serde_json::from_str(record.content) {
                    self.tenants.insert(tenant, Arc::new(content));
                }
            }
            _ => {}
        }
    }

    fn put_evidence(&mut self, tenant: TenantId, record: &Definition<'_>) {
        if let Ok(content) = serde_json::from_str::<EvidenceContent>(record.content) {
            let all = self.evidence.entry((tenant, content.venture.clone())).or_default();
            Arc::make_mut(all).insert(record.id.into(), Arc::new(content));
            return;
        }
        let of_tenant = self.evidence.iter_mut().filter(|((of, _), _)| *of == tenant);
        for (_, all) in of_tenant {
            if all.contains_key(record.id) {
                Arc::make_mut(all).remove(record.id);
            }
        }
    }

    fn put_blueprint(&mut self, tenant: TenantId, record: &Definition<'_>) {
        let Ok(content) = serde_json::from_str::<BlueprintContent>(record.content) else { return };
        let Some(blueprint) = Blueprint::parse(&content.text).blueprint else { return };
        let profiles = blueprint
            .kinds
            .iter()
            .map(|(name, kind)| (name.clone(), Arc::new(profile_of(kind))))
            .collect();
        let silent_after =
            blueprint.kinds.iter().map(|(name, kind)| (name.clone(), silent_after(kind))).collect();
        let in_force = InForce {
            revision: record.revision,
            text: content.text,
            blueprint,
            profiles,
            silent_after,
        };
        self.blueprints
            .entry((tenant, content.venture))
            .or_default()
            .insert(record.revision, Arc::new(in_force));
    }
}

fn silent_after(kind: &blueprint::Kind) -> Duration {
    let every = kind.readings.values().filter_map(|property| property.every).min();
    every.map_or(SILENT_AFTER_DEFAULT, |every| every * MISSED_INTERVALS)
}

/// A record as a `Decided` frame brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) revision: u64,
    pub(crate) content: &'a str,
}

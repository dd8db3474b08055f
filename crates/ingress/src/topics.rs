//! Which branch a topic or filter means for whoever names it.
//!
//! *Invariant:* `me/...` is the caller's branch, `me/c/{child}/...` the branch of a child it lists;
//! everything else goes through [`identity::authorize`].
//! *Invariant:* what is meant for a device (`desired`, `command/{id}`) is never taken from one.

use identity::{Action, Actor, Door, Identity};
use model::{DeviceId, TenantId};
use mqtt::connection::View;
use mqtt::router::{Address, is_subscribable};
use mqtt::{Reason, topic};

use crate::dialect;
use crate::refusal::RefusalReason;

/// Where a publish goes: whose branch, and how much of the topic names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) device: Option<DeviceId>,
    pub(crate) skip: usize,
    /// What a topic of a dialect is called here, instead of what `skip` leaves.
    pub(crate) name: Option<&'static str>,
    pub(crate) view: View,
}

impl Target {
    /// The topic below the branch.
    pub(crate) fn below<'a>(&self, topic: &'a str) -> &'a str {
        self.name.unwrap_or_else(|| topic.get(self.skip..).unwrap_or_default())
    }
}

/// Why a topic or filter is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) answer: Reason,
    pub(crate) reason: RefusalReason,
    pub(crate) detail: String,
    pub(crate) fix: &'static str,
}

pub(crate) fn unknown_child(child: &str) -> Denial {
    Denial {
        answer: Reason::NotAuthorized,
        reason: RefusalReason::UnknownChild,
        detail: format!("child {:?} is not listed by this gateway", crate::refusal::cut(child)),
        fix: "add the device to the gateway's children, or correct its id",
    }
}

fn child(door: &Door, who: &Identity, text: &str) -> Result<DeviceId, Denial> {
    let Actor::Device(gateway) = who.actor else { return Err(unknown_child(text)) };
    let device = text.parse().ok().or_else(|| door.device(who.tenant, text));
    device.filter(|child| door.speaks_for(gateway, *child)).ok_or_else(|| unknown_child(text))
}

/// Whether a topic below a branch carries something for the device.
fn is_downward(below: &str) -> bool {
    below == "desired"
        || below.strip_prefix("command/").is_some_and(|rest| !rest.ends_with("/answer"))
        || below.strip_prefix("request/").is_some_and(|rest| rest.ends_with("/answer"))
}

fn downward(below: &str) -> Denial {
    Denial {
        answer: Reason::NotAuthorized,
        reason: RefusalReason::Publish,
        detail: format!("me/{below} is for the device, it may not publish there"),
        fix: "report settings on me/reported and answer commands on me/command/{id}/answer",
    }
}

/// Whose branch a message of a dialect lies in: the caller's own or that of a child it names.
pub(crate) fn branch(
    door: &Door,
    who: &Identity,
    name: Option<&str>,
    below: &str,
) -> Result<DeviceId, Denial> {
    let device = match (name, who.actor) {
        (Some(name), _) => child(door, who, name)?,
        (None, Actor::Device(own)) => own,
        (None, Actor::Service(_) | Actor::Person(_) | Actor::Loopback) => {
            return Err(no_branch(RefusalReason::Publish));
        }
    };
    if is_downward(below) { Err(downward(below)) } else { Ok(device) }
}

/// Where a publish of `who` to `name` goes.
pub(crate) fn publish(door: &Door, who: &Identity, name: &str) -> Result<Target, Denial> {
    if let (Some(renamed), Actor::Device(own)) = (dialect::renamed(name), who.actor) {
        return Ok(Target { device: Some(own), skip: 0, name: Some(renamed), view: View::Me });
    }
    let target = match (name.strip_prefix("me/"), who.actor) {
        (Some(below), Actor::Device(own)) => match below.strip_prefix("c/") {
            Some(rest) => {
                let (text, rest) = rest.split_once('/').ok_or_else(|| unknown_child(rest))?;
                let device = Some(child(door, who, text)?);
                Target { device, skip: name.len() - rest.len(), name: None, view: View::Child }
            }
            None => Target { device: Some(own), skip: 3, name: None, view: View::Me },
        },
        (Some(_), Actor::Service(_) | Actor::Person(_) | Actor::Loopback) => {
            return Err(no_branch(RefusalReason::Publish));
        }
        (None, _) => {
            let allowed = door.authorize_topic(who, Action::Publish, name);
            allowed.map_err(|denied| Denial {
                answer: Reason::NotAuthorized,
                reason: RefusalReason::Publish,
                detail: denied.to_string(),
                fix: "publish to me/telemetry, me/event/{name}, me/reported or another topic \
                      below me/",
            })?;
            whole(who.tenant, name)?
        }
    };
    let below = target.below(name);
    if below.is_empty() {
        return Err(Denial {
            answer: Reason::TopicNameInvalid,
            reason: RefusalReason::Publish,
            detail: "the topic names a branch and nothing below it".to_owned(),
            fix: "publish to me/telemetry, me/event/{name} or me/reported",
        });
    }
    if matches!(who.actor, Actor::Device(_)) && is_downward(below) {
        return Err(downward(below));
    }
    Ok(target)
}

fn whole(tenant: TenantId, name: &str) -> Result<Target, Denial> {
    let address =
        Address::parse(tenant, name).ok_or_else(|| other_tenant(RefusalReason::Publish))?;
    let skip = name.len() - address.topic.len();
    Ok(Target { device: address.device, skip, name: None, view: View::Whole })
}

fn other_tenant(reason: RefusalReason) -> Denial {
    Denial {
        answer: Reason::NotAuthorized,
        reason,
        detail: "the topic names another tenant".to_owned(),
        fix: "use the tenant's own id, exactly as it is shown",
    }
}

fn no_branch(reason: RefusalReason) -> Denial {
    Denial {
        answer: Reason::NotAuthorized,
        reason,
        detail: "me/ is the branch of a device, and this credential is not a device's".to_owned(),
        fix: "use t/{tenant}/d/{device}/..., or a device's credential",
    }
}

/// A filter as the router knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Filter {
    pub(crate) device: Option<DeviceId>,
    pub(crate) topic: Box<str>,
    pub(crate) group: Option<Box<str>>,
    pub(crate) view: View,
}

impl Filter {
    pub(crate) fn address(&self) -> Address<'_> {
        Address { device: self.device, topic: &self.topic }
    }
}

/// What a filter of `who` means: usually one, with `me/c/+/...` one for each child.
pub(crate) fn subscribe(door: &Door, who: &Identity, text: &str) -> Result<Vec<Filter>, Denial> {
    let invalid = || Denial {
        answer: Reason::TopicFilterInvalid,
        reason: RefusalReason::Subscribe,
        detail: topic::NotAFilter.to_string(),
        fix: "correct the filter",
    };
    let shared = topic::shared(text).map_err(|_| invalid())?;
    let (group, filter) = match shared {
        Some(shared) => (Some(shared.group), shared.filter),
        None => (None, text),
    };
    if !is_subscribable(filter) {
        return Err(invalid());
    }
    let make = |device, topic: &str, view| Filter {
        device,
        topic: topic.into(),
        group: group.map(Into::into),
        view,
    };
    let children = |gateway| door.children(gateway);
    if let Some(asked) = dialect::subscribed(who, children, filter) {
        let each = asked.into_iter().map(|asked| make(asked.device, &asked.topic, asked.view));
        return Ok(each.collect());
    }
    match (filter.strip_prefix("me/"), who.actor) {
        (Some(below), Actor::Device(own)) => {
            if below.is_empty() {
                return Err(invalid());
            }
            let Some(rest) = below.strip_prefix("c/") else {
                return Ok(vec![make(Some(own), below, View::Me)]);
            };
            let all = |rest: &str| -> Vec<Filter> {
                let children = door.children(own);
                children.iter().map(|child| make(Some(*child), rest, View::Child)).collect()
            };
            match rest.split_once('/') {
                None if rest == "#" => Ok(all("#")),
                None | Some((_, "")) => Err(invalid()),
                Some(("+", rest)) => Ok(all(rest)),
                Some((text, rest)) => {
                    Ok(vec![make(Some(child(door, who, text)?), rest, View::Child)])
                }
            }
        }
        (Some(_), Actor::Service(_) | Actor::Person(_) | Actor::Loopback) => {
            Err(no_branch(RefusalReason::Subscribe))
        }
        (None, _) => {
            let allowed = door.authorize_topic(who, Action::Subscribe, filter);
            allowed.map_err(|denied| Denial {
                answer: Reason::NotAuthorized,
                reason: RefusalReason::Subscribe,
                detail: denied.to_string(),
                fix: "subscribe to me/desired, me/command/+ or another filter below me/",
            })?;
            let address = Address::parse(who.tenant, filter);
            let address = address.ok_or_else(|| other_tenant(RefusalReason::Subscribe))?;
            Ok(vec![make(address.device, address.topic, View::Whole)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{DeviceFacts, Role};
    use model::{CredentialId, Origin, SystemClock};
    use std::sync::Arc;

    const TENANT: TenantId = TenantId::from_u128(1);
    const GATEWAY: DeviceId = DeviceId::from_u128(5);
    const CHILD: DeviceId = DeviceId::from_u128(6);

    fn door() -> Door {
        let door = Door::new(Arc::new(SystemClock::new()));
        let facts = DeviceFacts {
            device: GATEWAY,
            name: "gw".to_owned(),
            origin: Origin::Real,
            children: vec![CHILD],
        };
        door.apply_device(TENANT, facts).expect("a new device");
        let facts = DeviceFacts {
            device: CHILD,
            name: "probe-1".to_owned(),
            origin: Origin::Real,
            children: vec![],
        };
        door.apply_device(TENANT, facts).expect("a new device");
        door
    }

    fn identity(actor: Actor, role: Role) -> Identity {
        let origin = Origin::Real;
        Identity { tenant: TENANT, actor, role, origin, credential: None, expires: None }
    }

    fn gateway() -> Identity {
        identity(Actor::Device(GATEWAY), Role::Device)
    }

    fn service() -> Identity {
        identity(Actor::Service(CredentialId::from_u128(9)), Role::Service)
    }

    #[test]
    fn me_is_the_own_branch_and_me_c_a_listed_childs() {
        let door = door();
        let target = publish(&door, &gateway(), "me/telemetry").unwrap();
        assert_eq!((target.device, target.skip), (Some(GATEWAY), 3));
        for name in [format!("me/c/{CHILD}/telemetry"), "me/c/probe-1/telemetry".to_owned()] {
            let target = publish(&door, &gateway(), &name).unwrap();
            assert_eq!((target.device, name.get(target.skip..)), (Some(CHILD), Some("telemetry")));
        }
        let long = format!("t/{TENANT}/d/{GATEWAY}/telemetry");
        let target = publish(&door, &gateway(), &long).unwrap();
        assert_eq!((target.device, long.get(target.skip..)), (Some(GATEWAY), Some("telemetry")));
    }

    #[test]
    fn what_is_not_the_devices_own_is_refused_with_a_fix() {
        let door = door();
        let stranger = DeviceId::from_u128(7);
        for (name, answer) in [
            (format!("t/{TENANT}/d/{stranger}/telemetry"), Reason::NotAuthorized),
            (format!("me/c/{stranger}/telemetry"), Reason::NotAuthorized),
            ("plant/1".to_owned(), Reason::NotAuthorized),
            ("me/".to_owned(), Reason::TopicNameInvalid),
            ("me/desired".to_owned(), Reason::NotAuthorized),
            ("me/command/7".to_owned(), Reason::NotAuthorized),
            ("me/request/7/answer".to_owned(), Reason::NotAuthorized),
            (format!("me/c/{CHILD}/desired"), Reason::NotAuthorized),
        ] {
            let denial = publish(&door, &gateway(), &name).expect_err(&name);
            assert_eq!(denial.answer, answer, "{name}");
            assert!(!denial.fix.is_empty());
        }
        assert!(publish(&door, &gateway(), "me/command/7/answer").is_ok());
    }

    #[test]
    fn a_service_has_its_tenants_tree_and_no_branch_of_its_own() {
        let door = door();
        assert_eq!(publish(&door, &service(), "plant/1").unwrap().device, None);
        let other = TenantId::from_u128(2);
        assert!(publish(&door, &service(), &format!("t/{other}/x/y")).is_err());
        assert!(publish(&door, &service(), "me/telemetry").is_err());
        let lower = format!("t/{}/x/y", TENANT.to_string().to_lowercase());
        assert!(publish(&door, &service(), &lower).is_ok_and(|t| t.device.is_none()));
        let filters = subscribe(&door, &service(), "$share/g/t/+/d/+/telemetry").unwrap();
        assert_eq!(filters[0].group.as_deref(), Some("g"));
        assert_eq!(filters[0].device, None);
    }

    #[test]
    fn a_device_cannot_subscribe_outside_its_branch() {
        let door = door();
        for text in ["#", "+/#", "me", "t/+/d/#", "plant/1", "$SYS/#", "$share/g/#", "me/#/x"] {
            assert!(subscribe(&door, &gateway(), text).is_err(), "{text}");
        }
        let own = subscribe(&door, &gateway(), "me/#").unwrap();
        assert_eq!((own[0].device, &*own[0].topic), (Some(GATEWAY), "#"));
        let children = subscribe(&door, &gateway(), "me/c/+/desired").unwrap();
        assert_eq!((children.len(), children[0].device), (1, Some(CHILD)));
    }
}

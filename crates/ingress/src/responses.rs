//! Where an answer to a message shall go: the Response Topic of MQTT 5 (section 4.10).
//!
//! *Invariant:* whoever asks names only a topic that it may read itself. A responder trusts the
//! topic it is given, and a service may publish anywhere in its tenant, so a topic of somebody
//! else would let a device write there by way of the service.
//! *Invariant:* readers see the topic in full: `me/...` means nothing to who answers.

use identity::{Door, Identity};
use mqtt::{Properties, Property, PropertyBuffer, Reason};

use crate::refusal::RefusalReason;
use crate::topics::{self, Denial};

/// Appends the properties to pass on, in wire form.
pub(crate) fn forwarded(
    door: &Door,
    who: &Identity,
    properties: Properties<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Denial> {
    let named = |p| if let Property::ResponseTopic(topic) = p { Some(topic) } else { None };
    let Some(named) = properties.iter().find_map(named) else {
        properties.forwarded(out);
        return Ok(());
    };
    let whole = readable(door, who, named)?;
    let mut kept = PropertyBuffer::default();
    for property in properties.iter() {
        let own = matches!(
            property,
            Property::TopicAlias(_) | Property::SubscriptionIdentifier(_) | Property::WillDelay(_)
        );
        if matches!(property, Property::ResponseTopic(_)) {
            kept.push(Property::ResponseTopic(&whole));
        } else if !own {
            kept.push(property);
        }
    }
    out.extend_from_slice(kept.as_properties().as_wire());
    Ok(())
}

/// The whole topic, when the caller may read it.
fn readable(door: &Door, who: &Identity, topic: &str) -> Result<String, Denial> {
    let denied = |detail: String| Denial {
        answer: Reason::NotAuthorized,
        reason: RefusalReason::Publish,
        detail: format!("the response topic: {detail}"),
        fix: "ask for the answer on a topic below me/",
    };
    let filters = topics::subscribe(door, who, topic).map_err(|why| denied(why.detail))?;
    let first = filters.into_iter().next();
    let first = first.ok_or_else(|| denied("no child to answer to".to_owned()))?;
    Ok(match first.device {
        Some(device) => format!("{}{}", mqtt::router::branch(who.tenant, device), first.topic),
        None => first.topic.into(),
    })
}

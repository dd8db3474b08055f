//! What is judged again at the moment it happens: a delivery, a will, a session taken up again.
//!
//! *Invariant:* nothing decided earlier lets a message through: neither a subscription, nor a
//! queue, nor a will given at CONNECT, nor what the log says of a session.

use identity::{Actor, Identity, Role};
use model::DeviceId;
use mqtt::connection::View;

use crate::follow::Message;
use crate::hub::{Hub, Who, Will};
use crate::sessions;
use crate::shared::Shared;

/// What a program may be trusted with. A session rebuilt from the log does not know which it was.
const SERVICE_ROLES: [Role; 4] = [Role::Service, Role::Viewer, Role::Operator, Role::Engineer];

/// Whether the subscriber may see the message now: a gateway's children change.
pub(crate) fn may_see(shared: &Shared, who: &Who, message: &Message<'_>, view: View) -> bool {
    if who.identity.tenant != message.tenant {
        return false;
    }
    match (view, who.device()) {
        (View::Me, Some(own)) => message.device == Some(own),
        (View::Child, Some(own)) => {
            message.device.is_some_and(|child| shared.door.speaks_for(own, child))
        }
        (View::Whole | View::Dialect(_), Some(own)) => reaches(shared, own, message.device),
        (View::Whole, None) => true,
        (View::Me | View::Child | View::Dialect(_), None) => false,
    }
}

/// Whether a will may be sent now.
pub(crate) fn may_send(shared: &Shared, who: &Who, will: &Will) -> bool {
    let reaches_target = match who.device() {
        Some(own) => reaches(shared, own, will.target.device),
        None => true,
    };
    reaches_target && is_in_force(shared, &who.identity)
}

/// A device reaches its own branch and those of the children it lists.
fn reaches(shared: &Shared, own: DeviceId, device: Option<DeviceId>) -> bool {
    device.is_some_and(|device| device == own || shared.door.speaks_for(own, device))
}

/// Whether the credential of a session is still good, and its device or program still there.
pub(crate) fn is_in_force(shared: &Shared, who: &Identity) -> bool {
    let is_valid = |identity: &Identity| shared.door.still_valid(identity).is_ok();
    if is_valid(who) {
        return true;
    }
    let with = |role| is_valid(&Identity { role, ..who.clone() });
    matches!(who.actor, Actor::Service(_)) && SERVICE_ROLES.into_iter().any(with)
}

/// Ends the sessions whose credential ended while nobody watched: before the start.
pub(crate) fn end_revoked(shared: &Shared, hub: &mut Hub) {
    let revoked: Vec<_> = hub
        .slots()
        .filter(|(_, s)| !is_in_force(shared, &s.who.identity))
        .map(|(id, _)| id)
        .collect();
    for subscriber in revoked {
        let Some(slot) = hub.remove(subscriber) else { continue };
        tracing::info!(client_id = %slot.who.client_id, "session of an ended credential ended");
        sessions::end(shared, &slot.who, None, Some(&sessions::ENDED));
    }
}

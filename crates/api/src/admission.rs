//! What people decided about devices, users and credentials, told to the door.
//!
//! *Invariant:* the door is a fold of decisions like any other: it learns of them in log order.

use std::sync::Arc;

use identity::certificate::ForeignAuthority;
use identity::{
    AuthorityFacts, ClaimFacts, CredentialFacts, DeviceFacts, Door, Owner, Proof, Role, SecretHash,
    UserFacts,
};
use model::Decided;
use registry::content::{
    AuthorityContent, ClaimContent, CredentialContent, CredentialOwner, DeviceContent,
    EnrolmentContent, UserContent,
};
use serde::de::DeserializeOwned;

/// Why the door cannot take a record in; the record stays as it is.
type Refused = Box<dyn std::error::Error>;

/// Tells the door of a decision; those about other things are none of its business.
pub fn admit(door: &Door, decided: &Decided<'_>) {
    let taken = match decided.kind {
        "device" => device(door, decided),
        "user" => user(door, decided),
        "credential" => credential(door, decided),
        "authority" => authority(door, decided),
        "claim" => claim(door, decided),
        "enrolment" => enrolment(door, decided),
        _ => return,
    };
    if let Err(error) = taken {
        tracing::error!(kind = decided.kind, id = decided.id, %error, "the door ignores a record");
    }
}

/// The content; none when the record was removed.
fn content<T: DeserializeOwned>(decided: &Decided<'_>) -> Result<Option<T>, Refused> {
    Ok(serde_json::from_str(decided.content)?)
}

fn device(door: &Door, decided: &Decided<'_>) -> Result<(), Refused> {
    let device = decided.id.parse()?;
    let Some(content) = content::<DeviceContent>(decided)? else {
        door.remove_device(device);
        return Ok(());
    };
    if content.retired.is_some() {
        // Out of service nothing opens for it, whoever signs for it. Its enrolment stays known.
        door.remove_device(device);
        return Ok(());
    }
    let name = content.name.as_str().to_owned();
    let facts = DeviceFacts { device, name, origin: content.origin, children: content.children };
    Ok(door.apply_device(decided.tenant, facts)?)
}

fn user(door: &Door, decided: &Decided<'_>) -> Result<(), Refused> {
    let user = decided.id.parse()?;
    let Some(content) = content::<UserContent>(decided)? else {
        door.remove_user(user);
        return Ok(());
    };
    let role: Role = content.role.as_str().parse()?;
    Ok(door.apply_user(decided.tenant, UserFacts { user, role })?)
}

fn credential(door: &Door, decided: &Decided<'_>) -> Result<(), Refused> {
    let credential = decided.id.parse()?;
    let Some(content) = content::<CredentialContent>(decided)? else {
        door.remove_credential(credential);
        return Ok(());
    };
    let owner = match content.owner {
        CredentialOwner::Device(device) => Owner::Device(device),
        CredentialOwner::Person(user) => Owner::Person(user),
        CredentialOwner::Service(name) => {
            let role = match &content.role {
                Some(role) => role.as_str().parse()?,
                None => Role::Service,
            };
            Owner::Service { name: name.as_str().to_owned(), role }
        }
    };
    let facts = CredentialFacts {
        credential,
        owner,
        proof: match &content.certificate {
            Some(_) => Proof::Certificate,
            None => Proof::Token,
        },
        secret: content.secret_sha256.parse()?,
        key: match &content.certificate {
            Some(certificate) => Some(certificate.key_sha256.parse::<SecretHash>()?.fingerprint()),
            None => None,
        },
        origin: content.origin,
        not_before: content.not_before,
        expires: content.expires,
        revoked: content.revoked,
    };
    Ok(door.apply_credential(decided.tenant, facts)?)
}

fn authority(door: &Door, decided: &Decided<'_>) -> Result<(), Refused> {
    let authority = decided.id.parse()?;
    let Some(content) = content::<AuthorityContent>(decided)? else {
        door.remove_authority(authority);
        return Ok(());
    };
    let parsed = ForeignAuthority::parse(&content.certificate, door.now())?;
    let certificate: Arc<[u8]> = parsed.certificate_der().into();
    door.apply_authority(decided.tenant, AuthorityFacts { authority, certificate });
    Ok(())
}

fn claim(door: &Door, decided: &Decided<'_>) -> Result<(), Refused> {
    let claim = decided.id.parse()?;
    match content::<ClaimContent>(decided)? {
        None => door.remove_claim(claim),
        Some(content) => {
            let facts = ClaimFacts { claim, secret: content.secret_sha256.parse()? };
            door.apply_claim(decided.tenant, &facts);
        }
    }
    Ok(())
}

fn enrolment(door: &Door, decided: &Decided<'_>) -> Result<(), Refused> {
    let device = decided.id.parse()?;
    let enrolled = content::<EnrolmentContent>(decided)?;
    let enrolled = enrolled.map(|enrolled| (enrolled.claim, enrolled.name));
    door.apply_enrolment(decided.tenant, device, enrolled);
    Ok(())
}

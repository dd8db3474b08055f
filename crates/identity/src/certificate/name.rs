//! How a certificate names a device: `urn:iotbiz:{tenant}:{device}`.
//!
//! *Invariant:* what is written here reads back to the same device.

use model::{DeviceId, TenantId};
use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

const URN: &str = "urn:iotbiz:";

/// The name of a device in a certificate.
pub(super) fn urn(tenant: TenantId, device: DeviceId) -> String {
    format!("{URN}{tenant}:{device}")
}

/// The device a name means, if it is one of ours.
pub(super) fn device(uri: &str) -> Option<(TenantId, DeviceId)> {
    let (tenant, device) = uri.strip_prefix(URN)?.split_once(':')?;
    Some((tenant.parse().ok()?, device.parse().ok()?))
}

/// The one common name of a subject; none if there are several, as nobody says which one counts.
pub(super) fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let mut names = subject.iter_common_name();
    let first = names.next()?.as_str().ok()?.to_owned();
    names.next().is_none().then_some(first)
}

/// An alternative name as people read it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind of name is shown as the parser shows it"
)]
pub(super) fn shown(name: &GeneralName<'_>) -> String {
    let text = match name {
        GeneralName::DNSName(text) => format!("dns:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::IPAddress(octets) => match address(octets) {
            Some(address) => format!("ip:{address}"),
            None => "ip:unreadable".to_owned(),
        },
        other => other.to_string(),
    };
    escaped(&text)
}

/// Text of a stranger that can go into a log line.
pub(super) fn escaped(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).collect()
}

fn address(octets: &[u8]) -> Option<std::net::IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(Into::into);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(Into::into)).ok()
}

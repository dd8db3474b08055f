//! What an authority makes, and that others can verify it.

use rcgen::PublicKeyData as _;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;

/// What TLS does: the chain leads to the root, for this usage.
fn verify(leaf: &Leaf, root: &Authority, usage: KeyUsage) -> Result<(), webpki::Error> {
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let root = CertificateDer::from(root.certificate_der());
    let anchors = [anchor_from_trusted_cert(&root).unwrap()];
    let (own, above) = chain.split_first().unwrap();
    let end = EndEntityCert::try_from(own).unwrap();
    let at = unix(now());
    end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, above, at, usage, None, None).map(|_| ())
}

#[test]
fn a_device_certificate_opens_a_tls_handshake_as_client_and_not_as_server() {
    let (root, authority) = authorities();
    let leaf = authority.issue_device(&request(&named("x")), tenant(), device(), year()).unwrap();
    verify(&leaf, &root, KeyUsage::client_auth()).unwrap();
    assert!(verify(&leaf, &root, KeyUsage::server_auth()).is_err());
}

#[test]
fn a_server_certificate_is_good_for_its_names_only() {
    let (root, _) = authorities();
    let names = ["localhost", "factory.example.org", "192.0.2.7", "2001:db8::7"];
    let names = names.map(|name| ServerName::try_from(name).unwrap());
    let made = root.issue_server(&names, now()).unwrap();
    verify(&made.leaf, &root, KeyUsage::server_auth()).unwrap();
    assert!(verify(&made.leaf, &root, KeyUsage::client_auth()).is_err());
    let der = CertificateDer::from(made.leaf.certificate_der.as_slice());
    let end = EndEntityCert::try_from(&der).unwrap();
    for name in &names {
        end.verify_is_valid_for_subject_name(name).unwrap();
    }
    let other = ServerName::try_from("example.org").unwrap();
    assert!(end.verify_is_valid_for_subject_name(&other).is_err());
    assert_eq!(made.leaf.not_after, now() + SERVER_LIFE);
    assert!(KeyPair::from_pem(made.key.reveal()).is_ok());
}

#[test]
fn a_server_has_a_name_and_not_a_thousand() {
    let (root, _) = authorities();
    let refused = root.issue_server(&[], now()).unwrap_err();
    assert_eq!(refused.to_string(), "a server's certificate has 1 to 64 names, got 0");
    let many = vec![ServerName::try_from("localhost").unwrap(); SERVER_NAMES_MAX + 1];
    assert!(matches!(root.issue_server(&many, now()), Err(Error::Names { names: 65, .. })));
}

#[test]
fn a_device_certificate_says_what_it_must() {
    let (_, authority) = authorities();
    let leaf = authority.issue_device(&request(&named("x")), tenant(), device(), year()).unwrap();
    let seen = peer(&leaf.certificate_der);
    assert_eq!(seen.common_name, Some(device().to_string()));
    assert_eq!(seen.named, Some((tenant(), device())));
    assert_eq!(seen.purposes, Some(vec!["clientAuth".to_owned()]));
    assert_eq!(seen.issuer, format!("CN=iotbiz devices of {}", tenant()));
    assert_eq!((seen.not_before, seen.not_after), (now() - CLOCK_SKEW, now() + DEVICE_LIFE));
    assert_eq!(seen.serial, leaf.serial);
    assert_eq!(seen.claimed(), device().to_string());
    let (_, parsed) = X509Certificate::from_der(&leaf.certificate_der).unwrap();
    let urn = format!("urn:iotbiz:{}:{}", tenant(), device());
    let names = parsed.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names, [x509_parser::extensions::GeneralName::URI(&urn)]);
    let basic = parsed.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && !basic.value.ca);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert_eq!(parsed.subject().iter_attributes().count(), 1);
}

#[test]
fn serial_numbers_have_128_random_bits() {
    let (_, authority) = authorities();
    let asked = request(&named("x"));
    let serials: std::collections::BTreeSet<_> = (0..50)
        .map(|_| authority.issue_device(&asked, tenant(), device(), year()).unwrap().serial)
        .collect();
    assert_eq!(serials.len(), 50);
    // A leading zero byte has a chance of 1 in 256 each: 14 of 16 bytes are there in practice.
    assert!(serials.iter().all(|serial| (28..=32).contains(&serial.to_string().len())));
}

#[test]
fn a_new_key_is_handed_out_once_and_never_printed() {
    let (root, authority) = authorities();
    let made = authority.issue_device_with_new_key(tenant(), device(), year()).unwrap();
    verify(&made.leaf, &root, KeyUsage::client_auth()).unwrap();
    let key = KeyPair::from_pem(made.key.reveal()).unwrap();
    assert_eq!(fingerprint(&key.subject_public_key_info()), made.leaf.spki_sha256);
    let shown = format!("{:?} {made:?} {authority:?} {:?}", made.key, authority.key_pem());
    assert!(shown.contains("PrivateKey(…)") && !shown.contains("PRIVATE KEY"));
}

#[test]
fn an_authority_comes_back_from_its_pem() {
    let (root, authority) = authorities();
    let pem = authority.chain_pem();
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 2);
    let back = Authority::from_pem(&pem, authority.key_pem().reveal()).unwrap();
    assert_eq!(back.chain(), authority.chain());
    assert_eq!(back.not_after(), authority.not_after());
    let leaf = back.issue_device(&request(&named("x")), tenant(), device(), year()).unwrap();
    verify(&leaf, &root, KeyUsage::client_auth()).unwrap();
    peer(&leaf.certificate_der).judge(&[authority.certificate_der()], now()).unwrap();
}

#[test]
fn an_authority_needs_its_own_key() {
    let (root, authority) = authorities();
    let refused = |cert: &str, key: &str| Authority::from_pem(cert, key).unwrap_err().to_string();
    let foreign = refused(&authority.chain_pem(), root.key_pem().reveal());
    assert_eq!(foreign, "the private key does not belong to the certificate");
    assert!(refused(&authority.chain_pem(), "no key").contains("openssl pkcs8"));
    assert!(refused("no certificate", root.key_pem().reveal()).contains("not PEM"));
}

#[test]
fn a_chain_leads_upward_and_only_authorities_sign() {
    let (root, authority) = authorities();
    let (other, _) = authorities();
    let mixed = format!("{}{}", authority.certificate_pem(), other.certificate_pem());
    let refused = Authority::from_pem(&mixed, authority.key_pem().reveal()).unwrap_err();
    assert!(matches!(refused, Error::Chain { .. }), "{refused}");
    let made = root.issue_device_with_new_key(tenant(), device(), year()).unwrap();
    let refused = Authority::from_pem(&made.leaf.certificate_pem, made.key.reveal()).unwrap_err();
    assert!(matches!(refused, Error::Authority(_)), "{refused}");
}

#[test]
fn a_chain_has_a_limit() {
    let (_, authority) = authorities();
    let many = authority.certificate_pem().repeat(CHAIN_MAX + 1);
    let refused = Authority::from_pem(&many, authority.key_pem().reveal()).unwrap_err();
    assert_eq!(refused.to_string(), "the certificate is not PEM with 1 to 4 CERTIFICATE blocks");
}

#[test]
fn a_subject_that_cannot_be_written_again_is_refused() {
    let mut params = named("twice");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "A");
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 11]), "B");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let refused = Authority::from_pem(&pem, &key.serialize_pem()).unwrap_err();
    assert!(matches!(refused, Error::Subject { .. }), "{refused}");
}

#[test]
fn nothing_outlives_its_authority() {
    let (root, authority) = authorities();
    assert_eq!(root.not_after(), now() + ROOT_LIFE);
    assert_eq!(authority.not_after(), now() + TENANT_LIFE);
    let forever = (now(), now() + 20 * DEVICE_LIFE);
    let leaf = authority.issue_device(&request(&named("x")), tenant(), device(), forever).unwrap();
    assert_eq!(leaf.not_after, authority.not_after());
    let late = root.not_after() - DAY;
    assert_eq!(root.tenant(tenant(), late).unwrap().not_after(), root.not_after());
    let refused = root.tenant(tenant(), root.not_after() + DAY).unwrap_err();
    assert!(matches!(refused, Error::NoLife { .. }), "{refused}");
}

#[test]
fn a_life_that_is_none_or_outside_the_calendar_is_refused() {
    let (_, authority) = authorities();
    let asked = request(&named("x"));
    let issue = |validity| authority.issue_device(&asked, tenant(), device(), validity);
    assert!(matches!(issue((now(), now())), Err(Error::NoLife { .. })));
    let first = Timestamp::from_millis(i64::MIN);
    assert!(matches!(issue((first, now())), Err(Error::Time { .. })));
    assert!(Authority::root("late", Timestamp::MAX).is_err());
}

#[test]
fn a_clock_that_starts_in_1970_can_make_an_authority() {
    let root = Authority::root("early", Timestamp::ZERO).unwrap();
    assert_eq!(peer(root.certificate_der()).not_before, Timestamp::ZERO);
}

#[test]
fn certificates_after_2050_are_written_and_read() {
    let later: Timestamp = "2049-06-01T00:00:00Z".parse().unwrap();
    let root = Authority::root("late", later).unwrap();
    let leaf = root.issue_device_with_new_key(tenant(), device(), (later, later + DEVICE_LIFE));
    let seen = peer(&leaf.unwrap().leaf.certificate_der);
    assert_eq!(seen.not_after.to_string(), "2050-06-01T00:00:00Z");
    seen.judge(&[root.certificate_der()], later + 300 * DAY).unwrap();
}

#[test]
fn every_error_has_a_kind() {
    assert_eq!(Error::KeyPem.kind(), model::ErrorKind::Invalid);
    assert_eq!(Error::Revoked { revoked: 2, max: 1 }.kind(), model::ErrorKind::TooLarge);
    let sign = Error::from(rcgen::Error::KeyGenerationUnavailable);
    assert_eq!(sign.kind(), model::ErrorKind::Internal);
}

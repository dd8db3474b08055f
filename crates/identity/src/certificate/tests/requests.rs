//! What a device asks, and how much of it it gets.

use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, PublicKeyData as _, SanType,
};

use super::*;

fn refused(request: &[u8]) -> &'static str {
    let refusal = CertificateRequest::parse(request).unwrap_err();
    assert!(!refusal.fix().is_empty());
    refusal.code()
}

#[test]
fn c7_a_request_for_an_authority_or_other_names_gets_the_template_and_a_list_of_what_was_dropped() {
    let (_, authority) = authorities();
    let mut params = named("somebody else");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    let other = format!("urn:iotbiz:{}:{}", TenantId::from_u128(8), DeviceId::from_u128(1));
    params.subject_alt_names = vec![
        SanType::DnsName("evil.example".try_into().unwrap()),
        SanType::URI(other.as_str().try_into().unwrap()),
    ];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = authority.issue_device(&request(&params), tenant(), device(), year()).unwrap();
    let wanted = [
        "CN somebody else",
        "keyUsage keyCertSign",
        "SAN dns:evil.example",
        &format!("SAN uri:{other}"),
        "extendedKeyUsage serverAuth",
        "basicConstraints CA:TRUE",
    ];
    assert_eq!(leaf.dropped, wanted);
    let seen = peer(&leaf.certificate_der);
    assert_eq!(seen.named, Some((tenant(), device())));
    assert_eq!(seen.common_name, Some(device().to_string()));
    assert_eq!(seen.purposes, Some(vec!["clientAuth".to_owned()]));
    seen.judge(&[authority.certificate_der()], now()).unwrap();
}

#[test]
fn c7_a_greedy_request_of_openssl_is_read_whole_and_its_password_is_not_repeated() {
    let request = CertificateRequest::parse(fixtures::REQUEST_GREEDY.as_bytes()).unwrap();
    let asked = [
        "C DE",
        "O Acme",
        "CN dev_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "challengePassword",
        "basicConstraints CA:TRUE",
        "keyUsage digitalSignature",
        "keyUsage keyCertSign",
        "extendedKeyUsage serverAuth",
        "extendedKeyUsage clientAuth",
        "SAN dns:evil.example",
        "SAN ip:10.0.0.1",
        "SAN uri:urn:iotbiz:ten_01ARZ3NDEKTSV4RRFFQ69G5FAV:dev_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "SAN email:root@example.org",
        "extension 1.3.6.1.5.5.7.1.24",
    ];
    assert_eq!(request.asked, asked);
}

#[test]
fn a_modest_request_loses_nothing() {
    let (_, authority) = authorities();
    let mut params = named(&device().to_string());
    let urn = format!("urn:iotbiz:{}:{}", tenant(), device());
    params.subject_alt_names = vec![SanType::URI(urn.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.is_ca = IsCa::ExplicitNoCa;
    let leaf = authority.issue_device(&request(&params), tenant(), device(), year()).unwrap();
    assert_eq!(leaf.dropped, Vec::<String>::new());
}

#[test]
fn c7_what_a_stranger_asks_stays_on_its_log_line() {
    let asked = request(&named("a\nlevel=error all is lost"));
    assert_eq!(asked.asked, ["CN a\\nlevel=error all is lost"]);
}

#[test]
fn c8_a_request_signed_by_another_key_is_refused() {
    let params = named("x");
    let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut der = params.serialize_request(&own).unwrap().der().to_vec();
    let (mine, theirs) = (own.public_key_raw(), other.public_key_raw());
    let at = der.windows(mine.len()).position(|window| window == mine).unwrap();
    der[at..at + mine.len()].copy_from_slice(theirs);
    assert_eq!(refused(&der), "bad_signature");
}

#[test]
fn c8_the_key_of_a_request_is_the_key_of_its_certificate_so_a_reused_one_is_seen() {
    let (_, authority) = authorities();
    let key = KeyPair::generate().unwrap();
    let ask = |name: &str| {
        let der = named(name).serialize_request(&key).unwrap().der().to_vec();
        CertificateRequest::parse(&der).unwrap()
    };
    let (first, second) = (ask("first"), ask("second"));
    assert_eq!(first.spki_sha256, second.spki_sha256);
    assert_eq!(first.spki_sha256, fingerprint(&key.subject_public_key_info()));
    let leaf = authority.issue_device(&first, tenant(), device(), year()).unwrap();
    assert_eq!(leaf.spki_sha256, first.spki_sha256);
    assert_ne!(request(&named("x")).spki_sha256, first.spki_sha256);
}

#[test]
fn c8_keys_and_signatures_that_can_be_broken_are_refused() {
    assert_eq!(refused(fixtures::REQUEST_RSA_1024.as_bytes()), "weak_key");
    assert_eq!(refused(fixtures::REQUEST_SHA1.as_bytes()), "weak_key");
    assert_eq!(refused(fixtures::REQUEST_P521.as_bytes()), "unsupported_key");
}

#[test]
fn keys_of_every_good_kind_are_certified() {
    let (_, authority) = authorities();
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = named("x").serialize_request(&key).unwrap().der().to_vec();
        let request = CertificateRequest::parse(&der).unwrap();
        let leaf = authority.issue_device(&request, tenant(), device(), year()).unwrap();
        peer(&leaf.certificate_der).judge(&[authority.certificate_der()], now()).unwrap();
    }
    let rsa = CertificateRequest::parse(fixtures::REQUEST_RSA_2048.as_bytes()).unwrap();
    let leaf = authority.issue_device(&rsa, tenant(), device(), year()).unwrap();
    assert_eq!(leaf.spki_sha256, rsa.spki_sha256);
    peer(&leaf.certificate_der).judge(&[authority.certificate_der()], now()).unwrap();
}

#[test]
fn the_older_label_of_keytool_is_read() {
    let older = fixtures::REQUEST_RSA_2048.replace("CERTIFICATE REQ", "NEW CERTIFICATE REQ");
    let new = CertificateRequest::parse(fixtures::REQUEST_RSA_2048.as_bytes()).unwrap();
    assert_eq!(CertificateRequest::parse(older.as_bytes()).unwrap(), new);
}

#[test]
fn what_is_no_request_is_refused() {
    assert_eq!(refused(b""), "malformed");
    assert_eq!(refused(b"-----BEGIN CERTIFICATE REQUEST-----"), "malformed");
    assert_eq!(refused(fixtures::MAKER_CA.as_bytes()), "malformed");
    assert_eq!(refused(&[0x30, 0x82]), "malformed");
    let tail = named("x").serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let mut der = tail.der().to_vec();
    der.push(0);
    assert_eq!(refused(&der), "malformed");
    assert_eq!(refused(&vec![0x30; CSR_BYTES_MAX + 1]), "too_large");
    let text = CertificateRequest::parse(&vec![0x30; 9000]).unwrap_err().to_string();
    assert_eq!(text, "a request of 9000 bytes exceeds CSR_BYTES_MAX = 8192");
}

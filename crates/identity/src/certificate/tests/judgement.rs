//! Which presented certificates open, and what each refusal is called.

use std::collections::BTreeSet;

use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    NameConstraints,
};

use super::*;

/// A maker's authority that signs whatever a test needs.
struct Maker {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Maker {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = valid("Maker CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        change(&mut params);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    fn sign(&self, params: &CertificateParams) -> PeerCertificate {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        peer(certificate.der())
    }

    fn code(&self, params: &CertificateParams) -> &'static str {
        code(&self.sign(params), &[&self.der], now())
    }
}

/// Valid around now, for nothing in particular.
fn valid(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.not_before = authority::time(now() - DAY).unwrap().to_datetime();
    params.not_after = authority::time(now() + DAY).unwrap().to_datetime();
    params.use_authority_key_identifier_extension = true;
    params
}

fn client(name: &str) -> CertificateParams {
    let mut params = valid(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn code(certificate: &PeerCertificate, issuers: &[&[u8]], at: Timestamp) -> &'static str {
    let Err(refusal) = certificate.judge(issuers, at) else { return "good" };
    assert!(!refusal.fix().is_empty() && !refusal.to_string().is_empty());
    assert_eq!(refusal.kind(), model::ErrorKind::Unauthenticated);
    refusal.code()
}

#[test]
fn a_certificate_opens_from_its_first_to_its_last_second() {
    let (_, authority) = authorities();
    let leaf = authority.issue_device(&request(&named("x")), tenant(), device(), year()).unwrap();
    let (seen, issuers) = (peer(&leaf.certificate_der), [authority.certificate_der()]);
    let at = |time| code(&seen, &issuers, time);
    let second = Duration::from_secs(1);
    assert_eq!(at(seen.not_before), "good");
    assert_eq!(at(seen.not_after), "good");
    assert_eq!(at(seen.not_after + second), "expired");
}

#[test]
fn c4_an_expired_certificate_and_one_not_yet_valid_are_told_apart() {
    let (_, authority) = authorities();
    let validity = (now() + 10 * DAY, now() + 20 * DAY);
    let leaf = authority.issue_device(&request(&named("x")), tenant(), device(), validity).unwrap();
    let (seen, issuers) = (peer(&leaf.certificate_der), [authority.certificate_der()]);
    assert_eq!(code(&seen, &issuers, now()), "not_yet_valid");
    assert_eq!(code(&seen, &issuers, now() + 11 * DAY), "good");
    assert_eq!(code(&seen, &issuers, now() + 21 * DAY), "expired");
    let refusal = seen.judge(&issuers, now() + 21 * DAY).unwrap_err();
    assert_eq!(refusal.to_string(), "the certificate expired at 2027-01-21T00:00:00Z");
}

#[test]
fn c4_a_certificate_for_a_server_does_not_open_as_a_device() {
    let (root, _) = authorities();
    let made = root.issue_server(&[ServerName::try_from("localhost").unwrap()], now()).unwrap();
    let seen = peer(&made.leaf.certificate_der);
    assert_eq!(code(&seen, &[root.certificate_der()], now()), "wrong_purpose");
    let refusal = seen.judge(&[root.certificate_der()], now()).unwrap_err();
    assert_eq!(refusal.to_string(), "the certificate is for serverAuth, not for clientAuth");
}

#[test]
fn c4_a_purpose_or_a_key_usage_that_is_not_said_is_not_a_restriction() {
    let maker = Maker::new(|_| ());
    let mut params = client("pump");
    params.extended_key_usages.clear();
    assert_eq!(maker.code(&params), "good");
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    assert_eq!(maker.code(&params), "wrong_purpose");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    assert_eq!(maker.code(&params), "good");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    assert_eq!(maker.code(&params), "wrong_purpose");
}

#[test]
fn c4_a_certificate_of_another_tenants_authority_does_not_open() {
    let (root, authority) = authorities();
    let other = root.tenant(TenantId::from_u128(8), now()).unwrap();
    // It even names the device of the first tenant.
    let leaf = other.issue_device(&request(&named("x")), tenant(), device(), year()).unwrap();
    let seen = peer(&leaf.certificate_der);
    assert_eq!(code(&seen, &[authority.certificate_der()], now()), "unknown_issuer");
    assert_eq!(code(&seen, &[other.certificate_der()], now()), "good");
    assert_eq!(code(&seen, &[], now()), "unknown_issuer");
}

#[test]
fn c4_a_certificate_that_signs_itself_does_not_open_whatever_its_name() {
    let (_, authority) = authorities();
    let params = client(&device().to_string());
    let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let seen = peer(own.der());
    assert_eq!(seen.claimed(), device().to_string());
    assert_eq!(code(&seen, &[authority.certificate_der()], now()), "unknown_issuer");
    let refusal = seen.judge(&[authority.certificate_der()], now()).unwrap_err();
    assert_eq!(refusal, CertificateRefusal::SelfSigned);
}

#[test]
fn c4_an_authority_of_the_same_name_with_another_key_does_not_open() {
    let (maker, copy) = (Maker::new(|_| ()), Maker::new(|_| ()));
    let mut params = client("pump");
    assert_eq!(code(&copy.sign(&params), &[&maker.der], now()), "unknown_issuer");
    // Without a key identifier only the signature tells.
    params.use_authority_key_identifier_extension = false;
    assert_eq!(code(&copy.sign(&params), &[&maker.der], now()), "bad_signature");
}

#[test]
fn c4_a_changed_certificate_does_not_open() {
    let maker = Maker::new(|_| ());
    let mut der = maker.sign(&client("pump-7")).der().to_vec();
    let at = der.windows(6).rposition(|window| window == b"pump-7").unwrap();
    der[at + 5] = b'8';
    let seen = peer(&der);
    assert_eq!(seen.common_name.as_deref(), Some("pump-8"));
    assert_eq!(code(&seen, &[&maker.der], now()), "bad_signature");
}

#[test]
fn c4_sha1_and_short_rsa_keys_do_not_open() {
    for (pem, wanted) in [
        (fixtures::RSA_1024, "weak_key"),
        (fixtures::RSA_SHA1, "weak_key"),
        (fixtures::ECDSA_SHA1, "weak_key"),
        (fixtures::P521, "unsupported_key"),
    ] {
        let certificate = der(pem);
        assert_eq!(code(&peer(&certificate), &[&certificate], now()), wanted);
    }
    let text = peer(&der(fixtures::RSA_1024)).judge(&[], now()).unwrap_err().to_string();
    let wanted = "the certificate is too weak: an RSA key of 1024 bits is shorter than 2048";
    assert_eq!(text, wanted);
}

#[test]
fn certificates_of_openssl_open() {
    let maker = der(fixtures::MAKER_CA);
    for leaf in [fixtures::MAKER_LEAF, fixtures::MAKER_LEAF_PSS] {
        let seen = peer(&der(leaf));
        assert_eq!(seen.claimed(), "pump-7");
        assert_eq!(seen.issuer, "C=DE, O=Maker, OU=A, OU=B, CN=Maker CA");
        assert_eq!(code(&seen, &[&maker], now()), "good");
    }
    assert_eq!(peer(&der(fixtures::MAKER_LEAF)).serial.to_string(), "ff01");
}

#[test]
fn c4_an_authoritys_own_certificate_does_not_open_as_a_device() {
    let (root, authority) = authorities();
    let seen = peer(authority.certificate_der());
    assert_eq!(code(&seen, &[root.certificate_der()], now()), "ca_as_leaf");
    let maker = Maker::new(|_| ());
    let mut params = client("pump");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    assert_eq!(maker.code(&params), "ca_as_leaf");
}

#[test]
fn c4_only_an_authority_opens_for_others() {
    let params = client("pump");
    let device_that_signs = Maker::new(|params| params.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(device_that_signs.code(&params), "issuer_unusable");
    let list_signer = Maker::new(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_eq!(list_signer.code(&params), "issuer_unusable");
    let for_mail = Maker::new(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    assert_eq!(for_mail.code(&params), "issuer_unusable");
    let constrained = Maker::new(|params| {
        let subtree = rcgen::GeneralSubtree::DnsName("example.org".into());
        let constraints =
            NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: vec![] };
        params.name_constraints = Some(constraints);
    });
    assert_eq!(constrained.code(&params), "issuer_unusable");
}

#[test]
fn c4_a_critical_extension_that_nobody_understands_does_not_open() {
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    let maker = Maker::new(|_| ());
    let mut params = client("pump");
    params.custom_extensions = vec![unknown.clone()];
    assert_eq!(maker.code(&params), "good");
    unknown.set_criticality(true);
    params.custom_extensions = vec![unknown];
    assert_eq!(maker.code(&params), "malformed");
}

#[test]
fn an_authority_that_ended_opens_no_more() {
    let (root, authority) = authorities();
    let leaf = authority.issue_device(&request(&named("x")), tenant(), device(), year()).unwrap();
    let seen = peer(&leaf.certificate_der);
    let after = root.not_after() + DAY;
    assert_eq!(code(&seen, &[authority.certificate_der()], after), "issuer_not_valid");
}

#[test]
fn c10_while_an_authority_is_rolled_the_certificates_of_both_open() {
    let (root, old) = authorities();
    let new = root.tenant(tenant(), now()).unwrap();
    let issuers = [new.certificate_der(), old.certificate_der()];
    for authority in [&old, &new] {
        let made = authority.issue_device_with_new_key(tenant(), device(), year()).unwrap();
        assert_eq!(code(&peer(&made.leaf.certificate_der), &issuers, now()), "good");
    }
}

#[test]
fn a_certificate_that_names_two_devices_is_refused() {
    let maker = Maker::new(|_| ());
    let mut params = client("pump");
    let urn = |device: u128| {
        let urn = format!("urn:iotbiz:{}:{}", tenant(), DeviceId::from_u128(device));
        rcgen::SanType::URI(urn.try_into().unwrap())
    };
    params.subject_alt_names = vec![urn(1)];
    assert_eq!(maker.sign(&params).named, Some((tenant(), DeviceId::from_u128(1))));
    params.subject_alt_names = vec![urn(1), urn(2)];
    let issuer = Issuer::from_params(&maker.params, &maker.key);
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let refusal = PeerCertificate::parse(certificate.der()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the certificate cannot be read: it names more than one device"
    );
}

#[test]
fn c4_each_refusal_has_its_own_code() {
    let text = String::new;
    let (at, from, until) = (now(), now(), now());
    let refusals = [
        CertificateRefusal::Malformed { what: text() },
        CertificateRefusal::WeakKey { what: text() },
        CertificateRefusal::UnsupportedKey { what: text() },
        CertificateRefusal::UnknownIssuer { issuer: text() },
        CertificateRefusal::BadSignature { issuer: text() },
        CertificateRefusal::IssuerNotValid { from, until },
        CertificateRefusal::IssuerUnusable { what: text() },
        CertificateRefusal::CaAsLeaf,
        CertificateRefusal::WrongPurpose { purposes: text() },
        CertificateRefusal::Expired { at },
        CertificateRefusal::NotYetValid { from },
    ];
    let codes: BTreeSet<_> = refusals.iter().map(CertificateRefusal::code).collect();
    assert_eq!(codes.len(), refusals.len());
    assert_eq!(CertificateRefusal::SelfSigned.code(), "unknown_issuer");
}

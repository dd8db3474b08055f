//! Authorities of others: registered after a proof, and only good ones.

use rcgen::{BasicConstraints, IsCa, Issuer, KeyUsagePurpose};

use super::*;

struct Customer {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

fn customer() -> Customer {
    let key = KeyPair::generate().unwrap();
    let mut params = named("Customer CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = params.self_signed(&key).unwrap().pem();
    Customer { params, key, pem }
}

impl Customer {
    fn proof(&self, common_name: &str) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let key = KeyPair::generate().unwrap();
        named(common_name).signed_by(&key, &issuer).unwrap().pem()
    }
}

fn refused(pem: &str) -> &'static str {
    let refusal = ForeignAuthority::parse(pem, now()).unwrap_err();
    assert!(!refusal.fix().is_empty());
    refusal.code()
}

#[test]
fn the_holder_of_the_key_proves_it_with_the_challenge() {
    let customer = customer();
    let authority = ForeignAuthority::parse(&customer.pem, now()).unwrap();
    assert_eq!(authority.subject, "CN=Customer CA");
    assert_eq!(authority.certificate_pem(), customer.pem);
    let challenge = possession_challenge().unwrap();
    authority.prove(&challenge, &customer.proof(&challenge), now()).unwrap();
}

#[test]
fn a_proof_for_another_challenge_or_by_another_key_proves_nothing() {
    let (customer, stranger) = (customer(), customer());
    let authority = ForeignAuthority::parse(&customer.pem, now()).unwrap();
    let (first, second) = (possession_challenge().unwrap(), possession_challenge().unwrap());
    assert_ne!(first, second);
    let prove = |challenge: &str, proof: &str| {
        authority.prove(challenge, proof, now()).map_err(|refusal| refusal.code())
    };
    assert_eq!(prove(&second, &customer.proof(&first)), Err("wrong_challenge"));
    assert_eq!(prove("", &customer.proof("")), Err("wrong_challenge"));
    assert_eq!(prove(&first, &stranger.proof(&first)), Err("bad_signature"));
    // A device's certificate of that authority is public: it proves nothing.
    assert_eq!(prove(&first, &customer.proof("pump-7")), Err("wrong_challenge"));
    let own = named(&first).self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    assert_eq!(prove(&first, &own), Err("unknown_issuer"));
    assert_eq!(prove(&first, "nothing"), Err("not_pem"));
}

#[test]
fn only_a_good_authority_is_registered() {
    ForeignAuthority::parse(fixtures::MAKER_CA, now()).unwrap();
    assert_eq!(refused(fixtures::MAKER_LEAF), "issuer_unusable");
    assert_eq!(refused(fixtures::RSA_1024), "weak_key");
    assert_eq!(refused(fixtures::RSA_SHA1), "weak_key");
    assert_eq!(refused("nothing"), "not_pem");
    let two = format!("{}{}", fixtures::MAKER_CA, fixtures::MAKER_CA);
    assert_eq!(refused(&two), "not_pem");
}

#[test]
fn what_signs_the_devices_is_registered_also_when_it_is_no_root() {
    let (_, between) = authorities();
    let authority = ForeignAuthority::parse(&between.certificate_pem(), now()).unwrap();
    let made = between.issue_device_with_new_key(tenant(), device(), year()).unwrap();
    let seen = peer(&made.leaf.certificate_der);
    seen.judge(&[authority.certificate_der()], now()).unwrap();
}

#[test]
fn an_authority_is_registered_while_it_lives() {
    let long_ago: Timestamp = "2010-01-01T00:00:00Z".parse().unwrap();
    let root = Authority::root("old", long_ago).unwrap();
    assert_eq!(refused(&root.certificate_pem()), "expired");
    let later = Authority::root("new", now() + 10 * DAY).unwrap();
    assert_eq!(refused(&later.certificate_pem()), "not_yet_valid");
}

#[test]
fn a_device_of_a_registered_authority_opens() {
    let authority = ForeignAuthority::parse(fixtures::MAKER_CA, now()).unwrap();
    let seen = peer(&der(fixtures::MAKER_LEAF));
    seen.judge(&[authority.certificate_der()], now()).unwrap();
}

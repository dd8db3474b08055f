//! Lists of revoked certificates, as others read them.

use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage,
    RevocationOptionsBuilder, anchor_from_trusted_cert,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::*;

fn verify(leaf: &Leaf, root: &Authority, list: &RevocationList) -> Result<(), webpki::Error> {
    let own = CertificateDer::from(leaf.certificate_der.as_slice());
    let root = CertificateDer::from(root.certificate_der());
    let anchors = [anchor_from_trusted_cert(&root).unwrap()];
    let list = BorrowedCertRevocationList::from_der(&list.der).unwrap();
    let list = CertRevocationList::from(list);
    let lists = [&list];
    let options = RevocationOptionsBuilder::new(&lists).unwrap().build();
    let (usage, at) = (KeyUsage::client_auth(), unix(now()));
    let end = EndEntityCert::try_from(&own).unwrap();
    end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], at, usage, Some(options), None)
        .map(|_| ())
}

#[test]
fn c5_a_revoked_certificate_is_on_the_list_and_others_are_not() {
    let (root, _) = authorities();
    let make = || root.issue_device_with_new_key(tenant(), device(), year()).unwrap().leaf;
    let (revoked, other) = (make(), make());
    let list = root.revocation_list(&[(revoked.serial.clone(), now())], 1, now()).unwrap();
    assert_eq!(verify(&revoked, &root, &list), Err(webpki::Error::CertRevoked));
    assert_eq!(verify(&other, &root, &list), Ok(()));
    assert_eq!(list.next_update, now() + 7 * DAY);
    assert!(list.pem.starts_with("-----BEGIN X509 CRL-----"));
}

#[test]
fn c5_a_list_has_its_number_and_is_signed() {
    let (root, _) = authorities();
    let serial: Serial = "0a01".parse().unwrap();
    let at = now() - DAY;
    let list = root.revocation_list(&[(serial.clone(), at)], 77, now()).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(&list.der).unwrap();
    assert_eq!(parsed.crl_number().unwrap().to_string(), "77");
    let entry = parsed.iter_revoked_certificates().next().unwrap();
    assert_eq!(Serial::from_bytes(entry.raw_serial()), serial);
    assert_eq!(entry.revocation_date.timestamp() * 1000, at.as_millis());
    let issuer = peer::x509(root.certificate_der()).unwrap();
    parsed.verify_signature(issuer.public_key()).unwrap();
}

#[test]
fn an_empty_list_is_a_list() {
    let (root, _) = authorities();
    let leaf = root.issue_device_with_new_key(tenant(), device(), year()).unwrap().leaf;
    let list = root.revocation_list(&[], 1, now()).unwrap();
    assert_eq!(verify(&leaf, &root, &list), Ok(()));
}

#[test]
fn a_list_has_a_limit() {
    let (root, _) = authorities();
    let serial: Serial = "01".parse().unwrap();
    let many = vec![(serial, now()); REVOKED_MAX + 1];
    let refused = root.revocation_list(&many, 1, now()).unwrap_err();
    assert_eq!(refused.to_string(), "100001 revoked certificates exceed REVOKED_MAX = 100000");
}

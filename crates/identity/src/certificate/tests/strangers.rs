//! Bytes of strangers: whatever they are, they are read or refused, and nothing panics.

use proptest::prelude::*;

use super::*;

/// Good ones to start from: random bytes alone never get deep.
fn seeds() -> Vec<Vec<u8>> {
    let request = |pem: &str| {
        rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec()
    };
    let (root, _) = authorities();
    let leaf = root.issue_device_with_new_key(tenant(), device(), year()).unwrap().leaf;
    vec![
        leaf.certificate_der,
        der(fixtures::MAKER_CA),
        der(fixtures::MAKER_LEAF_PSS),
        request(fixtures::REQUEST_GREEDY),
        request(fixtures::REQUEST_RSA_2048),
    ]
}

fn read_all(bytes: &[u8]) {
    if let Ok(seen) = PeerCertificate::parse(bytes) {
        let maker = der(fixtures::MAKER_CA);
        let _refused = seen.judge(&[&maker, bytes], now());
        let _shown = format!("{seen:?} {}", seen.claimed());
    }
    let _request = CertificateRequest::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _authority = ForeignAuthority::parse(text, now());
        let _own = Authority::from_pem(text, text);
        let _serial = text.parse::<Serial>();
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        read_all(&bytes);
        read_all(text.as_bytes());
        prop_assert!(PeerCertificate::parse(&bytes).is_err());
    }

    #[test]
    fn changed_certificates_and_requests_are_read_or_refused(
        which in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = SEEDS.with(|seeds| seeds[which].clone());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(&bytes);
        let pem = pem::certificate(&bytes);
        read_all(pem.as_bytes());
        bytes.truncate(cut.index(bytes.len()));
        read_all(&bytes);
    }

    #[test]
    fn the_text_of_a_serial_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..=20)) {
        let serial = Serial::from_bytes(&bytes);
        prop_assert_eq!(serial.to_string().parse::<Serial>(), Ok(serial));
    }
}

thread_local! {
    static SEEDS: Vec<Vec<u8>> = seeds();
}

#[test]
fn a_serial_is_hexadecimal_and_short() {
    for text in ["", "xy", "0x01", &"0".repeat(41)] {
        assert!(text.parse::<Serial>().is_err(), "{text}");
    }
    assert_eq!("00FF01".parse::<Serial>().unwrap().to_string(), "ff01");
    assert_eq!("1".parse::<Serial>().unwrap(), "0001".parse().unwrap());
    assert_eq!("0".parse::<Serial>().unwrap().to_string(), "00");
}

fn unread(der: &[u8]) -> String {
    PeerCertificate::parse(der).unwrap_err().to_string()
}

/// Where a pattern stands in a certificate, all places.
fn places(der: &[u8], pattern: &[u8]) -> Vec<usize> {
    let windows = der.windows(pattern.len()).enumerate();
    windows.filter(|(_, window)| *window == pattern).map(|(at, _)| at).collect()
}

#[test]
fn a_certificate_that_contradicts_itself_is_refused() {
    let (root, _) = authorities();
    let mut longer = root.certificate_der().to_vec();
    longer.push(0);
    assert!(unread(&longer).ends_with("bytes follow after its end"));
    assert!(unread(&vec![0; CERTIFICATE_BYTES_MAX + 1]).ends_with("16385 bytes exceed 16384"));
    // ecdsa-with-SHA256 becomes ecdsa-with-SHA384 outside, not inside.
    let algorithm = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let mut mixed = root.certificate_der().to_vec();
    let outside = places(&mixed, &algorithm).pop().unwrap() + algorithm.len() - 1;
    mixed[outside] = 3;
    let text = unread(&mixed);
    assert!(text.ends_with("it names two signature algorithms"), "{text}");
    let mut older = root.certificate_der().to_vec();
    let version = places(&older, &[0xa0, 3, 2, 1, 2])[0] + 4;
    older[version] = 1;
    let text = unread(&older);
    assert!(text.ends_with("it is not of X.509 version 3"), "{text}");
}

#[test]
fn an_extension_stands_once_and_can_be_read() {
    let sign = |oid: &[u64], content: &[u8], times: usize| {
        let mut params = named("x");
        let extension = rcgen::CustomExtension::from_oid_content(oid, content.to_vec());
        params.custom_extensions = vec![extension; times];
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    };
    let unknown = [1, 2, 3, 4];
    assert!(PeerCertificate::parse(&sign(&unknown, &[5, 0], 1)).is_ok());
    assert!(unread(&sign(&unknown, &[5, 0], 2)).ends_with("an extension stands twice"));
    let key_usage = [2, 5, 29, 15];
    assert!(unread(&sign(&key_usage, &[5, 0], 1)).ends_with("extension 2.5.29.15 cannot be read"));
}

//! Which keys and signatures are strong enough, and which we can verify at all.
//!
//! *Invariant:* one list for certificates, requests and authorities: RSA of 2048 to 8192 bits,
//! P-256, P-384 and Ed25519; SHA-256 and longer.

use x509_parser::oid_registry::{
    OID_EC_P256, OID_HASH_SHA1, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_MD5_WITH_RSA, OID_NIST_EC_P384,
    OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA,
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SHA1_WITH_RSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The shortest RSA key that is taken.
const RSA_BITS_MIN: usize = 2048;
/// The longest: verifying a longer one costs too much.
const RSA_BITS_MAX: usize = 8192;

/// Why a key or a signature is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Weakness {
    #[error("an RSA key of {bits} bits is shorter than {RSA_BITS_MIN}")]
    ShortRsa { bits: usize },
    #[error("a signature over {hash} can be forged")]
    BrokenHash { hash: &'static str },
    #[error("{what} is not supported")]
    Unsupported { what: String },
}

impl Weakness {
    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}

/// Whether a public key is taken.
pub(super) fn of_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), Weakness> {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return of_rsa(key);
    }
    if *algorithm == OID_SIG_ED25519 {
        return Ok(());
    }
    if *algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return Err(Weakness::unsupported(format!("the key type {algorithm}")));
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    match curve {
        Some(curve) if curve == OID_EC_P256 || curve == OID_NIST_EC_P384 => Ok(()),
        Some(curve) => Err(Weakness::unsupported(format!("the elliptic curve {curve}"))),
        None => Err(Weakness::unsupported("an elliptic curve without a name")),
    }
}

fn of_rsa(key: &SubjectPublicKeyInfo<'_>) -> Result<(), Weakness> {
    let Ok(PublicKey::RSA(rsa)) = key.parsed() else {
        return Err(Weakness::unsupported("an RSA key that cannot be read"));
    };
    let zeros = rsa.modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = rsa.modulus.get(zeros..).unwrap_or_default();
    let spare = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = 8 * modulus.len() - usize::try_from(spare).unwrap_or(0);
    match bits {
        ..RSA_BITS_MIN => Err(Weakness::ShortRsa { bits }),
        RSA_BITS_MIN..=RSA_BITS_MAX => Ok(()),
        _ => Err(Weakness::unsupported(format!("an RSA key of {bits} bits"))),
    }
}

/// Whether a signature's algorithm is taken.
pub(super) fn of_signature(algorithm: &AlgorithmIdentifier<'_>) -> Result<(), Weakness> {
    let oid = &algorithm.algorithm;
    let strong = [
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519,
    ];
    if strong.contains(oid) {
        return Ok(());
    }
    if *oid == OID_PKCS1_RSASSAPSS {
        return of_pss(algorithm);
    }
    // ecdsa-with-SHA1 (RFC 3279) has no name in the registry of the parser.
    let sha1 = [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA].contains(oid)
        || oid.to_id_string() == "1.2.840.10045.4.1";
    if sha1 {
        return Err(Weakness::BrokenHash { hash: "SHA-1" });
    }
    if [OID_PKCS1_MD5WITHRSAENC, OID_MD5_WITH_RSA].contains(oid) {
        return Err(Weakness::BrokenHash { hash: "MD5" });
    }
    Err(Weakness::unsupported(format!("the signature algorithm {oid}")))
}

/// RSASSA-PSS names its hash in its parameters; SHA-1 when it names none (RFC 4055).
fn of_pss(algorithm: &AlgorithmIdentifier<'_>) -> Result<(), Weakness> {
    let parameters = algorithm.parameters.as_ref().map(RsaSsaPssParams::try_from);
    match parameters {
        Some(Ok(parameters)) if *parameters.hash_algorithm_oid() != OID_HASH_SHA1 => Ok(()),
        Some(Ok(_)) | None => Err(Weakness::BrokenHash { hash: "SHA-1" }),
        Some(Err(_)) => Err(Weakness::unsupported("a signature whose parameters cannot be read")),
    }
}

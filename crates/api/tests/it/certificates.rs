//! Certificates of devices: what a request gets, who may sign, what ends one.
//!
//! *Invariant:* every request here was made by another library than the one that judges it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use identity::certificate::PeerCertificate;
use identity::{Actor, RefusedLogin};
use model::DeviceId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::site::{Answer, Site};

const DAY: Duration = Duration::from_secs(86_400);

/// What an owner sees and decides, with one device.
pub(crate) struct Owned {
    pub(crate) site: Site,
    pub(crate) tenant: model::TenantId,
    pub(crate) owner: String,
    /// Id of `box-0001`.
    pub(crate) device: String,
}

impl Owned {
    pub(crate) async fn open() -> Self {
        let (site, tenant, owner) = Site::owned().await;
        let device = site.box_of(&owner).await;
        Self { site, tenant, owner, device }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.site.call("POST", path, &self.owner, &body).await
    }

    /// The reasons of the newest refusals, newest first.
    pub(crate) async fn refused(&self) -> Vec<String> {
        let list = self.site.get("/api/v1/refusals", &self.owner).await.json();
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// Another device; gives its id.
    pub(crate) async fn add(&self, name: &str) -> String {
        let added = self.post("/api/v1/devices", json!({ "name": name, "kind": "box" })).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
        added.json()["device"]["id"].as_str().unwrap().to_owned()
    }

    async fn certify(&self, device: &str, body: Value) -> Answer {
        self.post(&format!("/api/v1/devices/{device}/certificates"), body).await
    }

    /// Who the door says a certificate is.
    pub(crate) fn login(&self, pem: &str) -> Result<Actor, Box<RefusedLogin>> {
        self.site.app.door.authenticate_certificate(&peer(pem)).map(|identity| identity.actor)
    }

    fn reason(&self, pem: &str) -> &'static str {
        self.login(pem).expect_err("it opens").reason.code()
    }

    /// A request of whoever showed this certificate in the handshake.
    async fn with_certificate(&self, pem: &str, path: &str, body: &Value) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/json");
        request.extensions_mut().unwrap().insert(Arc::new(peer(pem)));
        self.site.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

pub(crate) fn peer(pem: &str) -> PeerCertificate {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    PeerCertificate::parse(&der).unwrap()
}

pub(crate) fn device(id: &str) -> Actor {
    Actor::Device(id.parse::<DeviceId>().unwrap())
}

/// A request for the key and nothing else.
pub(crate) fn request(key: &KeyPair) -> String {
    named("").serialize_request(key).unwrap().pem().unwrap()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// An authority of the customer's own.
struct Maker {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Maker {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str) -> String {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().pem()
    }

    /// Registers it; gives its id.
    async fn register(&self, owned: &Owned) -> String {
        let challenge = owned.post("/api/v1/authorities/challenge", Value::Null).await.json();
        let proof = self.sign(challenge["challenge"].as_str().unwrap());
        let body = json!({ "name": "maker", "certificate": self.certificate, "proof": proof });
        let added = owned.post("/api/v1/authorities", body).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
        added.json()["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn of_a_request_only_the_key_is_used_and_what_was_dropped_is_told() {
    let owned = Owned::open().await;
    let other = owned.add("box-0002").await;
    let key = KeyPair::generate().unwrap();
    let mut greedy = named(&other);
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let urn = format!("urn:iotbiz:{}:{other}", owned.tenant);
    greedy.subject_alt_names = vec![
        SanType::DnsName("evil.example".try_into().unwrap()),
        SanType::URI(urn.clone().try_into().unwrap()),
    ];
    let csr = greedy.serialize_request(&key).unwrap().pem().unwrap();
    let issued = owned.certify(&owned.device, json!({ "csr": csr })).await;
    assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text);
    let issued = issued.json();
    let pem = issued["certificate"].as_str().unwrap();
    assert_eq!(owned.login(pem).unwrap(), device(&owned.device));
    let seen = peer(pem);
    assert_eq!(seen.common_name.as_deref(), Some(owned.device.as_str()));
    assert_eq!(seen.named.map(|(tenant, _)| tenant), Some(owned.tenant));
    assert_eq!(seen.purposes, Some(vec!["clientAuth".to_owned()]));
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(parsed.public_key().raw, key.subject_public_key_info());
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 1);
    let dropped: Vec<_> =
        issued["dropped"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    for wish in [&*format!("CN {other}"), "SAN dns:evil.example", &format!("SAN uri:{urn}")] {
        assert!(dropped.contains(&wish), "{wish} is not in {dropped:?}");
    }
    for word in ["CA:TRUE", "serverAuth", "keyCertSign"] {
        assert!(dropped.iter().any(|wish| wish.contains(word)), "{word} is not in {dropped:?}");
    }
    assert!(issued["private_key"].is_null(), "the key never left the device");
}

#[tokio::test]
async fn a_key_that_is_made_here_is_shown_once() {
    let owned = Owned::open().await;
    let issued = owned.certify(&owned.device, json!({})).await.json();
    let key = issued["private_key"].as_str().unwrap();
    assert!(KeyPair::from_pem(key).is_ok());
    let path = format!("/api/v1/devices/{}/credentials", owned.device);
    let listed = owned.site.get(&path, &owned.owner).await;
    assert!(!listed.text.contains("PRIVATE KEY") && listed.text.contains("\"certificate\""));
    for days in [0, 3_651] {
        let refused = owned.certify(&owned.device, json!({ "days": days })).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    }
}

#[tokio::test]
async fn a_request_that_its_key_did_not_sign_is_refused() {
    let owned = Owned::open().await;
    let der = named("").serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let mut der = der.der().to_vec();
    // The last byte belongs to the signature.
    *der.last_mut().unwrap() ^= 1;
    let csr = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let csr =
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{csr}\n-----END CERTIFICATE REQUEST-----\n");
    let refused = owned.certify(&owned.device, json!({ "csr": csr })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    let problem = refused.json();
    assert_eq!(problem["errors"][0]["pointer"], "/csr");
    assert!(problem["detail"].as_str().unwrap().contains("not signed by the key"), "{problem}");
}

#[tokio::test]
async fn the_key_of_another_device_is_refused_and_the_owner_is_told() {
    let owned = Owned::open().await;
    let other = owned.add("box-0002").await;
    let key = KeyPair::generate().unwrap();
    let first = owned.certify(&owned.device, json!({ "csr": request(&key) })).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let second = owned.certify(&other, json!({ "csr": request(&key) })).await;
    assert_eq!(second.status, StatusCode::CONFLICT, "{}", second.text);
    assert!(second.text.contains(&owned.device), "it names who holds the key: {}", second.text);
    assert_eq!(owned.refused().await, ["shared_key"]);
    // The device itself may have its key certified again.
    let again = owned.certify(&owned.device, json!({ "csr": request(&key) })).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);
}

#[tokio::test]
async fn an_authority_is_registered_only_with_the_proof_of_its_key() {
    let owned = Owned::open().await;
    let (maker, thief) = (Maker::new("Maker CA"), Maker::new("Maker CA"));
    let before = maker.sign("box-0001");
    assert_eq!(owned.reason(&before), "unknown_certificate");
    let challenge = async || {
        let given = owned.post("/api/v1/authorities/challenge", Value::Null).await;
        assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
        given.json()["challenge"].as_str().unwrap().to_owned()
    };
    let register = async |proof: String| {
        let body = json!({ "name": "maker", "certificate": maker.certificate, "proof": proof });
        owned.post("/api/v1/authorities", body).await
    };
    let unasked = register(maker.sign("challenge")).await;
    assert_eq!(unasked.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unasked.text);
    // The right words, signed by the key of another authority of the same name.
    let text = challenge().await;
    let stolen = register(thief.sign(&text)).await;
    assert_eq!(stolen.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", stolen.text);
    assert_eq!(stolen.json()["errors"][0]["pointer"], "/proof");
    // A challenge is answered once, also wrongly.
    let late = register(maker.sign(&text)).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", late.text);
    let text = challenge().await;
    owned.site.pass(Duration::from_secs(15 * 60));
    let slow = register(maker.sign(&text)).await;
    assert_eq!(slow.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", slow.text);
    let wrong = challenge().await + "x";
    assert_eq!(register(maker.sign(&wrong)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(owned.reason(&before), "unknown_certificate");
    let added = register(maker.sign(&challenge().await)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    assert_eq!(owned.login(&before).unwrap(), device(&owned.device));
    assert_eq!(owned.reason(&maker.sign("box-0009")), "unknown_id");
    assert_eq!(owned.reason(&thief.sign("box-0001")), "unknown_certificate");
}

#[tokio::test]
async fn a_removed_authority_closes_and_its_sessions_end() {
    let owned = Owned::open().await;
    let maker = Maker::new("Maker CA");
    let id = maker.register(&owned).await;
    let shown = maker.sign("box-0001");
    let session = owned.site.app.door.authenticate_certificate(&peer(&shown)).unwrap();
    assert_eq!(owned.site.app.door.still_valid(&session), Ok(()));
    let generation = owned.site.app.door.generation();
    let path = format!("/api/v1/authorities/{id}");
    let removed = owned.site.call("DELETE", &path, &owned.owner, &Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text);
    assert_eq!(owned.reason(&shown), "unknown_certificate");
    assert!(owned.site.app.door.still_valid(&session).is_err());
    assert_ne!(owned.site.app.door.generation(), generation, "live sessions are judged again");
    let listed = owned.site.get("/api/v1/authorities", &owned.owner).await.json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn the_authority_of_another_tenant_never_opens_for_our_device() {
    let owned = Owned::open().await;
    let theirs = owned.site.tenant("b").await;
    let stranger = owned.site.person(theirs, "owner").await;
    let maker = Maker::new("Maker CA");
    let given = owned.site.call("POST", "/api/v1/authorities/challenge", &stranger, &Value::Null);
    let proof = maker.sign(given.await.json()["challenge"].as_str().unwrap());
    let body = json!({ "name": "maker", "certificate": maker.certificate, "proof": proof });
    let added = owned.site.call("POST", "/api/v1/authorities", &stranger, &body).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    for name in ["box-0001", &owned.device] {
        let refused = owned.login(&maker.sign(name)).unwrap_err();
        assert_eq!(refused.reason.code(), "unknown_id");
        assert_eq!(refused.tenant, Some(theirs), "only the authority's owner is told");
        assert_eq!(refused.device(), None);
    }
}

#[tokio::test]
async fn a_device_that_renews_uses_its_old_certificate_for_another_week() {
    let owned = Owned::open().await;
    let old = owned.certify(&owned.device, json!({})).await.json();
    let old = old["certificate"].as_str().unwrap();
    owned.site.pass(DAY);
    let body = json!({ "csr": request(&KeyPair::generate().unwrap()) });
    let renewed = owned.with_certificate(old, "/provision/v1/renew", &body).await;
    assert_eq!(renewed.status, StatusCode::CREATED, "{}", renewed.text);
    let renewed = renewed.json();
    let new = renewed["certificate"].as_str().unwrap();
    owned.site.pass(DAY * 7 - Duration::from_secs(60));
    for pem in [old, new] {
        assert_eq!(owned.login(pem).unwrap(), device(&owned.device));
    }
    owned.site.pass(Duration::from_secs(120));
    assert_eq!(owned.reason(old), "expired");
    assert_eq!(owned.login(new).unwrap(), device(&owned.device));
    let late = owned.with_certificate(old, "/provision/v1/renew", &body).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "{}", late.text);
    let path = format!("/api/v1/devices/{}/credentials", owned.device);
    let listed = owned.site.get(&path, &owned.owner).await.json();
    let items = listed["items"].as_array().unwrap();
    let states: Vec<_> = items
        .iter()
        .filter(|item| item["kind"] == "certificate")
        .map(|item| item["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["expired", "valid"]);
}

#[tokio::test]
async fn only_a_device_renews_for_itself() {
    let owned = Owned::open().await;
    let body = json!({ "csr": request(&KeyPair::generate().unwrap()) });
    let refused = owned.post("/provision/v1/renew", body.clone()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let issued = owned.certify(&owned.device, json!({})).await.json();
    let pem = issued["certificate"].as_str().unwrap();
    for path in ["devices/box-0001/credentials", "devices/box-0001/retire", "authorities/challenge"]
    {
        let path = format!("/api/v1/{path}");
        let refused = owned.with_certificate(pem, &path, &json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_revoked_certificate_opens_nothing_and_is_in_the_signed_list() {
    let owned = Owned::open().await;
    let (gone, kept) = (
        owned.certify(&owned.device, json!({})).await.json(),
        owned.certify(&owned.device, json!({})).await.json(),
    );
    let path = format!("/api/v1/devices/{}/credentials", owned.device);
    let path = format!("{path}/{}", gone["id"].as_str().unwrap());
    let revoked = owned.site.call("DELETE", &path, &owned.owner, &Value::Null).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.text);
    assert_eq!(owned.reason(gone["certificate"].as_str().unwrap()), "revoked");
    assert!(owned.login(kept["certificate"].as_str().unwrap()).is_ok());
    let list = owned.site.get("/api/v1/ca/crl", &owned.owner).await;
    let (_, pem) = x509_parser::pem::parse_x509_pem(list.text.as_bytes()).unwrap();
    let (_, list) = x509_parser::parse_x509_crl(&pem.contents).unwrap();
    let serials: Vec<_> =
        list.iter_revoked_certificates().map(|one| one.user_certificate.to_str_radix(16)).collect();
    assert_eq!(serials, [gone["serial"].as_str().unwrap().trim_start_matches('0')]);
    let authorities = owned.site.get("/api/v1/ca", &owned.owner).await.json();
    let tenant = authorities["tenant"].as_str().unwrap();
    let tenant = CertificateDer::from_pem_slice(tenant.as_bytes()).unwrap();
    let (_, tenant) = x509_parser::parse_x509_certificate(&tenant).unwrap();
    assert!(list.verify_signature(tenant.public_key()).is_ok());
    assert!(list.next_update() > Some(list.last_update()));
}

//! Certificates over real TLS sockets: whose opens, which rule refuses the others, what ends one.
//!
//! *Invariant:* each refused certificate is refused by another word, and only its owner reads it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use identity::certificate::{Authority, PrivateKey};
use identity::{AuthorityFacts, ClaimFacts, Token};
use ingress::Limits;
use model::{AuthorityId, ClaimId, Frame, TenantId};
use mqtt::packet::Connect;
use mqtt::{Reason, Version};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::harness::{BOX, Client, GATEWAY, PATIENCE, TENANT, World, connect, limits};
use crate::secure::{Secure, Shown, foreign, log_in, maker, server};

const OTHER_TENANT: TenantId = TenantId::from_u128(2);

/// By `openssl req -x509`: an authority of P-256, until 2126.
const WEAK_CA: &str = include_str!("weak/ca.crt");

/// By `openssl x509 -req -sha1`: `CN=box-1`, clientAuth, a good key, signed over SHA-1.
const SHA1_LEAF: &str = include_str!("weak/leaf.crt");

/// The key of [`SHA1_LEAF`]; it opens nothing anywhere.
const SHA1_KEY: &str = include_str!("weak/leaf.key");

#[tokio::test]
async fn a_certificate_alone_says_who_the_device_is() {
    let secure = Secure::new().await;
    let (made, _) = secure.certificate();
    for version in [&TLS12, &TLS13] {
        let config = secure.config(version, Some(&Shown::of(&made)));
        let session = secure.handshake(&config).await.unwrap();
        let (reason, mut client) = log_in(session.client, None).await;
        assert_eq!(reason, Reason::Success);
        client.publish("me/telemetry", 7).await;
        assert_eq!(client.puback().await.0, 7);
    }
    let senders = secure
        .world
        .frames(2, |frame| match frame {
            Frame::Raw(raw) => Some((raw.tenant, raw.device)),
            _ => None,
        })
        .await;
    assert_eq!(senders, [(TENANT, Some(BOX)); 2]);
    // Its own name and id may be said beside it.
    for name in ["box-1", &BOX.to_string(), ""] {
        let (reason, _) = secure.login(&Shown::of(&made), Some(name)).await;
        assert_eq!(reason, Reason::Success, "{name}");
    }
    assert_eq!(secure.world.refusals(), []);
}

#[tokio::test]
async fn a_device_that_sends_no_chain_is_known_too() {
    let secure = Secure::new().await;
    let (made, _) = secure.certificate();
    let chain = made.leaf.certificate_pem.clone();
    let shown = Shown { chain, key: made.key.reveal().to_owned() };
    assert_eq!(secure.login(&shown, None).await.0, Reason::Success);
}

#[tokio::test]
async fn a_token_over_tls_opens_as_it_does_without() {
    let secure = Secure::new().await;
    let session = secure.handshake(&secure.config(&TLS13, None)).await.unwrap();
    let mut client = session.client;
    let token = secure.world.token.reveal();
    client.connect(&connect(Version::V5, "box-1", token, "c")).await;
    assert_eq!(client.reason().await, Reason::Success);
    let session = secure.handshake(&secure.config(&TLS13, None)).await.unwrap();
    let (reason, _) = log_in(session.client, Some("box-1")).await;
    assert_eq!(reason, Reason::BadUserNameOrPassword, "no certificate and no token");
}

#[tokio::test]
async fn c4_each_wrong_certificate_is_refused_by_its_own_word() {
    let secure = Secure::new().await;
    let (foreign_maker, _) = maker("Unknown maker");
    let authority = PrivateKeyDer::from_pem_slice(secure.devices.key_pem().reveal().as_bytes());
    assert!(authority.is_ok());
    let weak = CertificateDer::from_pem_slice(WEAK_CA.as_bytes()).unwrap();
    secure.trust_also(&weak);
    let plain = |chain: &str, key: &str| Shown { chain: chain.to_owned(), key: key.to_owned() };
    let reveal = |key: &PrivateKey| key.reveal().to_owned();
    let cases = [
        ("expired", Shown::of(&secure.issue(-10, -1))),
        ("not_yet_valid", Shown::of(&secure.issue(1, 10))),
        ("wrong_purpose", Shown::of(&server(&secure.root))),
        ("unknown_issuer", foreign(&BOX.to_string(), None)),
        ("unknown_issuer", foreign(&BOX.to_string(), Some(&foreign_maker))),
        ("weak_key", plain(SHA1_LEAF, SHA1_KEY)),
        ("ca_as_leaf", plain(&secure.devices.chain_pem(), &reveal(&secure.devices.key_pem()))),
    ];
    for (number, (code, shown)) in cases.iter().enumerate() {
        secure.shows(shown).await;
        let told = secure.refusal(number + 1).await;
        assert_eq!(told.reason.code(), *code, "{number}: {}", told.detail);
        assert!(!told.fix.is_empty() && !told.claimed.is_empty());
    }
    assert!(!secure.world.ingress.is_connected(BOX));
}

#[tokio::test]
async fn c4_a_good_certificate_without_a_record_opens_nothing() {
    let secure = Secure::new().await;
    // Signed by us and never kept, as one that waits for its registration.
    let (reason, _) = secure.login(&Shown::of(&secure.issue(0, 365)), None).await;
    assert_eq!(reason, Reason::BadUserNameOrPassword);
    assert_eq!(secure.refusal(1).await.reason.code(), "unknown_certificate");
}

#[tokio::test]
async fn c4_the_user_name_of_another_device_is_refused() {
    let secure = Secure::new().await;
    let (made, _) = secure.certificate();
    for (number, name) in ["gw-1", &GATEWAY.to_string(), "nobody", "erp"].iter().enumerate() {
        let (reason, _) = secure.login(&Shown::of(&made), Some(name)).await;
        assert_eq!(reason, Reason::BadUserNameOrPassword, "{name}");
        let told = secure.refusal(number + 1).await;
        assert_eq!(told.reason.code(), "certificate_of_another", "{name}");
        assert_eq!((told.tenant, told.device), (Some(TENANT), Some(BOX)));
    }
}

#[tokio::test]
async fn c4_the_authority_of_a_tenant_names_its_own_devices_and_no_others() {
    let secure = Secure::new().await;
    let (ours, our_certificate) = maker("Maker");
    let (theirs, their_certificate) = maker("Other maker");
    for (tenant, number, certificate) in
        [(TENANT, 501, &our_certificate), (OTHER_TENANT, 502, &their_certificate)]
    {
        let authority = AuthorityId::from_u128(number);
        let certificate = certificate.as_slice().into();
        secure.world.door.apply_authority(tenant, AuthorityFacts { authority, certificate });
    }
    let own = [secure.root.certificate_der(), &our_certificate, &their_certificate];
    secure.tls.trust(&own.map(Arc::from));
    let (reason, mut client) = secure.login(&foreign("box-1", Some(&ours)), None).await;
    assert_eq!(reason, Reason::Success);
    for name in ["box-1", &BOX.to_string()] {
        let (reason, _) = secure.login(&foreign(name, Some(&theirs)), None).await;
        assert_eq!(reason, Reason::BadUserNameOrPassword);
    }
    let told = secure.refusal(2).await;
    assert_eq!((told.reason.code(), told.tenant), ("unknown_id", Some(OTHER_TENANT)));
    client.silent().await;
    // The end of the authority is the end of its sessions.
    secure.world.door.remove_authority(AuthorityId::from_u128(501));
    assert_eq!(client.reason().await, Reason::NotAuthorized);
    client.ended().await;
}

#[tokio::test]
async fn c5_a_revoked_certificate_ends_its_session_and_resumes_none() {
    for version in [&TLS12, &TLS13] {
        let secure = Secure::new().await;
        let (made, credential) = secure.certificate();
        // One configuration is one cache of sessions and tickets.
        let config = secure.config(version, Some(&Shown::of(&made)));
        let first = secure.handshake(&config).await.unwrap();
        assert_eq!(first.kind, HandshakeKind::Full);
        let (reason, mut client) = log_in(first.client, None).await;
        assert_eq!(reason, Reason::Success);
        client.silent().await;
        let begun = secure.world.clock.monotonic();
        secure.world.door.revoke(credential);
        assert_eq!(client.reason().await, Reason::NotAuthorized);
        client.ended().await;
        assert!((secure.world.clock.monotonic() - begun).as_millis() < 1000);
        let again = secure.handshake(&config).await.unwrap();
        assert_eq!(again.kind, HandshakeKind::Resumed, "{version:?}");
        let (reason, mut client) = log_in(again.client, None).await;
        assert_eq!(reason, Reason::BadUserNameOrPassword);
        client.ended().await;
        let told = secure.refusal(1).await;
        assert_eq!((told.reason.code(), told.device), ("revoked", Some(BOX)));
    }
}

#[tokio::test]
async fn c5_a_certificate_revoked_between_handshake_and_login_does_not_log_in() {
    let secure = Secure::new().await;
    let (made, credential) = secure.certificate();
    let config = secure.config(&TLS13, Some(&Shown::of(&made)));
    let session = secure.handshake(&config).await.unwrap();
    secure.world.door.revoke(credential);
    assert_eq!(log_in(session.client, None).await.0, Reason::BadUserNameOrPassword);
    assert_eq!(secure.refusal(1).await.reason.code(), "revoked");
}

#[tokio::test]
async fn plain_bytes_on_the_port_of_tls_are_told() {
    let secure = Secure::new().await;
    let mut client =
        Client::over(TcpStream::connect(secure.world.ingress.addresses()[1]).await.unwrap());
    client.connect(&connect(Version::V5, "box-1", "x", "c")).await;
    assert_eq!(secure.refusal(1).await.reason.code(), "not_tls");
}

/// A board whose clock never ran.
#[derive(Debug)]
struct Nineteen70;

impl TimeProvider for Nineteen70 {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::ZERO))
    }
}

#[tokio::test]
async fn a_client_that_refuses_us_says_why() {
    let secure = Secure::new().await;
    let now = secure.world.clock.now();
    let stranger = Authority::root("stranger", now).unwrap();
    let roots = |authority: &Authority| {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate_der().to_vec().into()).unwrap();
        roots
    };
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let distrusts = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&stranger))
        .with_no_client_auth();
    let early = ClientConfig::builder_with_details(provider(), Arc::new(Nineteen70))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&secure.root))
        .with_no_client_auth();
    let cases = [("device_distrusts_ca", distrusts), ("device_clock", early)];
    for (number, (code, config)) in cases.into_iter().enumerate() {
        assert!(secure.handshake(&Arc::new(config)).await.is_err());
        let told = secure.refusal(number + 1).await;
        assert_eq!(told.reason.code(), code, "{}", told.detail);
    }
}

#[tokio::test]
async fn a_renewed_server_certificate_is_shown_from_the_next_handshake_on() {
    let secure = Secure::new().await;
    let config = secure.config(&TLS13, None);
    let first = secure.handshake(&config).await.unwrap();
    let mut old = first.client;
    let token = secure.world.token.reveal();
    old.connect(&connect(Version::V5, "box-1", token, "c")).await;
    assert_eq!(old.reason().await, Reason::Success);
    let next = server(&secure.root);
    secure.tls.renew(&next.leaf.chain_pem, next.key.reveal()).unwrap();
    old.silent().await;
    assert!(secure.tls.renew("no certificate", next.key.reveal()).is_err());
    // Without what the first one learnt, or it would resume.
    let second = secure.handshake(&secure.config(&TLS13, None)).await.unwrap();
    assert_ne!(first.server, second.server);
    assert_eq!(second.server, next.leaf.certificate_der);
    old.silent().await;
}

#[tokio::test]
async fn a_handshake_that_stands_still_ends_at_greeting_timeout() {
    let limits = Limits { greeting_timeout: Duration::from_millis(200), ..limits() };
    let secure = Secure::with(limits).await;
    let address = secure.world.ingress.addresses()[1];
    // One that says nothing, and one that begins a ClientHello and leaves it so.
    for (number, bytes) in [&[][..], &[0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc]].iter().enumerate() {
        let begun = secure.world.clock.monotonic();
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
        drop(read.expect("it was not closed"));
        assert!((secure.world.clock.monotonic() - begun).as_millis() >= 150);
        assert_eq!(secure.refusal(number + 1).await.reason.code(), "timeout");
    }
}

#[tokio::test]
async fn c2_a_claim_token_opens_no_door_of_devices() {
    let world = World::new().await;
    let token = Token::from_random([77; 32]);
    let claim = ClaimId::from_u128(7);
    world.door.apply_claim(TENANT, &ClaimFacts { claim, secret: token.hash() });
    let text = token.reveal();
    for user in ["box-1", &BOX.to_string(), "nobody"] {
        let mut client = world.raw().await;
        client.connect(&connect(Version::V5, user, text, "c")).await;
        assert_eq!(client.reason().await, Reason::BadUserNameOrPassword);
    }
    let packet = connect(Version::V5, "", text, "c");
    let alone = Connect { user_name: None, ..packet };
    let as_name = Connect { user_name: Some(text), password: None, ..packet };
    for packet in [&alone, &as_name] {
        let mut client = world.raw().await;
        client.connect(packet).await;
        assert_eq!(client.reason().await, Reason::BadUserNameOrPassword);
    }
    let request = Request::post("/ingest/v1/telemetry")
        .header("authorization", format!("Bearer {text}"))
        .body(Body::from("{}"))
        .unwrap();
    let answer = world.ingress.http().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 401);
    let told = world.ingress.refusals().recent(Some(TENANT));
    let codes: Vec<_> = told.iter().map(|refusal| refusal.reason.code()).collect();
    assert_eq!(codes, ["claim_token"; 6]);
    assert!(!format!("{told:?}").contains(text), "no secret is shown");
}

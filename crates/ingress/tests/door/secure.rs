//! A door with TLS, the authorities behind it, and clients that show a certificate to it.
//!
//! *Invariant:* the handshake is a real one over a socket; behind it the client is that of all
//! tests.

use std::io;
use std::sync::Arc;

use identity::certificate::{Authority, NewLeaf, ServerName as Name};
use identity::{CredentialFacts, Owner, Proof, SecretHash};
use ingress::{Limits, Tls};
use model::{Clock, CredentialId, Origin, SystemClock, Timestamp};
use mqtt::packet::Connect;
use mqtt::{Reason, Version};
use rcgen::{BasicConstraints, KeyPair, KeyUsagePurpose};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::harness::{BOX, Client, PATIENCE, TENANT, World, connect, limits};

/// A door with TLS, and the authorities behind it.
pub(crate) struct Secure {
    pub(crate) world: World,
    pub(crate) tls: Arc<Tls>,
    pub(crate) root: Authority,
    pub(crate) devices: Authority,
}

/// What a client shows: a chain and its key, PEM.
pub(crate) struct Shown {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Shown {
    pub(crate) fn of(made: &NewLeaf) -> Self {
        Self { chain: made.leaf.chain_pem.clone(), key: made.key.reveal().to_owned() }
    }
}

/// A client after its handshake.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) kind: HandshakeKind,
    /// The server's certificate.
    pub(crate) server: Vec<u8>,
}

impl Secure {
    pub(crate) async fn new() -> Self {
        Self::with(limits()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let now = SystemClock::new().now();
        let root = Authority::root("test root", now).unwrap();
        let devices = root.tenant(TENANT, now).unwrap();
        let server = server(&root);
        let tls = Tls::new(&server.leaf.chain_pem, server.key.reveal(), &["mqtt"]).unwrap();
        let tls = Arc::new(tls);
        tls.trust(&[root.certificate_der().into(), devices.certificate_der().into()]);
        let world = World::encrypted(limits, &tls).await;
        Self { world, tls, root, devices }
    }

    /// A certificate of the box that lives from so many days after today until so many.
    pub(crate) fn issue(&self, from: i64, until: i64) -> NewLeaf {
        let now = self.world.clock.now().as_millis();
        let at = |days: i64| Timestamp::from_millis(now + days * 86_400_000);
        self.devices.issue_device_with_new_key(TENANT, BOX, (at(from), at(until))).unwrap()
    }

    /// A certificate of the box, and its record at the door.
    pub(crate) fn certificate(&self) -> (NewLeaf, CredentialId) {
        let made = self.issue(0, 365);
        let credential = CredentialId::from_u128(100);
        let facts = CredentialFacts {
            credential,
            owner: Owner::Device(BOX),
            proof: Proof::Certificate,
            secret: SecretHash::of(&made.leaf.certificate_der),
            key: Some(made.leaf.spki_sha256),
            origin: Origin::Real,
            not_before: Some(made.leaf.not_before),
            expires: Some(made.leaf.not_after),
            revoked: None,
        };
        self.world.door.apply_credential(TENANT, facts).unwrap();
        (made, credential)
    }

    pub(crate) fn config(
        &self,
        version: &'static SupportedProtocolVersion,
        shown: Option<&Shown>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.certificate_der().to_vec().into()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let Some(shown) = shown else { return Arc::new(config.with_no_client_auth()) };
        let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
        let mut config = config.with_client_auth_cert(chain, key).unwrap();
        config.enable_early_data = true;
        Arc::new(config)
    }

    pub(crate) async fn handshake(&self, config: &Arc<ClientConfig>) -> io::Result<Session> {
        let socket = TcpStream::connect(self.world.ingress.addresses()[1]).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(config));
        let mut early = false;
        let look = |conn: &mut rustls::ClientConnection| early = conn.early_data().is_some();
        let mut stream = connector.connect_with(name, socket, look).await?;
        assert!(!early, "the server never offered early data");
        let session = stream.get_ref().1;
        let kind = session.handshake_kind().unwrap();
        let server = session.peer_certificates().unwrap()[0].to_vec();
        // The client of the other tests speaks on one end of a plain socket, TLS is on the other.
        let pair = TcpListener::bind("127.0.0.1:0").await?;
        let near = TcpStream::connect(pair.local_addr()?).await?;
        let (mut far, _) = pair.accept().await?;
        tokio::spawn(async move { copy_bidirectional(&mut far, &mut stream).await });
        Ok(Session { client: Client::over(near), kind, server })
    }

    /// The answer to a CONNECT with this certificate and user name.
    pub(crate) async fn login(&self, shown: &Shown, user: Option<&str>) -> (Reason, Client) {
        let session = self.handshake(&self.config(&TLS13, Some(shown))).await.unwrap();
        log_in(session.client, user).await
    }

    /// Shows a certificate that the handshake refuses.
    pub(crate) async fn shows(&self, shown: &Shown) {
        // In TLS 1.3 a client is done before the server has looked at its certificate.
        let done = self.handshake(&self.config(&TLS13, Some(shown))).await;
        if let Ok(mut session) = done {
            session.client.ended().await;
        }
    }

    /// The newest refusal, once there are `count`.
    pub(crate) async fn refusal(&self, count: usize) -> Arc<ingress::Refusal> {
        let look = async {
            loop {
                let all = self.world.ingress.refusals().recent(None);
                if all.len() >= count {
                    return all;
                }
                tokio::task::yield_now().await;
            }
        };
        let all = tokio::time::timeout(PATIENCE, look).await.expect("nobody was told");
        assert_eq!(all.len(), count, "{all:?}");
        all.into_iter().max_by_key(|refusal| refusal.at).unwrap()
    }

    pub(crate) fn trust_also(&self, authority: &[u8]) {
        let own = [self.root.certificate_der(), self.devices.certificate_der(), authority];
        self.tls.trust(&own.map(Arc::from));
    }
}

pub(crate) fn server(root: &Authority) -> NewLeaf {
    let names = [Name::try_from("localhost").unwrap()];
    root.issue_server(&names, SystemClock::new().now()).unwrap()
}

pub(crate) async fn log_in(mut client: Client, user: Option<&str>) -> (Reason, Client) {
    let packet = connect(Version::V5, "", "", "c");
    client.connect(&Connect { user_name: user, password: None, ..packet }).await;
    (client.reason().await, client)
}

/// A certificate by another library: signed by itself, or by an authority of the name.
pub(crate) fn foreign(name: &str, authority: Option<&Issuer<'_, KeyPair>>) -> Shown {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = match authority {
        Some(authority) => params.signed_by(&key, authority).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Shown { chain: certificate.pem(), key: key.serialize_pem() }
}

/// An authority of a maker: what signs, and its certificate.
pub(crate) fn maker(name: &str) -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    (Issuer::new(params, key), certificate)
}

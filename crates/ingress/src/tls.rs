//! TLS of everything that listens: the server's own certificate, and whose certificates a device
//! may show.
//!
//! *Invariant:* both can be replaced while connections are open; a handshake uses what is in force
//! when it begins. A certificate is asked for and never demanded: who shows none has a token.
//! *Invariant:* a refused certificate is refused in the handshake, and the owner learns which rule
//! refused it.
//!
//! Not here: whose a good certificate is, and whether it was revoked; that is asked of the door for
//! each login, so a resumed session is judged like a new one. There is no early data (0-RTT).

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use identity::certificate::PeerCertificate;
use model::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::refusal::{Refusal, RefusalReason};

/// TLS sessions that can be resumed; the oldest is forgotten first.
const RESUMED_MAX: usize = 20_000;

/// What cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Not PEM, or without a certificate.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// Not PEM, or not a key.
    #[error("the private key cannot be read: {0}")]
    Key(String),
    /// The key is not the certificate's, or of a kind that is not supported.
    #[error("certificate and key do not work together")]
    Pair(#[source] rustls::Error),
}

/// The server's side of TLS, shared by all listeners.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    resumed: Arc<dyn StoresServerSessions>,
    certificate: Arc<Presented>,
    trust: Arc<Trust>,
    alpn: Vec<Vec<u8>>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Encrypted {
    /// What goes over it.
    pub stream: TlsStream<TcpStream>,
    /// What the other side showed, with the proof of its key.
    pub certificate: Option<PeerCertificate>,
}

impl Tls {
    /// TLS with a certificate chain and its key, PEM; `alpn` is offered in this order.
    ///
    /// # Errors
    /// Chain or key cannot be used.
    pub fn new(chain: &str, key: &str, alpn: &[&str]) -> Result<Self, TlsError> {
        Ok(Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            resumed: ServerSessionMemoryCache::new(RESUMED_MAX),
            certificate: Arc::new(Presented(RwLock::new(certified(chain, key)?))),
            trust: Arc::default(),
            alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        })
    }

    /// The same certificate and trust for another protocol on top.
    #[must_use]
    pub fn speaking(&self, alpn: &[&str]) -> Self {
        Self {
            provider: Arc::clone(&self.provider),
            resumed: ServerSessionMemoryCache::new(RESUMED_MAX),
            certificate: Arc::clone(&self.certificate),
            trust: Arc::clone(&self.trust),
            alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        }
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    /// Chain or key cannot be used; the one before stays.
    pub fn renew(&self, chain: &str, key: &str) -> Result<(), TlsError> {
        let fresh = certified(chain, key)?;
        *self.certificate.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Whose certificates devices may show from the next handshake on, as DER.
    pub fn trust(&self, authorities: &[Arc<[u8]>]) {
        self.trust.replace(authorities, &self.provider);
    }

    /// The handshake.
    ///
    /// # Errors
    /// Why it failed, for the owner; the other side got its alert.
    pub async fn handshake(&self, socket: TcpStream) -> Result<Encrypted, Box<Failed>> {
        // A verifier of its own, so that the certificate it refuses is this connection's.
        let judge = Arc::new(Judge {
            trust: Arc::clone(&self.trust),
            provider: Arc::clone(&self.provider),
            refused: Mutex::default(),
        });
        let config = self.config(&judge).map_err(|error| Box::new(Failed::internal(&error)))?;
        match TlsAcceptor::from(Arc::new(config)).accept(socket).await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let leaf = shown.and_then(|chain| chain.first());
                // The verifier has read it before.
                let certificate = leaf.and_then(|der| PeerCertificate::parse(der).ok());
                Ok(Encrypted { stream, certificate })
            }
            Err(error) => Err(Box::new(Failed::new(&error, &judge))),
        }
    }

    fn config(&self, judge: &Arc<Judge>) -> Result<ServerConfig, rustls::Error> {
        let resolver = Arc::<Presented>::clone(&self.certificate);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::<Judge>::clone(judge))
            .with_cert_resolver(resolver);
        config.alpn_protocols.clone_from(&self.alpn);
        config.session_storage = Arc::clone(&self.resumed);
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn certified(chain: &str, key: &str) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate("there is none".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| TlsError::Key(error.to_string()))?;
    let provider = rustls::crypto::ring::default_provider();
    let pair = CertifiedKey::from_der(chain, key, &provider).map_err(TlsError::Pair)?;
    Ok(Arc::new(pair))
}

/// The server's certificate in force.
#[derive(Debug)]
struct Presented(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Whose certificates devices may show.
#[derive(Debug, Default)]
struct Trust(RwLock<Trusted>);

#[derive(Debug, Default)]
struct Trusted {
    authorities: Vec<Arc<[u8]>>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Trust {
    fn replace(&self, authorities: &[Arc<[u8]>], provider: &Arc<CryptoProvider>) {
        let mut roots = RootCertStore::empty();
        for der in authorities {
            if let Err(error) = roots.add(CertificateDer::from(der.to_vec())) {
                tracing::warn!(%error, "an authority cannot be trusted");
            }
        }
        let built =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        // It refuses only an empty list, with which no certificate opens.
        let verifier = built.allow_unauthenticated().build().ok();
        let trusted = Trusted { authorities: authorities.to_vec(), verifier };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = trusted;
    }

    fn verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).verifier.clone()
    }

    fn authorities(&self) -> Vec<Arc<[u8]>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).authorities.clone()
    }
}

/// Verifies the certificate of one connection and remembers the one it refused.
#[derive(Debug)]
struct Judge {
    trust: Arc<Trust>,
    provider: Arc<CryptoProvider>,
    refused: Mutex<Option<PeerCertificate>>,
}

impl ClientCertVerifier for Judge {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // Names of authorities would tell a stranger who our customers are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let verifier = self.trust.verifier().ok_or(unknown);
        let verified = verifier.and_then(|v| v.verify_client_cert(leaf, intermediates, now));
        if verified.is_err() {
            let seen = PeerCertificate::parse(leaf).ok();
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a handshake failed, in the owner's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// A stable word for programs.
    pub code: &'static str,
    /// In a sentence.
    pub detail: String,
    /// What the owner can do.
    pub fix: String,
    /// What the certificate says it is, if one was shown; not proved.
    pub claimed: String,
}

impl Failed {
    fn internal(error: &rustls::Error) -> Self {
        let fix = "look at the server's own certificate: iotbiz doctor".to_owned();
        Self { code: "tls_unavailable", detail: error.to_string(), fix, claimed: String::new() }
    }

    fn new(error: &std::io::Error, judge: &Judge) -> Self {
        let refused = judge.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(certificate) = refused {
            return Self::certificate(&certificate, judge, error);
        }
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let (code, detail, fix) = match inner {
            Some(rustls::Error::AlertReceived(alert)) => alerted(*alert),
            Some(rustls::Error::InvalidMessage(_)) => (
                "not_tls",
                "the first bytes are not TLS".to_owned(),
                "this port speaks TLS; turn it on in the client, or use the port without",
            ),
            Some(rustls::Error::PeerIncompatible(why)) => (
                "tls_too_old",
                format!("the client offers nothing that is safe: {why:?}"),
                "use TLS 1.2 or 1.3 with an ECDHE cipher",
            ),
            Some(other) => ("tls_failed", other.to_string(), "look at the client's TLS settings"),
            None => (
                "tls_broken_off",
                format!("the handshake broke off: {error}"),
                "the device may not trust this server: put the CA of `iotbiz ca show` on it",
            ),
        };
        Self { code, detail, fix: fix.to_owned(), claimed: String::new() }
    }

    fn certificate(shown: &PeerCertificate, judge: &Judge, error: &std::io::Error) -> Self {
        let known = judge.trust.authorities();
        let known: Vec<&[u8]> = known.iter().map(AsRef::as_ref).collect();
        let claimed = shown.claimed();
        match shown.judge(&known, now()) {
            Err(refusal) => Self {
                code: refusal.code(),
                detail: format!("the certificate of {claimed:?} is refused: {refusal}"),
                fix: refusal.fix().to_owned(),
                claimed,
            },
            // The two judges disagree: the stricter one wins, in its own words.
            Ok(()) => Self {
                code: "certificate_refused",
                detail: format!("the certificate of {claimed:?} is refused: {error}"),
                fix: "issue a new certificate for the device".to_owned(),
                claimed,
            },
        }
    }

    pub(crate) fn refusal(&self, at: Timestamp, peer: SocketAddr) -> Refusal {
        Refusal {
            at,
            tenant: None,
            device: None,
            claimed: crate::refusal::cut(&self.claimed),
            peer,
            reason: RefusalReason::Tls(self.code),
            detail: self.detail.clone(),
            fix: self.fix.clone(),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(
        i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX / 1000) * 1000,
    )
}

/// What a client's last word says about our certificate (RFC 8446, section 6.2).
#[expect(clippy::wildcard_enum_match_arm, reason = "each other alert is told by its own name")]
fn alerted(alert: AlertDescription) -> (&'static str, String, &'static str) {
    match alert {
        AlertDescription::UnknownCA | AlertDescription::BadCertificate => (
            "device_distrusts_ca",
            format!("the device does not trust this server's certificate ({alert:?})"),
            "put the CA of `iotbiz ca show` on the device, whole and unchanged",
        ),
        AlertDescription::CertificateExpired => (
            "device_clock",
            "the device says the server's certificate has expired or is not valid yet".to_owned(),
            "set the device's clock (NTP) before it connects; a board without a battery starts in \
             1970",
        ),
        AlertDescription::CertificateUnknown => (
            "device_refuses_certificate",
            "the device refuses this server's certificate and does not say why".to_owned(),
            "connect by a name or address that is in the certificate, set the clock, and put the CA \
             of `iotbiz ca show` on the device",
        ),
        other => (
            "tls_alert",
            format!("the client ended the handshake with {other:?}"),
            "look at the client's TLS settings",
        ),
    }
}

//! The ways out: mail, webhook, MQTT, each within one time.
//!
//! *Invariant:* a send ends within [`SEND_MAX`] with an outcome in words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{TenantId, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::address::Allowed;
use crate::error::Error;
use crate::mail::Smtp;
use crate::person::Target;
use crate::queue::Attempt;
use crate::route::Outcome;
use crate::text::Letter;
use crate::webhook::{Client, Post};

/// How long one send may take, resolving and answering included.
pub(crate) const SEND_MAX: Duration = Duration::from_secs(15);

/// Publishes bytes on a topic of a tenant; must not wait. An error is the reason in words.
pub type Publish = Arc<dyn Fn(TenantId, &str, Vec<u8>) -> Result<(), String> + Send + Sync>;

/// What there is to send with.
#[derive(Clone)]
pub struct Transports {
    smtp: Option<Smtp>,
    publish: Option<Publish>,
    client: Client,
    /// Why nothing is sent at all.
    closed: Option<&'static str>,
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transports({:?})", self.smtp)
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            smtp: None,
            publish: None,
            client: Client::new(&RootCertStore::empty()),
            closed: None,
        }
    }
}

impl Transports {
    /// Sends nothing to anywhere: each message is given up at once with this reason.
    #[must_use]
    pub fn closed(why: &'static str) -> Self {
        Self { closed: Some(why), ..Self::default() }
    }

    /// With a mail server.
    #[must_use]
    pub fn with_mail(self, smtp: Smtp) -> Self {
        Self { smtp: Some(smtp), ..self }
    }

    /// With a way to publish.
    #[must_use]
    pub fn with_mqtt(self, publish: Publish) -> Self {
        Self { publish: Some(publish), ..self }
    }

    /// Trusts authorities of the operator too, for webhooks in the own network.
    ///
    /// # Errors
    /// The text holds no certificate.
    pub fn with_webhook_roots(self, pem: &[u8]) -> Result<Self, Error> {
        let fix = "give the PEM text of the authority";
        let refuse = |why: String| Error::setting("webhook.ca", why, fix);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(refuse("no certificate in it".to_owned()));
        }
        Ok(Self { client: Client::new(&roots), ..self })
    }

    async fn dispatch(&self, attempt: &Attempt, allowed: &Allowed, now: Timestamp) -> Outcome {
        let letter = Letter::write(&attempt.message, &attempt.person);
        let later = |why: &str| Outcome::Later { why: why.to_owned(), after: None };
        if let Some(why) = self.closed {
            return Outcome::Refused { why: why.to_owned() };
        }
        match &attempt.target {
            Target::Mail(to) => match &self.smtp {
                Some(smtp) => smtp.send((&attempt.person.name, to), &letter, now).await,
                None => later("no mail server is configured: add smtp_server to [notify]"),
            },
            Target::Webhook { url, secrets } => {
                self.client.send(Post { url, secrets, allowed }, &letter, now).await
            }
            Target::Mqtt { topic } => match &self.publish {
                Some(publish) => {
                    let topic = format!("t/{}/notify/{topic}", attempt.route.tenant);
                    match publish(attempt.route.tenant, &topic, letter.json) {
                        Ok(()) => Outcome::Done,
                        Err(why) => later(&why),
                    }
                }
                None => later("this server publishes no notifications by MQTT"),
            },
        }
    }

    /// Tries once.
    pub(crate) async fn send(
        &self,
        attempt: &Attempt,
        allowed: &Allowed,
        now: Timestamp,
    ) -> Outcome {
        let sent = tokio::time::timeout(SEND_MAX, self.dispatch(attempt, allowed, now)).await;
        sent.unwrap_or_else(|_elapsed| {
            let why = format!("no answer within {} s", SEND_MAX.as_secs());
            Outcome::Later { why, after: None }
        })
    }
}

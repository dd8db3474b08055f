//! Mail by SMTP: text and HTML, one connection for each mail.
//!
//! *Invariant:* a password and a mail go over an encrypted connection, or to this machine, unless
//! the operator wrote in so many words that they may not. The Message-ID is made of the message's
//! id, so a mail that was sent twice can be recognised.

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Category;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use model::Timestamp;
use serde::Deserialize;

use crate::error::Error;
use crate::route::Outcome;
use crate::text::Letter;

/// How long one exchange with the mail server may take.
const SMTP_STEP_MAX: Duration = Duration::from_secs(10);

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encryption {
    /// From the first byte, port 465.
    Tls,
    /// Asked for in the clear and required, port 587.
    Starttls,
    /// Not at all, and only to this machine.
    None,
    /// Not at all, to wherever: passwords and mails can be read on the way.
    NoneBeyondThisMachine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSmtp {
    server: String,
    port: Option<u16>,
    encryption: Encryption,
    user: Option<String>,
    password: Option<String>,
    from: String,
    ca: Option<String>,
}

/// A mail server.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    server: String,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}, from {})", self.server, self.from)
    }
}

fn this_machine(server: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = server.parse();
    server == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn tls(raw: &RawSmtp) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(raw.server.clone());
    if let Some(pem) = &raw.ca {
        let fix = "give the PEM text of the authority that signed the mail server's certificate";
        let ca = Certificate::from_pem(pem.as_bytes())
            .map_err(|error| Error::setting("mail.ca", error.to_string(), fix))?;
        builder = builder.add_root_certificate(ca);
    }
    builder.build_rustls().map_err(|error| {
        Error::setting("mail.server", error.to_string(), "name a host, such as smtp.example.org")
    })
}

impl Smtp {
    /// Reads the mail server from the TOML of its section: `server`, `port`, `encryption`
    /// (`tls`, `starttls`, `none`, `none_beyond_this_machine`), `user`, `password`, `from`, `ca`.
    ///
    /// # Errors
    /// The place, the reason and the fix.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let raw: RawSmtp = toml::from_str(text).map_err(|source| Error::Syntax {
            what: "the mail server",
            source: Box::new(source),
        })?;
        let from: Mailbox = raw.from.parse().map_err(|_not_one| {
            let why = format!("{:?} is no sender", raw.from);
            Error::setting("mail.from", why, "write \"Coolbox <alarms@example.org>\"")
        })?;
        let (default_port, tls) = match raw.encryption {
            Encryption::Tls => (465, Tls::Wrapper(tls(&raw)?)),
            Encryption::Starttls => (587, Tls::Required(tls(&raw)?)),
            Encryption::None if !this_machine(&raw.server) => {
                let why = format!("mail to {} would go unencrypted", raw.server);
                let fix = "write \"tls\" or \"starttls\"; \"none_beyond_this_machine\" if you \
                           accept that everybody on the way can read it";
                return Err(Error::setting("mail.encryption", why, fix));
            }
            Encryption::None | Encryption::NoneBeyondThisMachine => (25, Tls::None),
        };
        let port = raw.port.unwrap_or(default_port);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&*raw.server)
            .port(port)
            .tls(tls)
            .timeout(Some(SMTP_STEP_MAX))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        builder = match (raw.user, raw.password) {
            (Some(user), Some(password)) => builder.credentials(Credentials::new(user, password)),
            (None, None) => builder,
            (Some(_), None) | (None, Some(_)) => {
                let why = "user and password come together";
                return Err(Error::setting("mail.user", why, "give both, or neither"));
            }
        };
        let server = format!("{}:{port}", raw.server);
        Ok(Self { transport: builder.build(), from, server })
    }

    fn message(
        &self,
        (name, to): (&str, &Address),
        letter: &Letter,
        now: Timestamp,
    ) -> Result<Message, lettre::error::Error> {
        let since = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(name.to_owned()), to.clone()))
            .subject(letter.subject.clone())
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.email.domain())))
            .date(SystemTime::UNIX_EPOCH + since)
            // RFC 3834: nobody's out-of-office note shall answer an alarm.
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
    }

    /// Sends a letter to somebody.
    pub(crate) async fn send(
        &self,
        to: (&str, &Address),
        letter: &Letter,
        now: Timestamp,
    ) -> Outcome {
        let message = match self.message(to, letter, now) {
            Ok(message) => message,
            Err(error) => return Outcome::Refused { why: format!("no mail can be made: {error}") },
        };
        match self.transport.send(message).await {
            Ok(_accepted) => Outcome::Done,
            Err(error) => judge(&self.server, &error),
        }
    }
}

/// 55x speaks of this mail or mailbox; 53x (login, encryption) of our settings, which can be mended
/// while the mail waits.
fn judge(server: &str, error: &lettre::transport::smtp::Error) -> Outcome {
    let why = format!("mail server {server}: {error}");
    let about_mail = error.is_permanent()
        && error.status().is_some_and(|code| code.category == Category::MailSystem);
    if about_mail { Outcome::Refused { why } } else { Outcome::Later { why, after: None } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{TENANT, notification};
    use crate::person::Person;

    fn refused(text: &str) -> String {
        Smtp::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn mail_leaves_the_machine_encrypted_unless_said() {
        let text = "server = \"mx.example.org\"\nfrom = \"a@example.org\"\nencryption = ";
        let refused = refused(&format!("{text}\"none\""));
        assert!(refused.starts_with("mail.encryption: mail to mx.example.org would"), "{refused}");
        for accepted in ["tls", "starttls", "none_beyond_this_machine"] {
            Smtp::from_toml(&format!("{text}\"{accepted}\"")).unwrap();
        }
        let local = text.replace("mx.example.org", "127.0.0.1");
        Smtp::from_toml(&format!("{local}\"none\"")).unwrap();
    }

    #[test]
    fn the_password_is_never_shown() {
        let text = "server = \"mx.example.org\"\nfrom = \"a@example.org\"\nencryption = \"tls\"\n\
                    user = \"a\"\npassword = \"hunter2\"";
        assert!(!format!("{:?}", Smtp::from_toml(text).unwrap()).contains("hunter2"));
        assert!(refused(&text.replace("user = \"a\"\n", "")).starts_with("mail.user: user and"));
    }

    #[test]
    fn the_message_id_is_made_of_the_key() {
        let text = "server = \"localhost\"\nfrom = \"Box <a@example.org>\"\nencryption = \"none\"";
        let smtp = Smtp::from_toml(text).unwrap();
        let text = r#"{"channels":["mail"],"mail":"ada@example.org","name":"Ada \"A\" Ω <x>, y"}"#;
        let person = Person::from_json("ada".parse().unwrap(), TENANT, text).unwrap();
        let who = (TENANT, &person.id);
        let one = crate::message::Message::one(notification(5), who, Timestamp::ZERO);
        let letter = Letter::write(&one, &person);
        let to = "ada@example.org".parse().unwrap();
        let mail = smtp.message((&person.name, &to), &letter, Timestamp::ZERO).unwrap();
        let mail = String::from_utf8(mail.formatted()).unwrap();
        let id = format!("Message-ID: <main-2-5-0-ada-{TENANT}@example.org>\r\n");
        assert!(mail.contains(&id), "{mail}");
        assert_eq!(mail.matches("\r\nTo: ").count(), 1, "{mail}");
        assert!(mail.contains("Auto-Submitted: auto-generated\r\n"), "{mail}");
    }
}

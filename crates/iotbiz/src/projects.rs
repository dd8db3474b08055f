//! Folders for boards: a client with the readings, settings and commands of one kind of device.
//!
//! *Invariant:* every text is made of a template below `projects/` and of the blueprint; the secret
//! of the device is in exactly one file, which `.gitignore` names, and which is made apart from the
//! others.
//!
//! The C of all boards is the same (`projects/core`); only the connection differs.

mod c;
mod fill;
mod micropython;
mod python;
mod rust;
mod shape;

use blueprint::Kind;
use clap::ValueEnum;
use model::Name;

use fill::Words;

/// What a board is programmed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Python 3 with paho-mqtt, on Linux.
    Python,
    /// C with libmosquitto, on Linux.
    C,
    /// Rust with rumqttc.
    Rust,
    /// Arduino for the ESP32, with PubSubClient.
    Arduino,
    /// ESP-IDF with esp-mqtt.
    EspIdf,
    /// MicroPython with umqtt.
    #[value(name = "micropython")]
    MicroPython,
    /// Zephyr with its MQTT library.
    Zephyr,
}

/// Whose a file is: who may write it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Follows the blueprint: written again by `--update`.
    Generated,
    /// The person's own once it is there.
    Person,
}

/// A file below the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) text: String,
    pub(crate) owner: Owner,
}

/// The certificate a device trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ca(pub(crate) String);

/// The door a device goes to.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With TLS: whom to trust.
    pub(crate) ca: Option<Ca>,
}

/// What a folder is made for.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Name of the device.
    pub(crate) device: &'a str,
    /// Its id, which is its MQTT user name.
    pub(crate) id: &'a str,
    pub(crate) kind_name: &'a Name,
    pub(crate) kind: &'a Kind,
    pub(crate) venture: &'a Name,
    pub(crate) revision: u64,
    pub(crate) door: Door,
}

impl Language {
    /// As it is written after `--for`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::C => "c",
            Self::Rust => "rust",
            Self::Arduino => "arduino",
            Self::EspIdf => "esp-idf",
            Self::MicroPython => "micropython",
            Self::Zephyr => "zephyr",
        }
    }

    /// The one file with the secret.
    pub(crate) const fn credential_path(self) -> &'static str {
        match self {
            Self::Python | Self::C | Self::Rust => "credential.env",
            Self::MicroPython => "credential.py",
            Self::Arduino => "device/credential.h",
            Self::EspIdf => "main/credential.h",
            Self::Zephyr => "src/credential.h",
        }
    }
}

/// Every file but the secret one.
pub(crate) fn files(language: Language, plan: &Plan<'_>) -> Vec<File> {
    let words = words(language, plan);
    let mut files = match language {
        Language::Python => python::files(plan, words),
        Language::C => c::linux(plan, words),
        Language::Rust => rust::files(plan, words),
        Language::MicroPython => micropython::files(plan, words),
        Language::Arduino => c::arduino(plan, words),
        Language::EspIdf => c::esp_idf(plan, words),
        Language::Zephyr => c::zephyr(plan, words),
    };
    if let Some(Ca(pem)) = &plan.door.ca
        && keeps_ca_as_file(language)
    {
        files.push(File { path: "ca.pem", text: pem.clone(), owner: Owner::Generated });
    }
    files
}

/// Boards without a file system have the certificate in the secret file.
const fn keeps_ca_as_file(language: Language) -> bool {
    match language {
        Language::Python | Language::C | Language::Rust | Language::MicroPython => true,
        Language::Arduino | Language::EspIdf | Language::Zephyr => false,
    }
}

/// The text of the secret file.
pub(crate) fn credential(language: Language, plan: &Plan<'_>, token: &str) -> String {
    let words = words(language, plan).with("token", token);
    let template = match language {
        Language::Python | Language::C | Language::Rust => {
            include_str!("../projects/core/credential.env")
        }
        Language::MicroPython => include_str!("../projects/micropython/credential.py"),
        Language::Arduino | Language::EspIdf | Language::Zephyr => {
            include_str!("../projects/core/credential.h")
        }
    };
    let ca = match (&plan.door.ca, language) {
        (None, _) => String::new(),
        (Some(_), Language::Python | Language::C | Language::Rust) => {
            "IOTBIZ_CA=ca.pem\n".to_owned()
        }
        (Some(_), Language::MicroPython) => "CA = \"ca.pem\"\n".to_owned(),
        (Some(Ca(pem)), Language::Arduino | Language::EspIdf | Language::Zephyr) => {
            let lines: Vec<_> = pem.lines().map(|line| format!("  \"{line}\\n\"")).collect();
            format!("#define IOTBIZ_CA \\\n{}\n", lines.join(" \\\n"))
        }
    };
    words.with("ca", ca).fill(template)
}

/// What all templates of a language may name.
fn words(language: Language, plan: &Plan<'_>) -> Words {
    let words = Words::default()
        .with("device", plan.device)
        .with("device_id", plan.id)
        .with("kind", plan.kind_name.as_str())
        .with("venture", plan.venture.as_str())
        .with("revision", plan.revision.to_string())
        .with("host", plan.door.host.as_str())
        .with("port", plan.door.port.to_string())
        .with("language", language.as_str())
        .with("tls_flag", if plan.door.ca.is_some() { " --tls" } else { "" })
        .with("credential_file", language.credential_path());
    let limit = match language {
        Language::Arduino => {
            ". PubSubClient sends with QoS 0: what is on its way at the moment a \
                              connection breaks is lost"
        }
        Language::Python
        | Language::C
        | Language::Rust
        | Language::EspIdf
        | Language::MicroPython
        | Language::Zephyr => "",
    };
    let words = words.with("ack_limit", limit);
    let readme = words.fill(include_str!("../projects/core/readme.txt"));
    words.with("readme_common", readme.trim_end())
}

fn generated(path: &'static str, text: String) -> File {
    File { path, text, owner: Owner::Generated }
}

fn person(path: &'static str, text: String) -> File {
    File { path, text, owner: Owner::Person }
}

#[cfg(test)]
mod tests;

//! Who connects: names and passwords from a file, or nobody in particular.
//!
//! *Invariant:* connections share the users evenly.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use mqtt::packet::{Connect, Packet};
use mqtt::{Properties, Version, encode};

use crate::tls::{Link, Tls};

/// What a server that lets a client in answers (MQTT 3.1.1, 3.2).
pub(crate) const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any measurement, so that nothing has to be pinged.
const KEEP_ALIVE_S: u16 = 3_600;

/// Where to, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Door {
    /// Address of the server
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// A file with a line `user password` for each user
    #[arg(long, required_unless_present = "anonymous")]
    users: Option<PathBuf>,
    /// Connect without a name
    #[arg(long, conflicts_with = "users")]
    anonymous: bool,
    /// Connect with TLS; the authority to trust, PEM
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Connections
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
}

/// A name and a password.
type User = (String, String);

/// The door with its files read.
#[derive(Debug)]
pub(crate) struct Entrance {
    target: SocketAddr,
    users: Vec<User>,
    tls: Option<Tls>,
}

impl Door {
    /// Reads the files.
    pub(crate) fn entrance(&self) -> Result<Entrance, Box<dyn Error>> {
        let users = self.users.as_deref().map(read).transpose()?.unwrap_or_default();
        let tls = self.ca.as_deref().map(Tls::trusting).transpose()?;
        Ok(Entrance { target: self.target, users, tls })
    }

    /// Opens all connections; each was let in.
    pub(crate) fn open(&self) -> Result<Vec<Link>, Box<dyn Error>> {
        let entrance = self.entrance()?;
        (0..self.connections).map(|number| entrance.enter(number)).collect()
    }
}

impl Entrance {
    /// A connection on which nothing was said yet.
    pub(crate) fn link(&self) -> std::io::Result<Link> {
        Link::connect(self.target, self.tls.as_ref())
    }

    /// CONNECT of the connection with this number.
    pub(crate) fn connect_packet(&self, number: usize) -> Vec<u8> {
        let user = self.users.get(number % self.users.len().max(1));
        let client_id = format!("load-{number}");
        let connect = Connect {
            version: Version::V311,
            clean_start: true,
            keep_alive_s: KEEP_ALIVE_S,
            properties: Properties::NONE,
            client_id: &client_id,
            will: None,
            user_name: user.map(|(name, _)| name.as_str()),
            password: user.map(|(_, password)| password.as_bytes()),
        };
        let mut out = Vec::new();
        encode(&Packet::Connect(connect), Version::V311, &mut out);
        out
    }

    fn enter(&self, number: usize) -> Result<Link, Box<dyn Error>> {
        let refused = |why: &dyn Error| format!("connection {number} was refused: {why}");
        let mut link = self.link().map_err(|error| refused(&error))?;
        link.socket().set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut answer = [0; CONNACK.len()];
        let said = link.write_all(&self.connect_packet(number));
        said.and_then(|()| link.read_exact(&mut answer)).map_err(|error| refused(&error))?;
        if answer != CONNACK {
            return Err(format!("connection {number} was refused: CONNACK {answer:02x?}").into());
        }
        Ok(link)
    }
}

fn read(path: &Path) -> Result<Vec<User>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let users: Option<Vec<User>> = text
        .lines()
        .map(|line| line.split_once(' ').map(|(name, word)| (name.to_owned(), word.to_owned())))
        .collect();
    let users = users.filter(|users| !users.is_empty());
    users.ok_or_else(|| format!("{} needs lines `user password`", path.display()).into())
}

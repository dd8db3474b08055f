//! Who connects: names and passwords from a file, or nobody in particular.
//!
//! *Invariant:* connections share the users evenly.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use mqtt::packet::{Connect, Packet};
use mqtt::{Properties, Version, encode};

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
    /// Connections
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
}

/// A name and a password.
type User = (String, String);

impl Door {
    /// Opens all connections; each was let in.
    pub(crate) fn open(&self) -> Result<Vec<TcpStream>, Box<dyn Error>> {
        let users = self.users.as_deref().map(read).transpose()?.unwrap_or_default();
        (0..self.connections)
            .map(|number| {
                let user = users.get(number % users.len().max(1));
                self.connect(number, user)
            })
            .collect()
    }

    fn connect(&self, number: usize, user: Option<&User>) -> Result<TcpStream, Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.target)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
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
        stream.write_all(&out)?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        if answer != [0x20, 2, 0, 0] {
            return Err(format!("connection {number} was refused: CONNACK {answer:02x?}").into());
        }
        Ok(stream)
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

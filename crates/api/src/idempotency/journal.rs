//! The journal of requests about money: which were begun, and what was answered.
//!
//! *Invariant:* a line is durable when [`Journal::append`] returns. It counts when its checksum
//! holds; nothing behind a torn one is read, and the next opening writes the file anew.
//!
//! ```text
//! {8 hex digits of the SHA-256 of what follows the space} {"format":1}
//! ........ {"begun":{"key":"...","request":"...","at":1793541600000}}
//! ........ {"done":{"key":"...","status":201,"headers":[["content-type","..."]],"body":"..."}}
//! ```

use std::io;
use std::path::Path;

use billing::entry::sha256;
use model::{Disk, DiskFile, Open};
use serde::{Deserialize, Serialize};

use crate::files;

const FORMAT: u32 = 1;
/// Hexadecimal digits before each line.
const CHECK_DIGITS: usize = 8;
/// What may be appended before the file is written anew without what is forgotten.
const APPENDED_BYTES_MAX: u64 = 16 << 20;

/// A line as it stands there. Keys and requests are SHA-256: no token is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Format(u32),
    Begun {
        key: String,
        request: String,
        at: i64,
    },
    Done {
        key: String,
        status: u16,
        headers: Vec<(String, String)>,
        /// None: it was too large to be kept.
        body: Option<String>,
    },
}

#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn DiskFile>,
    end: u64,
    /// Where it ended when it was written anew.
    anew: u64,
}

impl Journal {
    /// The lines of a file, in order; none when nothing was begun there yet.
    pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<Line>> {
        let file = match disk.open(path, Open::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let bytes = files::whole(file.as_ref())?;
        let lines: Vec<Line> = bytes.split(|byte| *byte == b'\n').map_while(parsed).collect();
        match lines.first() {
            Some(Line::Format(FORMAT)) | None => Ok(lines),
            Some(first) => {
                let what = format!("{}: format {FORMAT} is known, not {first:?}", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }

    /// A journal of these lines alone.
    pub(super) fn write(disk: &dyn Disk, path: &Path, lines: &[Line]) -> io::Result<Self> {
        let mut bytes = written(&Line::Format(FORMAT))?;
        for line in lines {
            bytes.append(&mut written(line)?);
        }
        files::replace(disk, path, &bytes)?;
        let end = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        Ok(Self { file: disk.open(path, Open::ReadWrite)?, end, anew: end })
    }

    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let bytes = written(line)?;
        self.file.write_at(&bytes, self.end)?;
        self.file.sync_data()?;
        self.end += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        Ok(())
    }

    /// Whether it should be written anew.
    pub(super) const fn is_long(&self) -> bool {
        self.end - self.anew > APPENDED_BYTES_MAX
    }
}

fn written(line: &Line) -> io::Result<Vec<u8>> {
    let text = serde_json::to_string(line)?;
    let hash = sha256(text.as_bytes());
    let check = hash.get(..CHECK_DIGITS).unwrap_or(&hash);
    Ok(format!("{check} {text}\n").into_bytes())
}

/// The line, if it is whole.
fn parsed(line: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?;
    let (check, text) = text.split_once(' ')?;
    let whole = check.len() == CHECK_DIGITS && sha256(text.as_bytes()).starts_with(check);
    whole.then(|| serde_json::from_str(text).ok()).flatten()
}

//! A bucket, by the S3 protocol.
//!
//! *Invariant:* a conditional put is sent once, and its error is told: the caller looks what became
//! of it. An object in parts appears whole when it is finished, or never.

use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use model::{Objects, Put, Upload};

use crate::wire::{Again, Answer, Ask, Wire};
use crate::{Access, Error, Place, xml};

/// Pages of a list: a folder of history has far fewer names than a thousand of these hold.
const PAGES_MAX: usize = 1_000;

/// Objects below a prefix of a bucket.
#[derive(Debug)]
pub struct S3 {
    place: Place,
    wire: Arc<Wire>,
}

impl S3 {
    /// Gets ready to speak with a store; nothing is sent yet.
    ///
    /// # Errors
    /// What it takes is missing, or is no address or certificate.
    pub fn new(place: Place, access: Access) -> Result<Self, Error> {
        let wire = Arc::new(Wire::new(&place, access)?);
        Ok(Self { place, wire })
    }

    fn key(&self, name: &str) -> String {
        let parts = [self.place.prefix.as_str(), name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("/")
    }

    fn get(&self, name: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
        let (key, again) = (self.key(name), Again::Same);
        self.wire.ask(&Ask { method: "GET", key: &key, query: &[], headers, body: &[], again })
    }
}

impl Objects for S3 {
    fn place(&self) -> String {
        self.place.to_string()
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let (key, again) = (self.key(name), Again::Same);
        let ask = Ask { method: "HEAD", key: &key, query: &[], headers: &[], body: &[], again };
        let answer = self.wire.ask(&ask)?;
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        length.ok_or_else(|| io::Error::other("HEAD told no length"))
    }

    fn read(&self, name: &str, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        self.get(name, &[("range", &bytes)]).map(|answer| answer.body)
    }

    fn read_all(&self, name: &str) -> io::Result<Vec<u8>> {
        self.get(name, &[]).map(|answer| answer.body)
    }

    fn put(&self, name: &str, bytes: Vec<u8>, put: Put) -> io::Result<()> {
        let key = self.key(name);
        let (headers, again): (&[(&str, &str)], Again) = match put {
            Put::Create => (&[("if-none-match", "*")], Again::Never),
            Put::Replace => (&[], Again::Same),
        };
        let ask = Ask { method: "PUT", key: &key, query: &[], headers, body: &bytes, again };
        self.wire.ask(&ask).map(drop)
    }

    fn upload(&self, name: &str) -> io::Result<Box<dyn Upload>> {
        let (key, again) = (self.key(name), Again::Same);
        let query = [("uploads", "")];
        let ask = Ask { method: "POST", key: &key, query: &query, headers: &[], body: &[], again };
        let answer = self.wire.ask(&ask)?;
        let id = xml::first(&answer.text(), "UploadId");
        let id = id.ok_or_else(|| io::Error::other("the store named no upload"))?;
        let wire = Arc::clone(&self.wire);
        Ok(Box::new(Parts { wire, key, id, tags: Vec::new(), done: false }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = self.key(folder);
        let prefix = if folder.is_empty() { folder } else { format!("{folder}/") };
        let (mut names, mut token) = (Vec::new(), String::new());
        for _page in 0..PAGES_MAX {
            let mut query = Vec::new();
            if !token.is_empty() {
                query.push(("continuation-token", token.as_str()));
            }
            query.extend([("delimiter", "/"), ("list-type", "2"), ("prefix", prefix.as_str())]);
            let again = Again::Same;
            let ask = Ask { method: "GET", key: "", query: &query, headers: &[], body: &[], again };
            let text = self.wire.ask(&ask)?.text();
            let found = xml::all(&text, "Contents").filter_map(|one| xml::first(&one, "Key"));
            names.extend(found.filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned)));
            if xml::first(&text, "IsTruncated").as_deref() != Some("true") {
                names.retain(|name| !name.is_empty());
                names.sort();
                return Ok(names);
            }
            token = xml::first(&text, "NextContinuationToken").unwrap_or_default();
        }
        Err(io::Error::other(format!("a list of more than pages_max = {PAGES_MAX} pages")))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (key, again) = (self.key(name), Again::Same);
        let ask = Ask { method: "DELETE", key: &key, query: &[], headers: &[], body: &[], again };
        match self.wire.ask(&ask) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// An object that is sent part by part.
#[derive(Debug)]
struct Parts {
    wire: Arc<Wire>,
    key: String,
    id: String,
    tags: Vec<String>,
    done: bool,
}

impl Upload for Parts {
    fn part(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let number = (self.tags.len() + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", self.id.as_str())];
        let (key, again) = (&self.key, Again::Same);
        let ask = Ask { method: "PUT", key, query: &query, headers: &[], body: &bytes, again };
        let answer = self.wire.ask(&ask)?;
        let tag = answer.header("etag").map(str::to_owned);
        self.tags.push(tag.ok_or_else(|| io::Error::other("the store gave a part no tag"))?);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let mut body = String::from("<CompleteMultipartUpload>");
        for (number, tag) in (1..).zip(&self.tags) {
            // Writing to a String cannot fail.
            let _ok =
                write!(body, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let query = [("uploadId", self.id.as_str())];
        let headers = [("if-none-match", "*")];
        let (key, body, again) = (&self.key, body.as_bytes(), Again::Never);
        let ask = Ask { method: "POST", key, query: &query, headers: &headers, body, again };
        let answer = self.wire.ask(&ask)?;
        // It may begin well and fail later, with the status sent.
        let text = answer.text();
        if text.contains("<Error>") {
            let said = xml::first(&text, "Message").unwrap_or_default();
            return Err(io::Error::other(format!("the parts were not joined: {said}")));
        }
        self.done = true;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if !self.done {
            let query = [("uploadId", self.id.as_str())];
            let (key, again) = (&self.key, Again::Never);
            let ask = Ask { method: "DELETE", key, query: &query, headers: &[], body: &[], again };
            // Best effort: what stays behind is invisible, and a rule of the bucket ends it.
            drop(self.wire.ask(&ask));
        }
    }
}

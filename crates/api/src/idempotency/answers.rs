//! Which requests were begun under which key, and what was answered.
//!
//! *Invariant:* bounded by [`KEYS_MAX`], [`BYTES_MAX`] and [`WINDOW`]. Where answers lie in a
//! folder, a request is durable there before it runs; one whose end is not known never runs again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::{Disk, Timestamp};

use super::journal::{Journal, Line};

/// How long an answer is kept.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Answers kept; the oldest makes room.
const KEYS_MAX: usize = 10_000;
/// Bytes of all answers that are kept; the oldest makes room.
const BYTES_MAX: usize = 64 << 20;
/// The largest answer that is kept.
pub(super) const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// An answer as it was given.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// None: it was too large to be kept.
    pub(super) body: Option<Bytes>,
}

/// What is known of a request.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// It is being answered.
    Running,
    /// The server stopped or failed under it.
    Unknown,
    Done(Answer),
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    /// SHA-256 of query and body.
    pub(super) request: String,
    begun: Timestamp,
    pub(super) stage: Stage,
}

impl Known {
    fn bytes(&self) -> usize {
        match &self.stage {
            Stage::Done(Answer { body: Some(body), .. }) => body.len(),
            Stage::Done(Answer { body: None, .. }) | Stage::Running | Stage::Unknown => 0,
        }
    }
}

/// What becomes of a request that ran.
#[derive(Debug)]
pub(super) enum End {
    Done(Answer),
    /// Nobody knows what it did.
    Failed,
}

/// The answers of the last day, by key; cheap to clone.
#[derive(Debug, Clone)]
pub struct Answers {
    home: Option<(Arc<dyn Disk>, PathBuf)>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    known: BTreeMap<String, Known>,
    /// By when it was begun.
    order: BTreeSet<(Timestamp, String)>,
    bytes: usize,
    /// None: it is not open, or failed.
    journal: Option<Journal>,
    /// When it was written anew.
    anew: Timestamp,
    past: Past,
}

/// Whether memory has what the folder had at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    Unread,
    Read,
}

impl Answers {
    /// Its name in the folder; a copy of the records is not to have it.
    pub const FILE: &str = "answers.jsonl";

    /// Forgotten when the program ends.
    pub(super) fn in_memory() -> Self {
        Self { home: None, kept: Kept::new() }
    }

    /// Kept in a folder, which is made with the first of them.
    #[must_use]
    pub fn kept_in(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self { home: Some((disk, folder.to_owned())), kept: Kept::new() }
    }

    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a key; marks it as running when nothing is. An error: nothing is marked.
    pub(super) fn begin(
        &self,
        key: &str,
        request: &str,
        now: Timestamp,
    ) -> io::Result<Option<Known>> {
        let mut kept = self.locked();
        kept.make_room(now);
        if let Some(home) = &self.home {
            kept.open(home, now)?;
        }
        if let Some(known) = kept.known.get(key) {
            return Ok(Some(known.clone()));
        }
        kept.append(&begun(key, request, now))?;
        let known = Known { request: request.to_owned(), begun: now, stage: Stage::Running };
        kept.insert(key.to_owned(), known);
        Ok(None)
    }

    /// Keeps how a request ended; one that failed may be tried again where nothing is kept in a
    /// folder. An error: memory has the answer, the folder not yet.
    pub(super) fn end(&self, key: &str, end: End) -> io::Result<()> {
        let mut kept = self.locked();
        let Some(mut known) = kept.remove(key) else { return Ok(()) };
        match (end, &self.home) {
            (End::Failed, None) => Ok(()),
            // The journal says that it was begun, and so not more.
            (End::Failed, Some(_)) => {
                known.stage = Stage::Unknown;
                kept.insert(key.to_owned(), known);
                Ok(())
            }
            (End::Done(answer), _) => {
                let line = done(key, &answer);
                known.stage = Stage::Done(answer);
                kept.insert(key.to_owned(), known);
                kept.append(&line)
            }
        }
    }
}

impl Kept {
    fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            known: BTreeMap::new(),
            order: BTreeSet::new(),
            bytes: 0,
            journal: None,
            anew: Timestamp::ZERO,
            past: Past::Unread,
        }))
    }

    /// Reads the folder with the first need of it, and writes anew what has become long or old.
    fn open(
        &mut self,
        (disk, folder): &(Arc<dyn Disk>, PathBuf),
        now: Timestamp,
    ) -> io::Result<()> {
        if self.past == Past::Unread {
            for line in Journal::read(disk.as_ref(), &folder.join(Answers::FILE))? {
                self.learn(line);
            }
            self.past = Past::Read;
            self.make_room(now);
        }
        let good = |journal: &Journal| !journal.is_long() && now.since(self.anew) < WINDOW;
        if !self.journal.as_ref().is_some_and(good) {
            self.journal = None;
            disk.create_dir_all(folder)?;
            let path = folder.join(Answers::FILE);
            self.journal = Some(Journal::write(disk.as_ref(), &path, &self.lines())?);
            self.anew = now;
        }
        Ok(())
    }

    fn learn(&mut self, line: Line) {
        match line {
            Line::Format(_) => {}
            Line::Begun { key, request, at } => {
                let begun = Timestamp::from_millis(at);
                self.insert(key, Known { request, begun, stage: Stage::Unknown });
            }
            Line::Done { key, status, headers, body } => {
                let Some(mut known) = self.remove(&key) else { return };
                known.stage = Stage::Done(Answer {
                    status: StatusCode::from_u16(status).unwrap_or_default(),
                    headers: headers.iter().filter_map(header).collect(),
                    body: body.map(Bytes::from),
                });
                self.insert(key, known);
            }
        }
    }

    /// Everything that is known, as a journal has it.
    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::with_capacity(self.known.len() * 2);
        for (key, known) in &self.known {
            lines.push(begun(key, &known.request, known.begun));
            if let Stage::Done(answer) = &known.stage {
                lines.push(done(key, answer));
            }
        }
        lines
    }

    /// Writes a line where there is a journal. One that failed is written anew with the next need.
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let done = journal.append(line);
        if done.is_err() {
            self.journal = None;
        }
        done
    }

    fn insert(&mut self, key: String, known: Known) {
        self.bytes += known.bytes();
        self.order.insert((known.begun, key.clone()));
        self.known.insert(key, known);
    }

    fn remove(&mut self, key: &str) -> Option<Known> {
        let known = self.known.remove(key)?;
        self.bytes -= known.bytes();
        self.order.remove(&(known.begun, key.to_owned()));
        Some(known)
    }

    /// Forgets what is old, and the oldest where there are too many. The journal has it until it
    /// is written anew, which forgets it too.
    fn make_room(&mut self, now: Timestamp) {
        while let Some((begun, key)) = self.order.first() {
            let full = self.order.len() >= KEYS_MAX || self.bytes > BYTES_MAX;
            if !full && now.since(*begun) < WINDOW {
                break;
            }
            let key = key.clone();
            self.remove(&key);
        }
    }
}

fn begun(key: &str, request: &str, at: Timestamp) -> Line {
    Line::Begun { key: key.to_owned(), request: request.to_owned(), at: at.as_millis() }
}

fn done(key: &str, answer: &Answer) -> Line {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    // Answers of the API are JSON, so their bytes are text.
    let body = answer.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
    Line::Done {
        key: key.to_owned(),
        status: answer.status.as_u16(),
        headers: answer.headers.iter().filter_map(text).collect(),
        body,
    }
}

fn header((name, value): &(String, String)) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}

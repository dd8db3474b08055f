//! One idea: who had it, where it stands, who wants to hear of it.
//!
//! *Invariant:* what comes from the public form waits until a person let it in; a merged idea stays
//! readable and leads to the other one; every status has a time and a name. A revision announces
//! at most one step, so that a step is told once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use model::{IdeaId, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, at_most, count, line};
use crate::{Competitors, Given, Market};

/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 120;
/// The longest text, in characters.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// The longest reason of a step, in characters.
const REASON_CHARS_MAX: usize = 1_000;
/// Steps of one idea.
const STEPS_MAX: usize = 100;
/// Who hears of one idea.
const FOLLOWERS_MAX: usize = 1_000;
/// Ideas that were merged into one.
const MERGED_MAX: usize = 500;
/// Readings that an idea takes along from a device.
const READINGS_MAX: usize = 64;
/// The longest name or unit of what a device measures, in characters.
const WORD_CHARS_MAX: usize = 128;

/// Whose idea it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// One of us.
    Staff,
    /// Who sells or installs with us.
    Partner,
    /// Who pays.
    Customer,
    /// Somebody who did not say.
    Public,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Staff, Self::Partner, Self::Customer, Self::Public];

    /// The word in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Partner => "partner",
            Self::Customer => "customer",
            Self::Public => "public",
        }
    }
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It came from the public form and nobody has looked at it yet.
    Waiting,
    /// It is there to be judged.
    Open,
    /// It will be done.
    Planned,
    /// It is being done; a venture has begun.
    InProgress,
    /// It exists.
    Done,
    /// It will not be done.
    Declined,
    /// Another idea says the same.
    Merged,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Open,
        Self::Planned,
        Self::InProgress,
        Self::Done,
        Self::Declined,
        Self::Merged,
    ];

    /// The word in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Planned => "planned",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Merged => "merged",
        }
    }

    /// As a person says it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Waiting => "waiting to be read",
            Self::Open => "open",
            Self::Planned => "planned",
            Self::InProgress => "in progress",
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Merged => "merged with another idea",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(32).collect();
            let known: Vec<_> = Self::ALL.map(Self::as_str).to_vec();
            Error::field("/status", format!("{shown:?} is not one of {}", known.join(", ")))
        })
    }
}

/// One change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What it became.
    pub status: Status,
    /// Why, for those who asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who decided.
    pub by: String,
}

/// A reading as it was when the idea came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextReading {
    /// As the blueprint names it.
    pub name: String,
    /// Number, boolean, text or `[latitude, longitude]`.
    pub value: serde_json::Value,
    /// UCUM code, where the type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Event time.
    pub at: Timestamp,
    /// `real`, `replayed` or `virtual`.
    pub origin: String,
}

/// The device somebody stood before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Its id.
    pub device: String,
    /// Its name.
    pub name: String,
    /// Its kind in the blueprint.
    pub kind: String,
    /// Its product line.
    pub venture: String,
    /// When it was taken.
    pub at: Timestamp,
    /// Its last readings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<ContextReading>,
}

/// An idea, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idea {
    /// What, in a line.
    pub title: String,
    /// Why and for whom; plain text, never markup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whose idea it is.
    pub source: Source,
    /// Who wrote it down: an actor, or `form`.
    pub by: String,
    /// What somebody without an account calls themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The device it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// Where it stands.
    pub status: Status,
    /// How it came there, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Actors who want to hear of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<String>,
    /// People without an account who asked for it, by the form.
    #[serde(default, skip_serializing_if = "is_none")]
    pub senders: usize,
    /// SHA-256 of the secret that opens its status to whoever filled in the form, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
    /// What it was given for the formula.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<Name, Given>,
    /// How large its market is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// Who else does it.
    #[serde(default, skip_serializing_if = "Competitors::is_empty")]
    pub competitors: Competitors,
    /// The idea that stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<IdeaId>,
    /// The ideas that it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<IdeaId>,
    /// The venture that it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venture: Option<Name>,
    /// The step that this revision tells, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announces: Option<usize>,
}

/// Whether somebody wants to hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// From now on.
    Begin,
    /// No more.
    End,
}

/// What followers are told of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// One line.
    pub title: String,
    /// The reason, in the words of who decided.
    pub text: String,
    /// Actors who are told.
    pub followers: Vec<String>,
    /// When it was decided.
    pub at: Timestamp,
}

impl Idea {
    /// A new one.
    #[must_use]
    pub fn new((title, text): (String, String), source: Source, by: &str) -> Self {
        let status = if by == Self::FORM { Status::Waiting } else { Status::Open };
        let followers = if by == Self::FORM { Vec::new() } else { vec![by.to_owned()] };
        Self {
            title,
            text,
            source,
            by: by.to_owned(),
            name: None,
            context: None,
            status,
            steps: Vec::new(),
            followers,
            senders: usize::from(by == Self::FORM),
            key_sha256: None,
            scores: BTreeMap::new(),
            market: None,
            competitors: Competitors::default(),
            merged_into: None,
            merged: Vec::new(),
            venture: None,
            announces: None,
        }
    }

    /// Who wrote down what came from the public form.
    pub const FORM: &'static str = "form";

    /// Whether it may be kept.
    ///
    /// # Errors
    /// The place, the reason and the limit.
    pub fn check(&self, now: Timestamp) -> Result<(), Error> {
        line("/title", &self.title, TITLE_CHARS_MAX)?;
        plain("/text", &self.text, TEXT_CHARS_MAX)?;
        self.name.as_deref().map_or(Ok(()), |name| line("/name", name, TITLE_CHARS_MAX))?;
        count("/status", ("steps_max", STEPS_MAX), self.steps.len())?;
        count("/follow", ("followers_max", FOLLOWERS_MAX), self.followers.len())?;
        count("/into", ("merged_max", MERGED_MAX), self.merged.len())?;
        for step in &self.steps {
            plain("/reason", &step.reason, REASON_CHARS_MAX)?;
        }
        self.context.as_ref().map_or(Ok(()), Context::check)?;
        self.market.as_ref().map_or(Ok(()), |market| market.check(now))?;
        self.competitors.check(now)
    }

    /// Moves it on and announces that.
    ///
    /// # Errors
    /// The way is closed: a merged idea follows the other one, and only merging merges.
    pub fn step(&mut self, step: Step) -> Result<(), Error> {
        let (from, to) = (self.status, step.status);
        let refuse = |why| Err(Error::Step { from, to, why });
        match (from, to) {
            (Status::Merged, _) => return refuse("change the idea that it was merged into"),
            (_, Status::Merged) => return refuse("merge it: iotbiz idea merge"),
            (_, Status::Waiting) => return refuse("only what is new waits to be read"),
            (Status::Waiting, to) if to != Status::Open && to != Status::Declined => {
                return refuse("let it in first: open, or decline it");
            }
            (from, to) if from == to => return refuse("it is that already"),
            (_, _) => {}
        }
        self.take(step);
        Ok(())
    }

    fn take(&mut self, step: Step) {
        self.status = step.status;
        self.announces = Some(self.steps.len());
        self.steps.push(step);
    }

    /// Lets `other` stand for this idea too: its followers are now followers of that one.
    ///
    /// # Errors
    /// One of them waits to be read, was merged before, or they are the same.
    pub fn merge_into(
        &mut self,
        (own, step): (IdeaId, Step),
        (into, other): (IdeaId, &mut Self),
    ) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Merge { reason });
        if own == into {
            return refuse("an idea is not merged with itself".to_owned());
        }
        for (id, idea) in [(own, &*self), (into, &*other)] {
            if let Some(there) = idea.merged_into {
                return refuse(format!("{id} was merged before: name {there} instead"));
            }
            if idea.status == Status::Waiting {
                return refuse(format!("{id} waits to be read: let it in first"));
            }
        }
        for follower in &self.followers {
            if !other.followers.contains(follower) {
                other.followers.push(follower.clone());
            }
        }
        other.senders += self.senders;
        other.merged.push(own);
        // Its own step was told before; this revision has none to tell.
        other.announces = None;
        self.merged_into = Some(into);
        self.take(Step { status: Status::Merged, ..step });
        Ok(())
    }

    /// Somebody wants to hear of it, or no more.
    pub fn follow(&mut self, who: &str, follow: Follow) {
        self.announces = None;
        self.followers.retain(|follower| follower != who);
        if follow == Follow::Begin {
            self.followers.push(who.to_owned());
        }
    }

    /// What this revision tells those who asked.
    #[must_use]
    pub fn news(&self) -> Option<News> {
        let step = self.steps.get(self.announces?)?;
        // Of what waited nobody but its sender knows, and they have their page.
        let title = format!("Idea \"{}\" is {}", self.title, step.status.words());
        let (text, followers) = (step.reason.clone(), self.followers.clone());
        Some(News { title, text, followers, at: step.at })
    }

    /// How many asked for it: followers, who sent a form, and those of ideas merged into it.
    #[must_use]
    pub fn votes(&self) -> usize {
        self.followers.len() + self.senders
    }
}

/// Several lines are fine, other control characters are not.
fn plain(place: &str, text: &str, chars_max: usize) -> Result<(), Error> {
    if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return Err(Error::field(place, "it has a control character in it"));
    }
    at_most(place, text, chars_max)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Context {
    fn check(&self) -> Result<(), Error> {
        for word in [&self.device, &self.name, &self.kind, &self.venture] {
            line("/device", word, WORD_CHARS_MAX)?;
        }
        count("/device", ("readings_max", READINGS_MAX), self.readings.len())
    }

    /// Readings, the first so many.
    pub fn bound(&mut self) {
        self.readings.truncate(READINGS_MAX);
    }
}

#[cfg(test)]
mod tests;

//! What a command ends with.
//!
//! *Invariant:* the codes are part of the interface and never change their meaning.

use std::fmt;

/// How a command ended, other than well.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// What happened, in one line.
    pub(crate) what: String,
    /// Why, and the place.
    pub(crate) why: Vec<String>,
    /// What to do.
    pub(crate) fix: Vec<String>,
}

pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOT_FOUND: u8 = 3;
pub(crate) const NOT_ALLOWED: u8 = 4;
pub(crate) const CONFLICT: u8 = 5;
pub(crate) const UNREACHABLE: u8 = 6;
pub(crate) const CHECK_FAILED: u8 = 7;

/// As `iotbiz help-exit-codes` prints it.
pub(crate) const TABLE: &str = "\
  0  ok
  1  failed
  2  wrong usage or wrong input
  3  not found
  4  not allowed, or not signed in
  5  conflict: somebody else changed it, or the name is taken
  6  unreachable, or not available now
  7  a check found something (check, doctor, fsck)
130  interrupted
";

impl Failure {
    pub(crate) fn new(code: u8, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: Vec::new(), fix: Vec::new() }
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(fix.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for why in &self.why {
            write!(f, "\n  {why}")?;
        }
        for fix in &self.fix {
            write!(f, "\n  do: {fix}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => {
                let mut chain = error.chain().map(ToString::to_string);
                let mut failure = Self::new(FAILED, chain.next().unwrap_or_default());
                failure.why.extend(chain);
                failure
            }
        }
    }
}

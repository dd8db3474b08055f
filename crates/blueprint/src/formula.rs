//! An expression as it was written, together with its compiled form.
//!
//! *Invariant:* the program was compiled from the text, in the scope of the place it stands.

use std::fmt;
use std::sync::Arc;

use expr::Program;

/// Text and program; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Formula {
    /// As written.
    pub text: Arc<str>,
    /// As evaluated.
    pub program: Arc<Program>,
}

impl Formula {
    pub(crate) fn new(text: String, program: Program) -> Self {
        Self { text: text.into(), program: Arc::new(program) }
    }
}

impl PartialEq for Formula {
    /// Same meaning: spaces and the order of units do not matter.
    fn eq(&self, other: &Self) -> bool {
        self.program == other.program
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

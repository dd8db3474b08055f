//! Fixes that only one thing can have been meant by, and the text with all of them made.
//!
//! *Invariant:* nothing but the bytes of a fix changes, so comments, order and spaces stay as they
//! were; a fix is kept only when its finding is gone afterwards and the text is no worse TOML. Two
//! fixes that say different things of one place are none.
//!
//! Edits of the text and not of a TOML document, because a text that needs fixing may be no TOML.

use std::collections::BTreeMap;

use expr::Span;

use crate::{Blueprint, Diagnostic, codes};

/// The most fixes of one text; more are left for the next time.
pub const FIXES_MAX: usize = 200;
/// Rounds of reading and fixing: a fix may uncover what stood behind the mistake.
const ROUNDS_MAX: usize = 20;

/// A place and what should stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where; empty to insert.
    pub span: Span,
    /// What.
    pub text: String,
}

/// What makes a finding go away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// Its edits, which do not overlap.
    pub edits: Vec<Edit>,
}

/// A fix that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Code of the finding.
    pub code: &'static str,
    /// The finding.
    pub message: String,
    /// Its line in the text at that time, from 1.
    pub line: usize,
}

/// A text and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The text with its fixes.
    pub text: String,
    /// The fixes, in the order they were made.
    pub applied: Vec<Applied>,
}

impl Fix {
    /// The text after the edits; `None` when they do not fit it.
    #[must_use]
    pub fn on(&self, source: &str) -> Option<String> {
        let mut edits: Vec<&Edit> = self.edits.iter().collect();
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let mut out = String::with_capacity(source.len());
        let mut at = 0;
        for edit in edits {
            out.push_str(source.get(at..edit.span.start)?);
            out.push_str(&edit.text);
            at = edit.span.end;
        }
        out.push_str(source.get(at..)?);
        Some(out)
    }

    /// How far what stands at `at` is moved.
    fn shift(&self, at: usize) -> isize {
        let length = |bytes: usize| isize::try_from(bytes).unwrap_or(isize::MAX);
        let before = self.edits.iter().filter(|edit| edit.span.end <= at && edit.span.start < at);
        before.map(|edit| length(edit.text.len()) - length(edit.span.end - edit.span.start)).sum()
    }
}

/// Makes every fix that is certain.
#[must_use]
pub fn fixed(source: &str) -> Fixed {
    let mut fixed = Fixed { text: source.to_owned(), applied: Vec::new() };
    let mut refused: Vec<(&'static str, String)> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let before = fixed.applied.len();
        let found = Blueprint::parse(&fixed.text).diagnostics;
        let mut chosen = certain(&found);
        // From the end, so that the places of those before stay true.
        chosen.sort_by_key(|(_, fix)| std::cmp::Reverse(first(fix)));
        for (diagnostic, fix) in chosen {
            let known = (diagnostic.code, diagnostic.message.clone());
            if fixed.applied.len() >= FIXES_MAX || refused.contains(&known) {
                continue;
            }
            match better(&fixed.text, diagnostic, fix) {
                Some(text) => {
                    fixed.applied.push(Applied {
                        code: diagnostic.code,
                        message: diagnostic.message.clone(),
                        line: diagnostic.start(&fixed.text).line,
                    });
                    fixed.text = text;
                }
                None => refused.push(known),
            }
        }
        if fixed.applied.len() == before {
            break;
        }
    }
    fixed
}

/// Where a fix begins.
fn first(fix: &Fix) -> usize {
    fix.edits.iter().map(|edit| edit.span.start).min().unwrap_or_default()
}

/// The fixes of which each says the only thing about its places, once each.
fn certain(found: &[Diagnostic]) -> Vec<(&Diagnostic, &Fix)> {
    let mut places: BTreeMap<(Span, &str), Vec<&Fix>> = BTreeMap::new();
    let all = || found.iter().filter_map(|one| Some((one, one.fix.as_ref()?)));
    // Two lines can be put at one place; two answers to one question can not.
    let place = |edit: &Edit, code: &'static str| {
        (edit.span, if edit.span.start == edit.span.end { code } else { "" })
    };
    for (diagnostic, fix) in all() {
        for edit in &fix.edits {
            places.entry(place(edit, diagnostic.code)).or_default().push(fix);
        }
    }
    let mut seen: Vec<&Fix> = Vec::new();
    let mut chosen = Vec::new();
    for (diagnostic, fix) in all() {
        let own = |edit: &Edit| places.get(&place(edit, diagnostic.code));
        let alone =
            fix.edits.iter().all(|edit| own(edit).is_some_and(|of| of.iter().all(|of| *of == fix)));
        if alone && !seen.contains(&fix) {
            seen.push(fix);
            chosen.push((diagnostic, fix));
        }
    }
    chosen
}

/// The text after a fix, when its finding is gone and it is no worse TOML than before.
fn better(source: &str, diagnostic: &Diagnostic, fix: &Fix) -> Option<String> {
    let text = fix.on(source)?;
    let before = Blueprint::parse(source).diagnostics;
    let after = Blueprint::parse(&text).diagnostics;
    let syntax =
        |found: &[Diagnostic]| found.iter().filter(|one| one.code == codes::SYNTAX).count();
    let start = diagnostic.span.start.checked_add_signed(fix.shift(diagnostic.span.start))?;
    let same = |one: &Diagnostic| {
        let like = one.code == diagnostic.code && one.message == diagnostic.message;
        like && one.span.start == start
    };
    (syntax(&after) <= syntax(&before) && !after.iter().any(same)).then_some(text)
}

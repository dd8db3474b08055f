//! The same result recorded again: a file imported twice would count twice.
//!
//! *Invariant:* what one source found counts once, unless somebody says when each was found.

use registry::content::EvidenceContent;

use super::Piece;
use crate::code;
use crate::problem::Problem;

/// Refuses a result that stands there already; one with a date of its own is another one.
pub(super) fn refuse(known: &[Piece], new: &EvidenceContent) -> Result<(), Problem> {
    let same = |piece: &&Piece| {
        let old = &piece.content;
        old.withdrawn.is_none()
            && (&old.assumption, &old.experiment, &old.kind)
                == (&new.assumption, &new.experiment, &new.kind)
            && (&old.source, &old.outcome) == (&new.source, &new.outcome)
    };
    let Some(piece) = known.iter().find(same) else { return Ok(()) };
    let message = format!(
        "{} of {} has the same result: counted twice, it would weigh twice",
        piece.id, new.source
    );
    let fix = "name the source so that the two differ, or give --at if it was found again";
    Err(Problem::new(code::CONFLICT, message).fix(fix))
}

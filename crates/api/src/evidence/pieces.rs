//! Pieces of evidence as they were kept, what they add up to, and what is believed of them.
//!
//! *Invariant:* what was withdrawn stays readable and counts no longer; at a moment in the past
//! only what was known then counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use blueprint::{Blueprint, ExperimentKind};
use model::{EvidenceId, Name, TenantId, Timestamp};
use pipeline::Picture;
use registry::content::{EvidenceContent, OutcomeContent};
use registry::{Kind, RecordRow};
use venture::belief::{Relevance, kind_word};
use venture::experiment::claim;
use venture::{Belief, Evidence, Outcome};

use crate::app::App;
use crate::problem::Problem;
use crate::write::key;

/// Pieces of evidence that are listed of one venture.
const EVIDENCE_MAX: usize = 10_000;

/// Records of one page.
const PAGE: u32 = 1_000;

/// A record as it was kept.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) id: String,
    pub(crate) content: Arc<EvidenceContent>,
    /// Who recorded it; empty where only the folds were asked.
    pub(crate) actor: String,
    pub(crate) recorded: Timestamp,
}

impl Piece {
    pub(crate) fn new(id: &str, content: EvidenceContent, actor: &str, now: Timestamp) -> Self {
        let actor = actor.to_owned();
        Self { id: id.to_owned(), content: Arc::new(content), actor, recorded: now }
    }

    pub(super) fn of(row: &RecordRow) -> Result<Self, Problem> {
        // Not `row.at`: that is of the newest revision, such as its withdrawal.
        let recorded = row.id.parse().map_or(row.at, EvidenceId::time);
        Ok(Self::new(&row.id, row.content()?, &row.actor, recorded))
    }

    fn evidence(&self) -> Option<Evidence> {
        let content = &self.content;
        let counts_as = content.measured.as_ref().and_then(|measured| measured.counts_as);
        let outcome = match (content.outcome, counts_as) {
            (OutcomeContent::Counts { of, out_of }, Some(counts_as)) => {
                Outcome::Sample { of, out_of, counts_as }
            }
            (OutcomeContent::Counts { of, out_of }, None) => Outcome::Counts { of, out_of },
            (OutcomeContent::Ratio(ratio), _) => Outcome::Ratio(ratio),
            (OutcomeContent::Mean { mean, error }, _) => Outcome::Mean { mean, error },
        };
        Some(Evidence {
            id: self.id.clone(),
            source: content.source.clone(),
            at: content.at,
            kind: kind_of(content.kind.as_str())?,
            outcome,
        })
    }
}

pub(super) fn kind_of(word: &str) -> Option<ExperimentKind> {
    use ExperimentKind::{Build, Do, Measure, Pay, Say};
    [Say, Do, Pay, Build, Measure].into_iter().find(|kind| kind_word(*kind) == word)
}

/// All evidence of a venture, withdrawn or not, as the folds have it.
pub(crate) fn pieces(picture: &Picture, tenant: TenantId, venture: &Name) -> Vec<Piece> {
    let of = |(id, content): (&str, &Arc<EvidenceContent>)| Piece {
        id: id.to_owned(),
        content: Arc::clone(content),
        actor: String::new(),
        recorded: id.parse().map_or(content.at, EvidenceId::time),
    };
    picture.catalog.evidence(tenant, venture).map(of).collect()
}

/// Records of a kind that belong to a venture, by id.
pub(crate) async fn owned(
    app: &App,
    tenant: TenantId,
    (kind, venture): (Kind, &str),
) -> Result<Vec<RecordRow>, Problem> {
    let mut rows: Vec<RecordRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.id.clone()).unwrap_or_default();
        let page = app.registry.list_owned(key(tenant, kind, venture), &after, PAGE).await?;
        let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        rows.extend(page);
        if rows.len() > EVIDENCE_MAX {
            let message = format!("more than evidence_max = {EVIDENCE_MAX} records of {kind}");
            return Err(Problem::new(crate::code::TOO_LARGE, message));
        }
        if whole {
            return Ok(rows);
        }
    }
}

/// The same, with who recorded each.
pub(super) async fn authored(
    app: &App,
    tenant: TenantId,
    venture: &Name,
) -> Result<Vec<Piece>, Problem> {
    let rows = owned(app, tenant, (Kind::Evidence, venture.as_str())).await?;
    rows.iter().map(Piece::of).collect()
}

/// Evidence as it was known at a moment: what was recorded later is left out, what was withdrawn
/// later still counts.
pub(crate) async fn pieces_at(
    app: &App,
    tenant: TenantId,
    (venture, at): (&Name, Timestamp),
) -> Result<Vec<Piece>, Problem> {
    let rows = owned(app, tenant, (Kind::Evidence, venture.as_str())).await?;
    let mut known = Vec::new();
    for row in &rows {
        let mut piece = Piece::of(row)?;
        if piece.recorded > at {
            continue;
        }
        if row.at > at {
            Arc::make_mut(&mut piece.content).withdrawn = None;
        }
        known.push(piece);
    }
    Ok(known)
}

/// What is believed of one assumption at `at`; a piece dated later is an error.
pub(crate) fn belief(
    blueprint: &Blueprint,
    name: &Name,
    pieces: &[Piece],
    at: Timestamp,
) -> Result<Belief, venture::Error> {
    let Some(assumption) = blueprint.assumptions.get(name) else {
        let reason = "the blueprint has no such assumption".to_owned();
        return Err(venture::Error::Unfit { id: format!("assumption.{name}"), reason });
    };
    let counts = |piece: &&Piece| {
        let content = &piece.content;
        content.assumption == *name && content.withdrawn.is_none()
    };
    let evidence: Vec<_> = pieces.iter().filter(counts).filter_map(Piece::evidence).collect();
    claim(name, assumption)?.weigh(&evidence, &Relevance::default(), at)
}

/// Results of each experiment and of each assumption that still count: so many out of so many.
pub(crate) fn results(pieces: &[Piece]) -> (BTreeMap<Name, u64>, BTreeMap<Name, u64>) {
    let (mut of_experiment, mut of_assumption) = (BTreeMap::new(), BTreeMap::new());
    for piece in pieces.iter().filter(|piece| piece.content.withdrawn.is_none()) {
        *of_assumption.entry(piece.content.assumption.clone()).or_default() += 1;
        if let Some(experiment) = &piece.content.experiment {
            *of_experiment.entry(experiment.clone()).or_default() += 1;
        }
    }
    (of_experiment, of_assumption)
}

/// Results of an experiment that count: so many out of so many, and the newest value where the
/// result is one.
pub(crate) fn tally(name: &Name, pieces: &[Piece]) -> (u64, u64, Option<f64>) {
    let (mut of, mut out_of, mut value) = (0, 0, None);
    for piece in pieces {
        let content = &piece.content;
        if content.withdrawn.is_some() || content.experiment.as_ref() != Some(name) {
            continue;
        }
        value = match (&content.measured, content.outcome) {
            (Some(measured), _) => Some(measured.value),
            (None, OutcomeContent::Mean { mean, .. }) => Some(mean),
            (None, OutcomeContent::Counts { .. } | OutcomeContent::Ratio(_)) => value,
        };
        if let OutcomeContent::Counts { of: did, out_of: asked } = content.outcome {
            of += did;
            out_of += asked;
        }
    }
    (of, out_of, value)
}

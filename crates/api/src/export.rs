//! Readings of a kind as one file, streamed.
//!
//! *Invariant:* an export is whole or breaks off with an error: a connection that ends early is no
//! end of the file. It holds at most [`CHUNKS_MAX`] chunks in memory; a caller that reads slowly
//! makes it wait.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream;
use identity::Action;
use model::{Name, TenantId, Timestamp};
use pipeline::Picture;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::Params;
use crate::kept::{ExportFormat, Exported, KindOf, Unkept};
use crate::problem::Problem;

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for the caller.
const CHUNKS_MAX: usize = 8;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct ExportQuery {
    /// A device kind of the blueprint; may be left out with `device`.
    kind: Option<String>,
    /// The venture; may be left out when there is only one with this kind.
    venture: Option<String>,
    /// Id or name: only this device.
    device: Option<String>,
    /// RFC 3339; default: everything that is kept.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// RFC 3339, exclusive; default: everything that is kept.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// `csv` (default), `parquet` or `arrow`.
    format: Option<String>,
}

/// What comes through the channel: bytes, or why there are no more.
type Chunk = Result<Bytes, Unkept>;

/// Gathers bytes to chunks and hands them over; waits when the caller does not keep up.
struct Chunks {
    gathered: Vec<u8>,
    to: mpsc::Sender<Chunk>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.gathered, Vec::with_capacity(CHUNK_BYTES));
        // The caller went away: whoever writes stops at this error.
        self.to.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() { Ok(()) } else { self.send() }
    }
}

/// Readings of a kind or of one device, one column per property, without a limit of rows.
#[utoipa::path(get, path = "/export", tag = "devices", params(ExportQuery),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<ExportQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let format = format(query.format.as_deref())?;
    let what = what(&app.shard.picture(), tenant, &query)?;
    let name = format!("{}-{}.{}", what.of.venture, what.of.kind, format.extension());
    let told = format!("{} {}", what.of.venture, what.of.kind);
    let (to, mut chunks) = mpsc::channel::<Chunk>(CHUNKS_MAX);
    let history = Arc::clone(&app.facts.history);
    // It ends by itself when the answer is dropped.
    let _writes = tokio::task::spawn_blocking(move || {
        let mut out = Chunks { gathered: Vec::with_capacity(CHUNK_BYTES), to: to.clone() };
        let written = history.export(&what, format, &mut out);
        let ended = written.and_then(|_| out.flush().map_err(|e| Unkept::Failed(e.to_string())));
        if let Err(unkept) = ended {
            // Nobody is left to be told when the caller went away.
            let _gone = to.blocking_send(Err(unkept)).is_err();
        }
    });
    // What fails at once is a problem; later only the connection can break off.
    let first = match chunks.recv().await {
        Some(Err(unkept)) => return Err(unkept.problem(&told)),
        Some(Ok(first)) => first,
        None => Bytes::new(),
    };
    let rest = stream::poll_fn(move |context| chunks.poll_recv(context));
    let all = stream::iter([Ok(first)]).chain(rest).map(|chunk| {
        chunk.map_err(|unkept| {
            tracing::warn!(?unkept, "an export broke off");
            io::Error::other("the export broke off")
        })
    });
    let disposition = format!("attachment; filename=\"{name}\"");
    let disposition = HeaderValue::from_str(&disposition)
        .map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(all)).into_response())
}

impl ExportFormat {
    const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrows",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

fn format(asked: Option<&str>) -> Result<ExportFormat, Problem> {
    match asked {
        None | Some("csv") => Ok(ExportFormat::Csv),
        Some("parquet") => Ok(ExportFormat::Parquet),
        Some("arrow") => Ok(ExportFormat::Arrow),
        Some(other) => {
            Err(Problem::invalid("format", format!("{other:?} is none of csv, parquet, arrow")))
        }
    }
}

fn what(picture: &Picture, tenant: TenantId, query: &ExportQuery) -> Result<Exported, Problem> {
    let from = query.from.unwrap_or(Timestamp::ZERO);
    let to = query.to.unwrap_or(Timestamp::MAX);
    if from >= to {
        return Err(Problem::invalid("from", format!("{from} is not before {to}")));
    }
    let Some(device) = &query.device else {
        let of = kind(picture, tenant, query)?;
        return Ok(Exported { of, device: None, from, to });
    };
    let twin = find(picture, tenant, device)?;
    if let Some(kind) = query.kind.as_ref().filter(|kind| **kind != twin.kind.as_str()) {
        return Err(Problem::invalid(
            "kind",
            format!("{} is a {}, no {kind}", twin.name, twin.kind),
        ));
    }
    Ok(Exported { of: KindOf::of(&twin), device: Some(twin.id), from, to })
}

fn kind(picture: &Picture, tenant: TenantId, query: &ExportQuery) -> Result<KindOf, Problem> {
    let name = |place: &str, text: &str| {
        text.parse::<Name>().map_err(|error| Problem::invalid(place, error.to_string()))
    };
    let Some(kind) = &query.kind else {
        return Err(Problem::invalid("kind", "name a kind or a device")
            .fix("add kind=, as in the blueprint's table device.KIND"));
    };
    let kind = name("kind", kind)?;
    if let Some(venture) = &query.venture {
        return Ok(KindOf { tenant, venture: name("venture", venture)?, kind });
    }
    let mut ventures = picture.catalog.ventures(tenant).filter(|(venture, _)| {
        let newest = picture.catalog.newest(tenant, venture);
        newest.is_some_and(|found| found.blueprint.kinds.contains_key(&kind))
    });
    match (ventures.next(), ventures.next()) {
        (Some((venture, _)), None) => Ok(KindOf { tenant, venture: venture.clone(), kind }),
        (Some(_), Some(_)) => {
            Err(Problem::invalid("venture", format!("several ventures have a kind {kind}")))
        }
        (None, _) => {
            Err(Problem::invalid("kind", format!("no blueprint has a device kind {kind}")))
        }
    }
}

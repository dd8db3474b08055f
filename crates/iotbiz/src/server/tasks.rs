//! What runs beside the parts: refusals to the API, the trim floor, the door's figures.
//!
//! *Invariant:* each task ends when the server stops.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ingress::{Figures, Ingress};
use notify::Source;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::notices::Notices;

/// How often the door is asked what of the log it still needs.
const FLOOR_EVERY: Duration = Duration::from_secs(10);

/// How often it is looked whether a claim is due.
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// Hands what the door refused to the API, which shows it to the owner.
pub(crate) async fn forward_refusals(
    from: Arc<ingress::Refusals>,
    to: api::Refusals,
    stop: CancellationToken,
) {
    let mut news = from.listen();
    loop {
        let refusal = tokio::select! {
            news = news.recv() => news,
            () = stop.cancelled() => return,
        };
        match refusal {
            Ok(refusal) => to.push(api::Refusal {
                tenant: refusal.tenant,
                at: refusal.at,
                claimed: refusal.claimed.clone(),
                device: refusal.device,
                peer: refusal.peer.to_string(),
                reason: refusal.reason.code().to_owned(),
                detail: refusal.detail.clone(),
                fix: refusal.fix.clone(),
            }),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "refusals were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Tells the drivers, which trim, below which offset the door, history and notices need nothing.
pub(crate) async fn keep_floor(
    (ingress, history, notices): (Arc<Ingress>, Arc<History>, Arc<Notices>),
    (floor, urgent): (Arc<AtomicU64>, Arc<AtomicU64>),
    stop: CancellationToken,
) {
    loop {
        urgent.store(notices.trim_below(Source::Urgent).0, Ordering::SeqCst);
        match ingress.trim_below() {
            Ok(oldest) => {
                let oldest = oldest.min(history.trim_below()).min(notices.trim_below(Source::Main));
                floor.store(oldest.0, Ordering::SeqCst);
            }
            Err(error) => tracing::warn!(%error, "cannot list the door's snapshots"),
        }
        tokio::select! {
            () = tokio::time::sleep(FLOOR_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Settles claims that are due: results of experiments that ask the fleet, forecasts.
pub(crate) async fn settle_claims(app: api::App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SETTLE_EVERY) => {}
            () = stop.cancelled() => return,
        }
        let done = tokio::select! {
            done = api::settle(&app) => done,
            () = stop.cancelled() => return,
        };
        if done != api::Settled::default() {
            tracing::info!(?done, "claims were settled");
        }
    }
}

/// The door's figures in the Prometheus text format.
pub(crate) fn door_metrics(figures: Figures) -> String {
    let rows = [
        ("connections", "gauge", figures.connections),
        ("sessions", "gauge", figures.sessions),
        ("subscriptions", "gauge", figures.subscriptions),
        ("acks_pending", "gauge", figures.acks_pending),
        ("connections_accepted_total", "counter", figures.accepted),
        ("messages_in_total", "counter", figures.messages_in),
        ("messages_out_total", "counter", figures.messages_out),
        ("bytes_in_total", "counter", figures.bytes_in),
        ("bytes_out_total", "counter", figures.bytes_out),
        ("refused_total", "counter", figures.refused),
        ("dropped_total", "counter", figures.dropped),
        ("paused_total", "counter", figures.paused),
        ("throttled_total", "counter", figures.throttled),
    ];
    let mut text = String::new();
    for (name, kind, value) in rows {
        // Writing to a String cannot fail.
        let _ok = writeln!(text, "# TYPE iotbiz_door_{name} {kind}\niotbiz_door_{name} {value}");
    }
    text
}

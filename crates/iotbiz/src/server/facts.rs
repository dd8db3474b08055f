//! What handlers know of this server, and whom they ask how things are.
//!
//! *Invariant:* nothing here changes while the server runs but what it asks.

use std::sync::Arc;

use api::{Access, Answers, Facts, Metrics, Presence, Readings, UsageEvents, UsageLedger};
use eventlog::Log;
use ingress::Ingress;
use model::{Clock, Disk, Timestamp};

use super::alarms::Alarms;
use super::history::History;
use super::notices::Notices;
use super::{Ports, Trust, listeners, tasks};
use crate::config::Config;

/// Whom handlers ask how things are.
pub(super) struct Seen {
    pub(super) ingress: Arc<Ingress>,
    pub(super) history: Arc<History>,
    pub(super) notices: Arc<Notices>,
    pub(super) log: Log,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) alarms: Alarms,
    pub(super) clock: Arc<dyn Clock>,
}

/// What handlers know of this server.
pub(super) fn facts(
    config: &Config,
    (trust, access): (Trust, Access),
    (ports, started_at): (Ports, Timestamp),
    Seen { ingress, history, notices, log, disk, alarms, clock }: Seen,
) -> Facts {
    let (figures, kept, told) = (Arc::clone(&ingress), Arc::clone(&history), Arc::clone(&history));
    Facts {
        mode: trust.mode(),
        access,
        mqtt_host: listeners::public_host(config, ports.mqtt),
        mqtt_port: ports.mqtt.port(),
        mqtts_port: ports.mqtts.map(|address| address.port()),
        http_tls: ports.http_tls,
        http_port: ports.http.port(),
        started_at,
        presence: Presence(Arc::new(move |device| ingress.is_connected(device))),
        history: kept,
        log_retention: config.driver_options().retention,
        readings: Readings(Arc::new(move |wanted, tell| told.readings(wanted, tell))),
        answers: Answers::kept_in(Arc::clone(&disk), &config.data),
        usage_ledger: UsageLedger::new(Arc::clone(&disk), &config.data.join("usage")),
        usage_events: UsageEvents::new(disk, &config.data.join("usage").join("events")),
        server_alarms: alarms.shown(&clock),
        metrics: Metrics(Arc::new(move || {
            let committed = log.committed();
            tasks::door_metrics(figures.figures())
                + &history.metrics(committed)
                + &notices.metrics(committed)
        })),
    }
}

//! A notification for tests.
//!
//! *Invariant:* the same number gives the same notification.

use std::collections::BTreeSet;

use model::{AlarmId, DeviceId, IdeaId, Offset, OutputKey, Severity, TenantId, Timestamp};

use crate::notification::{Cause, MessageKey, Notification, Source, Transition};

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);

pub(crate) fn notification(number: u64) -> Notification {
    let output = OutputKey { fold: 2, input: Offset(number), n: 0 };
    Notification {
        key: MessageKey { source: Source::Main, output },
        tenant: TENANT,
        alarm: Some(AlarmId::from_u128(u128::from(number))),
        device: Some(DeviceId::from_u128(7)),
        idea: None,
        people: BTreeSet::new(),
        transition: Transition::Raised,
        severity: Severity::Warning,
        role: "operator".to_owned(),
        title: "Box 7 is too warm".to_owned(),
        text: "Above 8 °C for 10 minutes.".to_owned(),
        cause: Some(Cause { reading: "temperature".to_owned(), value: "9.4 °C".to_owned() }),
        at: Timestamp::from_millis(1_796_000_000_000),
        link: "http://127.0.0.1:7070/alarms/alm_1".to_owned(),
    }
}

/// An idea that somebody follows has another status.
pub(crate) fn news(number: u64, people: &[&str]) -> Notification {
    Notification {
        alarm: None,
        device: None,
        idea: Some(IdeaId::from_u128(u128::from(number))),
        people: people.iter().map(|id| id.parse().expect("the ids of tests are ids")).collect(),
        transition: Transition::Moved,
        severity: Severity::Info,
        role: String::new(),
        title: "Idea \"alarm at the lid\" is planned".to_owned(),
        text: "Pharmacies pay for it.".to_owned(),
        cause: None,
        link: "http://127.0.0.1:7070/ideas?idea=ide_1".to_owned(),
        ..notification(number)
    }
}

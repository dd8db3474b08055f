//! What people want of a device, and what it answers.
//!
//! *Invariant:* an act is judged by the blueprint that is in force for its device at its offset.
//! What is refused of a rule is told to its alarm, wherever that is judged.

use std::sync::Arc;

use model::{AlarmId, Decided, DeviceId, FoldId, Input, Output, Outputs, Projection, Record, Step};
use rules::Scope;
use serde::Deserialize;
use serde_json::json;
use twin::Answered;

use super::State;
use super::message::Message;
use crate::catalog::InForce;
use crate::decode::{Again, Bad, Decoded};
use crate::request;

/// Whose wish it is, when a rule's.
#[derive(Deserialize)]
struct Wish {
    alarm: Option<AlarmId>,
}

impl State {
    /// Settings and commands: acts that have no record.
    pub(super) fn act(&mut self, record: &Record<'_>, decided: &Decided<'_>, out: &mut Outputs) {
        let input = Input::Decided(*decided);
        let step = Step { offset: record.offset, log_time: record.log_time, input };
        self.act_at(&step, decided, out);
    }

    /// The same of a rule, which may act by a timer.
    pub(super) fn act_at(&mut self, step: &Step<'_>, decided: &Decided<'_>, out: &mut Outputs) {
        let in_force = decided.id.parse().ok().and_then(|device| self.in_force(device));
        let kind = in_force.as_ref().and_then(|(found, kind)| found.blueprint.kinds.get(kind));
        if let Some(why) = self.twins.act(step, decided, kind, out) {
            self.refuse(step, decided, &why, out);
        }
    }

    /// Tells an alarm that the twin refused what its action wanted.
    fn refuse(&mut self, step: &Step<'_>, wish: &Decided<'_>, why: &str, out: &mut Outputs) {
        let Ok(Wish { alarm: Some(alarm) }) = serde_json::from_str(wish.content) else { return };
        let (tenant, kind, id) = (wish.tenant, "alarm", alarm.to_string());
        let content = json!({ "act": "refuse", "why": why, "by": "twin" }).to_string();
        if self.rules.alarm(alarm).is_some() {
            let decided = Decided { tenant, kind, id: &id, revision: 0, content: &content };
            self.rules.apply(&Step { input: Input::Decided(decided), ..*step }, out);
        } else if self.scope == Scope::Ordinary {
            // It is one of the urgent lane, whose log it is handed to.
            out.push(FoldId::Twin, tenant, Output::Act { kind: kind.to_owned(), id, content });
        }
    }

    fn in_force(&self, device: DeviceId) -> Option<(Arc<InForce>, model::Name)> {
        let twin = self.twins.get(device)?;
        let found = self.catalog.blueprint(twin.tenant, &twin.venture, twin.profile)?;
        Some((Arc::clone(found), twin.kind.clone()))
    }

    /// What a device says to the command `id`.
    pub(super) fn answer(
        &mut self,
        record: &Record<'_>,
        message: &Message<'_>,
        id: &str,
    ) -> Decoded {
        let said = Answered {
            tenant: message.tenant,
            device: message.device,
            id,
            payload: message.payload,
            offset: record.offset,
            at: record.log_time,
        };
        let bad = self.twins.answered(&said).err().map(|reason| Bad { property: None, reason });
        Decoded { readings: Vec::new(), bad: bad.into_iter().collect() }
    }

    /// Answers what is asked of the twin; another name is a service's to answer.
    pub(super) fn request(&self, message: &Message<'_>, id: &str, out: &mut Outputs) -> Decoded {
        match request::of_twin(message.payload) {
            // What is decoded again was asked too long ago.
            Ok(Some(asked)) if message.arrival.again == Again::First => {
                self.twins.answer((message.tenant, message.device, id), &asked, out);
                Decoded::default()
            }
            Ok(_) => Decoded::default(),
            Err(reason) => {
                Decoded { readings: Vec::new(), bad: vec![Bad { property: None, reason }] }
            }
        }
    }
}

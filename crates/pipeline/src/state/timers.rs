//! Timers of the folds in one order, and what rules want of the twins.
//!
//! *Invariant:* timers fire in the order of (due, fold, id), each once, at the log time it is due;
//! what an action wants takes effect in the step that wanted it, in the urgent lane by a decision
//! in the main log.

use model::{Decided, FoldId, Input, Output, Outputs, Projection, Record, Step, Value};
use rules::{Scope, Want, Wanted};
use serde_json::json;

use super::State;

impl State {
    pub(super) fn fire_timers(&mut self, record: &Record<'_>, out: &mut Outputs) {
        loop {
            let twins = self.twins.next_timer().map(|timer| (timer.due, FoldId::Twin, timer));
            let rules = self.rules.next_timer().map(|timer| (timer.due, FoldId::Rules, timer));
            let next = [twins, rules].into_iter().flatten().min();
            let Some((_, fold, timer)) = next.filter(|(due, ..)| *due <= record.log_time) else {
                return;
            };
            let input = Input::Timer(timer);
            let step = Step { offset: record.offset, log_time: timer.due, input };
            let kept = match fold {
                FoldId::Twin => {
                    self.twins.apply(&step, out);
                    self.twins.next_timer()
                }
                FoldId::Rules | FoldId::Billing => {
                    self.rules.apply(&step, out);
                    self.wishes_of_rules(&step, out);
                    self.rules.next_timer()
                }
            };
            assert!(kept.is_none_or(|next| next > timer), "a fold kept a timer that fired");
        }
    }

    /// What actions want takes effect in the same step, as if somebody had decided it: the twin
    /// judges it by the envelope of the setting or command like everybody else's wish.
    pub(super) fn wishes_of_rules(&mut self, step: &Step<'_>, out: &mut Outputs) {
        for wanted in self.rules.take_wanted() {
            let (kind, content) = wish(&wanted);
            let id = wanted.device.to_string();
            let tenant = wanted.tenant;
            if self.scope == Scope::Urgent {
                let kind = kind.to_owned();
                out.push(FoldId::Rules, tenant, Output::Act { kind, id, content });
                continue;
            }
            let decided = Decided { tenant, kind, id: &id, revision: 0, content: &content };
            let step = Step { input: Input::Decided(decided), ..*step };
            self.act_at(&step, &decided, out);
        }
    }
}

fn wish(wanted: &Wanted) -> (&'static str, String) {
    let (by, alarm) = (&wanted.by, &wanted.alarm);
    let (kind, content) = match &wanted.what {
        Want::Setting { name, value } => {
            let value = match value {
                Value::Number(number) => json!(number),
                Value::Boolean(truth) => json!(truth),
                Value::Text(text) => json!(&**text),
                Value::Position { latitude, longitude } => json!([latitude, longitude]),
            };
            let values = json!({ name.as_str(): value });
            let mut content = json!({ "by": by, "alarm": alarm, "values": values });
            if let Some(step) = wanted.step {
                content["steps"] = json!({ name.as_str(): step });
            }
            ("desired", content)
        }
        Want::Command { id, name, timeout } => {
            let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let content = json!({
                "id": id, "name": name, "by": by, "alarm": alarm, "timeout_ms": timeout,
            });
            ("command", content)
        }
    };
    (kind, content.to_string())
}

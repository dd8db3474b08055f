//! How long it took from an idea to the first money.
//!
//! *Invariant:* a stage has the time of a record or of a reading, never of a guess; one that was
//! not reached has none, and what came before the idea itself is said to have been there already.

use model::Timestamp;

/// A stage on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was written down.
    Idea,
    /// Its blueprint was applied for the first time.
    Venture,
    /// The first device was added.
    FirstDevice,
    /// The first reading of a device that counts.
    FirstReading,
    /// The first invoice got its number.
    FirstInvoice,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Idea, Self::Venture, Self::FirstDevice, Self::FirstReading, Self::FirstInvoice];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idea => "idea",
            Self::Venture => "venture",
            Self::FirstDevice => "first_device",
            Self::FirstReading => "first_reading",
            Self::FirstInvoice => "first_invoice",
        }
    }
}

/// When each stage was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Milestones {
    /// It was written down.
    pub idea: Option<Timestamp>,
    /// Its blueprint was applied for the first time.
    pub venture: Option<Timestamp>,
    /// The first device was added.
    pub device: Option<Timestamp>,
    /// The first reading of a device that counts.
    pub reading: Option<Timestamp>,
    /// The first invoice got its number.
    pub invoice: Option<Timestamp>,
}

/// One stage and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// Which.
    pub stage: Stage,
    /// When it was reached.
    pub at: Option<Timestamp>,
    /// Milliseconds since the last stage before it that was reached; none for the first one and for
    /// what was there already.
    pub took_ms: Option<i64>,
    /// Milliseconds since the first stage.
    pub since_start_ms: Option<i64>,
}

/// The whole way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// All stages in order.
    pub legs: Vec<Leg>,
    /// From the first stage to the first invoice.
    pub to_revenue_ms: Option<i64>,
}

impl Milestones {
    const fn of(&self, stage: Stage) -> Option<Timestamp> {
        match stage {
            Stage::Idea => self.idea,
            Stage::Venture => self.venture,
            Stage::FirstDevice => self.device,
            Stage::FirstReading => self.reading,
            Stage::FirstInvoice => self.invoice,
        }
    }

    /// What each stage took.
    #[must_use]
    pub fn cycle(&self) -> Cycle {
        let start = Stage::ALL.into_iter().find_map(|stage| self.of(stage));
        let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
            Some(to?.as_millis() - from?.as_millis()).filter(|ms| *ms >= 0)
        };
        let mut before: Option<Timestamp> = None;
        let mut legs = Vec::with_capacity(Stage::ALL.len());
        for stage in Stage::ALL {
            let at = self.of(stage);
            legs.push(Leg {
                stage,
                at,
                took_ms: between(before, at),
                since_start_ms: between(start, at),
            });
            before = before.max(at);
        }
        Cycle { legs, to_revenue_ms: between(start, self.invoice) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn day(day: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(day * DAY))
    }

    #[test]
    fn each_stage_counts_from_the_one_before_and_all_from_the_idea() {
        let all = Milestones {
            idea: day(0),
            venture: day(3),
            device: day(10),
            reading: day(11),
            invoice: day(45),
        };
        let cycle = all.cycle();
        let took: Vec<_> = cycle.legs.iter().map(|leg| leg.took_ms.map(|ms| ms / DAY)).collect();
        assert_eq!(took, [None, Some(3), Some(7), Some(1), Some(34)]);
        assert_eq!(cycle.to_revenue_ms, Some(45 * DAY));
    }

    #[test]
    fn what_was_not_reached_is_open_and_what_was_there_before_took_nothing() {
        let part =
            Milestones { idea: day(20), venture: day(3), device: day(30), ..Milestones::default() };
        let cycle = part.cycle();
        let took: Vec<_> = cycle.legs.iter().map(|leg| leg.took_ms.map(|ms| ms / DAY)).collect();
        assert_eq!(took, [None, None, Some(10), None, None]);
        assert_eq!(cycle.to_revenue_ms, None);
        assert!(Milestones::default().cycle().legs.iter().all(|leg| leg.at.is_none()));
    }
}

//! Tiers: graduated, volume and stairstep prices over fractional quantities.
//!
//! *Invariant:* upper bounds rise, only the last tier is open, so every quantity lies in exactly
//! one tier. The first tier's flat part is due even without usage; a negative quantity counts as
//! none.

use rust_decimal::Decimal;

use super::{Priced, Step, WHAT};
use crate::Error;
use crate::error::{product, quotient, sum};

/// The most tiers of a price.
const TIERS_MAX: usize = 1000;

/// One tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Largest quantity inside; `None` is the open end.
    pub up_to: Option<Decimal>,
    /// Price of a unit.
    pub unit: Decimal,
    /// Due once when the tier is reached.
    pub flat: Decimal,
    /// Most that this tier may cost.
    pub cap: Option<Decimal>,
}

/// Whether a volume price may fall when usage grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CliffGuard {
    /// It may: the price as agreed.
    Off,
    /// Nobody pays more for less than they would for more.
    NeverMoreForLess,
}

/// Checked tiers, optionally over blocks of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers {
    list: Vec<Tier>,
    block: Option<Decimal>,
}

/// Why tiers are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TierFault {
    /// No tier, or too many.
    #[error("there are {count} tiers, 1 to {max} are possible")]
    Count {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A bound that does not rise.
    #[error("tier {tier} ends at {bound}, which is not above the tier before")]
    Order {
        /// Counted from 1.
        tier: usize,
        /// Its bound.
        bound: Decimal,
    },
    /// An open tier in the middle, or none at the end.
    #[error("tier {tier} must {must}")]
    End {
        /// Counted from 1.
        tier: usize,
        /// What it must be.
        must: &'static str,
    },
    /// A block of nothing.
    #[error("a block of {block} units is none, it must be above 0")]
    Block {
        /// What was given.
        block: Decimal,
    },
}

impl Tiers {
    /// Checks the bounds; with `block` the tiers count blocks begun instead of units.
    ///
    /// # Errors
    /// What is wrong, with the tier's number.
    pub fn new(list: Vec<Tier>, block: Option<Decimal>) -> Result<Self, TierFault> {
        if list.is_empty() || list.len() > TIERS_MAX {
            return Err(TierFault::Count { count: list.len(), max: TIERS_MAX });
        }
        if let Some(block) = block.filter(|block| *block <= Decimal::ZERO) {
            return Err(TierFault::Block { block });
        }
        let mut lower = Decimal::ZERO;
        for (index, tier) in list.iter().enumerate() {
            let last = index + 1 == list.len();
            match tier.up_to {
                None if !last => {
                    return Err(TierFault::End { tier: index + 1, must: "have up_to" });
                }
                Some(_) if last => {
                    return Err(TierFault::End {
                        tier: index + 1,
                        must: "be open: leave up_to out",
                    });
                }
                Some(bound) if bound <= lower => {
                    return Err(TierFault::Order { tier: index + 1, bound });
                }
                Some(bound) => lower = bound,
                None => {}
            }
        }
        Ok(Self { list, block })
    }

    /// The tiers.
    #[must_use]
    pub fn list(&self) -> &[Tier] {
        &self.list
    }

    fn counted(&self, quantity: Decimal) -> Result<Decimal, Error> {
        let quantity = quantity.max(Decimal::ZERO);
        match self.block {
            Some(block) => Ok(quotient(quantity, block, WHAT)?.ceil()),
            None => Ok(quantity),
        }
    }

    /// Each tier with its lower bound.
    fn spans(&self) -> impl Iterator<Item = (Decimal, &Tier)> {
        let lowers = std::iter::once(Decimal::ZERO)
            .chain(self.list.iter().map(|tier| tier.up_to.unwrap_or(Decimal::MAX)));
        lowers.zip(&self.list)
    }

    pub(super) fn graduated(&self, quantity: Decimal) -> Result<Priced, Error> {
        let counted = self.counted(quantity)?;
        let mut priced = Priced::default();
        for (lower, tier) in self.spans() {
            if !lower.is_zero() && counted <= lower {
                break;
            }
            let part = counted.min(tier.up_to.unwrap_or(counted)) - lower;
            charge(&mut priced, lower, tier, part)?;
        }
        Ok(priced)
    }

    pub(super) fn volume(&self, quantity: Decimal, guard: CliffGuard) -> Result<Priced, Error> {
        let counted = self.counted(quantity)?;
        let mut best: Option<Priced> = None;
        for (lower, tier) in self.spans() {
            if tier.up_to.is_some_and(|bound| bound < counted) {
                continue;
            }
            let mut priced = Priced::default();
            // A higher tier is cheapest just above its lower bound.
            charge(&mut priced, lower, tier, counted.max(lower))?;
            if best.as_ref().is_none_or(|best| priced.exact < best.exact) {
                best = Some(priced);
            }
            if guard == CliffGuard::Off {
                break;
            }
        }
        Ok(best.unwrap_or_default())
    }

    pub(super) fn stairstep(&self, quantity: Decimal) -> Result<Priced, Error> {
        let counted = self.counted(quantity)?;
        let mut priced = Priced::default();
        let reached = |tier: &Tier| tier.up_to.is_none_or(|bound| counted <= bound);
        if let Some((lower, tier)) = self.spans().find(|(_, tier)| reached(tier)) {
            priced.add(span(lower, tier), Decimal::ONE, tier.flat)?;
        }
        Ok(priced)
    }
}

fn span(lower: Decimal, tier: &Tier) -> String {
    match tier.up_to {
        Some(bound) => format!("tier {} to {}", lower.normalize(), bound.normalize()),
        None => format!("tier above {}", lower.normalize()),
    }
}

fn charge(priced: &mut Priced, lower: Decimal, tier: &Tier, part: Decimal) -> Result<(), Error> {
    let what = span(lower, tier);
    let amount = sum(tier.flat, product(part, tier.unit, WHAT)?, WHAT)?;
    if let Some(cap) = tier.cap.filter(|cap| amount > *cap) {
        return priced.add(format!("{what}, capped"), Decimal::ONE, cap);
    }
    if !tier.flat.is_zero() {
        priced.add(format!("{what}, flat"), Decimal::ONE, tier.flat)?;
    }
    if !tier.unit.is_zero() || tier.flat.is_zero() {
        let amount = product(part, tier.unit, WHAT)?;
        priced.push(Step { what, quantity: part, price: tier.unit, amount })?;
    }
    Ok(())
}

//! A business case: uncertain inputs, and what they make of a fleet's cash month by month.
//!
//! Month 0 is before the first device; months 1 to `horizon` have adoption, use, churn and wear.
//!
//! *Invariant:* a `Case` that exists has passed every check of units and references; running it
//! cannot fail, and gives the same bytes for the same seed on any number of threads.

mod actual;
mod finding;
mod library;
mod load;
mod load_fleet;
mod load_inputs;
mod load_lines;
mod load_plan;
mod load_radio;
mod parts;
mod read;
mod report;
mod run;
mod sensitivity;
mod study;
mod trial;

use model::Currency;

use crate::dist::{Distribution, Sampler};
use crate::explain::{Basis, Explain};
use crate::text::Compiled;
use crate::unit::Unit;

pub use finding::{Finding, FindingKind};
pub use library::{COST_LIBRARY, CostPrior, Place};
pub use load_radio::PAYLOAD_BYTES_ASSUMED;
pub use parts::{Arises, Asked, COST_PARTS, CostPart, Quote};
pub use report::{Fan, Month, Results, Spread};
pub use run::{CELLS_MAX, Run, TRIALS_MAX};
pub use sensitivity::{Bar, BreakEven, Change, Importance, ScenarioDiff};
pub use study::{RiskLine, SOBOL_POINTS, Study};

use trial::{Outcome, Scratch, simulate};

/// The longest horizon, in months.
pub const HORIZON_MAX: u32 = 360;
/// The most cost and price lines.
pub const LINES_MAX: usize = 200;

/// A whole case, ready to run.
#[derive(Debug, Clone)]
pub struct Case {
    /// Months after month 0.
    pub horizon: u32,
    /// Currency of every amount.
    pub currency: Currency,
    /// Every number of the case, in the order it is computed.
    pub variables: Vec<Variable>,
    /// How devices come.
    pub adoption: Adoption,
    /// How customers go.
    pub churn: Churn,
    /// How hardware wears out, if it is modelled.
    pub hardware: Option<Hardware>,
    /// Devices per customer.
    pub fleet_size: Slot,
    /// Discount rate per month.
    pub discount: Slot,
    /// What comes in and what goes out.
    pub lines: Vec<Line>,
    /// Rank correlations between inputs.
    pub correlations: Vec<Correlation>,
    /// Inputs that a figure of the fleet says something about.
    pub bindings: Vec<Binding>,
    /// What may go wrong; each is a line too.
    pub risks: Vec<Risk>,
    /// Devices that really came, from month 1 on; empty: nothing is known yet.
    pub observed: Vec<f64>,
    /// What was assumed where the file is silent.
    pub notes: Vec<String>,
}

/// Index of a variable.
pub type Slot = usize;

/// One number of the case.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Dotted path in the file.
    pub name: String,
    /// As written.
    pub text: String,
    /// The reduced unit.
    pub unit: Unit,
    /// Where its value comes from.
    pub source: Source,
}

/// An input and the figure that says what it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The input.
    pub slot: Slot,
    /// A figure of the catalogue, such as `fleet.churn`.
    pub metric: String,
}

/// Something that may go wrong, of the risk register.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk {
    /// Its name.
    pub name: String,
    /// Who watches it; empty: nobody.
    pub owner: String,
    /// What it is; may be empty.
    pub says: String,
    /// Probability within the horizon.
    pub chance: f64,
    /// Whether it happens, in a trial.
    pub happens: Slot,
    /// What it costs then.
    pub money: Slot,
    /// In which month.
    pub month: u32,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A draw.
    Drawn(Distribution),
    /// Other variables.
    Formula(Compiled),
    /// A yearly share of leavers (stored per month in proportion) as the monthly one that
    /// compounds to it.
    MonthlyShare(Slot),
    /// A yearly rate (stored per month in proportion) as the monthly one that compounds to it.
    MonthlyRate(Slot),
}

/// How devices come.
#[derive(Debug, Clone)]
pub enum Adoption {
    /// Bass diffusion among a market of devices.
    Bass {
        /// Innovation per month.
        p: Slot,
        /// Imitation per month.
        q: Slot,
        /// Factors of the market: customers reached, share that buys, devices per customer.
        market: Vec<Slot>,
        /// First month with devices.
        launch: u32,
    },
    /// The same number every month.
    Steady {
        /// Devices per month.
        added: Slot,
        /// First month with devices.
        launch: u32,
    },
}

/// How customers go.
#[derive(Debug, Clone)]
pub enum Churn {
    /// Nobody leaves.
    None,
    /// The same share every month.
    Constant(Slot),
    /// Customers differ: shifted beta geometric.
    Sbg {
        /// First parameter.
        alpha: Slot,
        /// Second parameter.
        beta: Slot,
    },
}

/// How hardware wears out.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// Weibull shape.
    pub shape: Slot,
    /// Weibull scale in months.
    pub scale: Slot,
    /// What happens then.
    pub failed: Failed,
}

/// What happens to a device that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is lost, and so is its revenue.
    Lost,
    /// Another is placed for it.
    Replaced,
}

/// What a line is multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub enum Driver {
    /// Devices in use, every month.
    DeviceMonth,
    /// Devices added or put in as replacement.
    Placed,
    /// Devices added.
    Added,
    /// Devices put in as replacement.
    Replaced,
    /// Devices that leave.
    Left,
    /// Customers with devices, every month.
    CustomerMonth,
    /// Customers added.
    CustomerAdded,
    /// Every month.
    Month,
    /// Once, in this month.
    Once(u32),
    /// Devices whose age is a multiple of so many months.
    Age(u32),
    /// Devices placed, at the unit price of the volume reached: (from so many, price).
    Volume(Vec<(f64, Slot)>),
}

/// Money in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Revenue.
    In,
    /// Cost.
    Out,
}

/// What a line counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Part of the business.
    Operation,
    /// Spent to win customers: the CAC.
    Acquisition,
}

/// One kind of revenue or cost.
#[derive(Debug, Clone)]
pub struct Line {
    /// Dotted path in the file.
    pub name: String,
    /// In or out.
    pub direction: Direction,
    /// Multiplied with each other: the amount per unit of the driver.
    pub factors: Vec<Slot>,
    /// Multiplied with the amount.
    pub driver: Driver,
    /// First month.
    pub from: u32,
    /// Last month.
    pub until: u32,
    /// Growth of the price per month.
    pub growth: Option<Slot>,
    /// What it counts as.
    pub purpose: Purpose,
    /// Who says so, and when.
    pub source: Option<String>,
}

/// Two inputs that move together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// One.
    pub a: Slot,
    /// The other.
    pub b: Slot,
    /// Rank correlation.
    pub rho: f64,
}

impl Driver {
    /// Whether it comes back every month.
    #[must_use]
    pub const fn is_recurring(&self) -> bool {
        match self {
            Self::DeviceMonth | Self::CustomerMonth | Self::Month | Self::Age(_) => true,
            Self::Placed
            | Self::Added
            | Self::Replaced
            | Self::Left
            | Self::CustomerAdded
            | Self::Once(_)
            | Self::Volume(_) => false,
        }
    }

    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::DeviceMonth => "device-months".to_owned(),
            Self::Placed => "devices placed".to_owned(),
            Self::Added => "devices added".to_owned(),
            Self::Replaced => "devices replaced".to_owned(),
            Self::Left => "devices that leave".to_owned(),
            Self::CustomerMonth => "customer-months".to_owned(),
            Self::CustomerAdded => "customers added".to_owned(),
            Self::Month => "months".to_owned(),
            Self::Once(month) => format!("once in month {month}"),
            Self::Age(months) => format!("devices every {months} months of age"),
            Self::Volume(_) => "devices placed, price by volume".to_owned(),
        }
    }
}

impl Case {
    /// Inputs that vary, by slot.
    #[must_use]
    pub fn uncertain(&self) -> Vec<Slot> {
        let varies = |v: &Variable| matches!(&v.source, Source::Drawn(d) if !d.is_constant());
        (0..self.variables.len()).filter(|slot| varies(&self.variables[*slot])).collect()
    }

    /// The slot of an input by its name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.variables.iter().position(|v| v.name == name)
    }

    /// Replaces an input, for example by what the fleet measured; formulas keep using it.
    ///
    /// Returns whether an input of that name exists.
    pub fn set(&mut self, name: &str, value: Distribution) -> bool {
        let Some(slot) = self.slot(name) else { return false };
        let variable = &mut self.variables[slot];
        variable.text = value.describe();
        variable.source = Source::Drawn(value);
        true
    }

    fn samplers(&self) -> Vec<Option<Sampler>> {
        let sampler = |v: &Variable| match &v.source {
            Source::Drawn(d) => Some(d.sampler()),
            Source::Formula(_) | Source::MonthlyShare(_) | Source::MonthlyRate(_) => None,
        };
        self.variables.iter().map(sampler).collect()
    }

    /// Fills in everything that follows from the draws.
    fn derive(&self, numbers: &mut [f64]) {
        for (slot, variable) in self.variables.iter().enumerate() {
            let value = match &variable.source {
                Source::Drawn(_) => continue,
                Source::Formula(formula) => formula.run(numbers),
                Source::MonthlyShare(of) => {
                    let stay = (1.0 - 12.0 * numbers[*of]).clamp(0.0, 1.0);
                    1.0 - libm::pow(stay, 1.0 / 12.0)
                }
                Source::MonthlyRate(of) => libm::pow(1.0 + 12.0 * numbers[*of], 1.0 / 12.0) - 1.0,
            };
            numbers[slot] = value;
        }
    }

    /// Every number at the median of its inputs.
    #[must_use]
    pub fn medians(&self) -> Vec<f64> {
        self.at(&vec![0.5; self.variables.len()])
    }

    /// Every number with its inputs at the given probabilities.
    fn at(&self, p: &[f64]) -> Vec<f64> {
        let mut numbers = vec![0.0; self.variables.len()];
        for (slot, variable) in self.variables.iter().enumerate() {
            if let Source::Drawn(d) = &variable.source {
                numbers[slot] = d.quantile(p[slot]);
            }
        }
        self.derive(&mut numbers);
        numbers
    }

    fn outcome(&self, numbers: &[f64], scratch: &mut Scratch) -> Outcome {
        simulate(self, numbers, scratch)
    }

    /// Net present value for one set of numbers, one per variable.
    #[must_use]
    pub fn npv_of(&self, numbers: &[f64]) -> f64 {
        let mut scratch = Scratch::new(self);
        self.outcome(numbers, &mut scratch).npv
    }

    /// The net present value with every input at its median, down to the lines and their inputs.
    #[must_use]
    pub fn explain(&self) -> Explain {
        let numbers = self.medians();
        let mut scratch = Scratch::new(self);
        let outcome = self.outcome(&numbers, &mut scratch);
        let worth = trial::line_values(self, &numbers, &mut scratch);
        let money = self.currency.to_string();
        let lines = self.lines.iter().zip(worth);
        let inputs = lines.map(|(line, value)| self.explain_line(line, value, &numbers)).collect();
        Explain::computed("npv", "sum of the lines", outcome.npv, inputs)
            .in_unit(&money)
            .by("every input at its median")
    }

    fn explain_line(&self, line: &Line, value: f64, numbers: &[f64]) -> Explain {
        let amount: f64 = line.factors.iter().map(|slot| numbers[*slot]).product();
        let names: Vec<&str> =
            line.factors.iter().map(|slot| self.variables[*slot].name.as_str()).collect();
        let factors = line.factors.iter().map(|slot| self.explain_variable(*slot, numbers));
        let per_unit = Explain::computed("amount", &names.join(" x "), amount, factors.collect());
        let formula = format!("present value of amount x {}", line.driver.describe());
        Explain::computed(&line.name, &formula, value, vec![per_unit])
            .in_unit(&self.currency.to_string())
            .by(line.source.as_deref().unwrap_or_default())
    }

    fn explain_variable(&self, slot: Slot, numbers: &[f64]) -> Explain {
        let variable = &self.variables[slot];
        let unit = variable.unit.to_string();
        let value = numbers[slot];
        match &variable.source {
            Source::Drawn(d) => {
                let source = format!("{} as {}", variable.text, d.describe());
                Explain::leaf(&variable.name, value, &unit, Basis::Assumed, &source)
            }
            Source::Formula(_) => {
                Explain::computed(&variable.name, &variable.text, value, Vec::new()).in_unit(&unit)
            }
            Source::MonthlyShare(of) => {
                let from = vec![self.explain_variable(*of, numbers)];
                let formula = "1 - (1 - yearly)^(1/12)";
                Explain::computed(&variable.name, formula, value, from).in_unit(&unit)
            }
            Source::MonthlyRate(of) => {
                let from = vec![self.explain_variable(*of, numbers)];
                let formula = "(1 + yearly)^(1/12) - 1";
                Explain::computed(&variable.name, formula, value, from).in_unit(&unit)
            }
        }
    }
}

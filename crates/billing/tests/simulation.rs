//! A fleet behind a bad network is billed month by month; a naive ledger by hand must agree to the
//! cent after every cycle.
//!
//! The network drops, duplicates and delays (some by a month and more), clocks drift, registers
//! roll over and are set to zero, values are corrected. The hand ledger knows no tiers, no decimals
//! and no time zone database: it walks over quarter-hours and counts in integers. It shares no
//! code with the kernel.
//!
//! `BILLING_SEEDS=20000 cargo test -p billing --test simulation` tries more seeds.

#![expect(clippy::unwrap_used, reason = "a broken world fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use billing::contract::{Contract, ContractRevision, DeviceTerm};
use billing::ledger::DeltaLedger;
use billing::plan::parse;
use billing::rate::{Catalog, Cutoff, Rated, Sources, rate};
use billing::usage::{Amount, Book, Event, Place, Usage};
use billing::zone::{Period, Zone};
use model::{ContractId, Currency, CustomerId, DeviceId, Name, Offset, Timestamp};
use rust_decimal::Decimal;

const PLAN: &str = r#"
    currency = "EUR"
    timezone = "Europe/Berlin"
    rounding = { line = "half_up", quantity_digits = 6 }
    [usage.energy]
    property = "register"
    measure = "register"
    rollover = 1000
    unit = "kWh"
    [usage.days]
    measure = "days_with_reading"
    [usage.warm]
    measure = "duration"
    when = "temperature > 8"
    [usage.doors]
    property = "door"
    measure = "sum"
    [plan.care]
    energy = { usage = "energy", graduated = [{ up_to = 120.5, price = "0.35 EUR/kWh", flat = "1 EUR" }, { up_to = 400, price = "0.2875 EUR/kWh" }, { price = "0.25 EUR/kWh" }] }
    days = { usage = "days", price = "0.30 EUR/device/day" }
    warm = { usage = "warm", price = "0.123 EUR/h" }
    doors = { usage = "doors", free = "10", volume = [{ up_to = 25, price = "0.05 EUR" }, { price = "0.031 EUR" }] }
    fee = { flat = "4.90 EUR/device/month" }
    least = { minimum = "60 EUR" }
"#;

const QUARTER_MS: i64 = 900_000;
const DAY: i64 = 96;
/// 2026-08-31T22:00Z, the first of September in Berlin, in quarter-hours.
const START: i64 = 1_788_213_600_000 / QUARTER_MS;
/// First quarter-hours of September to December in Berlin; summer time ends on 25 October.
const MONTHS: [i64; 4] = [START, START + 30 * DAY, START + 61 * DAY + 4, START + 91 * DAY + 4];
/// Where summer time ends: 25 October, 01:00 UTC.
const WINTER: i64 = START + 54 * DAY + 12;
const DEVICES: u128 = 3;
/// The third device comes on 11 September.
const LATE_DEVICE: i64 = START + 10 * DAY;

/// SplitMix64, so that a seed is the same world everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: i64) -> i64 {
        i64::try_from(self.roll() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(i64::try_from(length).unwrap())).unwrap()
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In thousandths.
    Register(i64),
    /// In tenths.
    Temperature(i64),
    /// Whole, with the number of the event.
    Door(i64, i64),
}

/// What the network delivers: when, and what the device said of which quarter-hour.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: i64,
    device: u128,
    time: i64,
    kind: Kind,
}

fn deliver(dice: &mut Dice, arrivals: &mut Vec<Arrival>, now: i64, mut arrival: Arrival) {
    if dice.chance(8) {
        return;
    }
    let delay = match dice.below(100) {
        0..=2 => 30 * DAY + dice.below(40 * DAY),
        3..=9 => dice.below(4 * DAY),
        _ => 0,
    };
    arrival.at = now + delay;
    arrivals.push(arrival);
    if dice.chance(12) {
        arrival.at = now + delay + dice.below(35 * DAY);
        arrivals.push(arrival);
    }
    if dice.chance(2) {
        // Corrected later: another value of the same reading.
        arrival.kind = match arrival.kind {
            Kind::Register(value) => Kind::Register(value + 1),
            Kind::Temperature(value) => Kind::Temperature(value + 15),
            Kind::Door(..) => return,
        };
        arrival.at += 1 + dice.below(20 * DAY);
        arrivals.push(arrival);
    }
}

/// Three months of a fleet as the network delivers them, in order of arrival.
fn fleet(dice: &mut Dice) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    let mut event = 0;
    for device in 1..=DEVICES {
        let skew = dice.below(9) - 4;
        let drift = dice.below(3);
        let mut register = dice.below(1_000_000);
        let mut now = START - 2 * DAY + dice.below(DAY);
        while now < MONTHS[3] + DAY {
            now += 8 + dice.below(40);
            // A clock that is wrong from the start and gets worse.
            let time = now + skew + drift * (now - START) / (30 * DAY);
            let base = Arrival { at: now, device, time, kind: Kind::Register(0) };
            register = (register + dice.below(12_000)) % 1_000_000;
            if dice.chance(1) {
                register = dice.below(50);
            }
            deliver(dice, &mut arrivals, now, Arrival { kind: Kind::Register(register), ..base });
            if dice.chance(60) {
                let kind = Kind::Temperature(20 + dice.below(100));
                deliver(dice, &mut arrivals, now, Arrival { kind, ..base });
            }
            if dice.chance(10) {
                event += 1;
                let kind = Kind::Door(1 + dice.below(5), event);
                deliver(dice, &mut arrivals, now, Arrival { kind, ..base });
            }
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

// The kernel's side.

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn instant(quarter: i64) -> Timestamp {
    Timestamp::from_millis(quarter * QUARTER_MS)
}

fn usage(arrival: &Arrival, offset: u64) -> Usage {
    let (property, value, event) = match arrival.kind {
        Kind::Register(value) => ("register", Decimal::new(value, 3), None),
        Kind::Temperature(value) => ("temperature", Decimal::new(value, 1), None),
        Kind::Door(value, id) => {
            let event = Event { source: "door".to_owned(), id: id.to_string() };
            ("door", Decimal::from(value), Some(event))
        }
    };
    Usage {
        device: DeviceId::from_u128(arrival.device),
        property: name(property),
        time: instant(arrival.time),
        appended: instant(arrival.at),
        place: Place { offset: Offset(offset), index: 0 },
        value: Amount::Number(value),
        event,
        dimensions: BTreeMap::new(),
    }
}

struct Kernel {
    contract: Contract,
    catalog: Catalog,
    figures: BTreeMap<Name, Decimal>,
}

impl Kernel {
    fn new() -> Self {
        let term = |device| DeviceTerm {
            device: DeviceId::from_u128(device),
            term: Period {
                from: instant(if device == DEVICES { LATE_DEVICE } else { START }),
                to: instant(MONTHS[3] + 1000 * DAY),
            },
            dimensions: BTreeMap::new(),
            swaps: Vec::new(),
        };
        let revision = ContractRevision {
            offset: Offset(0),
            from: instant(START),
            to: None,
            plan: name("care"),
            plan_revision: 1,
            devices: (1..=DEVICES).map(term).collect(),
            coupons: Vec::new(),
        };
        let contract = Contract {
            id: ContractId::from_u128(7),
            customer: CustomerId::from_u128(7),
            entity: name("acme"),
            zone: Zone::named("Europe/Berlin").unwrap(),
            currency: Currency::EUR,
            account: None,
            revisions: vec![revision],
        };
        let plan = parse(PLAN).unwrap().plans.remove("care").unwrap();
        let catalog = BTreeMap::from([((name("care"), 1), plan)]);
        Self { contract, catalog, figures: BTreeMap::new() }
    }

    fn rate(&self, book: &Book, month: usize, offset: u64, now: i64) -> Rated {
        let sources = Sources { catalog: &self.catalog, book, figures: &self.figures };
        let period = Period { from: instant(MONTHS[month]), to: instant(MONTHS[month + 1]) };
        let cutoff = Cutoff { offset: Offset(offset), time: instant(now) };
        rate(&self.contract, sources, period, cutoff).unwrap()
    }
}

// The hand ledger's side: everything below is integers.

/// First quarter-hour of a sheet.
const SHEET: i64 = START - 10 * DAY;
/// Quarter-hours of a sheet.
const SHEET_LENGTH: usize = 115 * 96;

/// What one device said last of every quarter-hour.
#[derive(Debug)]
struct Sheet {
    register: Vec<Option<i64>>,
    temperature: Vec<Option<i64>>,
    /// By the number of the event: when, and how often.
    doors: BTreeMap<i64, (i64, i64)>,
}

impl Sheet {
    fn new() -> Self {
        let empty = vec![None; SHEET_LENGTH];
        Self { register: empty.clone(), temperature: empty, doors: BTreeMap::new() }
    }
}

fn row(quarter: i64) -> usize {
    usize::try_from(quarter - SHEET).unwrap()
}

fn half_up(value: i128, by: i128) -> i128 {
    if value >= 0 { (2 * value + by) / (2 * by) } else { -half_up(-value, by) }
}

/// Cents of a month, from everything that has arrived.
fn by_hand(sheets: &BTreeMap<u128, Sheet>, month: usize) -> i128 {
    let (from, to) = (MONTHS[month], MONTHS[month + 1]);
    let (mut energy, mut doors, mut warm) = (0_i128, 0_i128, 0_i128);
    let mut days = BTreeSet::new();
    for (device, sheet) in sheets {
        let start = if *device == DEVICES { from.max(LATE_DEVICE) } else { from };
        let opened: BTreeSet<i64> = sheet.doors.values().map(|(at, _)| *at).collect();
        let (mut shown, mut hot) = (None, false);
        for quarter in SHEET..=to {
            let register = sheet.register[row(quarter)];
            let temperature = sheet.temperature[row(quarter)];
            hot = temperature.map_or(hot, |tenths| tenths > 80);
            if let Some(now) = register {
                let used = match shown {
                    Some(before) if now >= before => now - before,
                    // Less than half a turn further is a rollover, else it was set to zero.
                    Some(before) if 1_000_000 - before + now < 500_000 => 1_000_000 - before + now,
                    Some(_) => now,
                    None => 0,
                };
                shown = Some(now);
                if start < quarter {
                    energy += i128::from(used);
                }
            }
            if quarter < start || quarter >= to {
                continue;
            }
            warm += i128::from(hot);
            if register.is_some() || temperature.is_some() || opened.contains(&quarter) {
                let offset = if quarter < WINTER { 8 } else { 4 };
                days.insert((*device, (quarter + offset).div_euclid(DAY)));
            }
        }
        let inside = sheet.doors.values().filter(|(at, _)| start <= *at && *at < to);
        doors += inside.map(|(_, times)| i128::from(*times)).sum::<i128>();
    }
    // Thousandths of kWh x hundred-thousandths of a euro.
    let tier = |low: i128, high: i128, price: i128| (energy.clamp(low, high) - low) * price;
    let priced = tier(0, 120_500, 35_000)
        + tier(120_500, 400_000, 28_750)
        + tier(400_000, i128::MAX, 25_000)
        + 100_000_000;
    let energy_cents = half_up(priced, 1_000_000);
    let day_cents = 30 * i128::try_from(days.len()).unwrap();
    // A quarter-hour is 0.25 h: 0.03075 EUR.
    let warm_cents = half_up(warm * 3075, 1000);
    let doors = (doors - 10).max(0);
    let door_cents = half_up(doors * if doors <= 25 { 50 } else { 31 }, 10);
    // The third device is there for 20 of the 30 days of September.
    let fee_cents = if month == 0 { half_up(490 * 80, 30) } else { 490 * 3 };
    let sum = energy_cents + day_cents + warm_cents + door_cents + fee_cents;
    sum.max(6000)
}

fn note(sheets: &mut BTreeMap<u128, Sheet>, arrival: &Arrival) {
    let Some(sheet) = sheets.get_mut(&arrival.device) else { return };
    match arrival.kind {
        Kind::Register(value) => sheet.register[row(arrival.time)] = Some(value),
        Kind::Temperature(value) => sheet.temperature[row(arrival.time)] = Some(value),
        Kind::Door(value, id) => {
            sheet.doors.insert(id, (arrival.time, value));
        }
    }
}

/// Bills three months with a cycle three days after each, and a last one when all has arrived.
fn bill(seed: u64) {
    let mut dice = Dice(seed);
    let arrivals = fleet(&mut dice);
    let kernel = Kernel::new();
    let mut book = Book::new();
    let mut ledger = DeltaLedger::new();
    let mut sheets: BTreeMap<u128, Sheet> = (1..=DEVICES).map(|d| (d, Sheet::new())).collect();
    let mut taken = 0_usize;
    let cycles =
        [MONTHS[1] + 3 * DAY, MONTHS[2] + 3 * DAY, MONTHS[3] + 3 * DAY, i64::MAX / 1_000_000_000];
    let mut documents = [0_i64; 3];
    for (cycle, now) in cycles.into_iter().enumerate() {
        while let Some(arrival) = arrivals.get(taken).filter(|arrival| arrival.at < now) {
            taken += 1;
            book.add(usage(arrival, u64::try_from(taken).unwrap())).unwrap();
            note(&mut sheets, arrival);
        }
        for (month, billed) in documents.iter_mut().enumerate().take(cycle + 1) {
            let rated = kernel.rate(&book, month, u64::try_from(taken).unwrap(), now);
            let sum: i64 = rated.lines.iter().map(|line| line.amount.minor).sum();
            assert_eq!(sum, rated.total.minor, "SEED={seed}: lines are not the total");
            let delta = ledger.delta(&rated).unwrap();
            *billed += delta.total.minor;
            ledger.book(&delta, &format!("{cycle}"));
            assert_eq!(
                i128::from(*billed),
                by_hand(&sheets, month),
                "SEED={seed}: documents after cycle {cycle} for month {month}: {:#?}",
                rated
                    .lines
                    .iter()
                    .map(|l| (l.key.to_string(), l.amount, l.explain.quantity))
                    .collect::<Vec<_>>()
            );
        }
    }
    assert_eq!(taken, arrivals.len());
}

#[test]
fn documents_equal_a_ledger_kept_by_hand() {
    #[expect(clippy::disallowed_methods, reason = "the number of seeds is a wish of the tester")]
    let seeds = std::env::var("BILLING_SEEDS").ok().and_then(|text| text.parse().ok());
    let seeds: u64 = seeds.unwrap_or(1000);
    // Two threads, because the machine has two.
    std::thread::scope(|scope| {
        for odd in 0..2 {
            scope.spawn(move || (0..seeds).filter(|seed| seed % 2 == odd).for_each(bill));
        }
    });
}

/// Order, batches and repetition of what arrives change neither a line nor a receipt, at any
/// cut-off.
#[test]
fn order_batches_and_repetition_never_change_a_bill() {
    let kernel = Kernel::new();
    for seed in 0..40 {
        let mut dice = Dice(seed ^ 0x00d1_ce00);
        let arrivals = fleet(&mut dice);
        let last = u64::try_from(arrivals.len()).unwrap();
        let all: Vec<Usage> =
            arrivals.iter().zip(1_u64..).map(|(arrival, offset)| usage(arrival, offset)).collect();
        let mut plain = Book::new();
        for one in &all {
            plain.add(one.clone()).unwrap();
        }
        let mut shuffled: Vec<Usage> = all.clone();
        for _again in 0..50 {
            shuffled.push(all[dice.index(all.len())].clone());
        }
        for index in (1..shuffled.len()).rev() {
            shuffled.swap(index, dice.index(index + 1));
        }
        let mut other = Book::new();
        for one in shuffled {
            other.add(one).unwrap();
        }
        for cut in [last / 3, last / 2, last] {
            for month in 0..3 {
                let now = MONTHS[3] + 500 * DAY;
                let one = kernel.rate(&plain, month, cut, now);
                assert_eq!(one, kernel.rate(&other, month, cut, now), "SEED={seed} cut {cut}");
            }
        }
    }
}

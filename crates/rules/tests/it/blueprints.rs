//! The blueprints hearth and presswatch, played as `iotbiz rule test` plays them.
//!
//! *Invariant:* the files are those that are shipped; tables are written as a stranger writes them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use blueprint::Blueprint;
use model::Timestamp;
use rules::{DryRun, Sheet};

const HEARTH: &str = include_str!("../../../../blueprints/hearth/blueprint.toml");
const PRESSWATCH: &str = include_str!("../../../../blueprints/presswatch/blueprint.toml");

/// What happens, one step a line: `time device rule from -> to`.
fn played(blueprint: &str, table: &str, until: &str) -> Vec<String> {
    let parsed = Blueprint::parse(blueprint);
    let blueprint = parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let mut run = DryRun::new(&blueprint);
    let mut happened = Vec::new();
    for row in Sheet::open(&blueprint, table.as_bytes()).unwrap() {
        happened.extend(run.row(&row.unwrap()).unwrap());
    }
    happened.extend(run.until(until.parse::<Timestamp>().unwrap()));
    let line = |step: rules::Happened| {
        let rules::Happened { time, device, notice } = step;
        format!("{time} {device} {} {} -> {}", notice.rule, notice.from, notice.to)
    };
    happened.into_iter().map(line).collect()
}

#[test]
fn smoke_is_raised_at_once_sounds_the_horn_escalates_and_ends_when_the_air_is_clear() {
    let table = "\
time,device,smoke,heat
2026-03-01T02:00:00Z,kitchen,0.2,21
2026-03-01T02:10:00Z,kitchen,14,35
2026-03-01T02:15:00Z,kitchen,2,30
2026-03-01T02:16:00Z,kitchen,5,30
2026-03-01T02:17:00Z,kitchen,1,25
";
    assert_eq!(
        played(HEARTH, table, "2026-03-01T02:30:00Z"),
        [
            "2026-03-01T02:10:00Z kitchen smoke calm -> raised critical",
            "2026-03-01T02:10:00Z kitchen smoke raised critical -> raised critical",
            "2026-03-01T02:12:00Z kitchen smoke raised critical -> raised critical",
            "2026-03-01T02:19:00Z kitchen smoke raised critical -> cleared",
        ]
    );
}

#[test]
fn hearth_says_everywhere_that_it_is_no_certified_alarm() {
    let blueprint = Blueprint::parse(HEARTH).blueprint.unwrap();
    let title = blueprint.alarms["smoke"].title.clone().unwrap();
    assert!(title.contains("no certified fire alarm"), "{title}");
    for (place, text) in [
        ("the blueprint", HEARTH),
        ("the README", include_str!("../../../../README.md")),
        ("the page", include_str!("../../../../web/src/pages/Alarms.svelte")),
        ("each notification", include_str!("../../../notify/src/text.rs")),
    ] {
        let text = text.to_lowercase();
        let says = text.contains("no certified alarm") || text.contains("no certified fire alarm");
        assert!(says, "{place} does not say that this is no certified alarm");
    }
}

#[test]
fn a_derived_reading_is_made_of_the_newest_values_and_judged_in_its_unit() {
    // 180 N.m at 1,600 rpm are 30.2 kW; at 1,500 rpm 28.3 kW.
    let mut table = "time,device,torque,speed\n".to_owned();
    for minute in 0..12 {
        let speed = if minute < 6 { 1500 } else { 1600 };
        table.push_str(&format!("2026-03-02T09:{minute:02}:00Z,press,180,{speed}\n"));
    }
    let happened = played(PRESSWATCH, &table, "2026-03-02T09:12:00Z");
    let overload: Vec<_> = happened.iter().filter(|line| line.contains("overload")).collect();
    // The mean of five minutes is above 30 kW once nearly all of them are at 1,600 rpm.
    assert_eq!(overload, ["2026-03-02T09:11:00Z press overload calm -> raised warning"]);
}

#[test]
fn the_shift_begins_by_the_clock_on_the_wall_before_and_after_clocks_are_set() {
    // The press stands still for days. Shifts are Mo-Fr 06:00-22:00; Sa 06:00-14:00 in Berlin.
    let mut table = "time,device,state\n2026-03-26T23:00:00Z,press,idle\n".to_owned();
    // A word now and then, so that it is not lost; the state stays.
    for hour in 0..120 {
        let time: Timestamp = "2026-03-26T23:03:00Z".parse().unwrap();
        for part in 0..15 {
            let after = std::time::Duration::from_secs(hour * 3600 + part * 240);
            table.push_str(&format!("{},press,idle\n", time + after));
        }
    }
    let happened = played(PRESSWATCH, &table, "2026-03-31T00:00:00Z");
    let standing: Vec<_> = happened.iter().filter(|line| line.contains("standing")).collect();
    // Friday 2026-03-27, 06:00 CET is 05:00Z. It stays raised over the weekend: only raising is
    // bound to hours.
    assert_eq!(
        standing,
        [
            "2026-03-26T23:20:00Z press standing pending -> held back",
            "2026-03-27T05:00:00Z press standing calm -> raised info"
        ]
    );
    // The same on Monday after the change to summer time: 06:00 CEST is 04:00Z.
    let head = "time,device,state\n";
    let rows: String = {
        let time: Timestamp = "2026-03-29T12:00:00Z".parse().unwrap();
        (0..260)
            .map(|part| {
                let after = std::time::Duration::from_secs(part * 240);
                format!("{},press,idle\n", time + after)
            })
            .collect()
    };
    let happened = played(PRESSWATCH, &format!("{head}{rows}"), "2026-03-30T05:00:00Z");
    let standing: Vec<_> = happened.iter().filter(|line| line.contains("standing")).collect();
    assert_eq!(
        standing,
        [
            "2026-03-29T12:20:00Z press standing pending -> held back",
            "2026-03-30T04:00:00Z press standing calm -> raised info"
        ]
    );
}

//! AI4I 2020 (synthetic, CC BY 4.0): the rules of its failure modes mark exactly its rows.
//!
//! *Invariant:* every row is judged in binary64 by the same fold as live readings; a mode marks a
//! row when its alarm is there after the row.

use std::collections::{BTreeMap, BTreeSet};

use model::{Name, Timestamp, Value};
use rules::{DryRun, Row};

use crate::harness::read;

#[test]
fn hdf_pwf_and_osf_mark_exactly_115_95_and_98_rows() {
    let blueprint = read(include_str!("../../testdata/ai4i/blueprint.toml"));
    let mut run = DryRun::new(&blueprint);
    let mut table = csv::Reader::from_reader(&include_bytes!("../../testdata/ai4i/ai4i.csv")[..]);
    let names: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut marked: BTreeMap<String, usize> = BTreeMap::new();
    for (minute, row) in table.records().enumerate() {
        let row = row.unwrap();
        let cells = names.iter().map(String::as_str).zip(row.iter());
        let (modes, values): (Vec<_>, Vec<_>) =
            cells.partition(|(name, _)| matches!(*name, "hdf" | "pwf" | "osf"));
        let value = |text: &str| match text.parse() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::Text(text.into()),
        };
        let values = values.iter().map(|(name, text)| (name.parse().unwrap(), value(text)));
        let time = Timestamp::from_millis(i64::try_from(minute).unwrap() * 60_000);
        let happened = run.row(&Row {
            time,
            device: "mill".to_owned(),
            kind: "mill".parse::<Name>().unwrap(),
            links: BTreeMap::new(),
            values: values.collect(),
        });
        for step in happened.unwrap() {
            let rule = step.notice.rule.to_string();
            match step.notice.transition.as_str() {
                "raised" => assert!(open.insert(rule)),
                "cleared" => assert!(open.remove(&rule)),
                other => panic!("{other}"),
            }
        }
        for (mode, flag) in modes {
            assert_eq!(open.contains(mode), flag == "1", "{mode} in row {}", minute + 1);
        }
        for rule in &open {
            *marked.entry(rule.clone()).or_default() += 1;
        }
    }
    let marked: Vec<_> = marked.iter().map(|(rule, rows)| (rule.as_str(), *rows)).collect();
    assert_eq!(marked, [("hdf", 115), ("osf", 98), ("pwf", 95)]);
}

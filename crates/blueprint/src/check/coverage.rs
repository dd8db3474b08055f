//! Figures that are asked for and never measured, and kinds of devices that nothing looks at.
//!
//! *Invariant:* a figure is called unmeasured only when the blueprint itself has no source of it;
//! whether devices really send is a question for the fleet.

use model::Name;

use crate::source::Reader;
use crate::{Blueprint, CostKind, Diagnostic, PlanLine, codes};

pub(super) fn check(reader: &mut Reader<'_>, blueprint: &Blueprint) {
    criteria(reader, blueprint);
    promises(reader, blueprint);
    for name in blueprint.kinds.keys() {
        unused(reader, blueprint, name);
    }
}

/// Why a figure has no source, and what would give it one.
struct Gap {
    sums: Vec<String>,
    help: String,
}

fn gap(sums: Vec<String>, help: impl Into<String>) -> Gap {
    Gap { sums, help: help.into() }
}

/// Readings of all kinds, and those that are expected.
fn expected(blueprint: &Blueprint) -> Option<Gap> {
    let all: Vec<_> = blueprint.kinds.values().flat_map(|kind| kind.readings.values()).collect();
    let due = all.iter().filter(|property| property.every.is_some()).count();
    let sums = vec![format!("{} readings, of which {due} have every", all.len())];
    (due == 0).then(|| gap(sums, "say how often a reading is expected: every = \"15 min\""))
}

fn missing(blueprint: &Blueprint, metric: &str) -> Option<Gap> {
    let kinds = || format!("{} kinds of devices", blueprint.kinds.len());
    let (group, figure) = metric.split_once('.').unwrap_or((metric, ""));
    match (group, figure) {
        ("fleet", _) if blueprint.kinds.is_empty() => {
            Some(gap(vec![kinds()], "add [device.box.readings]"))
        }
        ("fleet", "on_time" | "completeness" | "silent") => expected(blueprint),
        ("fleet", "alarms" | "false_alarms" | "unjudged_alarms") => {
            let sums = vec![format!("{} alarms", blueprint.alarms.len())];
            blueprint.alarms.is_empty().then(|| gap(sums, "add [alarm.too_warm]"))
        }
        ("fleet", "energy") => Some(gap(
            vec!["energy is made of readings kept; a gate judges what the log alone tells".into()],
            "bind an input of the case to it, or test it: kind = \"measure\"",
        )),
        ("economics", _) => {
            let sums = vec![format!("{} plans with a price", blueprint.plans.len())];
            blueprint.plans.is_empty().then(|| gap(sums, "add [plan.care]"))
        }
        ("case", _) => {
            let sums = vec!["0 sections [case]".to_owned()];
            blueprint.case.is_none().then(|| gap(sums, "add [case] with its horizon and costs"))
        }
        ("assumption", rest) => {
            let name = rest.split('.').next()?;
            let about = |test: &&crate::Experiment| test.tests.as_str() == name;
            let tests = blueprint.experiments.values().filter(about).count();
            let sums = vec![format!("{tests} experiments test {name}, so its guess stays a guess")];
            let help = format!("add an experiment: tests = {name:?}");
            (tests == 0).then(|| gap(sums, help))
        }
        _ => None,
    }
}

fn criteria(reader: &mut Reader<'_>, blueprint: &Blueprint) {
    for (stage, gate) in &blueprint.gates {
        for (part, criteria) in [("must", &gate.must), ("should", &gate.should)] {
            for (name, criterion) in criteria {
                let Some(metric) = &criterion.metric else { continue };
                let Some(Gap { sums, help }) = missing(blueprint, metric) else { continue };
                let path = format!("gate.{}.{part}.{name}", stage.as_str());
                let message = format!("nothing measures {metric}");
                let span = reader.place(&path).value;
                let found = Diagnostic::warning(codes::UNMEASURED, span, message).notes(sums);
                reader.report(found.label("stays missing for ever").help(help));
            }
        }
    }
}

/// A promise of a share of expected readings needs expected readings.
fn promises(reader: &mut Reader<'_>, blueprint: &Blueprint) {
    for (name, plan) in &blueprint.plans {
        for (line, credit) in &plan.lines {
            let PlanLine::Credit { when, .. } = credit else { continue };
            let shares = ["on_time", "completeness"];
            let slots = when.program.slots().iter();
            let mut paths = slots.filter_map(|slot| match slot {
                expr::Slot::Path(path) => Some(&**path),
                expr::Slot::Window { .. }
                | expr::Slot::Silent { .. }
                | expr::Slot::Inside { .. }
                | expr::Slot::Spread(_) => None,
            });
            let due = paths.any(|path| shares.contains(&path));
            let Some(Gap { sums, help }) = expected(blueprint).filter(|_| due) else { continue };
            let span = reader.place(&format!("plan.{name}.{line}.when")).value;
            let message = format!("nothing measures what plan.{name} promises");
            let found = Diagnostic::warning(codes::UNMEASURED, span, message).notes(sums);
            reader.report(found.label("is never broken and never kept").help(help));
        }
    }
}

fn unused(reader: &mut Reader<'_>, blueprint: &Blueprint, name: &Name) {
    // The only kind of a first draft is what the draft is about.
    if blueprint.kinds.len() == 1 {
        return;
    }
    let alarms = blueprint.alarms.values().filter(|alarm| alarm.device == *name).count();
    let of_kind = |device: &Option<Name>| device.as_ref().is_none_or(|of| of == name);
    let usages = blueprint.usages.values().filter(|usage| of_kind(&usage.device)).count();
    let others = blueprint.kinds.iter().filter(|(other, _)| *other != name);
    let links = others.flat_map(|(_, kind)| kind.links.values()).filter(|to| *to == name).count();
    let costs = blueprint.case.iter().flat_map(|case| case.costs.values());
    let tariffs = costs
        .filter(|cost| matches!(&cost.kind, CostKind::Radio { of: Some(of), .. } if of == name))
        .count();
    if alarms + usages + links + tariffs > 0 {
        return;
    }
    let readings = format!("device.{name}.readings");
    let place = reader.place(&readings).key;
    let place = if place.end == 0 { reader.place(&format!("device.{name}")).key } else { place };
    let message = format!("nothing uses devices of kind {name}");
    let found = Diagnostic::warning(codes::UNUSED, place, message);
    let sums = [
        format!("{alarms} alarms watch it, {usages} usages count it"),
        format!("{links} links lead to it, {tariffs} radio tariffs carry it"),
    ];
    reader.report(found.notes(sums).help(format!("use it, or leave out [device.{name}]")));
}

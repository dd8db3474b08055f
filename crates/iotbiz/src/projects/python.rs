//! Python: `device.py` from the blueprint, `iotbiz.py` for all.
//!
//! *Invariant:* what is written is understood by Python 3.8 and later.

use std::fmt::Write as _;

use blueprint::{Lane, PropertyKind};

use super::fill::Words;
use super::shape::{Command, Counts, Field, Interval, Reading, Shape, duration};
use super::{File, Plan, generated, person};

/// Words that cannot be names of parameters, and types that must not be hidden by one.
pub(super) const RESERVED: &[&str] = &[
    "and", "as", "assert", "async", "await", "bool", "break", "class", "continue", "def", "del",
    "dict", "elif", "else", "except", "finally", "float", "for", "from", "global", "if", "import",
    "in", "int", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "self", "str",
    "try", "tuple", "unknown", "while", "with", "yield",
];

pub(super) fn files(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let shape = Shape::new(plan.kind, RESERVED);
    let words = typed(&shape, words);
    vec![
        generated("README.md", words.fill(include_str!("../../projects/python/README.md"))),
        generated(".gitignore", "credential.env\n.venv/\n__pycache__/\n".to_owned()),
        generated(
            "requirements.txt",
            include_str!("../../projects/python/requirements.txt").to_owned(),
        ),
        generated("iotbiz.py", words.fill(include_str!("../../projects/python/iotbiz.py"))),
        generated("device.py", words.fill(include_str!("../../projects/python/device.py"))),
        person("main.py", words.fill(include_str!("../../projects/python/main.py"))),
    ]
}

/// The words of `device.py` and `main.py`.
fn typed(shape: &Shape, words: Words) -> Words {
    let mut parameters = String::new();
    let (mut readings, mut arguments, mut examples) = Default::default();
    for Reading { field, counts, .. } in &shape.readings {
        let Field { name, ident, about, .. } = field;
        if parameters.is_empty() {
            parameters.push_str("        *,\n");
        }
        push(
            &mut parameters,
            format_args!(
                "        {ident}: {} | None = None,  # {about}\n",
                python_type(&field.kind)
            ),
        );
        push(&mut readings, format_args!("        \"{name}\": {},\n", checker(&field.kind)));
        push(&mut arguments, format_args!("                \"{name}\": {ident},\n"));
        push(&mut examples, format_args!("        \"{ident}\": {},\n", example(field, *counts)));
    }
    let urgent = shape.readings.iter().filter(|reading| reading.lane == Lane::Urgent);
    let urgent: Vec<_> = urgent.map(|reading| format!("\"{}\"", reading.field.name)).collect();
    let urgent =
        if urgent.is_empty() { "()".to_owned() } else { format!("({},)", urgent.join(", ")) };
    let (mut settings, mut settings_kinds) = (String::new(), String::new());
    for setting in &shape.settings {
        let Field { name, ident, about, kind } = &setting.field;
        let initial = initial(kind, setting.initial);
        push(
            &mut settings,
            format_args!("    {ident}: {} | None = {initial}  # {about}\n", python_type(kind)),
        );
        push(
            &mut settings_kinds,
            format_args!("        \"{name}\": (\"{ident}\", {}),\n", checker(kind)),
        );
    }
    words
        .with("parameters", parameters)
        .with("readings", readings)
        .with("arguments", arguments)
        .with("examples", examples)
        .with("urgent", urgent)
        .with("settings", settings)
        .with("settings_kinds", settings_kinds)
        .with("commands", commands(shape))
        .with("base_handlers", handlers(shape, Handler::Base))
        .with("handlers", handlers(shape, Handler::Example))
        .with("interval", interval(&shape.interval))
}

/// The commands with their arguments.
pub(super) fn commands(shape: &Shape) -> String {
    let mut out = String::new();
    for Command { name, arguments, .. } in &shape.commands {
        if arguments.is_empty() {
            push(&mut out, format_args!("        \"{name}\": {{}},\n"));
            continue;
        }
        push(&mut out, format_args!("        \"{name}\": {{\n"));
        for Field { name, ident, kind, .. } in arguments {
            let checker = checker(kind);
            push(&mut out, format_args!("            \"{name}\": (\"{ident}\", {checker}),\n"));
        }
        out.push_str("        },\n");
    }
    out
}

/// Writing to a text cannot fail.
pub(super) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes any text");
}

fn interval(interval: &Interval) -> String {
    match interval {
        Interval::Setting(ident, seconds) => format!("device.settings.{ident} or {seconds}"),
        Interval::Fixed(seconds) => seconds.to_string(),
    }
}

const fn python_type(kind: &PropertyKind) -> &'static str {
    match kind {
        PropertyKind::Number { .. } => "float",
        PropertyKind::Boolean => "bool",
        PropertyKind::Text => "str",
        PropertyKind::Position => "tuple[float, float]",
    }
}

pub(super) fn checker(kind: &PropertyKind) -> String {
    match kind {
        PropertyKind::Number { unit, min, max } => {
            let bound = |bound: &Option<f64>| bound.map_or("None".to_owned(), |b| format!("{b:?}"));
            let unit = if unit.is_one() { String::new() } else { unit.shown() };
            format!("iotbiz.Number({unit:?}, {}, {})", bound(min), bound(max))
        }
        PropertyKind::Boolean => "iotbiz.Boolean()".to_owned(),
        PropertyKind::Text => "iotbiz.Text()".to_owned(),
        PropertyKind::Position => "iotbiz.Position()".to_owned(),
    }
}

pub(super) fn initial(kind: &PropertyKind, value: Option<f64>) -> String {
    match (kind, value) {
        (PropertyKind::Number { .. }, Some(value)) => format!("{value:?}"),
        (PropertyKind::Boolean, Some(value)) => {
            (if value == 0.0 { "False" } else { "True" }).into()
        }
        (PropertyKind::Number { .. } | PropertyKind::Boolean, None)
        | (PropertyKind::Text | PropertyKind::Position, _) => "None".to_owned(),
    }
}

pub(super) fn example(field: &Field, counts: Counts) -> String {
    match (&field.kind, counts) {
        (PropertyKind::Number { .. }, Counts::Up) => "int(time.time()) // 60".to_owned(),
        (PropertyKind::Number { min, max, .. }, Counts::Not) => {
            let (low, high) = super::c::span(*min, *max);
            format!("round(random.uniform({low:?}, {high:?}), 1)")
        }
        (PropertyKind::Boolean, _) => "False".to_owned(),
        (PropertyKind::Text, _) => "\"text\"".to_owned(),
        (PropertyKind::Position, _) => "(52.52, 13.405)".to_owned(),
    }
}

/// Which of the two methods of a command is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handler {
    /// In `device.py`: says that it is not written.
    Base,
    /// In `main.py`: an example.
    Example,
}

fn handlers(shape: &Shape, handler: Handler) -> String {
    let mut out = String::new();
    for Command { name, timeout, arguments } in &shape.commands {
        let parameters: String = arguments
            .iter()
            .map(|field| format!(", {}: {} | None = None", field.ident, python_type(&field.kind)))
            .collect();
        let within = duration(*timeout);
        push(&mut out, format_args!("\n    def on_{name}(self{parameters}) -> dict | None:\n"));
        match handler {
            Handler::Base => push(
                &mut out,
                format_args!(
                    "        \"\"\"Yours to override: done within {within}; what is returned is the \
                 answer.\"\"\"\n        raise NotImplementedError\n"
                ),
            ),
            Handler::Example => push(
                &mut out,
                format_args!(
                    "        \"\"\"Somebody asks for this: answer within {within}.\"\"\"\n        \
                 print(\"command: {name}\", flush=True)\n        return {{}}\n"
                ),
            ),
        }
    }
    out
}

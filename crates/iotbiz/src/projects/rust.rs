//! Rust: `src/device.rs` from the blueprint, `src/iotbiz.rs` for all.
//!
//! *Invariant:* what is written builds without a warning by a compiler of edition 2021.

use blueprint::{Lane, PropertyKind};

use super::fill::Words;
use super::python::push;
use super::shape::{Command, Counts, Field, Interval, Reading, Shape, duration};
use super::{File, Plan, generated, person};

/// Words that cannot be names of fields, and names that the generated functions use.
const RESERVED: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

pub(super) fn files(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let shape = Shape::new(plan.kind, RESERVED);
    let features = if plan.door.ca.is_some() { "\"tls\"" } else { "" };
    let words = typed(&shape, words).with("default_features", features);
    vec![
        generated("README.md", words.fill(include_str!("../../projects/rust/README.md"))),
        generated(".gitignore", "credential.env\n/target\n".to_owned()),
        person("Cargo.toml", words.fill(include_str!("../../projects/rust/Cargo.toml"))),
        generated("src/iotbiz.rs", words.fill(include_str!("../../projects/rust/src_iotbiz.rs"))),
        generated("src/device.rs", words.fill(include_str!("../../projects/rust/src_device.rs"))),
        person("src/main.rs", words.fill(include_str!("../../projects/rust/src_main.rs"))),
    ]
}

fn typed(shape: &Shape, words: Words) -> Words {
    let (mut readings, mut puts, mut examples) = Default::default();
    for Reading { field, lane, counts } in &shape.readings {
        push(&mut readings, format_args!("{}", member(field)));
        let to = match lane {
            Lane::Normal => "telemetry",
            Lane::Urgent => "urgent",
        };
        let Field { name, ident, kind, .. } = field;
        push(
            &mut puts,
            format_args!(
                "            put(\n                &mut {to},\n                \"{name}\",\n                \
                 readings.{ident}.as_ref(),\n                {},\n            ),\n",
                bounds(kind)
            ),
        );
        push(&mut examples, format_args!("        {ident}: Some({}),\n", example(kind, *counts)));
    }
    let (mut settings, mut initial, mut desired, mut reports) = Default::default();
    for setting in &shape.settings {
        let Field { name, ident, kind, .. } = &setting.field;
        push(&mut settings, format_args!("{}", member(&setting.field)));
        push(
            &mut initial,
            format_args!("            {ident}: {},\n", first(kind, setting.initial)),
        );
        push(
            &mut desired,
            format_args!(
                "                \"{name}\" => {{\n                    let bounds = {};\n                    \
                 take(name, value, bounds).map(|value| wanted.{ident} = Some(value))\n                \
                 }}\n",
                bounds(kind)
            ),
        );
        push(
            &mut reports,
            format_args!(
                "        put(\n            &mut out,\n            \"{name}\",\n            \
                 settings.{ident}.as_ref(),\n            {},\n        );\n",
                bounds(kind)
            ),
        );
    }
    let (mut structs, mut dispatch, mut names) = Default::default();
    for command in &shape.commands {
        if !command.arguments.is_empty() {
            push(&mut names, format_args!(", {}", argument_struct(command)));
        }
        argument_type(command, &mut structs);
        dispatched(command, &mut dispatch);
    }
    words
        .with("readings", readings)
        .with("puts", puts)
        .with("examples", examples)
        .with("settings", settings)
        .with("initial", initial)
        .with("desired", desired)
        .with("reports", reports)
        .with("argument_structs", structs)
        .with("argument_names", names)
        .with("dispatch", dispatch)
        .with("handlers", shape.commands.iter().map(base_handler).collect::<String>())
        .with("example_handlers", shape.commands.iter().map(example_handler).collect::<String>())
        .with("interval", interval(&shape.interval))
}

const fn rust_type(kind: &PropertyKind) -> &'static str {
    match kind {
        PropertyKind::Number { .. } => "f64",
        PropertyKind::Boolean => "bool",
        PropertyKind::Text => "String",
        PropertyKind::Position => "(f64, f64)",
    }
}

fn member(field: &Field) -> String {
    format!(
        "    /// {}\n    pub {}: Option<{}>,\n",
        field.about,
        field.ident,
        rust_type(&field.kind)
    )
}

fn bounds(kind: &PropertyKind) -> String {
    let PropertyKind::Number { unit, min, max } = kind else { return "ANY".to_owned() };
    let least = min.map_or("f64::NEG_INFINITY".to_owned(), |min| format!("{min:?}"));
    let most = max.map_or("f64::INFINITY".to_owned(), |max| format!("{max:?}"));
    let unit = if unit.is_one() { String::new() } else { unit.shown() };
    format!("Bounds {{ least: {least}, most: {most}, unit: {unit:?} }}")
}

fn first(kind: &PropertyKind, value: Option<f64>) -> String {
    match (kind, value) {
        (PropertyKind::Number { .. }, Some(value)) => format!("Some({value:?})"),
        (PropertyKind::Boolean, Some(value)) => format!("Some({})", value != 0.0),
        (PropertyKind::Number { .. } | PropertyKind::Boolean, None)
        | (PropertyKind::Text | PropertyKind::Position, _) => "None".to_owned(),
    }
}

fn example(kind: &PropertyKind, counts: Counts) -> String {
    match (kind, counts) {
        (PropertyKind::Number { .. }, Counts::Up) => {
            "std::time::UNIX_EPOCH.elapsed().map_or(0.0, |since| (since.as_secs() / 60) as f64)"
                .to_owned()
        }
        (PropertyKind::Number { min, max, .. }, Counts::Not) => {
            let (low, high) = super::c::span(*min, *max);
            format!("({low:?} + {:?} * iotbiz::random()).round()", high - low)
        }
        (PropertyKind::Boolean, _) => "false".to_owned(),
        (PropertyKind::Text, _) => "\"text\".to_owned()".to_owned(),
        (PropertyKind::Position, _) => "(52.52, 13.405)".to_owned(),
    }
}

/// `set_valve` takes `SetValveArguments`, which no keyword can be.
fn argument_struct(command: &Command) -> String {
    let part = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    let name: String = command.name.split('_').map(part).collect();
    format!("{name}Arguments")
}

fn argument_type(command: &Command, out: &mut String) {
    if command.arguments.is_empty() {
        return;
    }
    let members: String = command.arguments.iter().map(member).collect();
    push(
        out,
        format_args!(
            "\n/// Of the command {}.\n#[derive(Debug, Clone, Default, PartialEq)]\npub struct {} {{\n\
         {members}}}\n",
            command.name,
            argument_struct(command)
        ),
    );
}

fn signature(command: &Command, argument: &str) -> String {
    let arguments = match command.arguments.as_slice() {
        [] => String::new(),
        [_, ..] => format!(", {argument}: {}", argument_struct(command)),
    };
    format!("fn on_{}(&mut self{arguments}) -> Result<Object, String>", command.name)
}

fn base_handler(command: &Command) -> String {
    format!(
        "    /// A command: answer within {}, or say why it cannot be done.\n    {};\n",
        duration(command.timeout),
        signature(command, "arguments")
    )
}

fn example_handler(command: &Command) -> String {
    let name = &command.name;
    let arguments = if command.arguments.is_empty() { "" } else { " {arguments:?}" };
    format!(
        "\n    /// Somebody asks for this: answer within {}.\n    {} {{\n        \
         println!(\"command: {name}{arguments}\");\n        Ok(iotbiz::Object::new())\n    }}\n",
        duration(command.timeout),
        signature(command, "arguments").replace("Object", "iotbiz::Object"),
    )
}

fn dispatched(command: &Command, out: &mut String) {
    let name = &command.name;
    if command.arguments.is_empty() {
        push(out, format_args!("            \"{name}\" => self.handler.on_{name}(),\n"));
        return;
    }
    let structure = argument_struct(command);
    push(
        out,
        format_args!(
            "            \"{name}\" => {{\n                let mut taken = {structure}::default();\n"
        ),
    );
    for field in &command.arguments {
        push(
            out,
            format_args!(
                "                if let Some(value) = arguments.get(\"{0}\") {{\n                    \
                 let bounds = {2};\n                    \
                 taken.{1} = Some(take(\"{0}\", value, bounds)?);\n                }}\n",
                field.name,
                field.ident,
                bounds(&field.kind)
            ),
        );
    }
    push(out, format_args!("                self.handler.on_{name}(taken)\n            }}\n"));
}

fn interval(interval: &Interval) -> String {
    match interval {
        Interval::Setting(ident, seconds) => {
            format!("device.settings().{ident}.unwrap_or({seconds:?})")
        }
        Interval::Fixed(seconds) => format!("{seconds:?}"),
    }
}

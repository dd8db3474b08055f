//! The lines of C that depend on the blueprint: structures, checks, JSON, commands, examples.
//!
//! *Invariant:* every value has its bounds checked before it is sent and before it is taken over.

use blueprint::{Lane, PropertyKind};

use crate::projects::fill::Words;
use crate::projects::python::push;
use crate::projects::shape::{Command, Counts, Field, Interval, Reading, Setting, Shape, duration};

pub(super) fn typed(shape: &Shape, words: Words) -> Words {
    let members = |fields: Vec<&Field>| {
        let member = |field: &&Field| {
            format!(
                "  struct iotbiz_{} {}; /* {} */\n",
                noun(&field.kind),
                field.ident,
                field.about
            )
        };
        // C has no empty structures.
        if fields.is_empty() {
            "  char nothing;\n".into()
        } else {
            fields.iter().map(member).collect()
        }
    };
    let readings: String = members(shape.readings.iter().map(|reading| &reading.field).collect());
    let settings: String = members(shape.settings.iter().map(|setting| &setting.field).collect());
    let (mut structs, mut handlers, mut dispatch) = Default::default();
    for command in &shape.commands {
        if !command.arguments.is_empty() {
            push(
                &mut structs,
                format_args!(
                    "\n/* Arguments of the command {}. */\nstruct {} {{\n{}}};\n",
                    command.name,
                    argument_struct(command),
                    members(command.arguments.iter().collect())
                ),
            );
        }
        push(
            &mut handlers,
            format_args!(
                "/* A command: answer within {}; false when it could not be done. */\n{};\n",
                duration(command.timeout),
                signature(command)
            ),
        );
        dispatched(command, &mut dispatch);
    }
    words
        .with("readings", readings)
        .with("settings", settings)
        .with("argument_structs", structs)
        .with("handlers", handlers)
        .with("dispatch", dispatch)
        .with("values_bytes", shape.json_bytes_max().to_string())
        .with("initial", initial(&shape.settings))
        .with(
            "checks",
            shape.readings.iter().map(|reading| check(&reading.field)).collect::<String>(),
        )
        .with("writes", writes(shape))
        .with("reports", reports(&shape.settings))
        .with("desired", desired(&shape.settings))
        .with("example_handlers", shape.commands.iter().map(example_handler).collect::<String>())
        .with("examples", shape.readings.iter().map(example).collect::<String>())
        .with("interval", interval(&shape.interval))
}

const fn noun(kind: &PropertyKind) -> &'static str {
    match kind {
        PropertyKind::Number { .. } => "number",
        PropertyKind::Boolean => "boolean",
        PropertyKind::Text => "text",
        PropertyKind::Position => "position",
    }
}

fn argument_struct(command: &Command) -> String {
    format!("{}_arguments", command.name)
}

fn signature(command: &Command) -> String {
    let arguments = match command.arguments.as_slice() {
        [] => String::new(),
        [_, ..] => format!("const struct {} *arguments, ", argument_struct(command)),
    };
    format!("bool on_{}({arguments}struct iotbiz_json *answer)", command.name)
}

fn c_number(value: Option<f64>, absent: &str) -> String {
    value.map_or_else(|| absent.to_owned(), |value| format!("{value:?}"))
}

/// The condition under which a value is right, or nothing when any is.
fn right(field: &Field, place: &str) -> Option<String> {
    let name = &field.name;
    match &field.kind {
        PropertyKind::Number { unit, min, max } => {
            let unit = if unit.is_one() { String::new() } else { unit.shown() };
            Some(format!(
                "iotbiz_check_number(\"{name}\", {place}, {}, {}, \"{unit}\")",
                c_number(*min, "-INFINITY"),
                c_number(*max, "INFINITY")
            ))
        }
        PropertyKind::Position => Some(format!("iotbiz_check_position(\"{name}\", {place})")),
        PropertyKind::Boolean | PropertyKind::Text => None,
    }
}

fn check(field: &Field) -> String {
    let place = format!("readings.{}", field.ident);
    right(field, &place).map_or_else(String::new, |right| {
        format!("  if (!{right})\n    good = {place}.set = false;\n")
    })
}

fn write(field: &Field, json: &str, place: &str) -> String {
    let name = &field.name;
    match &field.kind {
        PropertyKind::Text => {
            format!(
                "  if ({place}.set)\n    iotbiz_json_text({json}, \"{name}\", {place}.value);\n"
            )
        }
        PropertyKind::Number { .. } | PropertyKind::Boolean | PropertyKind::Position => {
            format!("  iotbiz_json_{}({json}, \"{name}\", {place});\n", noun(&field.kind))
        }
    }
}

/// All settings; a parameter that nothing uses is a warning.
fn reports(settings: &[Setting]) -> String {
    match settings {
        [] => "  (void)json;\n".to_owned(),
        [_, ..] => settings.iter().map(|setting| report(&setting.field)).collect(),
    }
}

fn report(field: &Field) -> String {
    write(field, "json", &format!("in_force.{}", field.ident))
}

/// One message for each lane that the kind has.
fn writes(shape: &Shape) -> String {
    let mut out = String::new();
    for (lane, constant) in [(Lane::Normal, "IOTBIZ_TELEMETRY"), (Lane::Urgent, "IOTBIZ_URGENT")] {
        let fields = shape.readings.iter().filter(|reading| reading.lane == lane);
        let written: String = fields
            .map(|reading| {
                write(&reading.field, "&json", &format!("readings.{}", reading.field.ident))
            })
            .collect();
        if written.is_empty() {
            continue;
        }
        push(
            &mut out,
            format_args!(
                "  iotbiz_json_open(&json, text, sizeof text);\n{written}  \
             if (iotbiz_json_close(&json) && json.values > 0)\n    iotbiz_keep({constant}, text);\n"
            ),
        );
    }
    if out.is_empty() { "  (void)text, (void)json, (void)readings;\n".to_owned() } else { out }
}

fn initial(settings: &[Setting]) -> String {
    let known: Vec<_> = settings
        .iter()
        .filter_map(|Setting { field, initial }| {
            let value = match (&field.kind, initial) {
                (PropertyKind::Number { .. }, Some(value)) => format!("{value:?}"),
                (PropertyKind::Boolean, Some(value)) => (*value != 0.0).to_string(),
                (PropertyKind::Number { .. } | PropertyKind::Boolean, None)
                | (PropertyKind::Text | PropertyKind::Position, _) => return None,
            };
            Some(format!(".{} = {{true, {value}}}", field.ident))
        })
        .collect();
    if known.is_empty() { "0".to_owned() } else { known.join(", ") }
}

/// Takes a value over when it has the right type and is within its bounds.
fn taken(field: &Field, structure: &str, value: &str) -> String {
    let Field { ident, kind, .. } = field;
    let noun = noun(kind);
    let right = right(field, "given").map_or_else(String::new, |right| format!(" && {right}"));
    format!(
        "struct iotbiz_{noun} given;\n      if (iotbiz_read_{noun}({value}, &given){right})\n        \
         {structure}.{ident} = given;\n"
    )
}

fn desired(settings: &[Setting]) -> String {
    let mut out = String::new();
    for Setting { field, .. } in settings {
        let or = if out.is_empty() { "    " } else { " else " };
        push(
            &mut out,
            format_args!(
                "{or}if (iotbiz_is(name, \"{}\")) {{\n      {}    }}",
                field.name,
                taken(field, "wanted", "value")
            ),
        );
    }
    let unknown = "iotbiz_say(\"setting %.*s is unknown here: %s\", (int)name.bytes, name.at,\n               \
                   device_remedy);\n";
    if out.is_empty() {
        format!("    {unknown}")
    } else {
        format!("{out} else {{\n      {unknown}    }}\n")
    }
}

fn dispatched(command: &Command, out: &mut String) {
    let name = &command.name;
    push(out, format_args!("  if (iotbiz_is(name, \"{name}\"))"));
    if command.arguments.is_empty() {
        push(
            out,
            format_args!("\n    return on_{name}(answer) ? DEVICE_DONE : DEVICE_NOT_DONE;\n"),
        );
        return;
    }
    push(
        out,
        format_args!(
            " {{\n    struct {} taken = {{0}};\n    struct iotbiz_slice value;\n",
            argument_struct(command)
        ),
    );
    for field in &command.arguments {
        let Field { name, ident, .. } = field;
        push(
            out,
            format_args!(
                "    if (iotbiz_find(arguments, \"{name}\", &value)) {{\n      {}      \
             if (!taken.{ident}.set)\n        return DEVICE_WRONG_ARGUMENT;\n    }}\n",
                taken(field, "taken", "value")
            ),
        );
    }
    push(
        out,
        format_args!(
            "    return on_{name}(&taken, answer) ? DEVICE_DONE : DEVICE_NOT_DONE;\n  }}\n"
        ),
    );
}

fn example_handler(command: &Command) -> String {
    let arguments = if command.arguments.is_empty() { "" } else { "(void)arguments, " };
    format!(
        "\n/* Somebody asks for this: answer within {}. */\n{} {{\n  {arguments}(void)answer;\n  \
         iotbiz_say(\"command: {}\");\n  return true;\n}}\n",
        duration(command.timeout),
        signature(command),
        command.name
    )
}

fn example(reading: &Reading) -> String {
    let Field { ident, kind, .. } = &reading.field;
    let value = match (kind, reading.counts) {
        (PropertyKind::Number { .. }, Counts::Up) => {
            "(double)(connection_wall_ms() / 60000)".to_owned()
        }
        (PropertyKind::Number { min, max, .. }, Counts::Not) => {
            let (low, high) = span(*min, *max);
            // Tenths, so that an example can be read.
            format!(
                "({:.0} + connection_random() % {:.0}) / 10.0",
                low * 10.0,
                ((high - low) * 10.0).max(1.0)
            )
        }
        (PropertyKind::Boolean, _) => "false".to_owned(),
        (PropertyKind::Text, _) => "\"text\"".to_owned(),
        (PropertyKind::Position, _) => "52.52, 13.405".to_owned(),
    };
    format!("  readings.{ident} = iotbiz_{}({value});\n", noun(kind))
}

fn interval(interval: &Interval) -> String {
    match interval {
        Interval::Setting(ident, seconds) => {
            let setting = format!("device_settings()->{ident}");
            format!("({setting}.set ? {setting}.value : {seconds:?})")
        }
        Interval::Fixed(seconds) => format!("{seconds:?}"),
    }
}

/// Bounds of a made-up value: the middle fifth of what is plausible.
pub(in crate::projects) fn span(min: Option<f64>, max: Option<f64>) -> (f64, f64) {
    let (low, high) = match (min, max) {
        (Some(min), Some(max)) => (min, max),
        (Some(min), None) => (min, min + 10.0),
        (None, Some(max)) => (max - 10.0, max),
        (None, None) => (0.0, 10.0),
    };
    (low + (high - low) * 0.4, low + (high - low) * 0.6)
}

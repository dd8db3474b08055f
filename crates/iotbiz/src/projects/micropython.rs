//! MicroPython: `device.py` from the blueprint, `iotbiz.py` for all; neither annotations nor
//! dataclasses.
//!
//! *Invariant:* what is written is understood by MicroPython 1.22 and by Python 3.

use blueprint::Lane;

use super::fill::Words;
use super::python::{RESERVED, checker, commands, example, initial, push};
use super::shape::{Command, Field, Interval, Reading, Shape, duration};
use super::{Door, File, Plan, generated, person};

pub(super) fn files(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let shape = Shape::new(plan.kind, RESERVED);
    let words = typed(&shape, words).with("copied", copied(&plan.door));
    let fill = |template: &str| words.fill(template);
    vec![
        generated("README.md", fill(include_str!("../../projects/micropython/README.md"))),
        generated(".gitignore", "credential.py\n__pycache__/\n".to_owned()),
        generated("iotbiz.py", fill(include_str!("../../projects/micropython/iotbiz.py"))),
        generated("device.py", fill(include_str!("../../projects/micropython/device.py"))),
        person("main.py", fill(include_str!("../../projects/micropython/main.py"))),
    ]
}

/// What goes onto the board.
fn copied(door: &Door) -> String {
    let ca = if door.ca.is_some() { " ca.pem" } else { "" };
    format!("credential.py{ca} iotbiz.py device.py main.py")
}

fn typed(shape: &Shape, words: Words) -> Words {
    let mut parameters = String::new();
    let (mut readings, mut arguments, mut examples) = (String::new(), String::new(), String::new());
    for Reading { field, counts, .. } in &shape.readings {
        let Field { name, ident, about, kind } = field;
        if parameters.is_empty() {
            parameters.push_str("        *,\n");
        }
        push(&mut parameters, format_args!("        {ident}=None,  # {about}\n"));
        push(&mut readings, format_args!("        \"{name}\": {},\n", checker(kind)));
        push(&mut arguments, format_args!("                \"{name}\": {ident},\n"));
        push(&mut examples, format_args!("        \"{ident}\": {},\n", example(field, *counts)));
    }
    let urgent = shape.readings.iter().filter(|reading| reading.lane == Lane::Urgent);
    let urgent: String = urgent.map(|reading| format!("\"{}\", ", reading.field.name)).collect();
    let (mut settings, mut settings_kinds) = (String::new(), String::new());
    for setting in &shape.settings {
        let Field { name, ident, about, kind } = &setting.field;
        let initial = initial(kind, setting.initial);
        push(&mut settings, format_args!("        self.{ident} = {initial}  # {about}\n"));
        let checker = checker(kind);
        push(&mut settings_kinds, format_args!("        \"{name}\": (\"{ident}\", {checker}),\n"));
    }
    if settings.is_empty() {
        settings.push_str("        pass\n");
    }
    words
        .with("parameters", parameters)
        .with("readings", readings)
        .with("arguments", arguments)
        .with("examples", examples)
        .with("urgent", format!("({})", urgent.trim_end()))
        .with("settings", settings)
        .with("settings_kinds", settings_kinds)
        .with("commands", commands(shape))
        .with("base_handlers", shape.commands.iter().map(base_handler).collect::<String>())
        .with("handlers", shape.commands.iter().map(example_handler).collect::<String>())
        .with("interval", interval(&shape.interval))
        .with("tried", TRIED)
}

/// Says no more than what the tests do.
const TRIED: &str = "These files run in the tests of iotbiz under Python 3.11, with stand-ins for \
                     umqtt.simple, the clock's ticks and Wi-Fi, against a real server: readings, \
                     settings, a command, a server that goes away and comes back, a wrong token.";

fn signature(command: &Command) -> String {
    let parameters: String =
        command.arguments.iter().map(|field| format!(", {}=None", field.ident)).collect();
    format!("\n    def on_{}(self{parameters}):\n", command.name)
}

fn base_handler(command: &Command) -> String {
    format!(
        "{}        \"\"\"Yours to override: done within {}; what is returned is the answer.\"\"\"\n        \
         raise NotImplementedError(\"on_{} is not written yet\")\n",
        signature(command),
        duration(command.timeout),
        command.name
    )
}

fn example_handler(command: &Command) -> String {
    format!(
        "{}        \"\"\"Somebody asks for this: answer within {}.\"\"\"\n        \
         print(\"command: {}\")\n        return {{}}\n",
        signature(command),
        duration(command.timeout),
        command.name
    )
}

fn interval(interval: &Interval) -> String {
    match interval {
        Interval::Setting(ident, seconds) => format!("device.settings.{ident} or {seconds:?}"),
        Interval::Fixed(seconds) => format!("{seconds:?}"),
    }
}

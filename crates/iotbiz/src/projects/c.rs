//! C: the same core and the same `device.c` for Linux, ESP-IDF, Zephyr and Arduino; only the
//! connection differs.
//!
//! *Invariant:* what is generated is C99 that a C++ compiler can include; nothing in it allocates.

use blueprint::{Lane, PropertyKind};

use super::fill::Words;
use super::python::push;
use super::shape::{Command, Counts, Field, Interval, Reading, Setting, Shape, duration};
use super::{File, Plan, generated, person};

/// Words of C and C++, and what headers of boards define as macros or types.
pub(super) const RESERVED: &[&str] = &[
    "abs",
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "answer",
    "asm",
    "assert",
    "auto",
    "binary",
    "bit",
    "bitand",
    "bitor",
    "bool",
    "boolean",
    "break",
    "byte",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "const",
    "constexpr",
    "const_cast",
    "constrain",
    "continue",
    "decltype",
    "default",
    "degrees",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "errno",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "interrupts",
    "isfinite",
    "isinf",
    "isnan",
    "linux",
    "long",
    "max",
    "min",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "radians",
    "register",
    "reinterpret_cast",
    "restrict",
    "return",
    "round",
    "short",
    "signed",
    "sizeof",
    "sq",
    "static",
    "static_assert",
    "static_cast",
    "stderr",
    "stdin",
    "stdout",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "word",
    "xor",
    "xor_eq",
];

/// How much memory a board has for what was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) buffer_max: u32,
    pub(super) batch_max: u32,
}

/// A microcontroller; the Makefile of Linux raises both.
pub(super) const SMALL: Memory = Memory { buffer_max: 64, batch_max: 8 };

/// The four files that are the same everywhere, as (name, text).
pub(super) struct Core {
    pub(super) iotbiz_h: String,
    pub(super) iotbiz_c: String,
    pub(super) device_h: String,
    pub(super) device_c: String,
}

/// The core, with the words that `main` needs too.
pub(super) fn core(plan: &Plan<'_>, words: Words, main_file: &str) -> (Core, Words) {
    let shape = Shape::new(plan.kind, RESERVED);
    let words = words
        .with("main_file", main_file)
        .with("buffer_max", SMALL.buffer_max.to_string())
        .with("batch_max", SMALL.batch_max.to_string());
    let words = typed(&shape, words);
    let core = Core {
        iotbiz_h: words.fill(include_str!("../../projects/core/iotbiz.h")),
        iotbiz_c: words.fill(include_str!("../../projects/core/iotbiz.c")),
        device_h: words.fill(include_str!("../../projects/core/device.h")),
        device_c: words.fill(include_str!("../../projects/core/device.c")),
    };
    (core, words)
}

/// Linux with libmosquitto.
pub(super) fn linux(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let (core, words) = core(plan, words, "main.c");
    vec![
        generated("README.md", words.fill(include_str!("../../projects/c/README.md"))),
        generated(".gitignore", "credential.env\n*.o\n/device\n".to_owned()),
        generated("Makefile", include_str!("../../projects/c/Makefile").to_owned()),
        generated("iotbiz.h", core.iotbiz_h),
        generated("iotbiz.c", core.iotbiz_c),
        generated("connection.h", words.fill(include_str!("../../projects/c/connection.h"))),
        generated("connection.c", words.fill(include_str!("../../projects/c/connection.c"))),
        generated("device.h", core.device_h),
        generated("device.c", core.device_c),
        person("main.c", words.fill(include_str!("../../projects/c/main.c"))),
    ]
}

/// Bounds of a made-up value: the middle fifth of what is plausible.
pub(super) fn span(min: Option<f64>, max: Option<f64>) -> (f64, f64) {
    let (low, high) = match (min, max) {
        (Some(min), Some(max)) => (min, max),
        (Some(min), None) => (min, min + 10.0),
        (None, Some(max)) => (max - 10.0, max),
        (None, None) => (0.0, 10.0),
    };
    (low + (high - low) * 0.4, low + (high - low) * 0.6)
}

fn typed(shape: &Shape, words: Words) -> Words {
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

/// ESP-IDF with esp-mqtt.
pub(super) fn esp_idf(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let (core, words) = core(plan, words, "main.c");
    let fill = |template: &str| words.fill(template);
    vec![
        generated("README.md", fill(include_str!("../../projects/esp_idf/README.md"))),
        generated(
            ".gitignore",
            "credential.h\nbuild/\nsdkconfig\nmanaged_components/\n".to_owned(),
        ),
        person("CMakeLists.txt", fill(include_str!("../../projects/esp_idf/CMakeLists.txt"))),
        person(
            "sdkconfig.defaults",
            fill(include_str!("../../projects/esp_idf/sdkconfig.defaults")),
        ),
        person(
            "main/CMakeLists.txt",
            fill(include_str!("../../projects/esp_idf/main_CMakeLists.txt")),
        ),
        generated("main/iotbiz.h", core.iotbiz_h),
        generated("main/iotbiz.c", core.iotbiz_c),
        generated("main/connection.h", fill(include_str!("../../projects/esp_idf/connection.h"))),
        generated("main/connection.c", fill(include_str!("../../projects/esp_idf/connection.c"))),
        generated("main/device.h", core.device_h),
        generated("main/device.c", core.device_c),
        person("main/main.c", fill(include_str!("../../projects/esp_idf/main.c"))),
    ]
}

/// Zephyr with its own MQTT library.
pub(super) fn zephyr(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let tls = match plan.door.ca {
        Some(_) => {
            "CONFIG_MQTT_LIB_TLS=y\nCONFIG_NET_SOCKETS_SOCKOPT_TLS=y\nCONFIG_TLS_CREDENTIALS=y\n\
             CONFIG_MBEDTLS=y\nCONFIG_MBEDTLS_ENABLE_HEAP=y\nCONFIG_MBEDTLS_HEAP_SIZE=40000\n"
        }
        None => "",
    };
    let (core, words) = core(plan, words.with("tls_conf", tls), "main.c");
    let fill = |template: &str| words.fill(template);
    vec![
        generated("README.md", fill(include_str!("../../projects/zephyr/README.md"))),
        generated(".gitignore", "credential.h\nbuild/\n".to_owned()),
        person("CMakeLists.txt", fill(include_str!("../../projects/zephyr/CMakeLists.txt"))),
        person("prj.conf", fill(include_str!("../../projects/zephyr/prj.conf"))),
        generated("src/iotbiz.h", core.iotbiz_h),
        generated("src/iotbiz.c", core.iotbiz_c),
        generated("src/connection.h", fill(include_str!("../../projects/zephyr/connection.h"))),
        generated("src/connection.c", fill(include_str!("../../projects/zephyr/connection.c"))),
        generated("src/device.h", core.device_h),
        generated("src/device.c", core.device_c),
        person("src/main.c", fill(include_str!("../../projects/zephyr/main.c"))),
    ]
}

/// Arduino for the ESP32 with `PubSubClient`; the sketch lies in a folder of its own name.
pub(super) fn arduino(plan: &Plan<'_>, words: Words) -> Vec<File> {
    let (core, words) = core(plan, words, "device.ino");
    let fill = |template: &str| words.fill(template);
    vec![
        generated("README.md", fill(include_str!("../../projects/arduino/README.md"))),
        generated(".gitignore", "credential.h\n.pio/\n".to_owned()),
        person("platformio.ini", fill(include_str!("../../projects/arduino/platformio.ini"))),
        generated("device/iotbiz.h", core.iotbiz_h),
        generated("device/iotbiz.c", core.iotbiz_c),
        generated("device/connection.h", fill(include_str!("../../projects/arduino/connection.h"))),
        generated(
            "device/connection.cpp",
            fill(include_str!("../../projects/arduino/connection.cpp")),
        ),
        generated("device/device.h", core.device_h),
        generated("device/device.c", core.device_c),
        person("device/device.ino", fill(include_str!("../../projects/arduino/device.ino"))),
    ]
}

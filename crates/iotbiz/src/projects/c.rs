//! C: the same core and the same `device.c` for Linux, ESP-IDF, Zephyr and Arduino; only the
//! connection differs.
//!
//! *Invariant:* what is generated is C99 that a C++ compiler can include; nothing in it allocates.
//! The lines of code are made in `code`.

mod code;
mod reserved;

pub(super) use self::code::span;
pub(super) use self::reserved::RESERVED;
use super::fill::Words;
use super::shape::Shape;
use super::{File, Plan, generated, person};

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
    let words = code::typed(&shape, words);
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

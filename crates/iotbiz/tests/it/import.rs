//! Readings of the past come in from files, and leave again as they came.

use serde_json::Value;

use crate::program::{Server, text};

fn server() -> Server {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server
}

fn write(server: &Server, name: &str, text: &str) {
    std::fs::write(server.folder.join(name), text).unwrap();
}

/// Lines of an export, once there are so many.
fn exported(server: &Server, rows: usize) -> Vec<String> {
    /// How often history is asked whether it has followed the log.
    const QUESTIONS_MAX: usize = 500;
    let mut lines = Vec::new();
    for _ in 0..QUESTIONS_MAX {
        let output = server.output(&["export", "--kind", "box"]);
        lines = text(&output.stdout).lines().map(str::to_owned).collect();
        if lines.len() == rows + 2 {
            break;
        }
    }
    assert_eq!(lines.len(), rows + 2, "{lines:#?}");
    lines
}

#[test]
fn a_sheet_comes_in_with_units_and_what_is_wrong_is_told_by_line() {
    let server = server();
    write(
        &server,
        "old.csv",
        "When;box;Temp [°F];lid_open\n\
         2026-11-01 12:00;box-7;50;true\n\
         2026-11-01 12:01;box-7;500;false\n\
         2026-11-01 12:02;box-8;3,5;\n\
         soon;box-7;50;true\n\
         2026-11-01 12:03;box-7;50\n",
    );
    let import = [
        "import",
        "old.csv",
        "--map",
        "When=time",
        "--map",
        "box=device",
        "--map",
        "Temp=temperature",
        "--timezone",
        "Europe/Berlin",
        "--kind",
        "box",
    ];
    let trial = server.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(trial["added"], serde_json::json!(["box-7", "box-8"]), "{trial}");
    let said = server.json(&import);
    assert_eq!((&said["rows"], &said["readings"]), (&5.into(), &3.into()), "{said}");
    let told = said["refused_first"].to_string();
    for part in ["\"line\":3", "outside", "write decimals with a point", "soon", "3 columns"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let lines = exported(&server, 2);
    assert!(lines[2].contains(",2026-11-01T11:00:00Z,"), "{lines:#?}");
    assert!(lines[2].contains(",replayed,") && lines[2].contains("10"), "{lines:#?}");
    let shown = server.json(&["device", "show", "box-7"]);
    assert_eq!(shown["status"], "never", "what was imported does not make a device live");
}

#[test]
fn what_left_as_a_file_comes_in_again_and_twice_is_once() {
    let server = server();
    server.ok(&["device", "add", "box-1", "--kind", "box"]);
    let lines: String = (0..300)
        .map(|n| {
            let time = 1_795_608_000 + n * 60;
            format!("m,host=box-1 temperature={}.5,lid_open=f,battery=80i {time}\n", n % 9)
        })
        .collect();
    write(&server, "dump.lp", &lines);
    let said = server.json(&["import", "dump.lp", "--precision", "s"]);
    assert_eq!((&said["readings"], &said["refused"]), (&900.into(), &0.into()), "{said}");
    let first = exported(&server, 300);
    for format in ["csv", "parquet"] {
        let file = format!("box.{format}");
        server.ok(&["export", "--kind", "box", "--format", format, "-o", &file]);
        let said = server.json(&["import", &file]);
        assert_eq!((&said["readings"], &said["refused"]), (&900.into(), &0.into()), "{said}");
    }
    // The same reading at the same time is kept once.
    assert_eq!(exported(&server, 300), first);
}

#[test]
fn telegraf_writes_as_it_does_to_influx() {
    let server = server();
    server.ok(&["device", "add", "box-1", "--kind", "box"]);
    let issued: Value = server.json(&["device", "rotate", "box-1"]);
    let url = format!("{}/api/v2/write?bucket=any&precision=s", server.url());
    let write = |token: &str, body: &str| {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer =
            agent.post(&url).header("authorization", &format!("Token {token}")).send(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    let token = issued["token"].as_str().unwrap();
    assert_eq!(write("iot_wrong", "m temperature=3 1795608000").0, 401);
    let own = "m,host=box-1 temperature=3 1795608000\nm temperature=4 1795608060";
    assert_eq!(write(token, own).0, 204);
    let (status, said) =
        write(token, "m,host=box-9 temperature=3 1\nm broken\nm battery=7 1795608120");
    assert_eq!(status, 400);
    assert!(said.contains("2 lines refused") && said.contains("line 1: box-9"), "{said}");
    let lines = exported(&server, 3);
    assert!(lines.iter().skip(2).all(|line| line.contains(",real,")), "{lines:#?}");
}

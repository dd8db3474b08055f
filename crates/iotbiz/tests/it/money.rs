//! From a device's message to a numbered invoice on a real server, also when it is killed.

use std::process::{Command, Stdio};

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::program::{End, Server, text};

const LOOPBACK: &[&str] = &["--trust-loopback"];
/// How often is asked until history has what was acknowledged; asking takes its time.
const TRIES: usize = 1_000;

/// A server with a customer, and boxes that spoke on ten days of last month, each under a contract.
struct Shop {
    server: Server,
    first: Date,
    second: String,
}

impl Shop {
    fn open(boxes: usize) -> Self {
        let server = Server::start(LOOPBACK);
        server.ok(&["init", "--from", "coolbox"]);
        server.ok(&["apply", "--yes"]);
        let now = jiff::Timestamp::now().in_tz("Europe/Berlin").unwrap().date();
        let first = now.first_of_month().yesterday().unwrap().first_of_month();
        let grace = ["--grace-days", "0", "--city", "Berlin", "--vat-id", "DE123456789"];
        let set = ["entity", "set", "acme", "--legal-name", "Acme GmbH", "--country", "DE"];
        server.ok(&[&set[..], &grace[..]].concat());
        let columns =
            "name,legal_name,street,post_code,city,country,timezone,currency,entity,tax\n";
        let row =
            "linden,Linden-Apotheke,Lindenallee 1,10115,Berlin,DE,Europe/Berlin,EUR,acme,19 %\n";
        std::fs::write(server.folder.join("customers.csv"), format!("{columns}{row}")).unwrap();
        server.ok(&["customer", "import", "customers.csv"]);
        let second = server.ok(&["token", "add", "second", "--role", "finance"]);
        let shop = Self { server, first, second: second.trim().to_owned() };
        for number in 1..=boxes {
            shop.add(number);
        }
        shop
    }

    fn add(&self, number: usize) {
        let name = format!("box-{number:04}");
        let added = self.server.json(&["device", "add", &name, "--kind", "box"]);
        let token = added["credential"]["token"].as_str().unwrap().to_owned();
        let (contract, from) = (format!("linden-{number}"), self.first.to_string());
        let who = ["--customer", "linden", "--plan", "care", "--device", &name];
        let when = ["--from", &from, "--accepted-by", "Dr. Vogt"];
        self.server.ok(&[&["contract", "add", &contract], &who[..], &when[..]].concat());
        for day in 1..=10 {
            self.say(&token, day);
        }
    }

    /// A reading at noon of a day of last month.
    fn say(&self, token: &str, day: i8) {
        let date = self.first.with().day(day).build().unwrap();
        let noon = date.at(12, 0, 0, 0).in_tz("Europe/Berlin").unwrap().timestamp();
        let body = json!({ "ts": noon.as_millisecond(), "values": { "temperature": 3.9 } });
        let answer = ureq::post(format!("{}/ingest/v1/telemetry", self.server.url()))
            .header("authorization", format!("Bearer {token}"))
            .send_json(&body);
        assert_eq!(answer.unwrap().status().as_u16(), 200);
    }

    fn month(&self) -> String {
        self.first.strftime("%Y-%m").to_string()
    }

    /// Closes until history has every reading: days of all contracts.
    fn close(&self, readings: u64) -> Value {
        let mut said = Value::Null;
        for _ in 0..TRIES {
            let closed = self.server.json(&["bill", "close", "--month", &self.month()]);
            let items = closed["items"].as_array().unwrap();
            let read: u64 = items.iter().map(|item| item["readings"].as_u64().unwrap()).sum();
            if read >= readings {
                return closed;
            }
            said = closed;
        }
        panic!("history has not {readings} readings: {said}");
    }

    fn numbers(&self) -> Vec<String> {
        let listed = self.server.json(&["bill", "ls"]);
        let items = listed["items"].as_array().unwrap().iter();
        let mut numbers: Vec<_> =
            items.filter_map(|item| item["number"].as_str().map(str::to_owned)).collect();
        numbers.sort();
        numbers
    }
}

#[test]
fn messages_of_a_month_become_an_invoice_that_is_explained_and_verified() {
    let shop = Shop::open(1);
    let (server, month) = (&shop.server, shop.month());
    let closed = shop.close(10);
    // Ten days at 0.30 EUR, and the box itself.
    assert_eq!(closed["items"][0]["net"], "52.00 EUR", "{closed}");
    assert_eq!(closed["items"][0]["mode"], "shadow");
    std::fs::write(
        server.folder.join("real.csv"),
        "contract,charge,quantity,amount\nlinden-1,boxes,9,2.70\nlinden-1,box,1,49.00\n",
    )
    .unwrap();
    let compared = server.json(&["bill", "compare", "real.csv", "--month", &month]);
    assert_eq!((&compared["difference"], &compared["differing"]), (&json!("0.30"), &json!(1)));
    server.ok(&["entity", "set", "acme", "--live"]);
    shop.close(10);
    let step = |word: &str, token: &[&str]| {
        server.ok(&[&["bill", "step", word, "--month", &month], token].concat())
    };
    let own = server.output(&["bill", "step", "approve", "--month", &month]);
    assert_eq!(own.status.code(), Some(4), "one person drafts and approves: {}", text(&own.stderr));
    step("approve", &["--token", &shop.second]);
    step("finalise", &[]);
    assert_eq!(shop.numbers(), ["RE-000001"]);
    assert_eq!(server.ok(&["bill", "verify", "RE-000001"]), "equal, byte for byte\n");
    // Lines stand in the order of the plan: its days first, then the box itself, once.
    let line = format!("linden-1/{}/1", shop.first);
    let explained = server.ok(&["bill", "explain", &line]);
    assert!(explained.contains("box-0001 temperature 3.9 at "), "{explained}");
    assert!(explained.contains("agrees"), "{explained}");
    server.ok(&["bill", "document", "RE-000001", "--format", "cii", "--out", "invoice.xml"]);
    assert!(
        std::fs::read_to_string(server.folder.join("invoice.xml")).unwrap().contains("RE-000001")
    );
    let journal = server.ok(&["bill", "journal"]);
    assert!(journal.contains("RE-000001"), "{journal}");
}

#[test]
fn a_server_killed_while_numbers_are_given_loses_none_and_gives_none_twice() {
    let mut shop = Shop::open(4);
    shop.server.ok(&["entity", "set", "acme", "--live"]);
    shop.close(40);
    let month = shop.month();
    let approve = ["bill", "step", "approve", "--month", &month, "--token", &shop.second];
    shop.server.ok(&approve);
    for _ in 0..3 {
        let mut giving = Command::new(env!("CARGO_BIN_EXE_iotbiz"))
            .args(["bill", "step", "finalise", "--month", &month, "--server", &shop.server.url()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let known = shop.numbers().len();
        let given = |_: &usize| known == 4 || shop.numbers().len() > known;
        let _gives_up_when_nothing_comes = (0..TRIES).find(given);
        shop.server.restart(End::Killed, LOOPBACK);
        giving.wait().unwrap();
    }
    let again = shop.server.output(&["bill", "step", "finalise", "--month", &month]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(shop.numbers(), ["RE-000001", "RE-000002", "RE-000003", "RE-000004"]);
    for number in shop.numbers() {
        assert_eq!(shop.server.ok(&["bill", "verify", &number]), "equal, byte for byte\n");
    }
    let closed = shop.close(0);
    assert!(closed["items"].as_array().unwrap().iter().all(|item| item["what"] == "settled"));
}

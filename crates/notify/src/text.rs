//! The words of a message: subject, text, HTML and JSON.
//!
//! *Invariant:* what came from devices and blueprints stands in the HTML as text, never as markup,
//! and in a subject never as a line break; a link is one only when it is http or https.

use std::fmt::Write as _;

use model::Timestamp;
use serde_json::{Value, json};

use crate::message::{Content, Digest, Line, Message};
use crate::notification::{Notification, Transition};
use crate::person::Person;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 180;
/// Stands under every message about alarms.
const NO_CERTIFIED_ALARM: &str =
    "This message is a service and no certified alarm: do not rely on it where lives depend on it.";

/// Stands under every message about an idea.
const YOU_FOLLOW: &str = "You follow this idea; its page is where you can stop.";

/// A message in all forms that channels want.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) json: Vec<u8>,
}

/// One line without control characters.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn anchor(link: &str) -> String {
    let shown = escape(link);
    if link.starts_with("https://") || link.starts_with("http://") {
        format!("<a href=\"{shown}\">{shown}</a>")
    } else {
        shown
    }
}

/// A time where the person lives: `29 November 2026, 21:03:08 (Europe/Berlin)`.
fn local(at: Timestamp, person: &Person) -> String {
    let zone = &person.zone;
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else {
        return at.to_string();
    };
    let time = zone.to_datetime(instant).strftime("%-d %B %Y, %H:%M:%S").to_string();
    format!("{time} ({})", zone.iana_name().unwrap_or("UTC"))
}

fn headline(transition: Transition, title: &str) -> String {
    match transition {
        Transition::Raised => line(title),
        Transition::SeverityUp
        | Transition::SeverityDown
        | Transition::Escalated
        | Transition::Unshelved
        | Transition::Acted
        | Transition::Refused
        | Transition::Cleared
        | Transition::Moved => format!("{} ({})", line(title), transition.words()),
    }
}

/// What those who follow an idea read: nothing is wrong, so nothing is severe.
fn of_idea(notification: &Notification, person: &Person) -> (String, Vec<String>) {
    let mut rows = vec![
        format!("{}.", notification.title.trim_end_matches('.')),
        notification.text.clone(),
        format!("Time: {}", local(notification.at, person)),
    ];
    rows.retain(|row| !row.is_empty());
    (line(&notification.title), rows)
}

fn one(notification: &Notification, person: &Person) -> (String, Vec<String>) {
    if notification.idea.is_some() {
        return of_idea(notification, person);
    }
    let Notification { transition, severity, title, .. } = notification;
    let subject = format!("[{}] {}", severity.as_str(), headline(*transition, title));
    let mut rows = vec![
        format!("{}: {}.", title.trim_end_matches('.'), transition.words()),
        notification.text.clone(),
    ];
    if let Some(cause) = &notification.cause {
        rows.push(format!("Reading: {} = {}", cause.reading, cause.value));
    }
    rows.push(format!("Severity: {}", severity.as_str()));
    rows.extend(notification.device.map(|device| format!("Device: {device}")));
    rows.push(format!("Time: {}", local(notification.at, person)));
    rows.retain(|row| !row.is_empty());
    (subject, rows)
}

fn digest_row(line: &Line, person: &Person) -> String {
    let value = line.value.as_ref().map(|value| format!(", {value}")).unwrap_or_default();
    let headline = headline(line.transition, &line.title);
    format!("{}: {headline}{value}, {}", local(line.at, person), line.link)
}

fn digest(digest: &Digest, person: &Person) -> (String, Vec<String>) {
    let Digest { severity, lines, count, to_act_on, .. } = digest;
    let subject = format!("[{}] {count} messages, {to_act_on} to act on", severity.as_str());
    let mut rows = vec![format!(
        "{count} messages of severity {} in one, so that they do not come one by one; {to_act_on} \
         of them ask you to act:",
        severity.as_str()
    )];
    rows.extend(lines.iter().map(|line| digest_row(line, person)));
    let listed = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    if let Some(more) = count.checked_sub(listed).filter(|more| *more > 0) {
        rows.push(format!("and {more} more, up to {}", local(digest.last, person)));
    }
    (subject, rows)
}

fn json_one(notification: &Notification) -> Value {
    if let Some(idea) = notification.idea {
        return json!({
            "type": format!("iotbiz.idea.{}.v1", notification.transition.as_str()),
            "timestamp": notification.at,
            "data": {
                "key": notification.key.to_string(),
                "tenant": notification.tenant,
                "idea": idea,
                "title": notification.title,
                "text": notification.text,
                "link": notification.link,
            },
        });
    }
    json!({
        "type": format!("iotbiz.alarm.{}.v1", notification.transition.as_str()),
        "timestamp": notification.at,
        "data": {
            "key": notification.key.to_string(),
            "tenant": notification.tenant,
            "alarm": notification.alarm,
            "device": notification.device,
            "transition": notification.transition,
            "severity": notification.severity,
            "role": notification.role,
            "title": notification.title,
            "text": notification.text,
            "cause": notification.cause,
            "link": notification.link,
            "notice": NO_CERTIFIED_ALARM,
        },
    })
}

fn json_digest(digest: &Digest) -> Value {
    let lines = digest.lines.iter().map(|line| {
        json!({
            "key": line.key.to_string(),
            "timestamp": line.at,
            "transition": line.transition,
            "alarm": line.alarm,
            "device": line.device,
            "idea": line.idea,
            "title": line.title,
            "value": line.value,
            "link": line.link,
        })
    });
    json!({
        "type": "iotbiz.alarm.digest.v1",
        "timestamp": digest.last,
        "data": {
            "severity": digest.severity,
            "count": digest.count,
            "to_act_on": digest.to_act_on,
            "listed": lines.collect::<Vec<_>>(),
            "notice": NO_CERTIFIED_ALARM,
        },
    })
}

fn html(rows: &[String], link: Option<&str>, foot: &str) -> String {
    let mut out = String::from("<!doctype html><html><body style=\"font-family:sans-serif\">");
    for row in rows {
        let row = escape(row).replace('\n', "<br>");
        write!(out, "<p>{row}</p>").expect("a String takes everything");
    }
    if let Some(link) = link {
        write!(out, "<p>{}</p>", anchor(link)).expect("a String takes everything");
    }
    write!(out, "<p style=\"color:#666\">{foot}</p></body></html>")
        .expect("a String takes everything");
    out
}

impl Letter {
    /// The message in words for this person.
    pub(crate) fn write(message: &Message, person: &Person) -> Self {
        let ((subject, rows), link, json) = match &message.content {
            Content::One(notification) => {
                let link = Some(notification.link.as_str()).filter(|link| !link.is_empty());
                (one(notification, person), link, json_one(notification))
            }
            Content::Digest(held) => (digest(held, person), None, json_digest(held)),
        };
        let foot = match &message.content {
            Content::One(notification) if notification.idea.is_some() => YOU_FOLLOW,
            Content::One(_) | Content::Digest(_) => NO_CERTIFIED_ALARM,
        };
        let mut text = rows.join("\n");
        for row in link.into_iter().chain([foot]) {
            write!(text, "\n\n{row}").expect("a String takes everything");
        }
        text.push('\n');
        Self {
            id: message.id.clone(),
            subject: crate::notification::cut(&subject, SUBJECT_CHARS_MAX),
            text,
            html: html(&rows, link, foot),
            json: json.to_string().into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use model::Severity;

    use super::*;
    use crate::example::{TENANT, news, notification};

    fn person() -> Person {
        let text = r#"{"channels":["none"],"timezone":"Europe/Berlin"}"#;
        Person::from_json("ada".parse().unwrap(), TENANT, text).unwrap()
    }

    fn letter(notification: Notification) -> Letter {
        let person = person();
        let message = Message::one(notification, (TENANT, &person.id), Timestamp::ZERO);
        Letter::write(&message, &person)
    }

    #[test]
    fn a_mail_says_what_which_value_when_and_where_to_look() {
        let letter = letter(notification(1));
        expect![[r#"
            [warning] Box 7 is too warm
            Box 7 is too warm: raised.
            Above 8 °C for 10 minutes.
            Reading: temperature = 9.4 °C
            Severity: warning
            Device: dev_00000000000000000000000007
            Time: 30 November 2026, 01:53:20 (Europe/Berlin)

            http://127.0.0.1:7070/alarms/alm_1

            This message is a service and no certified alarm: do not rely on it where lives depend on it.
        "#]]
        .assert_eq(&format!("{}\n{}", letter.subject, letter.text));
    }

    #[test]
    fn who_follows_an_idea_reads_what_became_of_it_and_nothing_of_alarms() {
        let letter = letter(news(1, &["ada"]));
        expect![[r#"
            Idea "alarm at the lid" is planned
            Idea "alarm at the lid" is planned.
            Pharmacies pay for it.
            Time: 30 November 2026, 01:53:20 (Europe/Berlin)

            http://127.0.0.1:7070/ideas?idea=ide_1

            You follow this idea; its page is where you can stop.
        "#]]
        .assert_eq(&format!("{}\n{}", letter.subject, letter.text));
        let json: Value = serde_json::from_slice(&letter.json).unwrap();
        assert_eq!(json["type"], "iotbiz.idea.moved.v1");
        assert!(json["data"]["idea"].as_str().unwrap().starts_with("ide_"));
    }

    #[test]
    fn a_device_writes_no_markup_and_no_header() {
        let mut one = notification(1);
        one.title = "<script>alert(1)</script>\r\nBcc: eve@example.org".to_owned();
        one.link = "javascript:alert(1)".to_owned();
        let letter = letter(one);
        assert!(!letter.html.contains("<script>") && !letter.html.contains("href"));
        assert!(!letter.subject.contains(['\r', '\n']), "{:?}", letter.subject);
    }

    #[test]
    fn a_digest_counts_lists_and_says_how_many_are_left_out() {
        let mut held = Digest::new(Severity::Warning);
        (0..60).for_each(|number| held.add(&notification(number)));
        let person = person();
        let message = Message::digest(held, (TENANT, &person.id), Timestamp::ZERO);
        let letter = Letter::write(&message, &person);
        assert_eq!(letter.subject, "[warning] 60 messages, 60 to act on");
        assert_eq!(letter.text.matches("Box 7 is too warm, 9.4 °C").count(), 50);
        assert!(letter.text.contains("and 10 more"), "{}", letter.text);
        let json: Value = serde_json::from_slice(&letter.json).unwrap();
        assert_eq!(json["data"]["count"], 60);
    }
}

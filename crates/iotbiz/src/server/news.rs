//! What was decided of an idea, as those who follow it are told.
//!
//! *Invariant:* made of the record alone, so a second reading of the log tells the same; whoever
//! has no account is told nothing here, they have the page behind their link.

use ideas::Idea;
use model::{Decided, Offset, OutputKey};
use notify::{MessageKey, Notification, Severity, Source, Transition};

/// The kind of records that have news.
pub(super) const KIND: &str = "idea";
/// Stands in keys where a fold would: a decision is no output of one.
const NO_FOLD: u8 = 0;

/// As the sender takes it; none when the revision tells nothing, or nobody.
pub(super) fn notification(
    decided: &Decided<'_>,
    offset: Offset,
    public_url: &str,
) -> Option<Notification> {
    // A removed one is null, and has no news.
    let idea: Idea = serde_json::from_str(decided.content).ok()?;
    let news = idea.news()?;
    // Tokens of programs follow, too, and are told nothing.
    let people = news.followers.iter().filter(|actor| actor.starts_with("usr_"));
    let people: std::collections::BTreeSet<_> = people.filter_map(|id| id.parse().ok()).collect();
    if people.is_empty() {
        return None;
    }
    let output = OutputKey { fold: NO_FOLD, input: offset, n: 0 };
    Some(Notification {
        key: MessageKey { source: Source::Main, output },
        tenant: decided.tenant,
        alarm: None,
        device: None,
        idea: Some(decided.id.parse().ok()?),
        people,
        transition: Transition::Moved,
        severity: Severity::Info,
        role: String::new(),
        title: news.title,
        text: news.text,
        cause: None,
        at: news.at,
        link: format!("{public_url}/ideas?idea={}", decided.id),
    })
}

#[cfg(test)]
mod tests {
    use ideas::{Follow, Status, Step};
    use model::{IdeaId, TenantId, Timestamp, UserId};

    use super::*;

    #[test]
    fn a_status_is_told_to_the_people_who_follow_and_nothing_else_is() {
        let title = ("alarm at the lid".to_owned(), String::new());
        let mut idea = Idea::new(title, ideas::Source::Staff, "loopback");
        let user = UserId::from_u128(7).to_string();
        idea.follow(&user, Follow::Begin);
        let id = IdeaId::from_u128(1).to_string();
        let made = |idea: &Idea| {
            let content = serde_json::to_string(idea).unwrap();
            let decided = Decided {
                tenant: TenantId::from_u128(1),
                kind: KIND,
                id: &id,
                revision: 2,
                content: &content,
            };
            notification(&decided, Offset(17), "https://iot.example")
        };
        assert!(made(&idea).is_none());
        let (reason, by) = ("it sells".to_owned(), "loopback".to_owned());
        let step = Step { at: Timestamp::ZERO, status: Status::Planned, reason, by };
        idea.step(step).unwrap();
        let told = made(&idea).unwrap();
        assert_eq!(told.key.to_string(), "main-0-17-0");
        assert_eq!(told.title, "Idea \"alarm at the lid\" is planned");
        assert_eq!(told.people.iter().map(ToString::to_string).collect::<Vec<_>>(), [user]);
        assert_eq!(told.link, format!("https://iot.example/ideas?idea={id}"));
    }
}

//! Where an idea may go, who is told, and what merging takes along.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn step(status: Status) -> Step {
    Step { at: NOW, status, reason: "we sell it".to_owned(), by: "usr_1".to_owned() }
}

fn id(number: u128) -> IdeaId {
    IdeaId::from_u128(number)
}

fn idea(title: &str, by: &str) -> Idea {
    Idea::new((title.to_owned(), String::new()), Source::Staff, by)
}

#[test]
fn what_comes_by_the_form_waits_and_is_opened_or_declined_only() {
    let mut one = idea("a lid alarm", Idea::FORM);
    assert_eq!((one.status, one.followers.len()), (Status::Waiting, 0));
    assert!(one.step(step(Status::Planned)).is_err());
    one.step(step(Status::Open)).unwrap();
    one.step(step(Status::Planned)).unwrap();
    let refused = one.step(step(Status::Waiting)).unwrap_err();
    assert_eq!(refused.kind(), model::ErrorKind::Conflict);
}

#[test]
fn a_status_is_told_once_to_those_who_asked() {
    let mut one = idea("a lid alarm", "usr_1");
    assert_eq!(one.news(), None);
    one.follow("usr_2", Follow::Begin);
    one.follow("usr_2", Follow::Begin);
    one.step(step(Status::Planned)).unwrap();
    let news = one.news().unwrap();
    assert_eq!(news.title, "Idea \"a lid alarm\" is planned");
    assert_eq!(news.text, "we sell it");
    assert_eq!(news.followers, ["usr_1", "usr_2"]);
    one.follow("usr_2", Follow::End);
    assert_eq!(one.news(), None, "a later revision has nothing new to tell");
}

#[test]
fn merging_takes_the_followers_along_and_leads_to_the_other() {
    let (mut one, mut other) = (idea("lid alarm", "usr_1"), idea("alarm at the lid", "usr_2"));
    other.follow("usr_1", Follow::Begin);
    one.follow("usr_3", Follow::Begin);
    one.merge_into((id(1), step(Status::Merged)), (id(2), &mut other)).unwrap();
    assert_eq!(one.merged_into, Some(id(2)));
    assert_eq!(other.followers, ["usr_2", "usr_1", "usr_3"]);
    assert_eq!((other.merged.as_slice(), other.votes()), (&[id(1)][..], 3));
    assert!(one.news().unwrap().title.contains("merged"));
    let mut third = idea("third", "usr_4");
    let again = third.merge_into((id(3), step(Status::Merged)), (id(1), &mut one));
    assert!(again.unwrap_err().to_string().contains(&id(2).to_string()));
}

#[test]
fn a_title_is_one_line_and_a_text_has_a_limit() {
    let mut one = idea("a\r\nBcc: eve@example.org", "usr_1");
    assert_eq!(one.check(NOW).unwrap_err().place(), "/title");
    one.title = "fine".to_owned();
    one.text = "x".repeat(TEXT_CHARS_MAX + 1);
    let refused = one.check(NOW).unwrap_err();
    assert!(refused.to_string().contains("4001"), "{refused}");
}

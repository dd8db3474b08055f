//! Batches of new devices: claims and ownership tokens.

use std::collections::BTreeSet;

use super::*;

fn claim() -> Claim {
    Claim {
        uses_max: 2,
        uses: 0,
        expires: now() + DAY,
        serials: Some(BTreeSet::from(["SN-1".to_owned(), "SN-2".to_owned()])),
        kind: "box".to_owned(),
    }
}

fn applicant(serial: &str) -> Applicant<'_> {
    Applicant { serial, kind: None, standing: Standing::Free }
}

fn code(claim: &Claim, applicant: &Applicant<'_>) -> &'static str {
    let Err(refusal) = claim.admit(applicant, now()) else { return "admitted" };
    assert!(!refusal.fix().is_empty() && !refusal.to_string().is_empty());
    refusal.code()
}

#[test]
fn a_listed_serial_of_a_living_claim_is_admitted() {
    assert_eq!(code(&claim(), &applicant("SN-1")), "admitted");
    let own_kind = Applicant { kind: Some("box"), ..applicant("SN-2") };
    assert_eq!(code(&claim(), &own_kind), "admitted");
    let any = Claim { serials: None, ..claim() };
    assert_eq!(code(&any, &applicant("whatever")), "admitted");
}

#[test]
fn c1_the_same_serial_twice_is_a_conflict() {
    let again = Applicant { standing: Standing::Taken, ..applicant("SN-1") };
    let refusal = claim().admit(&again, now()).unwrap_err();
    assert_eq!(refusal.code(), "serial_taken");
    assert_eq!(refusal.kind().http_status(), 409);
    // The graver news comes first.
    let used_up = Claim { uses: 2, ..claim() };
    assert_eq!(code(&used_up, &again), "serial_taken");
}

#[test]
fn c3_a_claim_admits_so_many_and_no_more() {
    let mut claim = claim();
    for serial in ["SN-1", "SN-2"] {
        assert_eq!(code(&claim, &applicant(serial)), "admitted");
        claim.uses += 1;
    }
    let refusal = claim.admit(&applicant("SN-1"), now()).unwrap_err();
    assert_eq!(refusal.to_string(), "the claim was for 2 devices and all have used it");
    assert_eq!(refusal.code(), "used_up");
}

#[test]
fn c3_an_expired_batch_a_foreign_serial_and_another_product_are_refused() {
    let expired = Claim { expires: now(), ..claim() };
    assert_eq!(code(&expired, &applicant("SN-1")), "expired");
    let taken = Applicant { standing: Standing::Taken, ..applicant("SN-1") };
    assert_eq!(code(&expired, &taken), "expired");
    assert_eq!(code(&claim(), &applicant("SN-3")), "unlisted_serial");
    let other = Applicant { kind: Some("base"), ..applicant("SN-1") };
    assert_eq!(code(&claim(), &other), "wrong_kind");
}

#[test]
fn a_serial_number_can_be_printed() {
    let any = Claim { serials: None, ..claim() };
    let long = "x".repeat(HARDWARE_SERIAL_CHARS_MAX + 1);
    for serial in ["", "two words", "zeile\n", "größe", &long] {
        assert_eq!(code(&any, &applicant(serial)), "malformed_serial");
    }
}

#[test]
fn c1_an_ownership_token_opens_once() {
    let mut pending = Pending::default();
    let token = pending.open("box 1", now()).unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending.take(token.reveal(), now()), Ok("box 1"));
    assert!(pending.is_empty());
    let again = pending.take(token.reveal(), now()).unwrap_err();
    assert_eq!((again, again.code()), (PendingRefusal::Unknown, "gone"));
    assert_eq!(pending.take("iot_guess", now()), Err(PendingRefusal::Unknown));
}

#[test]
fn c1_an_ownership_token_is_gone_after_ten_minutes() {
    let mut pending = Pending::default();
    let (early, late) = (pending.open(1, now()).unwrap(), pending.open(2, now()).unwrap());
    let end = now() + OWNERSHIP_TOKEN_LIFE;
    assert_eq!(pending.take(early.reveal(), end - Duration::from_millis(1)), Ok(1));
    let refusal = pending.take(late.reveal(), end).unwrap_err();
    assert_eq!((refusal, refusal.code()), (PendingRefusal::Expired { at: end }, "gone"));
}

#[test]
fn c3_what_one_claim_has_waiting_can_be_counted() {
    let mut pending = Pending::default();
    for claim in ["mine", "mine", "theirs"] {
        pending.open(claim, now()).unwrap();
    }
    let mine = |at| pending.waiting(at).filter(|claim| **claim == "mine").count();
    assert_eq!(mine(now()), 2);
    assert_eq!(mine(now() + OWNERSHIP_TOKEN_LIFE), 0);
}

#[test]
fn a_flood_is_refused_and_nobody_is_forgotten_before_the_end() {
    let mut pending = Pending::default();
    let first = pending.open(0, now()).unwrap();
    for waiting in 1..PENDING_MAX {
        pending.open(waiting, now()).unwrap();
    }
    let refusal = pending.open(0, now()).unwrap_err();
    assert_eq!(
        (refusal, refusal.code()),
        (PendingRefusal::Full { max: PENDING_MAX }, "pending_full")
    );
    assert_eq!(pending.take(first.reveal(), now()), Ok(0));
    pending.open(0, now()).unwrap();
    pending.open(0, now() + OWNERSHIP_TOKEN_LIFE).unwrap();
    assert_eq!(pending.len(), 1);
}

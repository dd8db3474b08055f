//! What the door lets in, and what it says of the rest.

use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use expect_test::expect;
use model::SystemClock;

use super::*;
use crate::Token;

const HERE: TenantId = TenantId::from_u128(1);
const THERE: TenantId = TenantId::from_u128(2);

#[derive(Debug, Default)]
struct Wall(AtomicI64);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct World {
    wall: Arc<Wall>,
    door: Door,
}

impl World {
    fn new() -> Self {
        let wall = Arc::new(Wall::default());
        let door = Door::new(Arc::clone(&wall) as Arc<dyn Clock>);
        Self { wall, door }
    }

    fn device(&self, tenant: TenantId, number: u128, name: &str, children: &[u128]) -> Token {
        let device = DeviceId::from_u128(number);
        let children = children.iter().copied().map(DeviceId::from_u128).collect();
        self.door
            .apply_device(
                tenant,
                DeviceFacts { device, name: name.into(), origin: Origin::Real, children },
            )
            .unwrap();
        let (facts, token) = credential(number, Owner::Device(device));
        self.door.apply_credential(tenant, facts).unwrap();
        token
    }

    fn why(&self, username: &str, secret: &str) -> String {
        let refused = self.door.authenticate(username, secret.as_bytes()).unwrap_err();
        let owner = refused.tenant.map_or_else(|| "nobody".to_owned(), |t| t.to_string());
        let owner = owner.trim_start_matches("ten_").trim_start_matches('0').to_owned();
        format!("{owner} {}: {} -> {}", refused.reason.code(), refused.reason, refused.reason.fix())
    }

    fn at(&self, millis: i64) {
        self.wall.0.store(millis, Relaxed);
    }
}

fn credential(number: u128, owner: Owner) -> (CredentialFacts, Token) {
    let mut random = [1; 32];
    random[..16].copy_from_slice(&number.to_be_bytes());
    let token = Token::from_random(random);
    let facts = CredentialFacts {
        credential: CredentialId::from_u128(number),
        owner,
        proof: Proof::Token,
        secret: token.hash(),
        key: None,
        origin: Origin::Virtual,
        not_before: None,
        expires: None,
        revoked: None,
    };
    (facts, token)
}

#[test]
fn a_device_comes_in_by_id_by_name_or_by_token_alone() {
    let world = World::new();
    let token = world.device(HERE, 5, "box-5", &[]);
    let secret = token.reveal().as_bytes();
    let by_id = world.door.authenticate(&DeviceId::from_u128(5).to_string(), secret).unwrap();
    assert_eq!(by_id.actor, Actor::Device(DeviceId::from_u128(5)));
    assert_eq!((by_id.tenant, by_id.role, by_id.origin), (HERE, Role::Device, Origin::Virtual));
    assert_eq!(world.door.authenticate("box-5", secret).unwrap(), by_id);
    assert_eq!(world.door.authenticate_bearer(secret).unwrap(), by_id);
    assert_eq!(world.door.device(HERE, "box-5"), Some(DeviceId::from_u128(5)));
    assert_eq!(world.door.device(THERE, "box-5"), None);
}

#[test]
fn the_same_name_in_two_tenants_is_told_apart_by_the_token() {
    let world = World::new();
    let here = world.device(HERE, 5, "box", &[]);
    let there = world.device(THERE, 6, "box", &[]);
    let tenant = |t: &Token| world.door.authenticate("box", t.reveal().as_bytes()).unwrap().tenant;
    assert_eq!((tenant(&here), tenant(&there)), (HERE, THERE));
    assert!(world.why("box", "guess").starts_with("nobody ambiguous_name: 2 tenants"));
}

#[test]
fn each_refusal_tells_its_owner_why_and_what_to_do() {
    let world = World::new();
    let five = world.device(HERE, 5, "box-5", &[]);
    let six = world.device(HERE, 6, "box-6", &[]);
    let foreign = world.device(THERE, 7, "box-7", &[]);
    let bare = DeviceFacts {
        device: DeviceId::from_u128(8),
        name: "bare".into(),
        origin: Origin::Real,
        children: vec![],
    };
    world.door.apply_device(HERE, bare).unwrap();
    let mut text = String::new();
    let mut say = |line: String| text.push_str(&(line + "\n"));
    say(world.why("box-9", "guess"));
    say(world.why("box-9", six.reveal()));
    say(world.why("box-5", ""));
    say(world.why("box-5", "guess"));
    world.at(60_000);
    world.door.authenticate("box-5", five.reveal().as_bytes()).unwrap();
    say(world.why("box-5", "guess"));
    say(world.why("box-5", six.reveal()));
    say(world.why("box-5", foreign.reveal()));
    say(world.why("bare", "guess"));
    say(world.why("box-5", &"x".repeat(SECRET_BYTES_MAX + 1)));
    world.door.revoke(CredentialId::from_u128(5));
    say(world.why("box-5", five.reveal()));
    let (mut facts, _) = credential(6, Owner::Device(DeviceId::from_u128(6)));
    facts.expires = Some(Timestamp::from_millis(60_000));
    world.door.apply_credential(HERE, facts.clone()).unwrap();
    say(world.why("box-6", six.reveal()));
    (facts.not_before, facts.expires) = (Some(Timestamp::from_millis(90_000)), None);
    world.door.apply_credential(HERE, facts).unwrap();
    say(world.why("box-6", six.reveal()));
    expect![[r#"
        nobody unknown_id: unknown id or name -> use the device id or name as the user name; add the device if it is new
        1 unknown_id: unknown id or name -> the token is right: use dev_00000000000000000000000006 as the user name
        1 no_token: no token was presented -> send the token as the MQTT password or the HTTP bearer token
        1 wrong_token: wrong token; the right one was not accepted since the start -> issue a new token and put it on the device; check that it was copied whole
        1 wrong_token: wrong token; the right one was last accepted at 1970-01-01T00:01:00Z -> issue a new token and put it on the device; check that it was copied whole
        1 token_of_another: this token belongs to dev_00000000000000000000000006 -> use dev_00000000000000000000000006 as the user name, or put this device's own token on it
        1 other_tenant: this token belongs to another tenant -> connect the device to the tenant that issued its token
        1 no_credential: no credential was ever issued -> issue a new token and put it on the device
        1 token_too_long: a secret of 513 bytes exceeds secret_bytes_max = 512 -> send the token alone, without quotes or a file around it
        1 revoked: the credential was revoked at 1970-01-01T00:01:00Z -> issue a new token and put it on the device
        1 expired: the credential expired at 1970-01-01T00:01:00Z -> issue a new token and put it on the device
        1 too_early: the credential is valid from 1970-01-01T00:01:30Z -> wait, or issue a token that is valid now
    "#]].assert_eq(&text);
}

#[test]
fn a_refusal_never_carries_the_secret() {
    let world = World::new();
    let five = world.device(HERE, 5, "box-5", &[]);
    let refused = world.door.authenticate("box-9", five.reveal().as_bytes()).unwrap_err();
    let shown = format!("{refused} {refused:?} {:?}", world.door);
    assert!(!shown.contains(five.reveal()) && !shown.contains(&five.hash().to_string()));
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
}

#[test]
fn revoking_announces_at_once_and_ends_the_session() {
    let world = World::new();
    let token = world.device(HERE, 5, "box-5", &[]);
    let session = world.door.authenticate("box-5", token.reveal().as_bytes()).unwrap();
    assert_eq!(world.door.still_valid(&session), Ok(()));
    let heard = Arc::new(Mutex::new(0));
    let ear = Arc::clone(&heard);
    world.door.on_revocation(move || *ear.lock().unwrap() += 1);
    let before = world.door.generation();
    world.at(1_000);
    world.door.revoke(CredentialId::from_u128(5));
    assert_eq!(
        world.door.still_valid(&session),
        Err(Refusal::Revoked { at: Timestamp::from_millis(1_000) })
    );
    assert_eq!(*heard.lock().unwrap(), 1);
    let Revocations::Each(each) = world.door.revocations_since(before) else { panic!("one ended") };
    assert_eq!(each.len(), 1);
    assert_eq!((each[0].actor, each[0].credential), (session.actor, session.credential));
    world.door.revoke(CredentialId::from_u128(5));
    assert_eq!(world.door.generation(), before + 1, "a second time is no news");
}

#[test]
fn a_decided_record_that_revokes_is_announced_too() {
    let world = World::new();
    let token = world.device(HERE, 5, "box-5", &[]);
    let session = world.door.authenticate("box-5", token.reveal().as_bytes()).unwrap();
    let (mut facts, _) = credential(5, Owner::Device(DeviceId::from_u128(5)));
    facts.revoked = Some(Timestamp::from_millis(-1));
    world.door.apply_credential(HERE, facts.clone()).unwrap();
    world.door.apply_credential(HERE, facts).unwrap();
    assert_eq!(world.door.generation(), 1);
    assert!(world.door.still_valid(&session).is_err());
}

#[test]
fn a_removed_device_is_out_even_with_its_token() {
    let world = World::new();
    let token = world.device(HERE, 5, "box-5", &[]);
    let session = world.door.authenticate("box-5", token.reveal().as_bytes()).unwrap();
    world.door.remove_device(DeviceId::from_u128(5));
    assert!(world.door.still_valid(&session).is_err());
    assert!(world.why("box-5", token.reveal()).contains("unknown_id"));
    let refused = world.door.authenticate_bearer(token.reveal().as_bytes()).unwrap_err();
    assert_eq!(refused.reason, Refusal::ActorGone { actor: session.actor });
}

#[test]
fn a_lower_role_ends_the_sessions_of_the_user() {
    let world = World::new();
    let user = UserId::from_u128(4);
    world.door.apply_user(HERE, UserFacts { user, role: Role::Owner }).unwrap();
    let (facts, token) = credential(1, Owner::Person(user));
    world.door.apply_credential(HERE, facts).unwrap();
    let session = world.door.authenticate_bearer(token.reveal().as_bytes()).unwrap();
    assert_eq!(session.role, Role::Owner);
    world.door.apply_user(HERE, UserFacts { user, role: Role::Viewer }).unwrap();
    assert!(world.door.still_valid(&session).is_err());
    assert_eq!(world.door.generation(), 1);
    let again = world.door.authenticate_bearer(token.reveal().as_bytes()).unwrap();
    assert_eq!(again.role, Role::Viewer);
}

#[test]
fn one_service_name_holds_both_tokens_while_one_replaces_the_other() {
    let world = World::new();
    let owner = || Owner::Service { name: "erp".into(), role: Role::Service };
    let (old, old_token) = credential(1, owner());
    let (new, new_token) = credential(2, owner());
    world.door.apply_credential(HERE, old).unwrap();
    world.door.apply_credential(HERE, new).unwrap();
    for token in [&old_token, &new_token] {
        let erp = world.door.authenticate("erp", token.reveal().as_bytes()).unwrap();
        assert_eq!(erp.role, Role::Service);
    }
    world.door.remove_credential(CredentialId::from_u128(1));
    assert!(world.door.authenticate("erp", old_token.reveal().as_bytes()).is_err());
    assert!(world.door.authenticate("erp", new_token.reveal().as_bytes()).is_ok());
}

#[test]
fn a_gateway_publishes_for_a_child_until_it_is_unlisted() {
    let world = World::new();
    let token = world.device(HERE, 5, "gateway", &[6]);
    let session = world.door.authenticate("gateway", token.reveal().as_bytes()).unwrap();
    let child = DeviceId::from_u128(6);
    let topic = crate::topic::device_branch(HERE, child) + "telemetry";
    assert!(world.door.speaks_for(DeviceId::from_u128(5), child));
    assert_eq!(world.door.authorize_topic(&session, Action::Publish, &topic), Ok(()));
    let device = DeviceId::from_u128(5);
    let facts =
        DeviceFacts { device, name: "gateway".into(), origin: Origin::Real, children: vec![] };
    world.door.apply_device(HERE, facts).unwrap();
    assert!(world.door.authorize_topic(&session, Action::Publish, &topic).is_err());
    assert_eq!(world.door.still_valid(&session), Ok(()), "its own branch is still its own");
}

#[test]
fn ids_and_secrets_of_another_credential_or_tenant_are_refused_unchanged() {
    let world = World::new();
    let token = world.device(HERE, 5, "box-5", &[]);
    let device = DeviceId::from_u128(5);
    let stolen =
        DeviceFacts { device, name: "mine".into(), origin: Origin::Real, children: vec![] };
    let taken = Error::TenantFixed { actor: Actor::Device(device) };
    assert_eq!(world.door.apply_device(THERE, stolen), Err(taken));
    let (facts, _) = credential(5, Owner::Device(device));
    assert_eq!(world.door.apply_credential(THERE, facts.clone()), Err(taken));
    let twin = CredentialFacts { credential: CredentialId::from_u128(6), ..facts };
    let refused = world.door.apply_credential(HERE, twin).unwrap_err();
    assert_eq!(refused, Error::SecretInUse { credential: CredentialId::from_u128(6) });
    assert_eq!(world.door.authenticate("box-5", token.reveal().as_bytes()).unwrap().tenant, HERE);
}

#[test]
fn a_credential_of_another_tenant_does_not_open_a_device() {
    let world = World::new();
    world.device(HERE, 5, "box-5", &[]);
    let (forged, token) = credential(9, Owner::Device(DeviceId::from_u128(5)));
    world.door.apply_credential(THERE, forged).unwrap();
    assert!(world.door.authenticate("box-5", token.reveal().as_bytes()).is_err());
    assert!(world.door.authenticate_bearer(token.reveal().as_bytes()).is_err());
}

#[test]
fn ended_credentials_make_room_and_valid_ones_do_not() {
    let world = World::new();
    let device = DeviceId::from_u128(1);
    world.device(HERE, 1, "box", &[]);
    let apply = |n: u128| world.door.apply_credential(HERE, credential(n, Owner::Device(device)).0);
    for number in 2..=CREDENTIALS_PER_ACTOR_MAX as u128 {
        apply(number).unwrap();
    }
    let max = CREDENTIALS_PER_ACTOR_MAX;
    assert_eq!(apply(99), Err(Error::TooManyCredentials { actor: Actor::Device(device), max }));
    world.door.revoke(CredentialId::from_u128(3));
    assert_eq!(apply(99), Ok(()));
}

#[test]
fn a_login_among_20_000_devices_is_quick() {
    let world = World::new();
    let tokens: Vec<_> =
        (1..=20_000).map(|n| (n, world.device(HERE, n, &format!("box-{n}"), &[]))).collect();
    let names: Vec<_> = tokens
        .iter()
        .map(|(n, token)| (DeviceId::from_u128(*n).to_string(), token.reveal().to_owned()))
        .collect();
    let clock = SystemClock::new();
    let round = || {
        let start = clock.monotonic();
        for (name, secret) in &names {
            world.door.authenticate(name, secret.as_bytes()).unwrap();
        }
        (clock.monotonic() - start).as_nanos() / names.len() as u128
    };
    let best = (0..5).map(|_| round()).min().unwrap();
    println!("{best} ns a login, 20,000 devices");
    // The target is 2 us in a release build; tests run with little optimisation, on busy machines.
    assert!(best < 20_000, "{best} ns a login");
}

//! Who may do what, and what is refused by which words.

use super::*;

const HERE: TenantId = TenantId::from_u128(1);
const THERE: TenantId = TenantId::from_u128(2);
const ACTIONS: [Action; 14] = [
    Action::Publish,
    Action::Subscribe,
    Action::Read,
    Action::Operate,
    Action::ChangeDevices,
    Action::ChangeCredentials,
    Action::RenewCertificate,
    Action::ChangeBlueprint,
    Action::Suggest,
    Action::RecordEvidence,
    Action::ReadMoney,
    Action::ChangeMoney,
    Action::DecideGate,
    Action::ManageTenant,
];
const ROLES: [Role; 7] = [
    Role::Device,
    Role::Service,
    Role::Viewer,
    Role::Operator,
    Role::Engineer,
    Role::Finance,
    Role::Owner,
];

fn identity(actor: Actor, role: Role) -> Identity {
    let origin = Origin::Real;
    Identity { tenant: HERE, actor, role, origin, credential: None, expires: None }
}

fn person(role: Role) -> Identity {
    identity(Actor::Person(UserId::from_u128(9)), role)
}

fn device(number: u128) -> Identity {
    identity(Actor::Device(DeviceId::from_u128(number)), Role::Device)
}

fn on(filter: &str) -> Resource<'_> {
    Resource::Topic { tenant: HERE, filter, children: &[] }
}

#[test]
fn another_tenant_is_refused_whatever_the_role_and_action() {
    for role in ROLES {
        for action in ACTIONS {
            for resource in [
                Resource::Tenant(THERE),
                Resource::Device(THERE, DeviceId::from_u128(1)),
                Resource::Topic { tenant: THERE, filter: "#", children: &[] },
            ] {
                let refused = authorize(&person(role), action, &resource).unwrap_err();
                assert_eq!(refused, Denied::OtherTenant);
                assert_eq!(refused.kind(), ErrorKind::NotFound);
            }
        }
    }
}

#[test]
fn the_role_table_is_this_one() {
    let mut table = String::new();
    for action in ACTIONS {
        let may = |role: &Role| authorize(&person(*role), action, &Resource::Tenant(HERE)).is_ok();
        let roles: Vec<_> = ROLES.into_iter().filter(may).map(Role::as_str).collect();
        table.push_str(&format!("{action}: {}\n", roles.join(" ")));
    }
    expect_test::expect![[r#"
        publish: device service operator engineer owner
        subscribe: device service viewer operator engineer finance owner
        read: viewer operator engineer finance owner
        operate: operator engineer owner
        change_devices: engineer owner
        change_credentials: engineer owner
        renew_certificate: device
        change_blueprint: engineer owner
        suggest: service viewer operator engineer finance owner
        record_evidence: engineer finance owner
        read_money: finance owner
        change_money: finance owner
        decide_gate: owner
        manage_tenant: owner
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_refusal_names_the_least_role_that_may() {
    let refused =
        authorize(&person(Role::Viewer), Action::ChangeBlueprint, &Resource::Tenant(HERE))
            .unwrap_err();
    expect_test::expect!["change_blueprint needs role engineer, this credential has viewer"]
        .assert_eq(&refused.to_string());
}

#[test]
fn a_device_reaches_only_its_own_branch() {
    let own = topic::device_branch(HERE, DeviceId::from_u128(5));
    let other = topic::device_branch(HERE, DeviceId::from_u128(6));
    for action in [Action::Publish, Action::Subscribe] {
        assert!(authorize(&device(5), action, &on(&format!("{own}telemetry"))).is_ok());
        for filter in [format!("{other}telemetry"), "#".to_owned(), format!("t/{HERE}/d/+/x")] {
            assert!(authorize(&device(5), action, &on(&filter)).is_err(), "{filter}");
        }
    }
    assert!(authorize(&device(5), Action::Read, &Resource::Tenant(HERE)).is_err());
    assert!(authorize(&device(5), Action::Publish, &Resource::Tenant(HERE)).is_err());
    let device_5 = Resource::Device(HERE, DeviceId::from_u128(5));
    assert!(authorize(&device(5), Action::Publish, &device_5).is_ok());
    assert!(authorize(&device(6), Action::Publish, &device_5).is_err());
}

#[test]
fn a_gateway_speaks_for_the_children_it_lists_and_no_other() {
    let children = [DeviceId::from_u128(7)];
    let may = |child: u128, end: &str| {
        let filter = format!("{}{end}", topic::device_branch(HERE, DeviceId::from_u128(child)));
        let resource = Resource::Topic { tenant: HERE, filter: &filter, children: &children };
        authorize(&device(5), Action::Subscribe, &resource).is_ok()
    };
    assert!(may(7, "desired") && may(7, "#") && may(5, "#"));
    assert!(!may(8, "desired"));
}

#[test]
fn a_service_has_the_whole_tree_of_its_tenant_and_not_a_level_more() {
    let service = identity(Actor::Service(CredentialId::from_u128(3)), Role::Service);
    for filter in ["#", "plant/+/x", "t/+/d/#", "$share/g/plant/#", "$SYS/broker/uptime"] {
        assert!(authorize(&service, Action::Subscribe, &on(filter)).is_ok(), "{filter}");
    }
    let foreign = format!("t/{THERE}/d/#");
    for filter in [foreign.as_str(), "$queue/x", "a/#/b", "", "$share/g"] {
        assert!(authorize(&service, Action::Subscribe, &on(filter)).is_err(), "{filter}");
    }
    assert!(authorize(&service, Action::Publish, &on("$SYS/broker/uptime")).is_err());
    assert!(authorize(&service, Action::Publish, &on("plant/1")).is_ok());
}

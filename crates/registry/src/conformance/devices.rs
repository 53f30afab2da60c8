//! Devices, and the names that lead to them.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::{ANY, Fixture, all_devices, application, device, map};
use crate::{Device, Found, Preconditions, Registry, Selector, Wanted, WriteError};

/// An application `app` and an application `other`.
async fn two_applications(fixture: &impl Fixture) -> &dyn Registry {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    registry.create_application(application("other")).await.unwrap();
    registry
}

fn full(name: &str) -> Device {
    let mut device = device(
        "app",
        name,
        json!({
            "alias": [format!("{name}-alias"), format!("{name}-alias"), name],
            "authentication": {"credentials": [
                {"pass": "p"},
                {"user": {"username": format!("{name}-unique"), "password": "p", "unique": true}},
                {"user": {"username": "shared", "password": "p"}},
            ]},
        }),
    );
    device.metadata.labels.insert("l".into(), "v".into());
    device.status = map(json!({"ok": true}));
    device
}

/// The device to which the login leads.
async fn leads_to(registry: &dyn Registry, login: &str) -> Option<String> {
    registry
        .device_by_login("app", login)
        .await
        .unwrap()
        .map(|device| device.metadata.name)
}

pub async fn a_device_is_stored_as_given(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    let stored = registry.create_device(full("d")).await.unwrap();
    assert!(!stored.metadata.uid.is_nil() && !stored.metadata.resource_version.is_nil());
    let mut expected = full("d");
    expected.metadata.uid = stored.metadata.uid;
    expected.metadata.resource_version = stored.metadata.resource_version;
    expected.metadata.creation_timestamp = stored.metadata.creation_timestamp;
    assert_eq!(stored, expected);
    assert_eq!(registry.device("app", "d").await.unwrap(), Some(stored));
    assert_eq!(registry.device("other", "d").await.unwrap(), None);
    assert_eq!(
        registry.device("app", "d-alias").await.unwrap(),
        None,
        "an alias is a login, not a name"
    );
}

pub async fn devices_are_listed_by_application_and_name(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    for name in ["b", "a", "C", "ä", "a b"] {
        registry.create_device(device("app", name, json!({}))).await.unwrap();
    }
    registry.create_device(device("other", "z", json!({}))).await.unwrap();
    let names = async |after: &str, limit| {
        let wanted = Wanted {
            after: after.to_owned(),
            limit,
            ..Wanted::default()
        };
        let Found { entries, next } = registry.devices("app", wanted).await.unwrap();
        let names: Vec<_> = entries.into_iter().map(|device| device.metadata.name).collect();
        (names.join(","), next)
    };
    assert_eq!(names("", 100).await, ("C,a,a b,b,ä".into(), None));
    assert_eq!(names("C", 2).await, ("a,a b".into(), Some("a b".into())));
    assert_eq!(names("a b", 100).await, ("b,ä".into(), None));
    assert_eq!(names("ä", 2).await, (String::new(), None));
    assert!(all_devices(registry, "none").await.is_empty());
    let listed = all_devices(registry, "other").await;
    assert_eq!(Some(&listed[0]), registry.device("other", "z").await.unwrap().as_ref());
}

/// Also those that are far from each other, and those whose labels have just changed.
pub async fn devices_are_selected_by_their_labels(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    let labelled = |n: usize, site: String| {
        let mut device = device("app", &format!("{n:03}"), json!({"n": n}));
        device.metadata.labels = [("kind".to_owned(), "sensor".to_owned()), ("site".to_owned(), site)].into();
        device
    };
    for n in 0..50 {
        let made = registry
            .create_device(labelled(n, format!("s-{}", n % 20)))
            .await
            .unwrap();
        assert_eq!(made.spec, map(json!({"n": n})));
    }
    registry.update_device(labelled(7, "s-3".into()), ANY).await.unwrap();
    registry.delete_device("app", "043", ANY).await.unwrap();
    let find = async |after: &str, labels: &str, limit| {
        let wanted = Wanted {
            after: after.to_owned(),
            labels: Arc::new(Selector::parse(labels).unwrap()),
            limit,
        };
        registry.devices("app", wanted).await.unwrap()
    };
    let names = |found: &Found<Device>| {
        let names = found.entries.iter().map(|device| device.metadata.name.as_str());
        names.collect::<Vec<_>>().join(",")
    };
    for (labels, selected) in [
        ("site=s-3", "003,007,023"),
        ("site=s-3,kind=sensor", "003,007,023"),
        ("site in (s-7, s-9)", "009,027,029,047,049"),
        ("site=s-3,!kind", ""),
        ("site=s", ""),
        ("sit", ""),
    ] {
        let found = find("", labels, 100).await;
        assert_eq!((names(&found).as_str(), found.next), (selected, None), "{labels}");
    }
    assert_eq!(find("", "site notin (s-3), kind", 100).await.entries.len(), 46);
    let first = find("", "site=s-3", 2).await;
    assert_eq!(names(&first), "003,007");
    assert_eq!(first.entries[1], registry.device("app", "007").await.unwrap().unwrap());
    let rest = find(&first.next.unwrap(), "site=s-3", 2).await;
    assert_eq!((names(&rest).as_str(), rest.next), ("023", None));
}

pub async fn devices_are_found_by_every_name(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    let stored = registry.create_device(full("d")).await.unwrap();
    for login in ["d", "d-alias", "d-unique"] {
        assert_eq!(
            registry.device_by_login("app", login).await.unwrap().as_ref(),
            Some(&stored),
            "{login}"
        );
        assert_eq!(registry.device_by_login("other", login).await.unwrap(), None, "{login}");
    }
    for login in ["shared", "D", "none", ""] {
        assert_eq!(leads_to(registry, login).await, None, "{login}");
    }
}

pub async fn names_of_devices_are_unique_in_their_application(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    registry.create_device(full("d")).await.unwrap();
    let user = |name: &str| json!({"credentials": {"credentials": [{"user": {"username": name, "password": "p", "unique": true}}]}});
    let refused = [
        (full("d"), "d"),
        (device("app", "d-alias", json!({})), "d-alias"),
        (device("app", "d-unique", json!({})), "d-unique"),
        (device("app", "e", json!({"alias": ["d"]})), "d"),
        (device("app", "e", json!({"alias": ["free", "d-alias"]})), "d-alias"),
        (device("app", "e", user("d-alias")), "d-alias"),
        (device("app", "e", user("d-unique")), "d-unique"),
    ];
    for (wanted, taken) in refused {
        // Which of several is named is the engine's choice.
        match registry.create_device(wanted.clone()).await {
            Err(WriteError::Taken(name)) => assert!(name == taken || wanted.metadata.name == "d", "{name}"),
            other => panic!("{wanted:?} was {other:?}"),
        }
    }
    assert_eq!(all_devices(registry, "app").await.len(), 1);
    assert_eq!(leads_to(registry, "free").await, None);

    let mut same_elsewhere = full("d");
    same_elsewhere.metadata.application = "other".into();
    registry.create_device(same_elsewhere).await.unwrap();
    registry
        .create_device(device("app", "e", json!({"alias": ["shared"]})))
        .await
        .unwrap();
}

pub async fn an_update_of_a_device_frees_and_takes_names(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    registry.create_device(full("d")).await.unwrap();
    registry.create_device(device("app", "e", json!({}))).await.unwrap();

    registry
        .update_device(device("app", "d", json!({"alias": ["new"]})), ANY)
        .await
        .unwrap();
    assert_eq!(leads_to(registry, "new").await.as_deref(), Some("d"));
    assert_eq!(leads_to(registry, "d").await.as_deref(), Some("d"));
    assert_eq!(leads_to(registry, "d-alias").await, None);
    registry
        .update_device(device("app", "e", json!({"alias": ["d-alias", "d-unique"]})), ANY)
        .await
        .unwrap();
    assert_eq!(leads_to(registry, "d-alias").await.as_deref(), Some("e"));

    registry.delete_device("app", "e", ANY).await.unwrap();
    registry
        .create_device(device("app", "d-unique", json!({"alias": ["e"]})))
        .await
        .unwrap();
    assert_eq!(leads_to(registry, "e").await.as_deref(), Some("d-unique"));
}

pub async fn a_refused_change_of_a_device_changes_nothing(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    let first = registry.create_device(full("d")).await.unwrap();
    let second = registry
        .create_device(device("app", "e", json!({"alias": ["e-alias"]})))
        .await
        .unwrap();
    for taken in ["d", "d-alias", "d-unique"] {
        let wanted = device("app", "e", json!({"alias": ["free", taken]}));
        assert_eq!(
            registry.update_device(wanted, ANY).await,
            Err(WriteError::Taken(taken.into()))
        );
    }
    assert_eq!(leads_to(registry, "free").await, None);
    assert_eq!(leads_to(registry, "e-alias").await.as_deref(), Some("e"));
    assert_eq!(all_devices(registry, "app").await, [first, second]);
}

pub async fn versions_of_devices_move(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    let created = registry.create_device(full("d")).await.unwrap();
    assert_eq!(
        registry.update_device(full("d"), ANY).await,
        Ok(created.clone()),
        "nothing changed"
    );

    let mut wanted = full("d");
    wanted.status.clear();
    let second = registry.update_device(wanted.clone(), ANY).await.unwrap();
    assert_ne!(second.metadata.resource_version, created.metadata.resource_version);
    assert_eq!(
        (second.metadata.generation, second.metadata.uid),
        (0, created.metadata.uid)
    );

    wanted.spec.remove("alias");
    let third = registry.update_device(wanted, ANY).await.unwrap();
    assert_ne!(third.metadata.resource_version, second.metadata.resource_version);
    assert_eq!(third.metadata.generation, 1);
    assert_eq!(third.metadata.creation_timestamp, created.metadata.creation_timestamp);
    assert_eq!(registry.device("app", "d").await.unwrap(), Some(third));
}

pub async fn preconditions_of_devices_hold(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    let stored = registry.create_device(full("d")).await.unwrap();
    let is = Preconditions {
        uid: Some(stored.metadata.uid),
        resource_version: Some(stored.metadata.resource_version),
    };
    let other = Some(Uuid::new_v4());
    let wanted = device("app", "d", json!({}));
    for wrong in [
        Preconditions { uid: other, ..is },
        Preconditions {
            resource_version: other,
            ..is
        },
    ] {
        let refused = WriteError::Precondition("device");
        assert_eq!(
            registry.update_device(wanted.clone(), wrong).await,
            Err(refused.clone())
        );
        assert_eq!(registry.delete_device("app", "d", wrong).await, Err(refused));
    }
    assert_eq!(registry.device("app", "d").await.unwrap(), Some(stored));
    let changed = registry.update_device(wanted, is).await.unwrap();
    assert_eq!(
        registry.delete_device("app", "d", is).await,
        Err(WriteError::Precondition("device"))
    );
    let is = Preconditions {
        resource_version: Some(changed.metadata.resource_version),
        ..is
    };
    registry.delete_device("app", "d", is).await.unwrap();
}

pub async fn a_device_that_is_not_there_is_not_found(fixture: &mut impl Fixture) {
    let registry = two_applications(fixture).await;
    registry.create_device(full("d")).await.unwrap();
    assert_eq!(registry.device("app", "none").await.unwrap(), None);
    assert_eq!(registry.device("none", "d").await.unwrap(), None);
    assert_eq!(registry.device_by_login("none", "d").await.unwrap(), None);
    let (no_application, no_device) = (WriteError::NotFound("application"), WriteError::NotFound("device"));
    assert_eq!(
        registry.create_device(device("none", "d", json!({}))).await,
        Err(no_application.clone())
    );
    assert_eq!(
        registry.update_device(device("none", "d", json!({})), ANY).await,
        Err(no_application.clone())
    );
    assert_eq!(
        registry.update_device(device("app", "none", json!({})), ANY).await,
        Err(no_device.clone())
    );
    assert_eq!(
        registry.update_device(device("app", "d-alias", json!({})), ANY).await,
        Err(no_device.clone())
    );
    assert_eq!(registry.delete_device("none", "d", ANY).await, Err(no_application));
    assert_eq!(
        registry.delete_device("app", "d-alias", ANY).await,
        Err(no_device.clone())
    );
    registry.delete_device("app", "d", ANY).await.unwrap();
    assert_eq!(registry.delete_device("app", "d", ANY).await, Err(no_device));
    assert_eq!(leads_to(registry, "d-unique").await, None);
}

pub async fn devices_survive_a_restart(fixture: &mut impl Fixture) {
    let stored = two_applications(fixture).await.create_device(full("d")).await.unwrap();
    fixture.restart().await;
    let registry = fixture.registry();
    assert_eq!(registry.device_by_login("app", "d-unique").await.unwrap(), Some(stored));
    let taken = registry.create_device(device("app", "d-alias", json!({}))).await;
    assert_eq!(taken, Err(WriteError::Taken("d-alias".into())));
}

//! Applications: documents, versions, preconditions, members, pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use sockeye_log::{GroupId, Incarnation, Position};
use uuid::Uuid;

use super::{ANY, Fixture, all_devices, application, device, map};
use crate::{Application, Found, Preconditions, Registry, Role, Selector, Wanted, WriteError};

fn full(name: &str) -> Application {
    let mut application = application(name);
    application.metadata.labels = BTreeMap::from([("a".into(), "1".into()), ("ü/b".into(), String::new())]);
    application.metadata.annotations = BTreeMap::from([("note".into(), "\u{0}\n\"quoted\"".into())]);
    application.metadata.finalizers = vec!["one".into(), "two".into()];
    application.spec = map(json!({"core": {"disabled": false}, "n": [1, 2.5, null, u64::MAX, "🌡"]}));
    application.status = map(json!({"ok": true}));
    application.members = BTreeMap::from([(String::new(), Role::Reader), ("bob".into(), Role::Admin)]);
    application
}

/// Names of those that are wanted, asked for part by part.
async fn names(registry: &dyn Registry, after: &str, labels: &str, limit: usize) -> Vec<String> {
    let labels = Arc::new(Selector::parse(labels).unwrap());
    let (mut after, mut names) = (after.to_owned(), Vec::new());
    loop {
        let labels = Arc::clone(&labels);
        let wanted = Wanted { after, labels, limit };
        let Found { entries, next } = registry.applications(wanted).await.unwrap();
        assert!(entries.len() <= limit);
        names.extend(entries.into_iter().map(|application| application.metadata.name));
        match next {
            Some(next) => after = next,
            None => return names,
        }
    }
}

pub async fn an_application_is_stored_as_given(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let before = jiff::Timestamp::now();
    let mut given = full("app");
    given.metadata.generation = 7;
    given.metadata.uid = Uuid::new_v4();
    given.metadata.resource_version = Uuid::new_v4();
    let stored = registry.create_application(given.clone()).await.unwrap();

    assert_eq!(registry.application("app").await.unwrap().as_ref(), Some(&stored));
    assert_ne!(stored.metadata.uid, given.metadata.uid, "uids are the engine's");
    assert_ne!(stored.metadata.resource_version, given.metadata.resource_version);
    assert!(!stored.metadata.uid.is_nil() && !stored.metadata.resource_version.is_nil());
    assert_eq!(
        (stored.metadata.generation, stored.metadata.deletion_timestamp),
        (0, None)
    );
    // An engine may keep microseconds only.
    let made = stored.metadata.creation_timestamp;
    assert!(
        made.as_microsecond() >= before.as_microsecond() && made <= jiff::Timestamp::now(),
        "{made}"
    );

    given.metadata.uid = stored.metadata.uid;
    given.metadata.resource_version = stored.metadata.resource_version;
    given.metadata.creation_timestamp = made;
    given.metadata.generation = 0;
    assert_eq!(stored, given);
}

pub async fn names_of_applications_are_unique(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let first = registry.create_application(application("app")).await.unwrap();
    let second = registry.create_application(full("app")).await;
    assert_eq!(second, Err(WriteError::Taken("app".into())));
    assert_eq!(registry.application("app").await.unwrap(), Some(first.clone()));

    registry.delete_application("app", ANY).await.unwrap();
    let again = registry.create_application(application("app")).await.unwrap();
    assert_ne!(again.metadata.uid, first.metadata.uid, "a uid is never used twice");
}

pub async fn applications_come_in_parts_by_name_and_labels(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    assert!(names(registry, "", "", 10).await.is_empty());
    for name in ["b", "a-1", "c", "a", "10", "9"] {
        let mut full = full(name);
        full.metadata.labels.insert("kind".into(), name[..1].into());
        registry.create_application(full).await.unwrap();
    }
    let sorted = ["10", "9", "a", "a-1", "b", "c"];
    for limit in [1, 2, 6, 100, usize::MAX] {
        assert_eq!(names(registry, "", "", limit).await, sorted, "{limit}");
        assert_eq!(names(registry, "a", "", limit).await, sorted[3..], "{limit}");
        assert_eq!(
            names(registry, "a", "kind in (a, c)", limit).await,
            ["a-1", "c"],
            "{limit}"
        );
        assert_eq!(names(registry, "", "kind=a", limit).await, ["a", "a-1"], "{limit}");
        assert!(names(registry, "", "other", limit).await.is_empty(), "{limit}");
        assert!(names(registry, "c", "", limit).await.is_empty(), "{limit}");
    }
    let listed = registry.applications(Wanted::default()).await.unwrap().entries;
    assert_eq!(
        Some(&listed[2]),
        registry.application("a").await.unwrap().as_ref(),
        "members included"
    );
}

pub async fn what_changes_nothing_stores_nothing(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let stored = registry.create_application(full("app")).await.unwrap();
    assert_eq!(
        registry.update_application(stored.clone(), ANY).await,
        Ok(stored.clone())
    );
    // What an update does not take makes no difference.
    let mut other = full("app");
    other.owner = "someone else".into();
    other.members.clear();
    assert_eq!(registry.update_application(other, ANY).await, Ok(stored.clone()));
    assert_eq!(
        registry.set_members("app", stored.members.clone(), ANY).await,
        Ok(stored.clone())
    );
    assert_eq!(registry.application("app").await.unwrap(), Some(stored));
}

pub async fn versions_move_with_every_change_and_generations_with_the_spec(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let mut known = registry.create_application(full("app")).await.unwrap();
    type Edit = fn(&mut Application);
    let edits: [(Edit, u64); 7] = [
        (|a| a.metadata.labels.clear(), 0),
        (|a| a.metadata.annotations.clear(), 0),
        (|a| a.metadata.finalizers = vec!["other".into()], 0),
        (|a| a.status.clear(), 0),
        (|a| a.spec = map(json!({"new": 1})), 1),
        (|a| a.spec.clear(), 2),
        (|a| a.metadata.labels = BTreeMap::from([("l".into(), "v".into())]), 2),
    ];
    for (step, (edit, generation)) in edits.into_iter().enumerate() {
        let mut wanted = known.clone();
        edit(&mut wanted);
        wanted.metadata.generation = 99;
        let stored = registry.update_application(wanted.clone(), ANY).await.unwrap();
        assert_eq!(
            registry.application("app").await.unwrap().as_ref(),
            Some(&stored),
            "step {step}"
        );
        assert_ne!(
            stored.metadata.resource_version, known.metadata.resource_version,
            "step {step}"
        );
        assert_eq!(stored.metadata.generation, generation, "step {step}");
        wanted.metadata.generation = generation;
        wanted.metadata.resource_version = stored.metadata.resource_version;
        assert_eq!(stored, wanted, "step {step}");
        known = stored;
    }
}

pub async fn members_are_replaced_and_move_the_version(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let stored = registry.create_application(full("app")).await.unwrap();
    let members = BTreeMap::from([("eve".to_owned(), Role::Manager)]);
    let changed = registry.set_members("app", members.clone(), ANY).await.unwrap();
    assert_ne!(changed.metadata.resource_version, stored.metadata.resource_version);
    let mut expected = stored;
    expected.members = members;
    expected.metadata.resource_version = changed.metadata.resource_version;
    assert_eq!(changed, expected, "nothing else moves");
    assert_eq!(registry.application("app").await.unwrap(), Some(changed));
    assert!(
        registry
            .set_members("app", BTreeMap::new(), ANY)
            .await
            .unwrap()
            .members
            .is_empty()
    );
}

pub async fn preconditions_of_applications_hold(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let stored = registry.create_application(full("app")).await.unwrap();
    let other = Some(Uuid::new_v4());
    let is = Preconditions {
        uid: Some(stored.metadata.uid),
        resource_version: Some(stored.metadata.resource_version),
    };
    let mut wanted = stored.clone();
    wanted.spec.clear();
    for wrong in [
        Preconditions { uid: other, ..is },
        Preconditions {
            resource_version: other,
            ..is
        },
    ] {
        let refused = Err(WriteError::Precondition("application"));
        assert_eq!(registry.update_application(wanted.clone(), wrong).await, refused);
        assert_eq!(
            registry.update_application(stored.clone(), wrong).await,
            refused,
            "even if nothing would change"
        );
        assert_eq!(registry.set_members("app", BTreeMap::new(), wrong).await, refused);
        assert_eq!(
            registry.delete_application("app", wrong).await,
            Err(WriteError::Precondition("application"))
        );
    }
    assert_eq!(registry.application("app").await.unwrap(), Some(stored));

    let changed = registry.update_application(wanted.clone(), is).await.unwrap();
    assert_eq!(
        registry.update_application(wanted, is).await,
        Err(WriteError::Precondition("application"))
    );
    let is = Preconditions {
        resource_version: Some(changed.metadata.resource_version),
        ..is
    };
    let changed = registry.set_members("app", BTreeMap::new(), is).await.unwrap();
    let is = Preconditions {
        resource_version: Some(changed.metadata.resource_version),
        ..is
    };
    registry.delete_application("app", is).await.unwrap();
}

pub async fn a_deleted_application_takes_everything_with_it(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let group = |application: &str| GroupId {
        application: application.into(),
        group: "g".into(),
        selection: String::new(),
    };
    let position = Position::new(Incarnation(1), [(0, 1)]);
    for name in ["app", "other"] {
        let mut full = full(name);
        full.metadata.finalizers.clear();
        registry.create_application(full).await.unwrap();
        registry
            .create_device(device(name, "d", json!({"alias": ["x"]})))
            .await
            .unwrap();
        assert_eq!(registry.create_group(&group(name), &position).await, Ok(true));
    }
    registry.delete_application("app", ANY).await.unwrap();
    assert_eq!(registry.application("app").await.unwrap(), None);
    assert_eq!(registry.device("app", "d").await.unwrap(), None);

    let again = registry.create_application(application("app")).await.unwrap();
    assert!(again.members.is_empty());
    assert_eq!(registry.device_by_login("app", "x").await.unwrap(), None);
    assert!(all_devices(registry, "app").await.is_empty());
    assert_eq!(registry.group(&group("app")).await.unwrap(), None);
    registry.create_device(device("app", "x", json!({}))).await.unwrap();

    assert_eq!(all_devices(registry, "other").await.len(), 1);
    assert!(registry.group(&group("other")).await.unwrap().is_some());
}

pub async fn an_application_that_is_not_there_is_not_found(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let gone = || WriteError::NotFound("application");
    assert_eq!(registry.application("app").await.unwrap(), None);
    assert_eq!(registry.update_application(application("app"), ANY).await, Err(gone()));
    assert_eq!(registry.set_members("app", BTreeMap::new(), ANY).await, Err(gone()));
    assert_eq!(registry.delete_application("app", ANY).await, Err(gone()));
    registry.create_application(application("app")).await.unwrap();
    assert_eq!(registry.application("APP").await.unwrap(), None, "names differ by case");
    assert_eq!(registry.application("ap").await.unwrap(), None);
    assert_eq!(registry.application("a%").await.unwrap(), None);
}

pub async fn applications_survive_a_restart(fixture: &mut impl Fixture) {
    let stored = fixture.registry().create_application(full("app")).await.unwrap();
    fixture
        .registry()
        .create_application(application("gone"))
        .await
        .unwrap();
    fixture.registry().delete_application("gone", ANY).await.unwrap();
    fixture.restart().await;
    assert_eq!(
        fixture
            .registry()
            .applications(Wanted::default())
            .await
            .unwrap()
            .entries,
        [stored]
    );
}

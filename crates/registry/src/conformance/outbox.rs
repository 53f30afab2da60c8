//! What is told of devices: stored with what changes them, given in order, once it is told no more. Of an engine that has a log itself, as
//! long as that has no place for the application.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;
use sockeye_event::origin::Change;
use uuid::Uuid;

use super::{ANY, Fixture, application, device};
use crate::{DeviceChange, Registry, Role, Teller, WriteError};

/// Takes what it wants.
struct Taker {
    seen: Arc<Mutex<Vec<DeviceChange>>>,
    wants: fn(&DeviceChange) -> bool,
}

#[async_trait]
impl Teller for Taker {
    async fn told(&mut self, changes: &[DeviceChange]) -> Vec<bool> {
        self.seen.lock().unwrap().extend_from_slice(changes);
        changes.iter().map(self.wants).collect()
    }
}

/// What waits; those that are wanted are told then.
async fn told(registry: &dyn Registry, wants: fn(&DeviceChange) -> bool) -> Vec<DeviceChange> {
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let taker = Taker {
        seen: Arc::clone(&seen),
        wants,
    };
    registry.tell(Box::new(taker)).await.unwrap();
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn in_short(changes: &[DeviceChange]) -> Vec<(Change, &str)> {
    changes
        .iter()
        .map(|change| (change.what, change.device.as_str()))
        .collect()
}

pub async fn what_becomes_of_devices_is_told_once_and_in_order(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let made = registry.create_application(application("app")).await.unwrap();
    let first = registry.create_device(device("app", "d", json!({}))).await.unwrap();
    registry.create_device(device("app", "d", json!({}))).await.unwrap_err();
    registry
        .update_device(device("app", "d", json!({})), ANY)
        .await
        .unwrap();
    registry
        .update_device(device("app", "d", json!({"a": 1})), ANY)
        .await
        .unwrap();
    registry
        .set_members("app", [("eve".into(), Role::Reader)].into(), ANY)
        .await
        .unwrap();
    registry.delete_device("app", "d", ANY).await.unwrap();
    registry.delete_device("app", "d", ANY).await.unwrap_err();
    let second = registry.create_device(device("app", "d", json!({}))).await.unwrap();

    let changes = told(registry, |_| true).await;
    let expected = [Change::Created, Change::Updated, Change::Deleted, Change::Created];
    assert_eq!(in_short(&changes), expected.map(|what| (what, "d")));
    let uids: Vec<Uuid> = changes.iter().map(|change| change.device_uid).collect();
    let (first, second) = (first.metadata.uid, second.metadata.uid);
    assert_eq!(uids, [first, first, first, second]);
    for change in &changes {
        let of = (change.application.as_str(), change.application_uid);
        assert_eq!(of, ("app", made.metadata.uid));
    }
    assert!(changes.is_sorted_by_key(|change| change.time), "{changes:?}");
    assert_eq!(told(registry, |_| true).await, [], "told once");
}

pub async fn what_is_not_told_waits(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    for name in ["a", "b", "c"] {
        registry.create_device(device("app", name, json!({}))).await.unwrap();
    }
    let all = told(registry, |change| change.device == "b").await;
    assert_eq!(all.len(), 3);
    fixture.restart().await;
    let registry = fixture.registry();
    let again = told(registry, |_| true).await;
    assert_eq!(again, [all[0].clone(), all[2].clone()], "with the same ids");
    assert_eq!(told(registry, |_| true).await, []);
}

pub async fn a_full_outbox_refuses_changes_of_devices(fixture: &mut impl Fixture) {
    fixture.restart_with_outbox(3).await;
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    for name in ["a", "b", "c"] {
        registry.create_device(device("app", name, json!({}))).await.unwrap();
    }
    let is_full = |error: WriteError| {
        let text = error.to_string();
        matches!(error, WriteError::Unavailable(_)) && text.contains("3 changes of devices wait")
    };
    let changed = device("app", "a", json!({"a": 1}));
    assert!(is_full(
        registry.create_device(device("app", "d", json!({}))).await.unwrap_err()
    ));
    assert!(is_full(registry.update_device(changed.clone(), ANY).await.unwrap_err()));
    assert!(is_full(registry.delete_device("app", "a", ANY).await.unwrap_err()));
    assert_eq!(registry.device("app", "d").await.unwrap(), None, "nothing was stored");
    assert!(registry.device("app", "a").await.unwrap().unwrap().spec.is_empty());
    let members = [("eve".into(), Role::Reader)].into();
    registry
        .set_members("app", members, ANY)
        .await
        .expect("it tells nothing of devices");

    let waited = told(registry, |change| change.device == "b").await;
    assert_eq!(waited.len(), 3, "nor was it put down");
    registry
        .update_device(changed.clone(), ANY)
        .await
        .expect("there is room for one");
    assert!(is_full(registry.delete_device("app", "b", ANY).await.unwrap_err()));
    let left = told(registry, |_| true).await;
    assert_eq!(
        in_short(&left),
        [(Change::Created, "a"), (Change::Created, "c"), (Change::Updated, "a")]
    );
}

pub async fn many_changes_are_told_in_one_round(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    let many = sockeye_limits::OUTBOX_READ + 10;
    let makes = (0..many).map(|number| registry.create_device(device("app", &number.to_string(), json!({}))));
    for made in join_all(makes).await {
        made.unwrap();
    }
    // One that is passed over does not stop those behind it.
    assert_eq!(told(registry, |change| change.device != "0").await.len(), many);
    let left = told(registry, |_| true).await;
    assert_eq!(in_short(&left), [(Change::Created, "0")]);
}

pub async fn those_who_tell_at_the_same_time_are_not_given_the_same(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    for number in 0..20 {
        registry
            .create_device(device("app", &number.to_string(), json!({})))
            .await
            .unwrap();
    }
    let rounds = join_all((0..4).map(|_| told(registry, |_| true))).await;
    let ids: Vec<Uuid> = rounds.iter().flatten().map(|change| change.id).collect();
    assert_eq!(ids.len(), 20, "{rounds:?}");
}

//! What listeners are told, and when.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{ANY, Fixture, application, device, map};
use crate::{AccessKey, Change, Role};

fn of_device(name: &str) -> Change {
    Change::Device {
        application: "app".into(),
        device: name.into(),
    }
}

fn key() -> AccessKey {
    AccessKey::new("drg_1", "hash", "eve", Timestamp::UNIX_EPOCH)
}

/// Each change is told once, and is there for whoever reads when told.
pub async fn every_change_is_told_after_it_is_stored(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let mut changes = registry.changes();
    let of_application = || Change::Application("app".into());

    registry.create_application(application("app")).await.unwrap();
    assert_eq!(changes.recv().await, Ok(of_application()));
    let mut changed = application("app");
    changed.spec = map(json!({"a": 1}));
    registry.update_application(changed, ANY).await.unwrap();
    assert_eq!(changes.recv().await, Ok(of_application()));
    registry
        .set_members("app", BTreeMap::from([("eve".into(), Role::Reader)]), ANY)
        .await
        .unwrap();
    assert_eq!(changes.recv().await, Ok(of_application()));

    let told = async {
        assert_eq!(changes.recv().await, Ok(of_device("d")));
        assert!(
            registry.device("app", "d").await.unwrap().is_some(),
            "told before it was stored"
        );
    };
    let (stored, ()) = tokio::join!(registry.create_device(device("app", "d", json!({}))), told);
    stored.unwrap();
    registry
        .update_device(device("app", "d", json!({"alias": ["x"]})), ANY)
        .await
        .unwrap();
    assert_eq!(changes.recv().await, Ok(of_device("d")));
    let told = async {
        assert_eq!(changes.recv().await, Ok(of_device("d")));
        assert!(
            registry.device("app", "d").await.unwrap().is_none(),
            "told before it was removed"
        );
    };
    let (removed, ()) = tokio::join!(registry.delete_device("app", "d", ANY), told);
    removed.unwrap();

    registry.ensure_user("eve", false).await.unwrap();
    registry.create_key(key()).await.unwrap();
    assert_eq!(changes.recv().await, Ok(Change::Key("drg_1".into())));
    registry.set_key_disabled("drg_1", true).await.unwrap();
    assert_eq!(changes.recv().await, Ok(Change::Key("drg_1".into())));
    registry.delete_key("drg_1").await.unwrap();
    assert_eq!(changes.recv().await, Ok(Change::Key("drg_1".into())));
    registry.set_user_disabled("eve", true).await.unwrap();
    assert_eq!(changes.recv().await, Ok(Change::User("eve".into())));

    registry.delete_application("app", ANY).await.unwrap();
    assert_eq!(changes.recv().await, Ok(of_application()));
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

pub async fn what_changed_nothing_is_not_told(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    registry.create_device(device("app", "d", json!({}))).await.unwrap();
    let mut changes = registry.changes();
    registry.update_application(application("app"), ANY).await.unwrap();
    registry.set_members("app", BTreeMap::new(), ANY).await.unwrap();
    registry
        .update_device(device("app", "d", json!({})), ANY)
        .await
        .unwrap();
    registry.create_application(application("app")).await.unwrap_err();
    registry.create_device(device("app", "d", json!({}))).await.unwrap_err();
    registry.delete_device("app", "none", ANY).await.unwrap_err();
    registry.create_key(key()).await.unwrap_err();
    assert_eq!(registry.delete_key("drg_1").await, Ok(false));
    assert_eq!(registry.set_key_disabled("drg_1", true).await, Ok(false));
    registry.ensure_user("eve", false).await.unwrap();
    registry.set_user_disabled("eve", false).await.unwrap();
    registry.set_user_disabled("bob", true).await.unwrap_err();
    // A change that is told shows that nothing was told before it.
    registry.delete_device("app", "d", ANY).await.unwrap();
    assert_eq!(changes.recv().await, Ok(of_device("d")));
}

pub async fn a_change_is_stored_and_told_or_neither_if_its_caller_goes(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let mut changes = registry.changes();
    let mut create = registry.create_application(application("app"));
    // Asked for, not waited for.
    poll_fn(|context| Poll::Ready(create.as_mut().poll(context).is_ready())).await;
    drop(create);
    registry.create_application(application("next")).await.unwrap();
    let mut told = Vec::new();
    while told.last() != Some(&Change::Application("next".into())) {
        told.push(changes.recv().await.unwrap());
    }
    let stored = registry.application("app").await.unwrap().is_some();
    assert_eq!(stored, told.contains(&Change::Application("app".into())), "{told:?}");
}

pub async fn a_listener_that_lags_is_told_so(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    let mut changes = registry.changes();
    // Broadcast queues are rounded up to a power of two.
    for step in 0..=sockeye_limits::CHANGE_QUEUE.next_power_of_two() {
        let mut changed = application("app");
        changed.spec = map(json!({"step": step}));
        registry.update_application(changed, ANY).await.unwrap();
    }
    assert!(matches!(changes.recv().await, Err(RecvError::Lagged(_))));
}

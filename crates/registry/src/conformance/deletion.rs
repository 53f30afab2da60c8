//! How resources go: finalizers, and what deleted applications leave in the log.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sockeye_log::{GroupId, Incarnation, Position};

use super::{ANY, Fixture, all_devices, application, device};
use crate::{Application, Change, Device, HAS_DEVICES, Registry, WantedRemains, WriteError};

const NO_DEVICE: WriteError = WriteError::NotFound("device");
const NO_APPLICATION: WriteError = WriteError::NotFound("application");

fn held_device(name: &str, finalizers: &[&str]) -> Device {
    let mut held = device("app", name, json!({"alias": [format!("{name}-alias")]}));
    held.metadata.finalizers = finalizers.iter().map(|&finalizer| finalizer.to_owned()).collect();
    held
}

fn held_application(finalizers: &[&str]) -> Application {
    let mut held = application("app");
    held.metadata.finalizers = finalizers.iter().map(|&finalizer| finalizer.to_owned()).collect();
    held
}

/// Finalizers of an application that is being deleted.
async fn holders(registry: &dyn Registry) -> Option<Vec<String>> {
    let found = registry.application("app").await.unwrap()?;
    assert!(found.is_going(), "{found:?}");
    Some(found.metadata.finalizers)
}

async fn taken(registry: &dyn Registry, wanted: WantedRemains) -> Option<Vec<String>> {
    let found = registry.take_remains(wanted).await.unwrap()?;
    Some(found.into_iter().map(|remains| remains.application).collect())
}

/// All that are there, and that nobody has.
fn any() -> WantedRemains {
    WantedRemains::Since(Timestamp::now() + SignedDuration::from_hours(1))
}

pub async fn finalizers_hold_a_device_until_the_last_is_gone(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    let made = registry.create_device(held_device("d", &["one", "two"])).await.unwrap();
    let mut changes = registry.changes();

    registry.delete_device("app", "d", ANY).await.unwrap();
    let going = registry.device("app", "d").await.unwrap().unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_ne!(going.metadata.resource_version, made.metadata.resource_version);
    assert_eq!(going.metadata.uid, made.metadata.uid);
    assert_eq!(
        registry.delete_device("app", "d", ANY).await,
        Err(NO_DEVICE),
        "a second time"
    );
    let again = registry.create_device(device("app", "d", json!({}))).await;
    assert_eq!(again, Err(WriteError::Taken("d".into())), "its name is not free yet");

    let mut wanted = held_device("d", &["two"]);
    // It is the engine's to say.
    wanted.metadata.deletion_timestamp = None;
    let going = registry.update_device(wanted, ANY).await.unwrap();
    assert_eq!(going.metadata.finalizers, ["two"]);
    assert!(going.metadata.deletion_timestamp.is_some());
    registry.update_device(held_device("d", &[]), ANY).await.unwrap();
    assert_eq!(registry.device("app", "d").await.unwrap(), None);
    assert_eq!(registry.device_by_login("app", "d-alias").await.unwrap(), None);
    let change = Change::Device {
        application: "app".into(),
        device: "d".into(),
    };
    for _ in 0..3 {
        assert_eq!(changes.recv().await, Ok(change.clone()));
    }
    registry.create_device(held_device("d", &[])).await.unwrap();
    assert_eq!(
        registry.delete_device("app", "d", ANY).await,
        Ok(()),
        "nothing holds it"
    );
    assert_eq!(registry.device("app", "d").await.unwrap(), None);
}

pub async fn finalizers_hold_an_application_until_the_last_is_gone(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(held_application(&["one"])).await.unwrap();
    registry.create_device(device("app", "d", json!({}))).await.unwrap();
    registry.delete_application("app", ANY).await.unwrap();
    assert_eq!(holders(registry).await.unwrap(), ["one"]);
    assert_eq!(
        registry.device("app", "d").await.unwrap(),
        None,
        "its devices go at once"
    );
    assert_eq!(
        registry.delete_application("app", ANY).await,
        Err(NO_APPLICATION),
        "a second time"
    );
    assert_eq!(
        taken(registry, any()).await.unwrap(),
        [] as [&str; 0],
        "it is still there"
    );

    registry
        .update_application(held_application(&["two"]), ANY)
        .await
        .unwrap();
    assert_eq!(holders(registry).await.unwrap(), ["two"]);
    registry.update_application(held_application(&[]), ANY).await.unwrap();
    assert_eq!(holders(registry).await, None);
    assert_eq!(taken(registry, any()).await.unwrap(), ["app"]);
}

pub async fn a_device_that_is_held_holds_its_application(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(application("app")).await.unwrap();
    for (name, finalizers) in [("free", &[][..]), ("held", &["one"]), ("held-too", &["one"])] {
        registry.create_device(held_device(name, finalizers)).await.unwrap();
    }
    registry.delete_application("app", ANY).await.unwrap();
    assert_eq!(holders(registry).await.unwrap(), [HAS_DEVICES]);
    let left = all_devices(registry, "app").await;
    let left: Vec<_> = left
        .iter()
        .map(|device| {
            (
                device.metadata.name.as_str(),
                device.metadata.deletion_timestamp.is_some(),
            )
        })
        .collect();
    assert_eq!(left, [("held", true), ("held-too", true)]);

    // It is the platform's: nobody takes it away, nobody adds it.
    registry.update_application(held_application(&[]), ANY).await.unwrap();
    assert_eq!(holders(registry).await.unwrap(), [HAS_DEVICES]);
    registry
        .update_application(held_application(&["mine"]), ANY)
        .await
        .unwrap();
    assert_eq!(holders(registry).await.unwrap(), ["mine", HAS_DEVICES]);
    registry.update_device(held_device("held", &[]), ANY).await.unwrap();
    assert_eq!(holders(registry).await.unwrap(), ["mine", HAS_DEVICES]);
    let mut changes = registry.changes();
    registry.update_device(held_device("held-too", &[]), ANY).await.unwrap();
    assert_eq!(holders(registry).await.unwrap(), ["mine"]);
    let of_device = Change::Device {
        application: "app".into(),
        device: "held-too".into(),
    };
    let told = [changes.recv().await.unwrap(), changes.recv().await.unwrap()];
    assert_eq!(told, [of_device, Change::Application("app".into())]);
    registry
        .update_application(held_application(&[HAS_DEVICES]), ANY)
        .await
        .unwrap();
    assert_eq!(holders(registry).await, None);

    // The last device takes it along, if nothing else holds it.
    registry.create_application(application("app")).await.unwrap();
    registry.create_device(held_device("held", &["one"])).await.unwrap();
    registry.delete_application("app", ANY).await.unwrap();
    registry.update_device(held_device("held", &[]), ANY).await.unwrap();
    assert_eq!(holders(registry).await, None);
    assert_eq!(taken(registry, any()).await.unwrap(), ["app"]);
}

pub async fn an_application_that_is_going_gets_no_device(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(held_application(&["one"])).await.unwrap();
    registry.delete_application("app", ANY).await.unwrap();
    let made = registry.create_device(device("app", "d", json!({}))).await;
    assert_eq!(made, Err(NO_APPLICATION));
    let again = registry.create_application(application("app")).await;
    assert_eq!(again, Err(WriteError::Taken("app".into())));
}

pub async fn remains_are_taken_by_one_and_forgotten(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    let group = GroupId {
        application: "app".into(),
        group: "g".into(),
        selection: "s".into(),
    };
    for name in ["app", "other"] {
        registry.create_application(application(name)).await.unwrap();
    }
    let position = Position::new(Incarnation(1), [(0, 1)]);
    assert_eq!(registry.create_group(&group, &position).await, Ok(true));
    let before = Timestamp::now() - SignedDuration::from_secs(1);
    registry.delete_application("app", ANY).await.unwrap();
    registry.delete_application("other", ANY).await.unwrap();

    let early = WantedRemains::Since(before);
    assert_eq!(taken(registry, early).await.unwrap(), [] as [&str; 0]);
    let of = |name: &str| WantedRemains::Of(name.to_owned());
    assert_eq!(taken(registry, of("nobody")).await.unwrap(), [] as [&str; 0]);
    let found = registry.take_remains(of("app")).await.unwrap().unwrap();
    assert_eq!((found.len(), &found[0].groups), (1, &vec![group]));
    assert!(found[0].since > before, "{found:?}");
    assert_eq!(taken(registry, of("app")).await, None, "somebody has them");
    assert_eq!(taken(registry, any()).await.unwrap(), ["other"]);
    assert_eq!(taken(registry, any()).await.unwrap(), [] as [&str; 0]);
    registry.forget_remains("app").await.unwrap();
    assert_eq!(taken(registry, of("app")).await.unwrap(), [] as [&str; 0]);
    assert_eq!(taken(registry, of("other")).await, None);
}

pub async fn an_application_that_is_made_anew_has_no_remains(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    for name in ["app", "other"] {
        registry.create_application(application(name)).await.unwrap();
        registry.delete_application(name, ANY).await.unwrap();
    }
    registry.create_application(application("app")).await.unwrap();
    assert_eq!(taken(registry, any()).await.unwrap(), ["other"]);
}

pub async fn remains_survive_a_restart(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    registry.create_application(held_application(&["one"])).await.unwrap();
    registry.create_application(application("other")).await.unwrap();
    registry.delete_application("app", ANY).await.unwrap();
    registry.delete_application("other", ANY).await.unwrap();
    fixture.restart().await;
    assert_eq!(holders(fixture.registry()).await.unwrap(), ["one"]);
    assert_eq!(taken(fixture.registry(), any()).await.unwrap(), ["other"]);
}

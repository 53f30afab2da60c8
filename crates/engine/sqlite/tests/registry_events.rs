//! What becomes of devices is told in the log of the same file, in the same commit.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use sockeye_engine_sqlite::{DevicesTold, Options, SqliteEngine};
use sockeye_event::{Event, binary};
use sockeye_log::{Log as _, ReadLimit, Retention, Topic};
use sockeye_registry::{Application, Device, DeviceChange, Outbox as _, Preconditions, Registry as _, Teller};

fn open(folder: &Path, devices: DevicesTold) -> SqliteEngine {
    let options = Options {
        devices,
        ..Options::default()
    };
    SqliteEngine::open(folder.join("sockeye.db"), options).unwrap()
}

fn in_log() -> DevicesTold {
    DevicesTold::InLog {
        instance: "here".to_owned(),
    }
}

async fn events(engine: &SqliteEngine) -> Vec<Event> {
    let topic = Topic::events_of("app");
    let oldest = engine.span(&topic).await.unwrap().oldest;
    let batch = engine.read(&topic, &oldest, ReadLimit::default()).await.unwrap();
    let event = |record: &sockeye_log::Record| binary::decode(&record.headers, record.payload.as_ref()).unwrap();
    batch.records.iter().map(event).collect()
}

/// Device and change of each.
fn in_short(events: &[Event]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|event| {
            let change = event.extension("change").unwrap();
            (&**event.device().unwrap(), &**change)
        })
        .collect()
}

/// Takes everything.
struct Taker(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Teller for Taker {
    async fn told(&mut self, changes: &[DeviceChange]) -> Vec<bool> {
        let names = changes.iter().map(|change| change.device.clone());
        self.0.lock().unwrap().extend(names);
        vec![true; changes.len()]
    }
}

async fn take(engine: &SqliteEngine) -> Vec<String> {
    let taken = Arc::<Mutex<Vec<_>>>::default();
    engine.tell(Box::new(Taker(Arc::clone(&taken)))).await.unwrap();
    let taken = taken.lock().unwrap();
    taken.clone()
}

async fn with_application(engine: &SqliteEngine) {
    engine
        .create_application(Application::named("app", "me"))
        .await
        .unwrap();
    let topic = Topic::events_of("app");
    engine.create_topic(&topic, Retention::default()).await.unwrap();
}

#[tokio::test]
async fn whoever_is_answered_finds_the_event_and_followers_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), in_log());
    with_application(&engine).await;
    let topic = Topic::events_of("app");
    let end = engine.span(&topic).await.unwrap().end;
    let mut follower = engine.follow(&topic, &end).await.unwrap();

    let mut made = engine.create_device(Device::named("app", "d")).await.unwrap();
    let found = events(&engine).await;
    assert_eq!(in_short(&found), [("d", "created")]);
    let followed = follower.next().await.unwrap().records;
    assert_eq!(followed.len(), 1);
    let uid = made.metadata.uid.to_string();
    assert_eq!(found[0].extension("deviceuid").map(|uid| &**uid), Some(uid.as_str()));
    assert_eq!(found[0].extension("instance").map(|name| &**name), Some("here"));

    engine
        .create_device(Device::named("app", "d"))
        .await
        .expect_err("the name is taken");
    made.spec.insert("a".to_owned(), json!(1));
    engine
        .update_device(made.clone(), Preconditions::default())
        .await
        .unwrap();
    engine.update_device(made, Preconditions::default()).await.unwrap();
    engine
        .delete_device("app", "d", Preconditions::default())
        .await
        .unwrap();
    engine.close().await;
    let engine = open(folder.path(), in_log());
    let found = events(&engine).await;
    assert_eq!(in_short(&found), [("d", "created"), ("d", "updated"), ("d", "deleted")]);
    assert!(take(&engine).await.is_empty(), "nothing is told twice");
}

#[tokio::test]
async fn what_waits_is_told_before_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    // Events were elsewhere, and came back.
    let engine = open(folder.path(), DevicesTold::Elsewhere);
    with_application(&engine).await;
    engine.create_device(Device::named("app", "a")).await.unwrap();
    engine.close().await;
    let engine = open(folder.path(), in_log());
    engine.create_device(Device::named("app", "b")).await.unwrap();
    assert!(events(&engine).await.is_empty());
    assert_eq!(take(&engine).await, ["a", "b"]);
    engine.create_device(Device::named("app", "c")).await.unwrap();
    assert_eq!(in_short(&events(&engine).await), [("c", "created")]);
    assert!(take(&engine).await.is_empty());
}

//! What deleted applications leave in the log, and when it goes.

use std::time::Duration;

use sockeye_api::Removal;
use sockeye_event::Headers;
use sockeye_log::{NewRecord, Retention, Topic};

use crate::world::World;

const APPS: &str = "/api/registry/v1alpha1/apps";
const BODY: &str = r#"{"metadata":{"name":"a"}}"#;
const HOUR: Duration = Duration::from_hours(1);

/// An application with an event and a dead letter, that was deleted.
async fn deleted(kept: Duration) -> World {
    let world = World::with_kept(kept).await;
    world.ok("alice", &format!("POST {APPS}"), BODY, 201).await;
    let [events, dead_letters] = Topic::all_of("a");
    world
        .log
        .create_topic(&dead_letters, Retention::default())
        .await
        .unwrap();
    for topic in [&events, &dead_letters] {
        world.log.append(topic, vec![record()]).await.unwrap();
    }
    world.ok("alice", &format!("DELETE {APPS}/a"), "", 204).await;
    world
}

fn record() -> NewRecord {
    NewRecord {
        headers: Headers::default(),
        payload: None,
    }
}

/// How many of its two logs are there.
async fn logs(world: &World) -> usize {
    let mut there = 0;
    for topic in Topic::all_of("a") {
        there += usize::from(world.log.span(&topic).await.is_ok());
    }
    there
}

#[tokio::test]
async fn logs_stay_for_a_while_and_go_then() {
    let world = deleted(HOUR).await;
    world.ok("alice", &format!("GET {APPS}/a"), "", 404).await;
    let removal = |kept| Removal::new(world.registry.clone(), world.log.clone(), kept);
    removal(HOUR).look().await;
    assert_eq!(logs(&world).await, 2, "not yet");
    // Another process, of which the time is over.
    removal(Duration::ZERO).look().await;
    assert_eq!(logs(&world).await, 0);
    // It is forgotten: a log of this name that comes now is somebody else's.
    world
        .log
        .create_topic(&Topic::events_of("a"), Retention::default())
        .await
        .unwrap();
    removal(Duration::ZERO).look().await;
    assert_eq!(logs(&world).await, 1);
}

#[tokio::test]
async fn logs_go_at_once_if_they_are_not_to_stay() {
    assert_eq!(logs(&deleted(Duration::ZERO).await).await, 0);
}

#[tokio::test]
async fn an_application_that_is_made_anew_has_a_log_of_its_own() {
    let world = deleted(HOUR).await;
    let events = Topic::events_of("a");
    let before = world.log.span(&events).await.unwrap();
    assert_ne!(before.oldest, before.end);
    world.ok("bob", &format!("POST {APPS}"), BODY, 201).await;
    let after = world.log.span(&events).await.unwrap();
    assert_eq!(after.oldest, after.end, "it is empty");
    assert_ne!(after.end.incarnation(), before.end.incarnation());
    assert_eq!(logs(&world).await, 1, "no dead letters");
    // Nothing of the first one is left to do, that would cost the second one its log.
    world.log.append(&events, vec![record()]).await.unwrap();
    Removal::new(world.registry.clone(), world.log.clone(), Duration::ZERO)
        .look()
        .await;
    assert_ne!(world.log.span(&events).await.unwrap().end, after.end);
}

/// Somebody on another node is about to remove the last log: the new one would be in the way.
#[tokio::test]
async fn an_application_is_not_made_while_the_log_of_its_namesake_goes() {
    let world = deleted(HOUR).await;
    let wanted = sockeye_registry::WantedRemains::Of("a".to_owned());
    let taken = world.registry.take_remains(wanted).await.unwrap().unwrap();
    assert_eq!(taken.len(), 1);
    let answer = world.ok("bob", &format!("POST {APPS}"), BODY, 503).await;
    assert!(answer.text.contains("is being removed"), "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
    for topic in Topic::all_of("a") {
        world.log.delete_topic(&topic).await.unwrap();
    }
    world.registry.forget_remains("a").await.unwrap();
    world.ok("bob", &format!("POST {APPS}"), BODY, 201).await;
}

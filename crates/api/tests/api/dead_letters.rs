//! Dead letters, listed, streamed, sent back, dropped.

use http_body_util::BodyExt;
use serde_json::{Value, json};
use sockeye_event::binary;
use sockeye_group::DeadLetter;
use sockeye_log::{ReadLimit, Retention, Topic};

use crate::groups::{event, garden};
use crate::world::World;

const APP: &str = "/api/groups/v1alpha1/apps/garden";

/// The garden with dead letters: of group `g` those of the events `a`, `b`, `c`, of another one `x`.
async fn with_letters() -> World {
    let world = garden().await;
    let topic = Topic::dead_letters_of("garden");
    world.log.create_topic(&topic, Retention::default()).await.unwrap();
    for (id, selection) in [("a", ""), ("x", "channel=temp"), ("b", ""), ("c", "")] {
        die(&world, id, selection).await;
    }
    world
}

async fn die(world: &World, id: &str, selection: &str) {
    let letter = DeadLetter {
        group: "g".into(),
        selection: selection.into(),
        failures: 5,
        partition: 0,
        offset: 42,
        time: "2024-01-01T00:00:00Z".parse().unwrap(),
        event: event(id, "d1", "temp"),
    };
    let topic = Topic::dead_letters_of("garden");
    world.log.append(&topic, vec![letter.into_record()]).await.unwrap();
}

async fn list(world: &World, path: &str) -> Vec<Value> {
    let answer = world.ok("bob", &format!("GET {APP}{path}"), "", 200).await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines = answer.text.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(letters: &[Value]) -> Vec<&str> {
    letters
        .iter()
        .map(|letter| letter["event"]["id"].as_str().unwrap())
        .collect()
}

async fn settle(world: &World, body: Value) -> Value {
    let call = format!("POST {APP}/groups/g/dead-letters");
    world.ok("alice", &call, &body.to_string(), 200).await.json()
}

/// The ids of the application's events behind the first ten.
async fn appended(world: &World) -> Vec<String> {
    let topic = Topic::events_of("garden");
    let oldest = world.log.span(&topic).await.unwrap().oldest;
    let batch = world.log.read(&topic, &oldest, ReadLimit::default()).await.unwrap();
    let events = batch.records[10..].iter();
    events
        .map(|record| {
            assert_eq!(record.headers.get("sockeye-dead-group"), None);
            binary::decode(&record.headers, record.payload.as_ref())
                .unwrap()
                .id
                .to_string()
        })
        .collect()
}

#[tokio::test]
async fn letters_are_listed_by_group_and_tell_what_happened() {
    let world = garden().await;
    assert_eq!(list(&world, "/dead-letters").await, [Value::Null; 0]);
    let world = with_letters().await;
    assert_eq!(ids(&list(&world, "/dead-letters").await), ["a", "x", "b", "c"]);
    assert_eq!(ids(&list(&world, "/groups/g/dead-letters?channel=temp").await), ["x"]);
    assert_eq!(list(&world, "/groups/other/dead-letters").await, [Value::Null; 0]);
    let letters = list(&world, "/groups/g/dead-letters").await;
    assert_eq!(ids(&letters), ["a", "b", "c"]);
    let mut first = letters[0].clone();
    for (field, start) in [("letter", "0-"), ("died", "20")] {
        let value = first.as_object_mut().unwrap().remove(field).unwrap();
        assert!(value.as_str().unwrap().starts_with(start), "{value}");
    }
    let event = json!({
        "specversion": "1.0", "id": "a", "source": "drogue://garden", "type": "io.drogue.event.v1",
        "datacontenttype": "application/json", "subject": "temp", "data": { "n": 1 }, "device": "d1",
    });
    let expected = json!({
        "group": "g", "selection": {}, "failures": 5, "partition": 0, "offset": 42,
        "appended": "2024-01-01T00:00:00Z", "event": event,
    });
    assert_eq!(first, expected);
}

#[tokio::test]
async fn letters_are_sent_back_once() {
    let world = with_letters().await;
    let letters = list(&world, "/groups/g/dead-letters").await;
    let named = json!({ "action": "resend", "letters": [letters[1]["letter"]] });
    assert_eq!(settle(&world, named.clone()).await, json!({ "letters": 1 }));
    assert_eq!(appended(&world).await, ["b"]);
    assert_eq!(ids(&list(&world, "/dead-letters").await), ["a", "x", "c"]);
    let call = format!("POST {APP}/groups/g/dead-letters");
    let again = world.ok("alice", &call, &named.to_string(), 404).await;
    assert!(again.text.contains("nothing was done"), "{}", again.text);

    assert_eq!(
        settle(&world, json!({ "action": "resend" })).await,
        json!({ "letters": 2 })
    );
    assert_eq!(appended(&world).await, ["b", "a", "c"]);
    assert_eq!(ids(&list(&world, "/dead-letters").await), ["x"]);
    assert_eq!(
        settle(&world, json!({ "action": "resend" })).await,
        json!({ "letters": 0 })
    );
    die(&world, "d", "").await;
    assert_eq!(ids(&list(&world, "/dead-letters").await), ["x", "d"]);
}

#[tokio::test]
async fn letters_are_dropped_or_taken_by_retention() {
    let world = with_letters().await;
    let letters = list(&world, "/groups/g/dead-letters").await;
    let named = json!({ "action": "drop", "letters": [letters[2]["letter"], letters[0]["letter"]] });
    assert_eq!(settle(&world, named).await, json!({ "letters": 2 }));
    assert_eq!(ids(&list(&world, "/dead-letters").await), ["x", "b"]);
    let topic = Topic::dead_letters_of("garden");
    let end = world.log.span(&topic).await.unwrap().end;
    assert_eq!(world.log.trim(&topic, &end).await.unwrap(), end);
    assert_eq!(list(&world, "/dead-letters").await, [Value::Null; 0]);
    die(&world, "d", "").await;
    assert_eq!(
        settle(&world, json!({ "action": "drop" })).await,
        json!({ "letters": 1 })
    );
    assert_eq!(appended(&world).await, [""; 0]);
}

#[tokio::test]
async fn many_letters_are_done_with_in_steps() {
    let world = garden().await;
    let topic = Topic::dead_letters_of("garden");
    world.log.create_topic(&topic, Retention::default()).await.unwrap();
    let letters = (0..2_500).map(|number| {
        let letter = DeadLetter {
            group: ["g", "other"][number % 2].into(),
            selection: String::new(),
            failures: 5,
            partition: 0,
            offset: 1,
            time: jiff::Timestamp::UNIX_EPOCH,
            event: event(&format!("m{number}"), "d", "temp"),
        };
        letter.into_record()
    });
    world.log.append(&topic, letters.collect()).await.unwrap();
    assert_eq!(
        settle(&world, json!({ "action": "drop" })).await,
        json!({ "letters": 1_250 })
    );
    let left = list(&world, "/dead-letters").await;
    assert_eq!(left.len(), 1_250);
    assert!(left.iter().all(|letter| letter["group"] == "other"));
}

#[tokio::test]
async fn letters_are_followed_until_the_server_stops() {
    let world = garden().await;
    let request = http::Request::get(format!("{APP}/groups/g/dead-letters?follow=true"))
        .header("authorization", world.authorization("bob"))
        .body(axum::body::Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
    let mut body = response.into_body();
    for id in ["a", "b"] {
        die(&world, id, "channel=temp").await;
        die(&world, id, "").await;
        let line = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let letter: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&letter["event"]["id"], &letter["selection"]), (&json!(id), &json!({})));
    }
    world.stop.cancel();
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let world = with_letters().await;
    let call = format!("POST {APP}/groups/g/dead-letters");
    for (user, body, status, part) in [
        ("alice", json!({}), 400, "missing field `action`"),
        ("alice", json!({ "action": "burn" }), 400, "unknown variant `burn`"),
        (
            "alice",
            json!({ "action": "drop", "letters": [] }),
            400,
            "`letters` is empty",
        ),
        (
            "alice",
            json!({ "action": "drop", "letters": ["x"] }),
            400,
            "`x` is no name of a dead letter",
        ),
        (
            "alice",
            json!({ "action": "drop", "letters": ["0--1"] }),
            400,
            "is no name",
        ),
        (
            "alice",
            json!({ "action": "drop", "letters": vec!["0-1"; 1_001] }),
            400,
            "1000 are allowed",
        ),
        (
            "alice",
            json!({ "action": "drop", "letters": ["7-7", "7-8"] }),
            404,
            "`7-7` (and 1 more",
        ),
        ("bob", json!({ "action": "drop" }), 403, "Not authorized"),
    ] {
        let answer = world.ok(user, &call, &body.to_string(), status).await;
        assert!(answer.text.contains(part), "{body}: {}", answer.text);
    }
    assert_eq!(list(&world, "/groups/g/dead-letters").await.len(), 3);
    let answer = world
        .ok("bob", &format!("GET {APP}/dead-letters?follow=yes"), "", 400)
        .await;
    assert!(answer.text.contains("follow"), "{}", answer.text);
    let path = "GET /api/groups/v1alpha1/apps/none/dead-letters";
    world.ok("bob", path, "", 404).await;
}

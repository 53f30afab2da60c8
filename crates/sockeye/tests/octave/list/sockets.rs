//! What is said on a socket, and what comes (3 to 9).

use futures_util::SinkExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{by_id, subscribe};
use crate::support::closed;
use crate::world::{PATH, World, refused};

/// 3: two sockets, one session, different streams.
#[tokio::test]
async fn n03_a_session_has_several_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let session = world.session().await;
    let (mut one, mut two) = (world.open(&session).await, world.open(&session).await);
    one.subscribe("/app/devices/dev/a").await;
    two.subscribe("/app/devices/dev/b").await;
    world.publish("a", &json!({"n": 1})).await;
    world.publish("b", &json!({"n": 2})).await;
    assert_eq!(one.elements().await, json!({"n": 1}));
    assert_eq!(two.elements().await, json!({"n": 2}));
    one.is_silent().await;
    two.is_silent().await;
}

/// 4: `resource` is the id, `value.path` the path that was sent.
#[tokio::test]
async fn n04_a_frame_names_stream_and_path() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    client.subscribe(PATH).await;
    world.publish("temperature", &json!({"celsius": 21.5})).await;
    let frame = client.next().await;
    assert_eq!(
        (&frame["type"], frame.get("head"), frame.get("msgId")),
        (&json!("message"), None, None)
    );
    let value = &frame["value"];
    assert_eq!((&value["path"], &value["streamId"]), (&json!(PATH), &frame["resource"]));
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut all = [
        "id",
        "streamId",
        "path",
        "creatorId",
        "lastEditorId",
        "creationDate",
        "lastEditDate",
        "generatedDate",
        "hash",
        "location",
        "metadata",
        "tags",
        "version",
        "elems",
    ];
    all.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, all);
    assert_eq!(
        (&value["elems"], &value["tags"]),
        (&json!({"celsius": 21.5}), &json!({}))
    );
    assert_eq!(value["creatorId"], "i000000000000000000000001");
    assert!(value["creationDate"].is_i64() && value["generatedDate"].is_i64());
    // An id that was shown is the stream's for REST, and on another socket, whenever it is asked for.
    let id = frame["resource"].as_str().unwrap();
    let read = async || world.call(Method::GET, &format!("stream/{id}"), None).await;
    let mut noted = read().await;
    while noted.0 == 404 {
        tokio::task::yield_now().await;
        noted = read().await;
    }
    assert_eq!(noted.1["body"]["path"], PATH);
    let mut other = world.client().await;
    other.done(by_id("subscribe", &frame["resource"])).await;
    world.publish("temperature", &json!({})).await;
    assert_eq!(other.next().await, client.next().await, "all see the same bytes");
}

/// 5: a `msgId` comes back as it was, with its type; a missing one is null.
#[tokio::test]
async fn n05_message_ids_are_echoed_by_type() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for id in [json!(0), json!(1), json!("-1203"), json!(""), json!("a-1"), json!(null)] {
        client.done(subscribe(id, PATH)).await;
    }
    let answer = client
        .ask(json!({"object": "event", "type": "subscribe", "path": PATH}))
        .await;
    assert_eq!(
        (&answer["head"]["ok"], answer["head"].get("msgId")),
        (&json!(true), Some(&json!(null)))
    );
    assert_eq!(
        answer["head"]["messages"],
        json!(["Your request has been processed successfully."])
    );
}

/// 6: heartbeats are not answered. (That nothing is closed for being idle is delivery's: it looks at Pongs alone.)
#[tokio::test]
async fn n06_heartbeats_are_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for _ in 0..100 {
        client.say(r#"{"type":"heartbeat"}"#).await;
    }
    client.is_silent().await;
    client.subscribe(PATH).await;
}

/// 7: subscribed once, however often and by whatever; unsubscribed when nothing names it any more.
#[tokio::test]
async fn n07_a_stream_is_delivered_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let stream = world
        .done(201, Method::POST, "stream", Some(json!({"path": PATH})))
        .await;
    let mut client = world.client().await;
    for _ in 0..2 {
        client.subscribe(PATH).await;
        client.done(by_id("subscribe", &stream["id"])).await;
    }
    let publish = async |number: u64| world.publish("temperature", &json!({"n": number})).await;
    publish(1).await;
    assert_eq!(client.elements().await, json!({"n": 1}));
    client.is_silent().await;
    client.unsubscribe(PATH).await;
    publish(2).await;
    assert_eq!(client.elements().await, json!({"n": 2}), "its id still names it");
    for _ in 0..2 {
        client.done(by_id("unsubscribe", &stream["id"])).await;
        client.unsubscribe(PATH).await;
    }
    publish(3).await;
    client.is_silent().await;
    let both = json!({"msgId": 5, "object": "event", "type": "subscribe", "path": PATH, "streamId": stream["id"]});
    client.done(both).await;
    publish(4).await;
    assert_eq!(client.elements().await, json!({"n": 4}));
    client.is_silent().await;
}

/// 8: what is not there is told with status and one sentence, and the socket lives.
#[tokio::test]
async fn n08_an_unknown_stream_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    let mut refused = async |status, request: Value| client.refused(status, request).await;
    let nope = refused(404, subscribe(json!("a"), "/app/nope")).await;
    assert_eq!(nope, "no stream with path /app/nope");
    refused(404, subscribe(json!(0), "/app/devices/none/temperature")).await;
    let unknown = json!("s64f0c1a2b3d4e5f60718293a");
    let text = refused(404, by_id("subscribe", &unknown)).await;
    assert!(text.contains("s64f0c1a2b3d4e5f60718293a"), "{text}");
    let text = refused(403, subscribe(json!(1), "/other/devices/dev/temperature")).await;
    assert!(text.contains("/app/"), "{text}");
    refused(400, subscribe(json!(1), "app")).await;
    refused(400, subscribe(json!(1), "/app/devices//x")).await;
    let stream = world
        .done(201, Method::POST, "stream", Some(json!({"path": PATH})))
        .await;
    let mut two = by_id("subscribe", &stream["id"]);
    two["path"] = json!("/app/devices/dev/other");
    let text = refused(400, two).await;
    assert!(text.contains("two streams"), "{text}");
    client.subscribe(PATH).await;
}

/// 9: what cannot be read is answered, and the socket lives; after 20 in a row it does not. A frame of 1 MB is too much.
#[tokio::test]
async fn n09_garbage_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for garbage in [
        Message::text("{\"msgId\":1,\"obj"),
        Message::text("[1,2]"),
        Message::text("5"),
        Message::text("x"),
        Message::text(""),
        Message::binary(vec![0xff]),
        Message::binary(b"{".to_vec()),
    ] {
        client.say(garbage).await;
        let text = refused(&client.next().await, 400, &Value::Null);
        assert!(text.contains("JSON object"), "{text}");
    }
    // A binary frame that is a request is one.
    let request = subscribe(json!(1), PATH).to_string();
    client.say(Message::binary(request.into_bytes())).await;
    assert_eq!(client.next().await["head"]["ok"], true);
    for (request, part) in [
        (
            json!({"msgId": 1, "object": "flow", "type": "subscribe", "path": PATH}),
            "`object`",
        ),
        (
            json!({"msgId": 2, "object": "event", "type": "find", "path": PATH}),
            "`type`",
        ),
        (
            json!({"msgId": 3, "object": "event", "type": "subscribe"}),
            "`streamId` or `path`",
        ),
        (
            json!({"msgId": 4, "object": "event", "type": "subscribe", "path": 5}),
            "`path`",
        ),
        (
            json!({"msgId": 5, "object": "event", "type": "subscribe", "streamId": "x"}),
            "`streamId`",
        ),
    ] {
        let text = client.refused(400, request).await;
        assert!(text.contains(part), "{text}");
    }
    for _ in 1..20 {
        client.say("x").await;
        client.next().await;
    }
    client.say("x").await;
    let (code, reason) = closed(&mut client.socket).await;
    assert_eq!(code, 1008, "{reason}");
    let mut large = world.client().await;
    // The server may close before it has taken all of it.
    let _ = large.socket.send(Message::text("x".repeat(1 << 20))).await;
    assert_eq!(closed(&mut large.socket).await.0, 1009);
}

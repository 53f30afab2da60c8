//! What goes beyond the list: the opt-in keys, reads, streams that go, and subscriptions that come and go while events flow.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use sockeye_seeds::Random;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::world::{PATH, World};

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is needed")]
fn subscribe(more: Value) -> Value {
    let mut request = json!({"msgId": 1, "object": "event", "type": "subscribe"});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

#[tokio::test]
async fn a_subscription_may_be_filtered_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    client
        .done(subscribe(json!({"path": PATH, "where": "n=gt:1", "fields": "n"})))
        .await;
    for number in 0..4 {
        world.publish("temperature", &json!({"n": number, "more": true})).await;
    }
    assert_eq!(client.elements().await, json!({"n": 2}));
    assert_eq!(client.elements().await, json!({"n": 3}));
    client.is_silent().await;
    let text = client
        .refused(400, subscribe(json!({"path": PATH, "where": "n=foo:1"})))
        .await;
    assert!(text.starts_with("`where` is wrong"), "{text}");
    let text = client
        .refused(400, subscribe(json!({"path": PATH, "fields": ","})))
        .await;
    assert!(text.starts_with("`fields` is wrong"), "{text}");
}

/// Also those that come later.
#[tokio::test]
async fn many_streams_are_subscribed_to_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    client
        .done(subscribe(json!({"pathPattern": "/app/devices/+/temperature"})))
        .await;
    let post = async |path: &str| {
        let posted = json!({"path": path, "elems": {}});
        world.done(201, Method::POST, "event", Some(posted)).await;
    };
    post(PATH).await;
    post("/app/devices/dev/other").await;
    world.device("new");
    post("/app/devices/new/temperature").await;
    for path in [PATH, "/app/devices/new/temperature"] {
        assert_eq!(client.next().await["value"]["path"], path);
    }
    client.is_silent().await;
    client
        .done(
            json!({"msgId": 1, "object": "event", "type": "unsubscribe", "pathPattern": "/app/devices/+/temperature"}),
        )
        .await;
    post(PATH).await;
    client.is_silent().await;
}

#[tokio::test]
async fn a_subscription_goes_on_after_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut ids = Vec::new();
    let mut times = Vec::new();
    for number in 0..6 {
        let posted = json!({"path": PATH, "elems": {"n": number}});
        let made = world.done(201, Method::POST, "event", Some(posted)).await;
        ids.push(made["id"].clone());
        times.push(made["creationDate"].clone());
    }
    let mut client = world.client().await;
    client.done(subscribe(json!({"path": PATH, "after": ids[2]}))).await;
    for number in 3..6 {
        assert_eq!(client.elements().await, json!({"n": number}));
    }
    client.is_silent().await;
    let mut other = world.client().await;
    other.done(subscribe(json!({"path": PATH, "since": times[0]}))).await;
    for number in 0..6 {
        assert_eq!(other.elements().await, json!({"n": number}));
    }
    world.publish("temperature", &json!({"n": 6})).await;
    assert_eq!(other.elements().await, json!({"n": 6}));
    assert_eq!(client.elements().await, json!({"n": 6}));
    let text = client
        .refused(400, subscribe(json!({"path": "/app/devices/dev/x", "after": "e1"})))
        .await;
    assert!(text.contains("`after`"), "{text}");
    let other_log = json!({"path": "/app/devices/dev/x", "after": "e000000000000000000000000"});
    client.refused(410, subscribe(other_log)).await;
}

#[tokio::test]
async fn events_are_read_newest_first_and_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    for number in 0..30 {
        world.publish("temperature", &json!({"n": number, "m": 1})).await;
        world.publish("other", &json!({"n": number})).await;
    }
    let read = async |query: &str| {
        let read = world
            .done(200, Method::GET, &format!("event/?path={PATH}{query}"), None)
            .await;
        let numbers = read
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["elems"]["n"].as_i64().unwrap());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(read("").await, (10..30).rev().collect::<Vec<_>>());
    assert_eq!(read("&limit=3&start=2").await, [27, 26, 25]);
    assert_eq!(read("&limit=3&start=28").await, [1, 0]);
    assert_eq!(read("&limit=2&order=asc").await, [0, 1]);
    assert_eq!(read("&limit=10000&sort=generatedDate&order=desc").await.len(), 30);
    let only = world
        .done(
            200,
            Method::GET,
            &format!("event?path={PATH}&limit=1&only=elems.n,path"),
            None,
        )
        .await;
    assert_eq!(only, json!([{"elems": {"n": 29}, "path": PATH}]));
    for (query, part) in [
        ("filter=x", "`filter`"),
        ("limit=x", "`limit`"),
        ("order=up", "`order`"),
        ("sort=x", "`sort`"),
    ] {
        let (status, answer) = world
            .call(Method::GET, &format!("event?path={PATH}&{query}"), None)
            .await;
        assert!(
            status == 400 && answer["head"]["errors"][0].as_str().unwrap().contains(part),
            "{answer}"
        );
    }
    let streams = world.done(200, Method::GET, "stream", None).await;
    assert_eq!(streams[0]["path"], PATH);
    let (status, answer) = world
        .call(Method::PUT, "stream/s64f0c1a2b3d4e5f60718293a", Some(json!({})))
        .await;
    assert_eq!(status, 405, "{answer}");
}

/// It goes without a word (compat/octave.md 5.3); who subscribes anew has it again.
#[tokio::test]
async fn a_stream_that_is_removed_ends_its_subscriptions() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let path = "/app/weather";
    let make = async || {
        world
            .done(201, Method::POST, "stream", Some(json!({"path": path})))
            .await["id"]
            .clone()
    };
    let id = make().await;
    let (status, answer) = world.call(Method::POST, "stream", Some(json!({"path": path}))).await;
    assert_eq!(status, 400, "{answer}");
    let mut client = world.client().await;
    client.subscribe(path).await;
    client.subscribe(PATH).await;
    world
        .done(200, Method::DELETE, &format!("stream/{}", id.as_str().unwrap()), None)
        .await;
    let gone = json!({"msgId": 1, "object": "event", "type": "subscribe", "path": path});
    client.refused(404, gone).await;
    assert_eq!(make().await, id, "a path has one id");
    let post = async |path: &str, number: u64| {
        let posted = json!({"path": path, "elems": {"n": number}});
        world.done(201, Method::POST, "event", Some(posted)).await;
    };
    // What is published meanwhile may still come, until the subscription has ended.
    let ended = async {
        for number in (1..).step_by(2) {
            post(path, number).await;
            post(PATH, number + 1).await;
            if client.elements().await == json!({"n": number + 1}) {
                return;
            }
            client.elements().await;
        }
    };
    timeout(PATIENCE, ended).await.expect("the subscription ends");
    client.subscribe(path).await;
    post(path, 0).await;
    // Of partitions that are read one by one, what went before may come later.
    while client.elements().await != json!({"n": 0}) {}
}

/// Subscriptions come and go at random while events flow: what was published between the acknowledgements of its beginning and of
/// its end arrives between them, all of it, in its order, once.
#[tokio::test]
async fn subscriptions_come_and_go_while_events_flow() {
    const STREAMS: u64 = 5;
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    let mut random = Random::new(0x2545_f491);
    let mut number = 0;
    // For each stream that is subscribed to: what has to come, in its order.
    let mut subscribed: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for message in 0..150 {
        let stream = random.between(0, STREAMS - 1);
        let path = format!("/app/devices/dev/c{stream}");
        let kind = random.pick(&["subscribe", "unsubscribe"]);
        let request = json!({"msgId": message, "object": "event", "type": kind, "path": path});
        client.say(request.to_string()).await;
        loop {
            let frame = client.next().await;
            if frame["type"] == "message" {
                took(&mut subscribed, &frame);
                continue;
            }
            assert_eq!(
                (&frame["head"]["msgId"], &frame["head"]["ok"]),
                (&json!(message), &json!(true))
            );
            break;
        }
        if kind == "subscribe" {
            subscribed.entry(stream).or_default();
        } else {
            let missed = subscribed.remove(&stream).unwrap_or_default();
            assert!(missed.is_empty(), "{message}: {missed:?} are missed");
        }
        for _ in 0..random.between(0, 3) {
            let stream = random.between(0, STREAMS - 1);
            world.publish(&format!("c{stream}"), &json!({"n": number})).await;
            if let Some(wanted) = subscribed.get_mut(&stream) {
                wanted.push(number);
            }
            number += 1;
        }
    }
    while subscribed.values().any(|wanted| !wanted.is_empty()) {
        let frame = client.next().await;
        took(&mut subscribed, &frame);
    }
    client.is_silent().await;
}

fn took(subscribed: &mut BTreeMap<u64, Vec<u64>>, frame: &Value) {
    let path = frame["value"]["path"].as_str().unwrap();
    let stream = path.strip_prefix("/app/devices/dev/c").unwrap().parse().unwrap();
    let wanted = subscribed
        .get_mut(&stream)
        .expect("nothing comes of what is not subscribed to");
    assert!(!wanted.is_empty(), "twice: {frame}");
    assert_eq!(json!(wanted.remove(0)), frame["value"]["elems"]["n"]);
}

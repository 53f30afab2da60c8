//! The past of a stream: where it starts, where it ends, and cursors (compat/drogue.md, decision 9; DESIGN.md, delivery
//! contract 6 and 10).

use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use sockeye_log::{Cursor, Incarnation, Position, Retention, Span, Topic};
use tokio_tungstenite::tungstenite::Message;

use crate::streams::{Socket, closed, connect, next};
use crate::world::{HANDSHAKE, World};

fn topic() -> Topic {
    Topic::events_of("app")
}

/// A world in which `app` has the events 0, 1, 2, ..
async fn with_events(payloads: &[&'static str]) -> World {
    let world = World::new().await;
    world.log.create_topic(&topic(), Retention::default()).await.unwrap();
    for payload in payloads {
        world.publish("a", payload).await;
    }
    world
}

async fn span(world: &World) -> Span {
    world.log.span(&topic()).await.unwrap()
}

/// The text of a position in the log of `app`.
fn cursor(position: &Position) -> String {
    Cursor::encode("app", position)
}

/// The payload of the next event, and its cursor.
async fn event(socket: &mut Socket) -> (i64, Option<String>) {
    let Message::Text(text) = next(socket).await else {
        panic!("no event")
    };
    let event: Value = serde_json::from_str(&text).unwrap();
    let cursor = event.get("cursor").map(|cursor| cursor.as_str().unwrap().to_owned());
    (event["data"].as_i64().unwrap(), cursor)
}

/// What a stream with this query gives before it goes live, of a log that ends with the event 9.
async fn check(world: &World, query: &str, expected: &[i64]) {
    let mut socket = connect(world, &format!("/app{query}")).await;
    for number in expected {
        assert_eq!(event(&mut socket).await, (*number, None), "{query}");
    }
}

#[tokio::test]
async fn where_a_stream_starts() {
    let world = with_events(&["0", "1"]).await;
    let middle = span(&world).await.end;
    // Append times are those of the engine: this one is behind the first two.
    let time = Timestamp::now();
    while Timestamp::now() <= time {}
    for payload in ["2", "9"] {
        world.publish("b", payload).await;
    }
    let Span { oldest, end } = span(&world).await;
    check(&world, "?from=earliest", &[0, 1, 2, 9]).await;
    check(&world, "/b?from=earliest", &[2, 9]).await;
    check(&world, "?from=earliest&device=d&type=io.drogue.event.v1", &[0, 1, 2, 9]).await;
    check(&world, "?from=2000-01-01T00:00:00Z", &[0, 1, 2, 9]).await;
    check(&world, &format!("?from={time}"), &[2, 9]).await;
    check(&world, &format!("?from={}", cursor(&oldest)), &[0, 1, 2, 9]).await;
    check(&world, &format!("?from={}", cursor(&middle)), &[2, 9]).await;

    let mut at_end = connect(&world, &format!("/app?from={}", cursor(&end))).await;
    let mut later = connect(&world, "/app?from=2999-01-01T00:00:00Z").await;
    let mut none = connect(&world, "/app?from=earliest&device=e").await;
    let mut wrong_type = connect(&world, "/app?from=earliest&type=x").await;
    world.publish("b", "10").await;
    assert_eq!(event(&mut at_end).await.0, 10);
    assert_eq!(event(&mut later).await.0, 10);
    world.stop.cancel();
    for socket in [&mut none, &mut wrong_type] {
        assert_eq!(closed(socket).await.0, 1001, "no event is wanted");
    }
}

#[tokio::test]
async fn each_cursor_is_where_a_client_can_go_on() {
    let world = with_events(&["0", "1", "2", "3"]).await;
    let mut all = connect(&world, "/app?from=earliest&cursor=true").await;
    let mut cursors = Vec::new();
    for number in 0..4 {
        let (given, cursor) = event(&mut all).await;
        assert_eq!(given, number);
        cursors.push(cursor.expect("it was asked for"));
    }
    // Also those of events that came through a lane.
    world.publish("a", "4").await;
    cursors.push(event(&mut all).await.1.unwrap());
    for (number, cursor) in (0..).zip(&cursors) {
        let mut socket = connect(&world, &format!("/app?cursor=true&from={cursor}")).await;
        for next in number + 1..5 {
            let (given, cursor) = event(&mut socket).await;
            assert_eq!((given, cursor.as_ref()), (next, cursors.get(next as usize)));
        }
    }
    // A stream that is lost before its first event begins where it began.
    let path = "/app?cursor=true&token=".to_owned() + &world.login("alice");
    let answer = world.call(Method::GET, &path, HANDSHAKE).await;
    let begun = answer.headers["sockeye-cursor"].to_str().unwrap().to_owned();
    assert_eq!(&begun, cursors.last().unwrap());
    let without = world.call(Method::GET, &path.replace("true", "false"), HANDSHAKE).await;
    assert!(!without.headers.contains_key("sockeye-cursor"));
}

#[tokio::test]
async fn a_stream_that_ends() {
    let world = with_events(&["0", "1"]).await;
    let until = Timestamp::now();
    while Timestamp::now() <= until {}
    world.publish("a", "2").await;
    let complete = (1000, "everything before `until` was sent".to_owned());
    let mut socket = connect(&world, &format!("/app?from=earliest&until={until}")).await;
    assert_eq!(event(&mut socket).await.0, 0);
    assert_eq!(event(&mut socket).await.0, 1);
    assert_eq!(closed(&mut socket).await, complete);
    // A client that comes back with the cursor of the last event is told the same.
    let end = cursor(&span(&world).await.end);
    let mut socket = connect(&world, &format!("/app?from={end}&until={until}")).await;
    assert_eq!(closed(&mut socket).await, complete);
    // One that is still to come: live until then.
    let soon = Timestamp::now() + std::time::Duration::from_secs(1);
    let mut socket = connect(&world, &format!("/app?until={soon}")).await;
    world.publish("a", "3").await;
    assert_eq!(event(&mut socket).await.0, 3);
    assert_eq!(closed(&mut socket).await, complete);
}

/// Demands a refusal.
async fn check_refused(world: &World, from: &str, status: u16, message: &str) -> Value {
    let path = format!("/app?from={from}&token={}", world.login("alice"));
    let answer = world.call(Method::GET, &path, HANDSHAKE).await;
    assert_eq!(answer.status, status, "{}", answer.text);
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    assert!(body["message"].as_str().unwrap().contains(message), "{body}");
    body
}

#[tokio::test]
async fn cursors_that_lead_nowhere() {
    let world = with_events(&["0", "1", "2"]).await;
    let Span { oldest, end } = span(&world).await;
    let other = Cursor::encode("open", &end);
    check_refused(
        &world,
        &other,
        400,
        "is a cursor of the application `open`, not of `app`",
    )
    .await;
    let mut beyond = end.clone();
    beyond.advance(0, end.offset(0) + 1);
    check_refused(&world, &cursor(&beyond), 400, "beyond the end").await;
    let mut other_partition = end.clone();
    other_partition.advance(1, 1);
    check_refused(&world, &cursor(&other_partition), 400, "beyond the end").await;

    // Both kinds of 410 give the cursor of what is left.
    let foreign = Position::new(Incarnation(end.incarnation().0 ^ 1), end.offsets().to_vec());
    let mut one = oldest.clone();
    one.advance(0, oldest.offset(0) + 1);
    world.log.trim(&topic(), &end).await.unwrap();
    for (gone, message) in [
        (&foreign, "was replaced"),
        (&one, "retention has removed"),
        (&oldest, "retention"),
    ] {
        let body = check_refused(&world, &cursor(gone), 410, message).await;
        assert_eq!(body["error"], "Gone");
        assert_eq!(body["cursor"], cursor(&span(&world).await.oldest));
    }
    let oldest = cursor(&span(&world).await.oldest);
    let mut socket = connect(&world, &format!("/app?from={oldest}")).await;
    world.publish("a", "3").await;
    assert_eq!(event(&mut socket).await.0, 3);
}

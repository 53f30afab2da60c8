//! Tickets, handshakes, queries and topics (compat/dojot.md 2, 3, 10).

use std::collections::BTreeSet;

use futures_util::SinkExt as _;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::C;
use crate::support::{APP, closed, next_event, next_message};
use crate::world::World;

/// 2: two requests within a second get the same ticket.
#[tokio::test]
async fn no_two_tickets_are_alike() {
    let world = World::new();
    let token = World::token(APP, World::in_seconds(60));
    let mut tickets = BTreeSet::new();
    for _ in 0..50 {
        assert!(tickets.insert(world.ticket_of(&token).await));
    }
}

/// 3.1: an empty Close without a code, whatever is wrong.
#[tokio::test]
async fn every_close_has_a_code_and_a_reason() {
    let world = World::new();
    let mut socket = world.open_with("unknown", C, "").await.unwrap();
    let (code, reason) = closed(&mut socket).await;
    assert!(code == 4401 && !reason.is_empty(), "{code} {reason}");
}

/// 3.2: a raw `]=` is taken for a parameter of another name, and no filter is applied.
#[tokio::test]
async fn an_index_in_a_filter_is_part_of_it() {
    let world = World::new();
    let mut socket = world.open(C, "where=list[0]=5;").await;
    world.publish("c", r#"{"list":[4]}"#).await;
    world.publish("c", r#"{"list":[5]}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"list": [5]}));
}

/// 3.2: the text from a second raw `?` on is dropped, a later ticket with it.
#[tokio::test]
async fn a_second_question_mark_is_part_of_a_filter() {
    let world = World::new();
    let ticket = world.ticket().await;
    let path = format!("kafka-ws/v1/topics/{C}?where=s=is:what?;&ticket={ticket}");
    let mut socket = world.server.connect(&path, None).await.unwrap();
    world.publish("c", r#"{"s":"what"}"#).await;
    world.publish("c", r#"{"s":"what?"}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"s": "what?"}));
}

/// 3.2: a repeated `fields` hangs the connection for ever.
#[tokio::test]
async fn repeated_parameters_are_told() {
    let world = World::new();
    for query in [
        "fields=a&fields=b",
        "fields[]=a",
        "where=a=1;&where=a=1;",
        "where[x]=a=1;",
    ] {
        assert_eq!(world.closed(C, query).await.0, 4000, "{query}");
    }
}

/// 3.3: tenant `a` reads what belongs to a tenant `a.b`. Here no tenant has a `.` in its name, and `a` is not `a-b`.
#[tokio::test]
async fn no_tenant_reads_anothers_topics() {
    let world = World::new();
    for other in ["app2", "ap", "app-2"] {
        world.server.cli_ok(&["app", "create", other]);
        assert_eq!(world.closed(&format!("{other}.c"), "").await.0, 4403, "{other}");
    }
}

/// 3.4: a reason of more than 123 bytes is an illegal frame, on which clients fail.
#[tokio::test]
async fn a_long_reason_is_cut() {
    let world = World::new();
    let value = "%C3%BC".repeat(200);
    let (code, reason) = world.closed(C, &format!("where=temp=gt:{value};")).await;
    assert!(code == 4004 && (100..=123).contains(&reason.len()), "{code} {reason}");
}

/// 3.5: with an expired token a connection never ends. It is driven in `codes`; here the ticket is not even given.
#[tokio::test]
async fn an_expired_token_gets_no_ticket() {
    let world = World::with(&["--dojot-token-expiry", "on", "--dojot-connection-life", "off"]);
    let token = World::token(APP, World::in_seconds(-1));
    let answer = world.http.get(format!("{}/kafka-ws/v1/ticket", world.server.url));
    let answer = answer
        .header("Authorization", format!("Bearer {token}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

/// 10: filters are sent as people write them, and none of their characters is lost.
#[tokio::test]
async fn raw_characters_of_a_query_are_understood() {
    let world = World::new();
    let query = r#"fields=s,n(x),"q"&where=s=in:"a;b",<{c|d}>,[^`'\];n.x=gt:4;"#;
    let mut raw = world.open_raw(C, query).await;
    world.publish("c", r#"{"s":"a","n":{"x":5}}"#).await;
    world.publish("c", r#"{"s":"xa;by","n":{"x":5,"y":6}}"#).await;
    let expected = r#"{"s":"xa;by","n":{"x":5}}"#;
    let mut frame = vec![0; 2 + expected.len()];
    raw.read_exact(&mut frame).await.unwrap();
    assert_eq!(std::str::from_utf8(&frame[2..]), Ok(expected));
}

/// 3.1: whatever the path, an upgrade is accepted.
#[tokio::test]
async fn a_wrong_path_is_told() {
    let world = World::new();
    let ticket = world.ticket().await;
    for path in ["nothing", "ticket/", "public", "topics", "topics/app.c/more"] {
        let path = format!("kafka-ws/v1/{path}?ticket={ticket}");
        let Err(Error::Http(answer)) = world.server.connect(&path, None).await else {
            panic!("{path} is accepted");
        };
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(
            answer.body().as_deref(),
            Some(&br#"{"message":"Not Found"}"#[..]),
            "{path}"
        );
    }
    let mut socket = world.open_with(&ticket, C, "").await.unwrap();
    world.publish("c", r#"{"a":1}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"a": 1}));
}

/// 3.2 and 3.3: a topic that is not encoded well, or that Kafka cannot have, is one in which there is nothing.
#[tokio::test]
async fn a_topic_that_cannot_be_is_empty() {
    let world = World::new();
    for topic in [
        "app.",
        "app.%zz",
        "app.%ff",
        "app.%00",
        "app.a%20b%2Fc",
        &format!("app.{}", "x".repeat(500)),
    ] {
        let mut socket = world.open(topic, "").await;
        world.publish("c", r#"{"a":1}"#).await;
        socket.send(Message::Ping("there".into())).await.unwrap();
        assert_eq!(
            next_message(&mut socket).await,
            Message::Pong("there".into()),
            "{topic}"
        );
    }
}

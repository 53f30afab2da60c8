//! Streams over real sockets, read by an independent client.

use std::fmt::Write;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use serde_json::Value;
use sockeye_log::Topic;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::world::{HANDSHAKE, World};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn connect(world: &World, path: &str) -> Socket {
    let address = world.listen().await;
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    let authorization = HeaderValue::from_str(&world.basic("alice")).unwrap();
    request.headers_mut().insert("authorization", authorization);
    connect_async(request).await.unwrap().0
}

/// The next message that is no ping.
pub(crate) async fn next(socket: &mut Socket) -> Message {
    let message = async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    };
    timeout(Duration::from_secs(30), message).await.unwrap()
}

pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    match next(socket).await {
        Message::Close(Some(close)) => (close.code.into(), close.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

/// compat/drogue.md 1.5, as it is on the wire.
#[tokio::test]
async fn the_answer_to_the_handshake() {
    let world = World::new().await;
    let address = world.listen().await;
    for (offered, selected) in [
        ("", ""),
        ("graphql-ws", ""),
        ("CloudEvents.JSON", ""),
        ("cloudevents.json", "cloudevents.json"),
        ("mqtt, cloudevents.json", "cloudevents.json"),
    ] {
        let mut request =
            "GET /open HTTP/1.1\r\nhost: x\r\nsec-websocket-extensions: permessage-deflate\r\n".to_owned();
        let protocol = [("sec-websocket-protocol", offered)];
        let protocol = protocol.iter().filter(|(_, offered)| !offered.is_empty());
        for (name, value) in HANDSHAKE.iter().chain(protocol) {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        let mut io = TcpStream::connect(&address).await.unwrap();
        io.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(io).lines();
        assert_eq!(
            lines.next_line().await.unwrap().unwrap(),
            "HTTP/1.1 101 Switching Protocols"
        );
        let mut headers = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
            headers.push(line);
        }
        headers.retain(|line| !line.starts_with("date: "));
        let mut expected = vec![
            "connection: upgrade".to_owned(),
            "upgrade: websocket".to_owned(),
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
            "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
                .to_owned(),
        ];
        if !selected.is_empty() {
            expected.push(format!("sec-websocket-protocol: {selected}"));
        }
        assert_eq!(headers, expected, "{offered}");
    }
}

#[tokio::test]
async fn events_after_the_101_arrive() {
    let world = World::new().await;
    // The application has no topic yet: it is made, not missed.
    let mut first = connect(&world, "/app").await;
    world.publish("a", r#"{"n": 1}"#).await;
    let mut all = connect(&world, "/app").await;
    let mut one = connect(&world, "/app/a%2Fb").await;
    world.publish("a/b", r#"{"n": 2.50}"#).await;
    world.publish("a", r#"{"n":3}"#).await;
    world.publish("a/b", "4").await;

    let event = |subject: &str, data: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"io.drogue.event.v1\",\"source\":\"drogue://app/d\",\
             \"datacontenttype\":\"application/json\",\"subject\":\"{subject}\",\"data\":{data},\"device\":\"d\"}}"
        )
    };
    let events = [
        event("a", r#"{"n":1}"#),
        event("a/b", r#"{"n":2.50}"#),
        event("a", r#"{"n":3}"#),
        event("a/b", "4"),
    ];
    for event in &events {
        assert_eq!(next(&mut first).await, Message::text(event));
    }
    for event in &events[1..] {
        assert_eq!(next(&mut all).await, Message::text(event));
    }
    for event in [&events[1], &events[3]] {
        assert_eq!(next(&mut one).await, Message::text(event));
    }
}

/// Clients with the same filter and the same fields share a lane, those who differ in one do not (decision 9).
#[tokio::test]
async fn where_and_fields() {
    let world = World::new().await;
    let cold = "where=celsius=lt:5;ce.device=is:d;";
    let mut sockets = Vec::new();
    for query in [
        "fields=celsius",
        cold,
        &format!("{cold}&fields=celsius,at/x"),
        "where=ce.subject=is:b",
    ] {
        sockets.push(connect(&world, &format!("/app?{query}")).await);
    }
    world.publish("a", r#"{"celsius":21.50,"at":1}"#).await;
    world.publish("b", r#"{"celsius":"4.0","at":{"x":1,"y":2}}"#).await;
    world.publish("a", "4").await;
    world.publish("a", r#"{"celsius":-1}"#).await;
    for (socket, expected) in sockets.iter_mut().zip([
        &[r#"{"celsius":21.50}"#, r#"{"celsius":"4.0"}"#, "", r#"{"celsius":-1}"#][..],
        &[r#"{"celsius":"4.0","at":{"x":1,"y":2}}"#, r#"{"celsius":-1}"#],
        &[r#"{"celsius":"4.0","at":{"x":1}}"#, r#"{"celsius":-1}"#],
        &[r#"{"celsius":"4.0","at":{"x":1,"y":2}}"#],
    ]) {
        for data in expected {
            let Message::Text(text) = next(socket).await else {
                panic!()
            };
            let data = if data.is_empty() {
                String::new()
            } else {
                format!(",\"data\":{data}")
            };
            assert!(
                text.contains(&format!("{data},\"device\":\"d\"}}")),
                "{text} without {data}"
            );
            assert_eq!(text.contains("\"data\""), !data.is_empty(), "{text}");
        }
    }
}

#[tokio::test]
async fn messages_of_the_client() {
    let world = World::new().await;
    let mut socket = connect(&world, "/app").await;
    let refresh = r#"{"RefreshAccessToken":"a.b.c"}"#;
    for message in [Message::text(refresh), Message::binary(refresh)] {
        socket.send(message).await.unwrap();
    }
    world.publish("a", "1").await;
    let Message::Text(text) = next(&mut socket).await else {
        panic!()
    };
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["data"], 1);
    socket.send(Message::text(r#"{"Foo":1}"#)).await.unwrap();
    let reason = "unknown variant `Foo`, expected `RefreshAccessToken` at line 1 column 6".to_owned();
    assert_eq!(closed(&mut socket).await, (1002, reason));
}

#[tokio::test]
async fn a_deleted_application_ends_its_streams() {
    let world = World::new().await;
    let mut socket = connect(&world, "/app").await;
    world.log.delete_topic(&Topic::events_of("app")).await.unwrap();
    assert_eq!(
        closed(&mut socket).await,
        (1008, "the application was deleted".to_owned())
    );
}

#[tokio::test]
async fn a_server_that_stops_waits_for_its_streams() {
    let world = World::new().await;
    let mut socket = connect(&world, "/app").await;
    assert!(!world.tasks.is_empty());
    world.tasks.close();
    world.stop.cancel();
    assert_eq!(closed(&mut socket).await.0, 1001);
    assert!(socket.next().await.is_none());
    timeout(Duration::from_secs(30), world.tasks.wait()).await.unwrap();
}

//! What the original does wrong, one test each (compat/dojot.md 11 and its marks "do not copy"): Sockeye does not.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{APP, Server, Socket, closed, next_event, next_message};
use crate::world::World;

const C: &str = "app.c";

/// What is sent of this message to who asks for that.
async fn sent(query: &str, message: &str) -> Message {
    let world = World::new();
    let mut socket = world.open(C, query).await;
    world.publish("c", message).await;
    next_message(&mut socket).await
}

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

/// 4.5: names that every object of JavaScript has are taken for fields.
#[tokio::test]
async fn inherited_names_are_no_fields() {
    let message = r#"{"a":1}"#;
    for query in ["where=constructor=has:false;", "where=toString=nin:x;"] {
        assert_eq!(sent(query, message).await, Message::Text(message.into()), "{query}");
    }
    let world = World::new();
    let mut socket = world.open(C, "fields=constructor,b").await;
    world.publish("c", message).await;
    world.publish("c", r#"{"b":1}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"b": 1}));
}

/// 4.5: an invalid regular expression is found out at each message. Here `in` is no expression, and `re` is looked at first.
#[tokio::test]
async fn values_are_text_and_expressions_are_checked() {
    let world = World::new();
    assert_eq!(world.closed(C, "where=s=re:(;").await.0, 4004);
    let mut socket = world.open(C, "where=s=in:a.c,(;").await;
    world.publish("c", r#"{"s":"abc"}"#).await;
    world.publish("c", r#"{"s":"a.c"}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"s": "a.c"}));
}

/// 4.6: a condition rewrites the message: numbers as keys become arrays, dots objects, and `20000000` costs 8 s.
#[tokio::test]
async fn a_filter_never_changes_a_message() {
    for message in [
        r#"{"data":{"attrs":{"1":[{"id":1}],"20000000":{"x":1}}},"on":1}"#,
        r#"{"a.b":{"__proto__":1,"":2},"on":1,"n":1.00,"big":12345678901234567890,"on":1}"#,
    ] {
        assert_eq!(sent("where=on=1;", message).await, Message::Text(message.into()));
    }
    assert_eq!(
        sent("where=0.on=1;", r#"[{"on":1}]"#).await,
        Message::Text(r#"[{"on":1}]"#.into())
    );
}

/// 6: rules that differ share one, and the later client gets the earlier one's.
#[tokio::test]
async fn each_client_has_its_own_filter() {
    let world = World::new();
    let mut quoted = world.open(C, "where=status=in:\"a,b\";").await;
    let mut listed = world.open(C, "where=status=in:a,b;").await;
    let mut one = world.open(C, "fields=a(b,c),d(e,f)").await;
    let mut other = world.open(C, "fields=a(b,f),d(e,c)").await;
    world.publish("c", r#"{"status":"a"}"#).await;
    world.publish("c", r#"{"status":"a,b"}"#).await;
    assert_eq!(next_event(&mut listed).await, json!({"status": "a"}));
    assert_eq!(next_event(&mut listed).await, json!({"status": "a,b"}));
    assert_eq!(next_event(&mut quoted).await, json!({"status": "a,b"}));
    world
        .publish("c", r#"{"a":{"b":1,"c":2,"f":3},"d":{"e":4,"f":5,"c":6}}"#)
        .await;
    assert_eq!(
        next_event(&mut one).await,
        json!({"a": {"b": 1, "c": 2}, "d": {"e": 4, "f": 5}})
    );
    assert_eq!(
        next_event(&mut other).await,
        json!({"a": {"b": 1, "f": 3}, "d": {"e": 4, "c": 6}})
    );
}

/// 6: what is sent is printed anew: 1.0 becomes 1, large integers are rounded, of names that are there twice one is lost.
#[tokio::test]
async fn messages_are_sent_as_they_came() {
    let message = r#"{"a":1.0,"b":1e3,"2":9007199254740993,"1":"\u00e9","a":2}"#;
    assert_eq!(sent("", message).await, Message::Text(message.into()));
    let selected = r#"{"b":1e3,"2":9007199254740993}"#;
    assert_eq!(sent("fields=b,2", message).await, Message::Text(selected.into()));
}

/// 7: who connects later gets what came while nobody listened; two who listen disturb each other, or get half each.
#[tokio::test]
async fn every_client_sees_what_comes_from_its_connection_on() {
    let world = World::new();
    world.publish("c", r#"{"n":0}"#).await;
    let mut first = world.open(C, "").await;
    world.publish("c", r#"{"n":1}"#).await;
    assert_eq!(next_event(&mut first).await, json!({"n": 1}));
    let mut second = world.open(C, "").await;
    for _ in 0..5 {
        drop(world.open("app.events", "").await);
    }
    let (of_first, of_second) = (world.until_end(&mut first, "c").await, next_event(&mut second).await);
    assert!(of_first.is_empty(), "none comes twice: {of_first:?}");
    assert_eq!(of_second, json!({"end": true}));
}

/// 7: 503 for the first 30 s after a start.
#[tokio::test]
async fn a_server_serves_as_soon_as_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let answer = reqwest::get(format!("{}/kafka-ws/v1/ticket", server.url))
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

/// 7: sockets are cut when the server stops, and clients see 1006.
#[tokio::test]
async fn a_server_that_stops_says_so() {
    let mut world = World::new();
    let mut socket = world.open(C, "").await;
    crate::support::signal(world.server.pid(), "TERM");
    assert_eq!(closed(&mut socket).await.0, 1001);
    assert!(world.server.wait().success());
}

/// 7, the remote kill switch: a violation of the protocol by anybody, without a ticket, ends the process.
#[tokio::test]
async fn a_violation_of_the_protocol_ends_its_socket_only() {
    let world = World::new();
    let mut good = world.open(C, "").await;
    let address = world.server.url.strip_prefix("http://").unwrap();
    for (ticket, frame) in [
        ("", &b"\x83\x80\0\0\0\0"[..]),
        ("", b"\x81\x05hello"),
        ("real", b"\xf1\x80\0\0\0\0"),
        ("real", b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
    ] {
        let ticket = if ticket.is_empty() {
            "x".to_owned()
        } else {
            world.ticket().await
        };
        let mut bad = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET /kafka-ws/v1/topics/{C}?ticket={ticket} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        bad.write_all(&[head.as_bytes(), frame].concat()).await.unwrap();
        let mut answer = Vec::new();
        // It may be reset, once it was told.
        let _ = bad.read_to_end(&mut answer).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 101 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    world.publish("c", r#"{"a":1}"#).await;
    assert_eq!(next_event(&mut good).await, json!({"a": 1}));
}

/// 9: the address, and so the ticket, is in the log; at the start secrets are.
#[tokio::test]
async fn no_ticket_and_no_secret_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let secrets = folder.path().join("secrets.json");
    std::fs::write(
        &secrets,
        json!({ crate::world::ISSUER: crate::world::SECRET }).to_string(),
    )
    .unwrap();
    let server = Server::start_with(&folder.path().join("data"), |command| {
        command
            .arg("--dojot-secrets")
            .arg(secrets)
            .args(["--log-level", "trace"])
            .stderr(file);
    });
    server.cli_ok(&["app", "create", APP]);
    let token = World::token(APP, World::in_seconds(60));
    let http = crate::support::http();
    let answer = http
        .get(format!("{}/kafka-ws/v1/ticket", server.url))
        .bearer_auth(&token);
    let body: serde_json::Value = answer.send().await.unwrap().json().await.unwrap();
    let ticket = body["ticket"].as_str().unwrap();
    let path = format!("kafka-ws/v1/topics/{C}?ticket={ticket}");
    let mut socket: Socket = server.connect(&path, None).await.unwrap();
    crate::support::signal(server.pid(), "TERM");
    closed(&mut socket).await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("ticket.issued") && log.contains("stream.opened"), "{log}");
    for secret in [ticket, &token, crate::world::SECRET] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// 10: filters are sent as people write them, and none of their characters is lost.
#[tokio::test]
async fn raw_characters_of_a_query_are_understood() {
    let world = World::new();
    let ticket = world.ticket().await;
    let mut raw = TcpStream::connect(world.server.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let query = r#"fields=s,n/(x),"q"&where=s=in:"a;b",<{c|d}>,[^`'\];n.x=gt:4;"#.replace("n/(x)", "n(x)");
    let head = format!(
        "GET /kafka-ws/v1/topics/{C}?{query}&ticket={ticket} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    raw.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(raw.read_u8().await.unwrap());
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    world.publish("c", r#"{"s":"a","n":{"x":5}}"#).await;
    world.publish("c", r#"{"s":"xa;by","n":{"x":5,"y":6}}"#).await;
    let expected = r#"{"s":"xa;by","n":{"x":5}}"#;
    let mut frame = vec![0; 2 + expected.len()];
    raw.read_exact(&mut frame).await.unwrap();
    assert_eq!(std::str::from_utf8(&frame[2..]), Ok(expected));
}

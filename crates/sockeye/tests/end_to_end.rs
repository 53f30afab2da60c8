//! A device's event to a client's screen: a real server process, independent clients.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::{io::BufRead as _, process::Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cloudevents::{AttributesReader as _, Data, Event};
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use sockeye_parts::websocat;
use support::{APP, DEVICE, PASSWORD, Server, closed, next_event, next_message, numbered};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{Error, Message};

#[tokio::test]
async fn an_event_reaches_a_client_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let mut socket = server.stream(APP).await;
    let status = server
        .publish(&support::http(), "temperature", &json!({ "temp": 21.5 }))
        .await
        .unwrap();
    assert_eq!(status, 202);

    let text = next_event(&mut socket).await.to_string();
    // The independent oracle reads it.
    let event: Event = serde_json::from_str(&text).unwrap();
    assert_eq!(event.ty(), "io.drogue.event.v1");
    assert_eq!(event.subject(), Some("temperature"));
    assert_eq!(*event.source(), format!("drogue://{APP}/{DEVICE}"));
    assert_eq!(event.datacontenttype(), Some("application/json"));
    assert_eq!(event.data(), Some(&Data::Json(json!({ "temp": 21.5 }))));
    let extension = |name: &str| event.extension(name).map(ToString::to_string);
    for (name, value) in [
        ("application", APP),
        ("device", DEVICE),
        ("sender", DEVICE),
        ("instance", "drogue"),
    ] {
        assert_eq!(extension(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(extension("partitionkey").as_deref(), Some("app/dev"));
    assert!(extension("deviceuid").is_some() && extension("applicationuid").is_some());
}

#[tokio::test]
async fn a_channel_shows_its_events_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let http = support::http();
    let mut one = server.stream("app/one").await;
    let mut all = server.stream(APP).await;
    for (number, channel) in ["two", "one", "two", "one"].into_iter().enumerate() {
        assert_eq!(
            server.publish(&http, channel, &numbered(number as u64)).await.unwrap(),
            202
        );
    }
    for number in [1, 3] {
        assert_eq!(next_event(&mut one).await["data"], numbered(number));
    }
    for number in 0..4 {
        assert_eq!(
            next_event(&mut all).await["data"],
            numbered(number),
            "in the order of the log"
        );
    }
}

/// What is published after the 101 arrives, however soon.
#[tokio::test]
async fn nothing_is_missed_at_connect() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let http = support::http();
    for number in 0..50 {
        let mut socket = server.stream(APP).await;
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
}

#[tokio::test]
async fn every_kind_of_credentials_opens_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    server.cli_ok(&["app", "create", "open", "--public"]);
    let admin = server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    let basic = format!("Basic {}", STANDARD.encode(&admin));
    for (path, authorization) in [
        (APP.to_owned(), Some(basic.as_str())),
        (APP.to_owned(), Some(&*basic.replace("Basic", "bAsIc"))),
        (APP.to_owned(), Some(&*format!("Bearer {admin}"))),
        (format!("{APP}?username={user}&api_key={key}"), None),
        (format!("{APP}?token={admin}"), None),
        ("open".to_owned(), None),
        ("open".to_owned(), Some(&basic)),
    ] {
        let opened = server.connect(&path, authorization).await;
        assert!(opened.is_ok(), "{path} with {authorization:?}: {:?}", opened.err());
    }
}

/// The rows of compat/drogue.md 1.4 with the statuses of decision 2.
#[tokio::test]
async fn refusals_before_the_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = server.admin();
    let good = format!("Basic {}", STANDARD.encode(&admin));
    let wrong = format!(
        "Basic {}",
        STANDARD.encode("admin:drg_012345_01234567890123456789012345678920BetF")
    );
    let empty = format!("Basic {}", STANDARD.encode("admin:"));
    for (path, authorization, status, message) in [
        (APP, Some(wrong.as_str()), 401, ""),
        (APP, Some("Basic !!"), 401, "Basic"),
        (APP, Some(&empty), 401, "No access token provided"),
        (APP, Some("Digest x"), 401, "`Basic` or `Bearer`"),
        (APP, Some("Bearer nonsense"), 401, ""),
        (
            "app?username=admin&api_key=x",
            Some(good.as_str()),
            400,
            "More than one way of authentication provided",
        ),
        ("app?username=admin", None, 400, "api_key"),
        (APP, None, 404, "Resource not found: Application / app"),
        ("nobody", Some(&good), 404, "Resource not found: Application / nobody"),
        ("app/a/b", Some(&good), 404, ""),
        ("app?group_id=a&group_id=b", Some(&good), 400, "group_id"),
    ] {
        let refused = match server.connect(path, authorization).await {
            Err(Error::Http(response)) => response,
            other => panic!("{path} with {authorization:?}: {other:?}"),
        };
        let case = format!("{path} with {authorization:?}");
        assert_eq!(refused.status().as_u16(), status, "{case}");
        let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap_or_default()).unwrap_or_default();
        assert!(
            body["message"].as_str().is_some_and(|text| text.contains(message)),
            "{case}: {body}"
        );
        assert!(body["error"].is_string(), "{case}: {body}");
        assert_eq!(
            refused.headers().contains_key("www-authenticate"),
            status == 401,
            "{case}"
        );
    }
    let plain = support::http()
        .get(format!("{}/app", server.url))
        .header("Authorization", good)
        .send()
        .await;
    let plain = plain.unwrap();
    assert_eq!(
        (plain.status().as_u16(), plain.headers()["upgrade"].as_bytes()),
        (426, &b"websocket"[..])
    );
}

#[tokio::test]
async fn closes_carry_code_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    for text in ["no JSON", r#"{"Foo":1}"#, "{}", "5"] {
        let mut socket = server.stream(APP).await;
        socket.send(Message::text(text)).await.unwrap();
        let (code, reason) = closed(&mut socket).await;
        assert_eq!(code, 1002, "{text}");
        assert!(!reason.is_empty(), "{text}");
    }
    // On a socket that was opened with a key a refresh is ignored (decision 4).
    let mut refreshed = server.stream(APP).await;
    refreshed
        .send(Message::text(r#"{"RefreshAccessToken":"x"}"#))
        .await
        .unwrap();
    refreshed.send(Message::Ping("still there".into())).await.unwrap();
    assert!(matches!(next_message(&mut refreshed).await, Message::Pong(data) if data == "still there"));

    // A deleted application ends its streams.
    server.cli_ok(&["app", "delete", APP]);
    let (code, reason) = closed(&mut refreshed).await;
    assert!(code == 1008 && reason.contains("application"), "{code} {reason}");

    // A server that stops says so.
    server.cli_ok(&["app", "create", "open", "--public"]);
    let mut open = server.connect("open", None).await.unwrap();
    support::signal(server.pid(), "TERM");
    assert_eq!(closed(&mut open).await.0, 1001);
    drop(open);
    assert!(server.wait().success());
}

#[tokio::test]
async fn the_server_pings() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let mut socket = server.stream(APP).await;
    assert!(matches!(next_message(&mut socket).await, Message::Ping(data) if data == "PING"));
}

/// The client that people have: unmodified `websocat`, as a process.
#[tokio::test]
async fn websocat_prints_every_event() {
    let Some(websocat) = websocat::path().expect("websocat can be had") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let admin = server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    let url = server.url.replacen("http", "ws", 1);
    let http = support::http();
    for words in [
        vec![format!("{url}/{APP}"), format!("--basic-auth={admin}")],
        vec![format!("{url}/{APP}/c"), format!("-H=Authorization: Bearer {admin}")],
        vec![format!("{url}/{APP}?username={user}&api_key={key}")],
    ] {
        let mut child = std::process::Command::new(&websocat)
            .args(["--no-close", "-U"])
            .args(&words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        // The client is connected when the server has its stream: published until the first line is there, then exactly.
        let (first, mut read) = tokio::sync::mpsc::channel(100);
        let reader = tokio::task::spawn_blocking(move || {
            while let Some(Ok(line)) = lines.next() {
                if first.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        let mut number = 0;
        let started = loop {
            assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
            number += 1;
            match tokio::time::timeout(std::time::Duration::from_millis(100), read.recv()).await {
                Ok(line) => break number_of(&line.expect("websocat goes on")),
                Err(_) => assert!(number < 300, "websocat prints nothing: {words:?}"),
            }
        };
        for extra in 0..20 {
            assert_eq!(
                server.publish(&http, "c", &numbered(number + extra)).await.unwrap(),
                202
            );
        }
        for expected in started + 1..number + 20 {
            let line = tokio::time::timeout(support::PATIENCE, read.recv())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                number_of(&line),
                expected,
                "each event is one line, none is missed: {words:?}"
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(read);
        reader.await.unwrap();
    }
}

fn number_of(line: &str) -> u64 {
    let event: Value = serde_json::from_str(line).unwrap();
    event["data"]["number"].as_u64().unwrap()
}

/// permessage-deflate (RFC 7692) as a browser offers it: agreed on, and frames of the lane are compressed.
#[tokio::test]
async fn a_client_that_offers_compression_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    server.cli_ok(&["app", "create", "open", "--public"]);
    server.cli_ok(&["device", "create", "open", DEVICE, "--password", PASSWORD]);
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let request = "GET /open HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("permessage-deflate"),
        "{head}"
    );
    assert!(
        head.contains("server_no_context_takeover"),
        "one compressed frame serves all sockets: {head}"
    );

    // The socket is in its lane when a first event has come; those that it read by itself before may be plain.
    let http = support::http();
    for number in 0.. {
        let payload = json!({ "number": number, "text": "again and ".repeat(20) });
        let published = http
            .post(format!("{}/v1/c", server.url))
            .basic_auth(format!("{DEVICE}@open"), Some(PASSWORD))
            .json(&payload);
        assert_eq!(published.send().await.unwrap().status().as_u16(), 202);
        let (first, payload_bytes) = next_frame(&mut stream).await;
        let compressed = first == 0xC1;
        let text = if compressed {
            inflated(&payload_bytes)
        } else {
            payload_bytes
        };
        let event: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(event["data"], payload);
        if compressed {
            return;
        }
        assert!(number < 10, "frames stay plain");
    }
}

/// First byte and payload of the next text frame.
async fn next_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    loop {
        let (first, short) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        let length = if short == 126 {
            usize::from(stream.read_u16().await.unwrap())
        } else {
            usize::from(short)
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if first & 0x0F == 1 {
            return (first, payload);
        }
    }
}

/// RFC 7692 section 7.2.2.
fn inflated(payload: &[u8]) -> Vec<u8> {
    let whole = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    let mut text = Vec::with_capacity(64 * 1024);
    let mut inflate = flate2::Decompress::new(false);
    inflate
        .decompress_vec(&whole, &mut text, flate2::FlushDecompress::Sync)
        .unwrap();
    text
}

//! What an operator reads at `/metrics` of a server with streams of every kind, one of which is not read.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use support::{APP, PATIENCE, Server, http};

/// What lanes are looked for by, and a path that selects by it.
const KINDS: [(&str, &str); 4] = [
    ("whole", APP),
    ("device", "app?device=dev"),
    ("channel", "app/c"),
    ("type", "app?type=io.drogue.event.v1"),
];
/// More than a system holds for a client that does not read, in events of this size.
const EVENTS: usize = 60;
const PAYLOAD: usize = 60_000;

/// Opens a stream by hand: the client that other tests use offers no compression.
fn open(server: &Server, path: &str, deflate: bool) -> TcpStream {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let login = STANDARD.encode(server.admin());
    let extensions = if deflate {
        "sec-websocket-extensions: permessage-deflate\r\n"
    } else {
        ""
    };
    let head = format!(
        "GET /{path} HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Basic {login}\r\n{extensions}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{path}: {answer}");
    assert_eq!(answer.contains("permessage-deflate"), deflate, "{path}: {answer}");
    stream
}

/// The sample whose line begins like this; 0 if there is none.
fn sample(text: &str, name: &str) -> f64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.next().map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn every_kind_of_lane_and_a_stalled_reader_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), |command| {
        command.args(["--metrics-bind", "127.0.0.1:0"]);
    });
    let metrics = server.metrics_url();
    server.make_device();
    for (_, path) in KINDS {
        for deflate in [false, true] {
            let mut stream = open(&server, path, deflate);
            // Reads until the server has gone.
            std::thread::spawn(move || while stream.read(&mut [0; 1 << 12]).is_ok_and(|count| count > 0) {});
        }
    }
    let _not_read = open(&server, APP, false);
    let (client, start) = (http(), Instant::now());
    let payload = json!("x".repeat(PAYLOAD));
    for _ in 0..EVENTS {
        let status = server.publish(&client, "c", &payload).await.unwrap();
        assert_eq!(status, 202);
    }

    // Seen as soon as all of it was written.
    let wanted = KINDS.into_iter().flat_map(|(selection, _)| {
        ["plain", "deflated"].into_iter().flat_map(move |frames| {
            let kind = format!("selection=\"{selection}\",frames=\"{frames}\"");
            [
                format!("lanes{{{kind}}}"),
                format!("lane_readers{{{kind}}}"),
                format!("lane_write_bytes_count{{{kind}}}"),
                format!("lane_write_frames_sum{{{kind}}}"),
                format!("lane_latency_seconds_sum{{{kind},socket=\"first\"}}"),
                format!("lane_latency_seconds_sum{{{kind},socket=\"last\"}}"),
            ]
        })
    });
    let others = [
        "readers_stalled{dialect=\"drogue\"}",
        "readers_behind{dialect=\"drogue\"}",
        "events_total{dialect=\"drogue\"}",
        "sent_bytes_total{dialect=\"drogue\"}",
        "tail_bytes",
        "held_bytes",
    ];
    let wanted: Vec<_> = wanted.chain(others.map(str::to_owned)).collect();
    loop {
        let text = client.get(&metrics).send().await.unwrap().text().await.unwrap();
        let zero = wanted
            .iter()
            .find(|name| sample(&text, &format!("sockeye_delivery_{name}")) <= 0.0);
        match zero {
            None => return,
            Some(name) => assert!(start.elapsed() < PATIENCE, "{name} stays 0:\n{text}"),
        }
    }
}

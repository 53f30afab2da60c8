//! Servers that start, stop, meet bad clients and outages (compat/dojot.md 7, 9, 11).

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sockeye_parts::{
    kafka::{self, Kafka},
    postgres::{self, Postgres},
};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::C;
use crate::support::{APP, PASSWORD, PATIENCE, Server, Socket, closed, next_event, next_message};
use crate::world::World;

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
        let path = format!("/kafka-ws/v1/topics/{C}?ticket={ticket}");
        let mut bad = world.send_raw(&path, frame).await;
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
    let body: Value = answer.send().await.unwrap().json().await.unwrap();
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

/// 3.1: no heartbeat, so that gateways cut what is idle.
#[tokio::test]
async fn an_idle_connection_is_pinged() {
    let world = World::new();
    let mut socket = world.open(C, "").await;
    assert!(matches!(next_message(&mut socket).await, Message::Ping(_)));
}

/// 11, #1989 and #2107: health is asked for where the service is.
#[tokio::test]
async fn health_is_told() {
    let world = World::new();
    for path in ["healthz", "readyz"] {
        let answer = world.http.get(format!("{}/{path}", world.server.url)).send().await;
        assert_eq!(answer.unwrap().status(), 200, "{path}");
    }
}

/// 7: what clients do not read is kept in memory, for each of them (there 160 MiB for 190 MiB).
#[tokio::test]
async fn clients_that_do_not_read_cost_no_memory() {
    const CLIENTS: usize = 10;
    const EVENTS: u64 = 1_500;
    const PAYLOAD: usize = 60_000;
    let world = World::new();
    let mut stalled = Vec::new();
    for _ in 0..CLIENTS {
        stalled.push(world.open(C, "").await);
    }
    let mut reader = world.open(C, "fields=n").await;
    let before = memory(&world.server, "VmRSS:");
    let payload = "x".repeat(PAYLOAD);
    let publishing = stream::iter(0..EVENTS)
        .map(|n| world.publish("c", json!({"n": n, "x": payload}).to_string()))
        .buffer_unordered(16);
    let (numbers, _) = tokio::join!(
        async {
            let mut numbers = BTreeSet::new();
            while numbers.len() < EVENTS as usize {
                numbers.insert(next_event(&mut reader).await["n"].as_u64().unwrap());
            }
            numbers
        },
        publishing.collect::<Vec<()>>()
    );
    assert_eq!(numbers.last(), Some(&(EVENTS - 1)));
    let taken = memory(&world.server, "VmHWM:") - before;
    // Once would be 86 MiB, and for each of them 858.
    assert!(taken < 2 * PAYLOAD * EVENTS as usize, "{} MiB", taken >> 20);
}

/// What the system says of the server's memory, in bytes.
fn memory(server: &Server, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// 11, #2007, #2045, #2081, #2094: without Redis tickets hang or are 500, and sometimes there is no way back.
#[tokio::test]
async fn an_outage_of_the_registry_is_told_and_ends_with_it() {
    let Some(mut postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let world = World::changed(|command| {
        command.env("SOCKEYE_POSTGRES", &url);
    });
    let mut socket = world.open(C, "").await;
    world.publish("c", r#"{"n":1}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"n": 1}));
    let ticket = world.ticket().await;
    let token = World::token(APP, World::in_seconds(600));
    let ask = async || {
        let request = world.http.get(format!("{}/kafka-ws/v1/ticket", world.server.url));
        request.bearer_auth(&token).timeout(PATIENCE).send().await.unwrap()
    };
    postgres.kill().unwrap();
    let refused = ask().await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let told: Value = refused.json().await.unwrap();
    assert_eq!(told, json!({"message": "not available now, try again later"}));
    let mut other = world.open_with(&ticket, C, "").await.unwrap();
    assert_eq!(closed(&mut other).await.0, 4999);
    // Who is there already gets what comes.
    world.publish("c", r#"{"n":2}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"n": 2}));
    postgres.start_again().unwrap();
    let since = Instant::now();
    while ask().await.status() != 200 {
        assert!(since.elapsed() < PATIENCE, "there is no way back");
    }
    let mut other = world.open(C, "").await;
    world.publish("c", r#"{"n":3}"#).await;
    for socket in [&mut socket, &mut other] {
        assert_eq!(next_event(socket).await, json!({"n": 3}));
    }
}

/// 11, #1825, #2024, #2030: after Kafka was away there is no way back, or messages come twice.
#[tokio::test]
async fn an_outage_of_kafka_loses_and_doubles_nothing() {
    let Some(mut kafka) = Kafka::start_or_say().unwrap() else {
        return;
    };
    let world = World::with(&["--kafka", &kafka.bootstrap()]);
    let mut socket = world.open(C, "").await;
    world.publish("c", r#"{"n":0}"#).await;
    assert_eq!(next_event(&mut socket).await, json!({"n": 0}));
    kafka.kill().unwrap();
    // Tickets are not Kafka's business; a topic is.
    assert_eq!(world.closed(C, "").await.0, 4999);
    kafka.start_again().unwrap();
    let mut accepted = Vec::new();
    let since = Instant::now();
    for n in 1.. {
        // What is refused may be stored all the same: it is not sent again.
        let status = world.server.publish(&world.http, "c", &json!({"n": n})).await.unwrap();
        if status == 202 {
            accepted.push(n);
        }
        if accepted.len() == 3 {
            break;
        }
        assert!(since.elapsed() < 4 * PATIENCE, "there is no way back: {status}");
    }
    let mut got = Vec::new();
    while got.last() != accepted.last() {
        got.push(next_event(&mut socket).await["n"].as_u64().unwrap());
    }
    let once: BTreeSet<u64> = got.iter().copied().collect();
    assert_eq!(once.len(), got.len(), "none comes twice: {got:?}");
    assert!(accepted.iter().all(|n| once.contains(n)), "{accepted:?}, {got:?}");
}

/// 7: servers share the partitions of a topic, and each shows its part.
#[tokio::test]
async fn each_of_two_servers_shows_all_partitions() {
    const DEVICES: usize = 8;
    let (Some(kafka), Some(postgres)) = (kafka::shared().unwrap(), postgres::shared().unwrap()) else {
        return;
    };
    let (bootstrap, url) = (kafka.bootstrap(), postgres.database().unwrap());
    let change = |command: &mut std::process::Command| {
        command.env("SOCKEYE_POSTGRES", &url);
        command.args([
            "--kafka",
            &bootstrap,
            "--kafka-topics",
            "parts-{application}",
            "--kafka-partitions",
            "4",
        ]);
    };
    let world = World::changed(change);
    let folder = tempfile::tempdir().unwrap();
    let other = Server::start_with(&folder.path().join("data"), change);
    let mut here = world.open(C, "").await;
    let path = format!("kafka-ws/v1/topics/{C}?ticket={}", world.ticket().await);
    let mut there = other.connect(&path, None).await.unwrap();
    for device in 0..DEVICES {
        let name = format!("device-{device}");
        world
            .server
            .cli_ok(&["device", "create", APP, &name, "--password", PASSWORD]);
        let url = if device % 2 == 0 { &world.server.url } else { &other.url };
        let request = world.http.post(format!("{url}/v1/c"));
        let request = request.basic_auth(format!("{name}@{APP}"), Some(PASSWORD));
        assert_eq!(
            request.json(&json!({"device": device})).send().await.unwrap().status(),
            202
        );
    }
    for socket in [&mut here, &mut there] {
        let mut seen = BTreeSet::new();
        for _ in 0..DEVICES {
            seen.insert(next_event(socket).await["device"].as_u64().unwrap());
        }
        assert_eq!(seen.len(), DEVICES, "each once: {seen:?}");
    }
}

//! Records of programs that are not Sockeye: a producer of Java and one of Python, in the shape of dojot, as CloudEvents in both
//! modes, as plain JSON, and as garbage between them.
//!
//! Runs once: events are in Kafka anyway, and nothing of it is a matter of the registry.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::{collections::BTreeMap, io::Write as _, process::Stdio};

use serde_json::{Value, json};
use sockeye_parts::clients;
use support::{Server, engines::kafka, next_event};

/// A tenant of dojot.
const TENANT: &str = "admin";
const TOPIC: &str = "admin.device-data";

/// What the program of Python sends, one after the other, to one partition.
const PYTHON: &str = r#"
import json, sys
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all")
def send(value, key=None, headers=[]):
    producer.send(sys.argv[2], value=value, key=key, headers=headers, partition=0).get(30)
send(json.dumps({"metadata": {"deviceid": "p1", "timestamp": 1604587064}, "attrs": {"t": 1}}).encode())
send(b"not json")
send(None, key=b"a tombstone")
send(b"", headers=[("content-type", b"application/json")])
send(json.dumps({"specversion": "1.0", "id": "s", "source": "/s", "type": "t", "device": "p2", "data": {"n": 2}}).encode(),
     headers=[("content-type", b"application/cloudevents+json; charset=utf-8")])
send(b"\x00\xff", headers=[("ce_specversion", b"1.0"), ("ce_id", b"b"), ("ce_source", b"/b"), ("ce_type", b"t"), ("ce_device", b"p3")])
send(b"x", headers=[("ce_specversion", b"1.0"), ("ce_id", b"no type")])
send(json.dumps({"other": "plain"}).encode(), key=b"k")
"#;

// ----------------------------------------------------------------------------------------------

/// Sends lines with Kafka's own producer.
fn send_with_java(lines: &str) {
    let mut producer = kafka()
        .tool("org.apache.kafka.tools.ConsoleProducer")
        .args(["--bootstrap-server", &kafka().bootstrap(), "--topic", TOPIC])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    producer.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(producer.wait().unwrap().success());
}

async fn skipped(metrics: &str) -> u64 {
    let text = support::http().get(metrics).send().await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("sockeye_delivery_skipped_records_total"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_an_event_is_delivered_and_the_rest_is_skipped_and_counted() {
    let Some(mut python) = clients::python_with_kafka().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), |command| {
        command.args([
            "--kafka",
            &kafka().bootstrap(),
            "--kafka-topics",
            "{application}.device-data",
        ]);
        command.args([
            "--kafka-json",
            "device=metadata.deviceid channel='device-data' time=metadata.timestamp",
        ]);
        command.args(["--metrics-bind", "127.0.0.1:0"]);
    });
    let metrics = server.metrics_url();
    server.cli_ok(&["app", "create", TENANT]);
    let mut live = server.stream(TENANT).await;
    let of_dojot = r#"{"metadata":{"deviceid":"c6ea4b","tenant":"admin","timestamp":1604587064592},"attrs":{"temperature":21.50}}"#;
    send_with_java(&format!("{of_dojot}\ngarbage\n"));
    let sent = python
        .args(["-c", PYTHON, &kafka().bootstrap(), TOPIC])
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));

    let mut past = server.stream(&format!("{TENANT}?from=earliest")).await;
    for socket in [&mut live, &mut past] {
        let mut events = BTreeMap::new();
        for _ in 0..5 {
            let event = next_event(socket).await;
            let device = event["device"].as_str().unwrap_or("nobody").to_owned();
            assert!(events.insert(device, event.clone()).is_none(), "{event}");
        }
        let seen = |device: &str, name: &str| events[device][name].clone();
        assert_eq!(seen("c6ea4b", "data"), serde_json::from_str::<Value>(of_dojot).unwrap());
        assert_eq!(seen("c6ea4b", "time"), "2020-11-05T14:37:44.592Z");
        for (device, name, expected) in [
            ("c6ea4b", "subject", json!("device-data")),
            ("c6ea4b", "application", json!(TENANT)),
            ("c6ea4b", "type", json!("io.drogue.event.v1")),
            ("p1", "time", json!("2020-11-05T14:37:44Z")),
            ("p1", "subject", json!("device-data")),
            ("p2", "id", json!("s")),
            ("p2", "data", json!({ "n": 2 })),
            ("p3", "data_base64", json!("AP8=")),
            ("nobody", "data", json!({ "other": "plain" })),
            ("nobody", "subject", json!("device-data")),
        ] {
            assert_eq!(seen(device, name), expected, "{device} {name}");
        }
    }
    // Each time that somebody reads them.
    assert!(skipped(&metrics).await >= 5, "{}", skipped(&metrics).await);
}

//! A disk that is full: 503 for what cannot be stored, everything else goes on, and so does storing when there is room again.

use std::fs;

use serde_json::{Value, json};
use sockeye_parts::disk::Disk;

use crate::raw::{RawSocket, ask, publish};
use crate::support::{self, APP, Server, engines};

const DISK: &str = "16m";
/// What somebody else keeps there.
const BALLAST: usize = 8 << 20;

#[tokio::test]
async fn a_full_disk_is_answered_with_503_until_there_is_room() {
    if engines::are_elsewhere() {
        return; // Kafka's disk is one of the faults of `kafka_faults`
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = Disk::mount(folder.path(), DISK).unwrap() else {
        return;
    };
    let data = folder.path().join("data");
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![1; BALLAST]).unwrap();

    let mut server = Server::with_device(&data);
    let mut stream = RawSocket::open(&server, APP, &server.admin());
    let mut stored = Vec::new();
    let filler = "x".repeat(60_000);
    let event = |number: usize| json!({ "number": number, "filler": filler }).to_string();
    for number in 0.. {
        let answer = publish(&server, &event(number));
        if answer.status == 202 {
            assert!(number < 1000, "the disk has 16 MiB");
            stored.push(number);
            continue;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.has("retry-after"), "{answer:?}");
        let (error, message) = answer.explained();
        assert_eq!(error, "Unavailable");
        assert!(
            message.contains("could not be stored") && message.contains("try again"),
            "{message}"
        );
        break;
    }
    assert!(!stored.is_empty());

    // It is up, it says so, what was stored is delivered, and who reads may connect.
    assert_eq!(ask(&server, "GET /healthz", &[], b"").status, 200);
    assert_eq!(ask(&server, "GET /readyz", &[], b"").status, 200);
    for number in &stored {
        assert_eq!(stream.event()["number"], *number);
    }
    drop(RawSocket::open(&server, APP, &server.admin()));
    assert_eq!(publish(&server, &event(stored.len())).status, 503, "it is still full");

    fs::remove_file(&ballast).unwrap();
    let again = stored.len() + 1;
    assert_eq!(
        publish(&server, &event(again)).status,
        202,
        "there is room, nobody had to restart it"
    );
    stored.push(again);
    assert_eq!(stream.event()["number"], again, "what was refused was not delivered");

    assert!(server.terminate().success());
    let log = support::stored(&data).await;
    let numbers = log.iter().map(|event| {
        let data: Value = serde_json::from_slice(event.data.as_ref().unwrap()).unwrap();
        data["number"].clone()
    });
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        stored,
        "what got its 202 is there once, what got its 503 is not"
    );
}

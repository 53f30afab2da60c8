//! Kafka is away for longer than streams wait for it.

use std::time::{Duration, Instant};

use sockeye_parts::kafka::Kafka;

use crate::support::{APP, Server, closed, http, next_event, numbered};

/// As it is configured here.
const OUTAGE: Duration = Duration::from_secs(3);

/// They are closed with 1013, and not before (compat/drogue.md, decision 3); who comes back later has all.
#[tokio::test]
async fn streams_are_closed_when_kafka_is_away_for_longer_than_is_configured() {
    let Some(mut kafka) = Kafka::start_or_say().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&folder.path().join("data"), |command| {
        command.args(["--kafka", &kafka.bootstrap(), "--streams-outage", "3s"]);
    });
    server.make_device();
    let http = http();
    let mut socket = server.stream(&format!("{APP}?cursor=true")).await;
    assert_eq!(server.publish(&http, "c", &numbered(1)).await.unwrap(), 202);
    let first = next_event(&mut socket).await;
    assert_eq!(first["data"], numbered(1));

    kafka.kill().unwrap();
    let killed = Instant::now();
    let (code, reason) = closed(&mut socket).await;
    assert_eq!(
        (code, &*reason),
        (1013, "the event log could not be read for too long, try again later")
    );
    assert!(killed.elapsed() >= OUTAGE, "{:?}", killed.elapsed());
    kafka.start_again().unwrap();
    let from = first["cursor"].as_str().unwrap();
    let mut socket = loop {
        match server
            .connect(
                &format!("{APP}?from={from}"),
                Some(&format!("Bearer {}", server.admin())),
            )
            .await
        {
            Ok(socket) => break socket,
            Err(error) => assert!(killed.elapsed() < crate::RECOVERY, "{error}"),
        }
    };
    while server.publish(&http, "c", &numbered(2)).await.unwrap() != 202 {
        assert!(killed.elapsed() < crate::RECOVERY);
    }
    assert_eq!(next_event(&mut socket).await["data"], numbered(2));
}

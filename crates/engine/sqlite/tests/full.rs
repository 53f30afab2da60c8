//! A disk that is full: what was not stored is refused, what was stored stays, and it goes on when there is room.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;

use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_log::{AppendError, Log as _, ReadLimit, Retention, Topic};
use sockeye_parts::disk::Disk;
use support::{all, open, records};
use tempfile::TempDir;

const BATCH: usize = 50;

/// Appends batches until one is refused; how many were stored.
async fn fill(engine: &SqliteEngine, topic: &Topic) -> usize {
    for batch in 0..1_000 {
        match engine
            .append(topic, records(batch * BATCH..(batch + 1) * BATCH, 1_000))
            .await
        {
            Ok(()) => {}
            Err(AppendError::Unavailable(said)) => {
                assert!(said.0.contains("full") && said.0.contains("make room"), "{said}");
                return batch;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it is never full");
}

/// Fills the engine, makes room, and goes on.
async fn check(folder: &TempDir, options: Options, make_room: impl AsyncFnOnce(&SqliteEngine, &Topic)) {
    let engine = open(folder, options);
    let topic = Topic::events_of("garden");
    engine.create_topic(&topic, Retention::default()).await.unwrap();
    let end = engine.span(&topic).await.unwrap().end;
    let mut follower = engine.follow(&topic, &end).await.unwrap();
    let stored = fill(&engine, &topic).await;
    let expected: Vec<usize> = (0..stored * BATCH).collect();
    assert!(stored > 5, "only {stored} batches were stored");
    assert_eq!(
        all(&engine, &topic).await,
        expected,
        "all of the batches that were answered, nothing else"
    );
    assert!(engine.metrics().failed_commits.get() > 0);
    // Nothing that was refused reaches a follower either.
    let mut followed = 0;
    while followed < expected.len() {
        followed += follower.next().await.unwrap().records.len();
    }
    assert_eq!(followed, expected.len());
    engine.probe().await.unwrap();

    make_room(&engine, &topic).await;
    support::until("it goes on", async || {
        engine.append(&topic, records(0..BATCH, 1_000)).await.is_ok()
    })
    .await;
    engine.close().await;
    let engine = open(folder, Options::default());
    let left = all(&engine, &topic).await;
    assert_eq!(left[left.len() - BATCH..], (0..BATCH).collect::<Vec<_>>());
    assert!(expected.ends_with(&left[..left.len() - BATCH]), "{left:?}");
}

#[tokio::test]
async fn a_file_at_its_limit_goes_on_when_records_go() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: Some(2 << 20),
        ..Options::default()
    };
    check(&folder, options, async |engine, topic| {
        let oldest = engine.span(topic).await.unwrap().oldest;
        let some = ReadLimit {
            records: 500,
            bytes: usize::MAX,
        };
        let first = engine.read(topic, &oldest, some).await.unwrap();
        engine.trim(topic, &first.next).await.unwrap();
    })
    .await;
    assert!(fs::metadata(folder.path().join("sockeye.db")).unwrap().len() <= 2 << 20);
}

#[tokio::test]
async fn a_full_disk_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "4m").unwrap() else {
        return;
    };
    check(&folder, Options::default(), async |_, _| disk.resize("16m").unwrap()).await;
}

#[tokio::test]
async fn a_disk_that_others_fill_goes_on_when_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = Disk::mount(folder.path(), "16m").unwrap() else {
        return;
    };
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![0; 12 << 20]).unwrap();
    check(&folder, Options::default(), async |_, _| {
        fs::remove_file(&ballast).unwrap();
    })
    .await;
}

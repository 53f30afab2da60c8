//! What is removed, when, and what it costs.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_limits as limits;
use sockeye_log::{Log as _, Retention, Topic};
use support::{Hands, all, engine, open, records, until};
use tempfile::TempDir;

/// Size of one record.
const SIZE: usize = 1_000;
const DAY: Duration = Duration::from_hours(24);
const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);

/// An engine with a clock that is set by the test, and a topic that keeps a day.
async fn a_day() -> (TempDir, SqliteEngine, Arc<Hands>, Topic) {
    let (folder, clock, topic) = (
        tempfile::tempdir().unwrap(),
        Arc::new(Hands::new()),
        Topic::events_of("garden"),
    );
    let engine = open(
        &folder,
        Options {
            clock: clock.clone(),
            ..Options::default()
        },
    );
    let retention = Retention {
        age: DAY,
        ..Retention::default()
    };
    engine.create_topic(&topic, retention).await.unwrap();
    (folder, engine, clock, topic)
}

#[tokio::test]
async fn what_is_older_than_its_age_is_removed() {
    let (_folder, engine, clock, topic) = a_day().await;
    engine.append(&topic, records(0..10, 300)).await.unwrap();
    clock.pass(DAY / 2);
    engine.append(&topic, records(10..20, 300)).await.unwrap();
    clock.pass(DAY / 2);
    engine.append(&topic, records(20..21, 300)).await.unwrap();
    assert_eq!(all(&engine, &topic).await, (0..21).collect::<Vec<_>>());
    clock.pass(Duration::from_secs(1));
    until("what is a day old goes, without any append", async || {
        all(&engine, &topic).await[0] == 10
    })
    .await;
    clock.pass(YEAR.unsigned_abs());
    until("all goes", async || all(&engine, &topic).await.is_empty()).await;
    let span = engine.span(&topic).await.unwrap();
    assert_eq!(span.oldest, span.end);
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_young() {
    let (folder, engine, clock, topic) = a_day().await;
    engine.append(&topic, records(0..10, 300)).await.unwrap();
    clock.jump(YEAR);
    // Each append is followed by a look at what is too old.
    for id in 10..20 {
        engine.append(&topic, records(id..id + 1, 300)).await.unwrap();
    }
    assert_eq!(all(&engine, &topic).await, (0..20).collect::<Vec<_>>());
    engine.close().await;

    // The jump happens while the server is down, and is corrected soon.
    clock.jump(YEAR);
    let engine = open(
        &folder,
        Options {
            clock: clock.clone(),
            ..Options::default()
        },
    );
    clock.pass(limits::CLOCK_SETTLES / 2);
    engine.append(&topic, records(20..21, 300)).await.unwrap();
    engine.append(&topic, records(21..22, 300)).await.unwrap();
    assert_eq!(all(&engine, &topic).await, (0..22).collect::<Vec<_>>());
    clock.jump(-YEAR);
    clock.pass(limits::CLOCK_SETTLES);
    engine.append(&topic, records(22..23, 300)).await.unwrap();
    engine.append(&topic, records(23..24, 300)).await.unwrap();
    assert_eq!(all(&engine, &topic).await, (0..24).collect::<Vec<_>>());
    // Time that really passes still counts.
    clock.pass(DAY * 2);
    until("all is old now", async || all(&engine, &topic).await.is_empty()).await;
}

#[tokio::test]
async fn time_that_the_server_was_down_counts_when_the_clock_has_settled() {
    let (folder, engine, clock, topic) = a_day().await;
    engine.append(&topic, records(0..10, 300)).await.unwrap();
    engine.close().await;
    clock.pass(DAY * 2);
    // Another boot: the uptime starts anew.
    clock.0.lock().unwrap().1 = Duration::ZERO;
    let engine = open(
        &folder,
        Options {
            clock: clock.clone(),
            ..Options::default()
        },
    );
    engine.append(&topic, records(10..11, 300)).await.unwrap();
    assert_eq!(all(&engine, &topic).await.len(), 11, "not yet");
    clock.pass(limits::CLOCK_SETTLES);
    until("two days are more than one", async || {
        all(&engine, &topic).await == [10]
    })
    .await;
}

#[tokio::test]
async fn what_is_beyond_the_size_is_removed_oldest_first() {
    let (_folder, engine, topic) = engine().await;
    let retention = Retention {
        bytes: 100 * SIZE as u64,
        ..Retention::default()
    };
    engine.create_topic(&topic, retention).await.unwrap();
    let other = Topic::events_of("other");
    engine.create_topic(&other, Retention::default()).await.unwrap();
    for id in 0..500 {
        engine.append(&topic, records(id..id + 1, SIZE)).await.unwrap();
        engine.append(&other, records(id..id + 1, SIZE)).await.unwrap();
        // Meanwhile it may have an eighth more, and what the last commit brought.
        let left = all(&engine, &topic).await;
        assert!(left.len() <= 114 && left.last() == Some(&id), "{left:?}");
    }
    until("when idle, it has its size", async || {
        all(&engine, &topic).await == (400..500).collect::<Vec<_>>()
    })
    .await;
    assert_eq!(all(&engine, &other).await.len(), 500);
    // Larger than all that may be kept: the newest stays, so that it can be read at all.
    engine.append(&topic, records(500..501, 200 * SIZE)).await.unwrap();
    until("only the newest is left", async || all(&engine, &topic).await == [500]).await;
}

#[tokio::test]
async fn sizes_are_known_after_a_restart() {
    for crash in [false, true] {
        let (folder, engine, topic) = engine().await;
        let retention = Retention {
            bytes: 10 * SIZE as u64,
            ..Retention::default()
        };
        // Each has a row of its own, and with it a sync: few, as a busy disk takes seconds for one.
        for id in 0..30 {
            engine.append(&topic, records(id..id + 1, SIZE)).await.unwrap();
        }
        let (folder, engine) = restart(folder, engine, crash).await;
        assert_eq!(all(&engine, &topic).await.len(), 30);
        engine.create_topic(&topic, retention).await.unwrap();
        until("ten are left", async || all(&engine, &topic).await.len() == 10).await;
        let (_folder, engine) = restart(folder, engine, crash).await;
        engine.append(&topic, records(30..31, SIZE)).await.unwrap();
        until("ten of eleven are left", async || {
            all(&engine, &topic).await == (21..31).collect::<Vec<_>>()
        })
        .await;
    }
}

/// Another engine on the file; or on a copy of it as a crash would have left it.
async fn restart(folder: TempDir, engine: SqliteEngine, crash: bool) -> (TempDir, SqliteEngine) {
    if crash {
        let copy = tempfile::tempdir().unwrap();
        for name in ["sockeye.db", "sockeye.db-wal"] {
            fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let engine = open(&copy, Options::default());
        return (copy, engine);
    }
    engine.close().await;
    let engine = open(&folder, Options::default());
    (folder, engine)
}

#[tokio::test]
async fn pages_are_used_again() {
    let (folder, engine, topic) = engine().await;
    let retention = Retention {
        bytes: 2 << 20,
        ..Retention::default()
    };
    engine.create_topic(&topic, retention).await.unwrap();
    let mut sizes = Vec::new();
    for round in 0..6 {
        for batch in 0..40 {
            let from = (round * 40 + batch) * 100;
            engine.append(&topic, records(from..from + 100, 1_000)).await.unwrap();
        }
        sizes.push(fs::metadata(folder.path().join("sockeye.db")).unwrap().len());
    }
    // 24 MB went through a topic of 2 MiB; what is not yet written back is in the write-ahead log.
    assert!(*sizes.last().unwrap() < 8 << 20, "{sizes:?}");
    assert!(engine.metrics().trimmed_records.get() > 20_000);
}

#[tokio::test]
async fn appends_go_on_when_nothing_can_be_removed() {
    let (folder, engine, topic) = engine().await;
    let file = rusqlite::Connection::open(folder.path().join("sockeye.db")).unwrap();
    let refuses = "CREATE TRIGGER keeps BEFORE DELETE ON chunks BEGIN SELECT raise(ABORT, 'a damaged page'); END";
    file.execute_batch(refuses).unwrap();
    let retention = Retention {
        bytes: SIZE as u64,
        ..Retention::default()
    };
    engine.create_topic(&topic, retention).await.unwrap();
    for id in 0..20 {
        engine.append(&topic, records(id..id + 1, SIZE)).await.unwrap();
    }
    assert_eq!(all(&engine, &topic).await.len(), 20);
    file.execute_batch("DROP TRIGGER keeps").unwrap();
    engine.close().await;
    let engine = open(&folder, Options::default());
    until("the newest is left", async || all(&engine, &topic).await == [19]).await;
}

#[tokio::test]
async fn a_deleted_topic_is_removed_in_steps() {
    let (folder, engine, topic) = engine().await;
    for from in (0..30_000).step_by(1_000) {
        engine.append(&topic, records(from..from + 1_000, 300)).await.unwrap();
    }
    engine.delete_topic(&topic).await.unwrap();
    engine.create_topic(&topic, Retention::default()).await.unwrap();
    engine.append(&topic, records(0..5, 300)).await.unwrap();
    engine.close().await;
    // A restart in between goes on with it.
    let engine = open(&folder, Options::default());
    let file = rusqlite::Connection::open(folder.path().join("sockeye.db")).unwrap();
    let rows = |table| {
        file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    until("only what was made again is left", async || {
        (rows("topics"), rows("chunks")) == (1, 1)
    })
    .await;
    assert_eq!(all(&engine, &topic).await, [0, 1, 2, 3, 4]);
}

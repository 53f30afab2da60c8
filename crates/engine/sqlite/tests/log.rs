//! What the engine does beyond the conformance suite: the tail in memory, the write-ahead log, many topics.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use sockeye_engine_sqlite::Options;
use sockeye_limits as limits;
use sockeye_log::{AppendError, Log as _, ReadError, ReadLimit, Retention, Topic};
use support::{all, engine, ids, open, record, records};

#[tokio::test]
async fn followers_that_keep_up_need_no_file() {
    let (_folder, engine, topic) = engine().await;
    let end = engine.span(&topic).await.unwrap().end;
    let mut followers = Vec::new();
    for _ in 0..3 {
        followers.push(engine.follow(&topic, &end).await.unwrap());
    }
    for id in 0..200 {
        engine.append(&topic, vec![record(id, 300)]).await.unwrap();
        for follower in &mut followers {
            assert_eq!(ids(&follower.next().await.unwrap().records), [id]);
        }
    }
    assert_eq!(engine.metrics().follower_reads.get(), 0);

    // One that falls behind reads from the file, and needs it no more when it has caught up.
    for id in 200..200 + 2 * limits::FOLLOW_QUEUE_BATCHES {
        engine.append(&topic, vec![record(id, 300)]).await.unwrap();
    }
    let mut next = 200;
    while next < 200 + 2 * limits::FOLLOW_QUEUE_BATCHES {
        for id in ids(&followers[0].next().await.unwrap().records) {
            assert_eq!(id, next);
            next += 1;
        }
    }
    let reads = engine.metrics().follower_reads.get();
    assert!(reads > 0);
    engine.append(&topic, vec![record(next, 300)]).await.unwrap();
    assert_eq!(ids(&followers[0].next().await.unwrap().records), [next]);
    assert_eq!(engine.metrics().follower_reads.get(), reads);
}

#[tokio::test]
async fn a_follower_that_retention_passed_is_told() {
    let (_folder, engine, topic) = engine().await;
    let start = engine.span(&topic).await.unwrap().oldest;
    let mut follower = engine.follow(&topic, &start).await.unwrap();
    engine.append(&topic, records(0..10, 300)).await.unwrap();
    let end = engine.span(&topic).await.unwrap().end;
    let oldest = engine.trim(&topic, &end).await.unwrap();
    assert_eq!(follower.next().await.unwrap_err(), ReadError::Trimmed { oldest });
}

#[tokio::test]
async fn a_trim_is_exact_within_a_row() {
    let (folder, engine, topic) = engine().await;
    engine.append(&topic, records(0..100, 300)).await.unwrap();
    let start = engine.span(&topic).await.unwrap().oldest;
    let first = engine
        .read(
            &topic,
            &start,
            ReadLimit {
                records: 37,
                bytes: usize::MAX,
            },
        )
        .await
        .unwrap();
    assert_eq!(engine.trim(&topic, &first.next).await.unwrap(), first.next);
    assert_eq!(all(&engine, &topic).await, (37..100).collect::<Vec<_>>());
    engine.close().await;
    let engine = open(&folder, Options::default());
    assert_eq!(all(&engine, &topic).await, (37..100).collect::<Vec<_>>());
    let at = engine.position_at(&topic, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(at, first.next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_short_beside_readers() {
    let (folder, engine, topic) = engine().await;
    engine.append(&topic, records(0..1_000, 1_000)).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (engine, topic, stop) = (engine.clone(), topic.clone(), stop.clone());
            tokio::spawn(async move {
                let start = engine.span(&topic).await.unwrap().oldest;
                while !stop.load(Ordering::Relaxed) {
                    engine.read(&topic, &start, ReadLimit::default()).await.unwrap();
                }
            })
        })
        .collect();
    let mut longest = 0;
    for from in (0..300).map(|batch| batch * 500) {
        engine.append(&topic, records(from..from + 500, 1_000)).await.unwrap();
        longest = longest.max(fs::metadata(folder.path().join("sockeye.db-wal")).unwrap().len());
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    // 150 MB were written; one commit comes on top, with what the pages hold beside its records.
    assert!(
        longest < (limits::SQLITE_WAL + 2 * limits::COMMIT_BYTES) as u64,
        "{longest}"
    );
}

#[tokio::test]
async fn a_thousand_topics_share_commits_and_an_index() {
    const TOPICS: usize = 1_000;
    const ROUNDS: usize = limits::SQLITE_PENDING_CHUNKS / TOPICS + 5;
    let (folder, engine, _) = engine().await;
    let topics: Vec<_> = (0..TOPICS)
        .map(|number| Topic::events_of(format!("app-{number}")))
        .collect();
    for made in join_all(
        topics
            .iter()
            .map(|topic| engine.create_topic(topic, Retention::default())),
    )
    .await
    {
        made.unwrap();
    }
    let mut follower = engine
        .follow(&topics[7], &engine.span(&topics[7]).await.unwrap().end)
        .await
        .unwrap();
    for round in 0..ROUNDS {
        let appends = topics
            .iter()
            .map(|topic| engine.append(topic, vec![record(round, 100)]));
        for appended in join_all(appends).await {
            appended.unwrap();
        }
    }
    let file = rusqlite::Connection::open(folder.path().join("sockeye.db")).unwrap();
    let rows = |table| {
        file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let (chunks, indexed) = (rows("chunks"), rows("chunk_index"));
    assert!(
        indexed >= limits::SQLITE_PENDING_CHUNKS as i64 && indexed < chunks,
        "{indexed} of {chunks}"
    );
    let everything: Vec<usize> = (0..ROUNDS).collect();
    let mut followed = Vec::new();
    while followed.len() < ROUNDS {
        followed.extend(ids(&follower.next().await.unwrap().records));
    }
    assert_eq!(followed, everything);
    for topic in &topics[..50] {
        assert_eq!(all(&engine, topic).await, everything);
        // Over the edge between what is in the index and what is not.
        let mut at = engine.span(topic).await.unwrap().oldest;
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let one = engine
                .read(topic, &at, ReadLimit { records: 1, bytes: 1 })
                .await
                .unwrap();
            assert_eq!(ids(&one.records), [round]);
            times.push((one.records[0].time, at));
            at = one.next;
        }
        for (time, _) in &times {
            let since = engine.position_at(topic, *time).await.unwrap();
            let (_, before) = times.iter().find(|(other, _)| other == time).unwrap();
            assert!(since.is_at_or_behind(before), "{since} is before {before}");
        }
        let middle = &times[ROUNDS / 2].1;
        engine.trim(topic, middle).await.unwrap();
        assert_eq!(all(&engine, topic).await, everything[ROUNDS / 2..]);
        engine.trim(topic, &times[ROUNDS - 1].1).await.unwrap();
        assert_eq!(all(&engine, topic).await, [ROUNDS - 1]);
    }
    engine.close().await;
    assert_eq!(
        rows("chunks"),
        rows("chunk_index"),
        "nothing is left for the next start"
    );
    let engine = open(&folder, Options::default());
    for (number, topic) in topics.iter().enumerate() {
        assert_eq!(
            all(&engine, topic).await,
            everything[if number < 50 { ROUNDS - 1 } else { 0 }..]
        );
    }
}

#[tokio::test]
async fn what_waits_when_its_topic_is_deleted_is_refused_or_gone() {
    let (folder, engine, topic) = engine().await;
    let appends = join_all((0..50).map(|id| engine.append(&topic, vec![record(id, 300)])));
    let (appended, deleted) = tokio::join!(appends, engine.delete_topic(&topic));
    deleted.unwrap();
    for answer in appended {
        assert!(matches!(answer, Ok(()) | Err(AppendError::NoTopic(_))), "{answer:?}");
    }
    engine.create_topic(&topic, Retention::default()).await.unwrap();
    assert!(all(&engine, &topic).await.is_empty());
    let file = rusqlite::Connection::open(folder.path().join("sockeye.db")).unwrap();
    let chunks = || {
        file.query_row("SELECT count(*) FROM chunks", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    support::until("no record is left behind", async || chunks() == 0).await;
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let (_folder, engine, topic) = engine().await;
    engine.append(&topic, records(0..10, 300)).await.unwrap();
    let mut registry = prometheus_client::registry::Registry::default();
    engine.metrics().register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "log_appended_records_total 10",
        "log_appended_bytes_total 3000",
        "log_append_seconds_count 1",
        "log_commit_records_sum 10.0",
        "log_follower_reads_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
    }
}

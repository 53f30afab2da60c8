//! Kafka dies and comes back.

mod common;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{engine, record, take};
use sockeye_log::{Log as _, ReadLimit, Record};
use sockeye_parts::kafka::Kafka;
use tokio::sync::mpsc;

const APPENDERS: usize = 8;
const KILLS: usize = 2;
/// Records of one call of every other appender; the others append single ones.
const BATCH: usize = 5;
/// Calls that are acknowledged between two kills.
const CALLS: usize = 200;

// ----------------------------------------------------------------------------------------------

/// Kafka is killed in the middle of appends and comes back: what was acknowledged is there once, a batch whole or not at
/// all, and a follower goes on.
///
/// It found that a transaction of which Kafka has said "committed" can still be lost (see `batch.rs`): so a kill comes
/// right after the acknowledgement of a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_crash() {
    let Some(mut kafka) = Kafka::start_or_say().unwrap() else {
        return;
    };
    let (log, topic) = engine(&kafka, 3, "crash").await;
    let start = log.span(&topic).await.unwrap().end;
    let mut follower = log.follow(&topic, &start).await.unwrap();
    let log = Arc::new(log);
    let (told, mut acknowledged) = mpsc::channel(CALLS);
    let stop = Arc::new(AtomicBool::new(false));
    let appenders: Vec<_> = (0..APPENDERS)
        .map(|appender| {
            let (log, topic, told, stop) = (log.clone(), topic.clone(), told.clone(), stop.clone());
            tokio::spawn(async move {
                for round in 0_usize.. {
                    let size = if appender % 2 == 0 { 1 } else { BATCH };
                    let ids: Vec<String> = (0..size).map(|at| format!("{appender}-{round}-{at}")).collect();
                    let records = ids
                        .iter()
                        .map(|id| record(&[("ce_id", Some(id.as_bytes()))], "x"))
                        .collect();
                    if log.append(&topic, records).await.is_ok() {
                        told.send(ids).await.unwrap();
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            })
        })
        .collect();
    drop(told);
    let mut sure = BTreeSet::new();
    for _ in 0..KILLS {
        // In the middle of whatever is going on.
        for _ in 0..CALLS {
            sure.extend(acknowledged.recv().await.unwrap());
        }
        loop {
            let ids = acknowledged.recv().await.unwrap();
            let is_batch = ids.len() == BATCH;
            sure.extend(ids);
            if is_batch {
                break;
            }
        }
        kafka.kill().unwrap();
        log.probe().await.unwrap_err();
        kafka.start_again().unwrap();
    }
    for _ in 0..CALLS {
        sure.extend(acknowledged.recv().await.unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    for appender in appenders {
        appender.await.unwrap();
    }
    while let Some(ids) = acknowledged.recv().await {
        sure.extend(ids);
    }

    let end = log.span(&topic).await.unwrap().end;
    let mut stored = Vec::new();
    let mut at = start;
    while !at.is_at_or_behind(&end) {
        let batch = log.read(&topic, &at, ReadLimit::default()).await.unwrap();
        stored.extend(batch.records);
        at = batch.next;
    }
    let id = |record: &Record| String::from_utf8(record.headers.get("ce_id").unwrap().to_vec()).unwrap();
    let ids: Vec<String> = stored.iter().map(id).collect();
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), set.len(), "some are there twice");
    let lost: Vec<_> = sure.difference(&set).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), sure.len());
    for appender in (1..APPENDERS).step_by(2) {
        let of_appender = set.iter().filter(|id| id.starts_with(&format!("{appender}-"))).count();
        assert_eq!(of_appender % BATCH, 0, "a batch is there in part");
    }
    let followed: BTreeSet<String> = take(&mut *follower, stored.len()).await.iter().map(id).collect();
    assert_eq!(followed, set);
}

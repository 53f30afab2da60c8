//! What appending and reading cost on a real Kafka of one node: `cargo run --release -p sockeye-engine-kafka --example cost`.
//!
//! A single record goes through the idempotent producer, several are a transaction; both are measured with one caller at a
//! time (latency) and with many (throughput).
#![allow(clippy::print_stdout, reason = "a measurement for people")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Log, NewRecord, ReadLimit, Retention, Topic};
use sockeye_parts::kafka;

const TIME: Duration = Duration::from_secs(3);
const MANY: usize = 256;

// ----------------------------------------------------------------------------------------------

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let Some(kafka) = kafka::shared()? else { return Ok(()) };
    for partitions in [1, 3] {
        let options = KafkaOptions {
            bootstrap: kafka.bootstrap(),
            partitions: Some(partitions),
            ..KafkaOptions::default()
        };
        let log = Arc::new(KafkaLog::new(&options)?);
        let topic = Topic::events_of(format!("cost-{partitions}"));
        log.create_topic(&topic, Retention::default()).await?;
        println!("{partitions} partition(s), records of about 500 bytes");
        for (callers, records) in [(1, 1), (1, 2), (1, 100), (MANY, 1), (MANY, 2), (MANY, 100)] {
            append(&log, &topic, callers, records).await?;
        }
        read(&log, &topic).await?;
    }
    Ok(())
}

async fn append(log: &Arc<KafkaLog>, topic: &Topic, callers: usize, records: usize) -> anyhow::Result<()> {
    log.append(topic, batch(records, 0)).await?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (log, topic) = (log.clone(), topic.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < TIME {
                    let call = Instant::now();
                    log.append(&topic, batch(records, caller)).await?;
                    times.push(call.elapsed());
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    times.sort_unstable();
    let rate = (times.len() * records) as f64 / start.elapsed().as_secs_f64();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("  {callers:4} callers x {records:4} records: {rate:9.0} records/s, p50 {half:.1?}, p99 {most:.1?}");
    Ok(())
}

async fn read(log: &KafkaLog, topic: &Topic) -> anyhow::Result<()> {
    let start = Instant::now();
    let span = log.span(topic).await?;
    println!("  span: {:.1?}", start.elapsed());
    let (mut at, mut count, mut reads, start) = (span.oldest.clone(), 0, 0, Instant::now());
    while !at.is_at_or_behind(&span.end) && start.elapsed() < TIME {
        let batch = log.read(topic, &at, ReadLimit::default()).await?;
        (at, count, reads) = (batch.next, count + batch.records.len(), reads + 1);
    }
    let each = start.elapsed() / reads;
    println!(
        "  read: {:.0} records/s, {each:.1?} each",
        f64::from(count as u32) / start.elapsed().as_secs_f64()
    );
    let (mut follower, mut count, start) = (log.follow(topic, &span.oldest).await?, 0, Instant::now());
    while start.elapsed() < TIME {
        match tokio::time::timeout(TIME, follower.next()).await {
            Ok(batch) => count += batch?.records.len(),
            Err(_) => break,
        }
    }
    println!(
        "  follow: {:.0} records/s",
        f64::from(count as u32) / start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn batch(records: usize, caller: usize) -> Vec<NewRecord> {
    let key = format!("app/device-{caller}");
    let headers = [
        ("ce_id", Some(&b"0f9b8c1e-6f0e-4a3c-9d59-0e6d2b1c7a11"[..])),
        ("ce_partitionkey", Some(key.as_bytes())),
    ];
    let record = NewRecord {
        headers: headers.into_iter().collect(),
        payload: Some(Bytes::from_static(&[b'x'; 400])),
    };
    vec![record; records]
}

//! What the conformance suite cannot ask of every engine: what other Kafka programs see and do, and what Kafka does when it
//! fails.

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, engine, payloads, record, take};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message as _,
    admin::{AdminClient, AdminOptions, NewPartitions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
    topic_partition_list::{Offset, TopicPartitionList},
};
use sockeye_limits as limits;
use sockeye_log::{AppendError, Log as _, NewRecord, ReadError, ReadLimit, Record, Retention};
use sockeye_parts::kafka::{self, Kafka};

// ----------------------------------------------------------------------------------------------

fn client(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    config
}

/// A program that is not Sockeye and has begun a transaction.
fn foreign_transaction(kafka: &Kafka) -> BaseProducer {
    let producer: BaseProducer = client(kafka)
        .set("transactional.id", "foreign")
        .create()
        .expect("the configuration is right");
    producer.init_transactions(PATIENCE).expect("Kafka answers");
    producer.begin_transaction().expect("none is open");
    producer
}

#[tokio::test]
async fn other_programs_find_the_records_where_drogue_cloud_put_them() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 3, "Other Programs").await;
    let key = ("ce_partitionkey", Some(&b"app/dev"[..]));
    let null = NewRecord {
        headers: [key].into_iter().collect(),
        payload: None,
    };
    log.append(&topic, vec![record(&[("ce_id", Some(b"1")), key], "one")])
        .await
        .unwrap();
    log.append(&topic, vec![null, record(&[("ce_id", Some(b"2"))], "two")])
        .await
        .unwrap();
    log.append(&topic, vec![record(&[], "three")]).await.unwrap();

    let name = "evt-c6c3a048e96e9aab3638e5b75be2232c-other-programs";
    let consumer: BaseConsumer = client(kafka).set("group.id", "other").create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..3 {
        all.add_partition_offset(name, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let message = consumer.poll(PATIENCE).expect("there are four").unwrap();
        let headers = message.headers().map_or(0, Headers::count);
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        seen.push((
            text(message.payload()),
            text(message.key()),
            headers,
            message.partition(),
        ));
    }
    seen.sort();
    let keyed = i32::try_from(crc32(b"app/dev") % 3).unwrap();
    let by_id = i32::try_from(crc32(b"2") % 3).unwrap();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(seen[0], (None, some("app/dev"), 1, keyed));
    assert_eq!(seen[1], (some("one"), some("app/dev"), 2, keyed));
    assert_eq!((&seen[2].0, &seen[2].1, seen[2].2), (&some("three"), &None, 0));
    assert_eq!(seen[3], (some("two"), some("2"), 1, by_id));
}

/// The hash of librdkafka's default partitioner.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[tokio::test]
async fn what_other_programs_write_is_read() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 1, "foreign-writer").await;
    let producer: BaseProducer = client(kafka).create().unwrap();
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "ce_id",
            value: Some("1"),
        })
        .insert(Header {
            key: "ce_null",
            value: None::<&str>,
        })
        .insert(Header {
            key: "ce_id",
            value: Some("2"),
        });
    // A time of its own, long ago: positions by time are by append time all the same.
    let message = BaseRecord::<(), str>::to("events-foreign-writer")
        .payload("x")
        .headers(headers)
        .timestamp(1_000);
    producer.send(message).map_err(|(error, _)| error).unwrap();
    producer
        .send(BaseRecord::<(), ()>::to("events-foreign-writer"))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(PATIENCE).unwrap();

    let oldest = log.span(&topic).await.unwrap().oldest;
    let read = log.read(&topic, &oldest, ReadLimit::default()).await.unwrap().records;
    assert_eq!(payloads(&read), ["x", "null"]);
    let headers: Vec<_> = read[0].headers.iter().collect();
    assert_eq!(
        headers,
        [
            (&b"ce_id"[..], Some(&b"1"[..])),
            (b"ce_null", None),
            (b"ce_id", Some(b"2"))
        ]
    );
    assert!(
        read[0].time > Timestamp::from_second(1_000_000_000).unwrap(),
        "{}",
        read[0].time
    );
    assert_eq!(log.position_at(&topic, read[0].time).await.unwrap(), oldest);
}

#[tokio::test]
async fn an_open_transaction_hides_what_it_may_take_back() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 1, "open-transaction").await;
    let oldest = log.span(&topic).await.unwrap().oldest;
    let mut follower = log.follow(&topic, &oldest).await.unwrap();
    log.append(&topic, vec![record(&[], "before")]).await.unwrap();
    assert_eq!(payloads(&take(&mut *follower, 1).await), ["before"]);

    let foreign = foreign_transaction(kafka);
    foreign
        .send(BaseRecord::<(), str>::to("events-open-transaction").payload("never"))
        .map_err(|(e, _)| e)
        .unwrap();
    foreign.flush(PATIENCE).unwrap();
    // Acknowledged behind it: whoever asks for the end now must not be given one before this record.
    log.append(&topic, vec![record(&[], "behind")]).await.unwrap();
    let asked = Instant::now();
    let undecided = log.span(&topic).await.unwrap_err();
    assert!(matches!(undecided, ReadError::Unavailable(_)), "{undecided}");
    assert!(
        asked.elapsed() >= limits::ENGINE_PROBE,
        "it waits for the transaction to end"
    );
    // What is decided can be read.
    let read = log.read(&topic, &oldest, ReadLimit::default()).await.unwrap();
    assert_eq!(payloads(&read.records), ["before"]);

    // A call that waits is answered when the transaction ends.
    let (span, aborted) = tokio::join!(
        log.span(&topic),
        tokio::task::spawn_blocking(move || foreign.abort_transaction(PATIENCE)),
    );
    aborted.unwrap().unwrap();
    let end = span.unwrap().end;
    assert_eq!(payloads(&take(&mut *follower, 1).await), ["behind"]);
    // The markers of transactions are no records, but they are before the end; the read that gives the record need not know
    // of the marker behind it yet.
    let (mut next, mut rest) = (read.next, Vec::new());
    while !next.is_at_or_behind(&end) {
        let read = log.read(&topic, &next, ReadLimit::default()).await.unwrap();
        assert_ne!(read.next, next, "each read goes on");
        rest.extend(payloads(&read.records));
        next = read.next;
    }
    assert_eq!(rest, ["behind"]);
}

#[tokio::test]
async fn new_partitions_are_read_from_their_beginning() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 1, "growing").await;
    let start = log.span(&topic).await.unwrap().end;
    let mut follower = log.follow(&topic, &start).await.unwrap();
    let mut another = log.follow(&topic, &start).await.unwrap();
    let admin: AdminClient<DefaultClientContext> = client(kafka).create().unwrap();
    let grown = admin
        .create_partitions(&[NewPartitions::new("events-growing", 3)], &AdminOptions::new())
        .await;
    grown.unwrap().remove(0).unwrap();

    let producer: BaseProducer = client(kafka).create().unwrap();
    for partition in 0..3 {
        let message = BaseRecord::<(), str>::to("events-growing")
            .payload("x")
            .partition(partition);
        producer.send(message).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let partitions = |records: Vec<Record>| {
        let mut partitions: Vec<u32> = records.iter().map(|record| record.partition).collect();
        partitions.sort_unstable();
        partitions
    };
    assert_eq!(partitions(take(&mut *follower, 3).await), [0, 1, 2]);
    assert_eq!(partitions(take(&mut *another, 3).await), [0, 1, 2]);
    let read = log.read(&topic, &start, ReadLimit::default()).await.unwrap();
    assert_eq!(partitions(read.records), [0, 1, 2]);
}

/// More readers than there are clients that read, in turns, so that each is now and then given the client that it had and now
/// and then another; and more partitions than are fetched at a time.
#[tokio::test]
async fn who_reads_on_misses_nothing_whoever_reads_meanwhile() {
    const RECORDS: usize = 120;
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let partitions = i32::try_from(limits::KAFKA_READ_PARTITIONS + 4).unwrap();
    let (log, topic) = engine(kafka, u16::try_from(partitions).unwrap(), "reads-on").await;
    let producer: BaseProducer = client(kafka).create().unwrap();
    for (number, partition) in (0..RECORDS).zip((0..partitions).cycle()) {
        // The last one of each partition is larger than the share of a read.
        let is_last = number + partitions as usize >= RECORDS;
        let width = if is_last { 900 } else { 30 };
        let payload = format!("{number:0>width$}");
        let message = BaseRecord::<(), str>::to("events-reads-on")
            .payload(&payload)
            .partition(partition);
        producer.send(message).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();

    let oldest = log.span(&topic).await.unwrap().oldest;
    let limits = [
        (9, 10_000),
        (7, 10_000),
        (1_000, 1_500),
        (25, 2_000),
        (12, 950),
        (1_000, 64 * 1024),
    ];
    assert!(limits.len() > sockeye_limits::KAFKA_THREADS);
    let mut readers = limits.map(|(records, bytes)| (ReadLimit { records, bytes }, oldest.clone(), Vec::new()));
    while readers.iter().any(|(_, _, given)| given.len() < RECORDS) {
        for (limit, position, given) in &mut readers {
            let batch = log.read(&topic, position, *limit).await.unwrap();
            let bytes: usize = batch.records.iter().map(Record::size).sum();
            assert!(batch.records.len() <= limit.records);
            assert!(bytes <= limit.bytes || batch.records.len() == 1, "{bytes} of {limit:?}");
            assert_eq!(
                batch.records.is_empty(),
                given.len() == RECORDS,
                "{} of {limit:?}",
                given.len()
            );
            given.extend(batch.records.iter().map(|record| (record.partition, record.offset)));
            *position = batch.next;
        }
    }
    for (limit, _, mut given) in readers {
        let in_order = given
            .clone()
            .is_sorted_by(|one, next| one.0 != next.0 || one.1 < next.1);
        assert!(in_order, "{limit:?}");
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), RECORDS, "{limit:?}: once each");
    }
}

#[tokio::test]
async fn a_topic_is_kept_as_long_as_was_asked() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 2, "kept").await;
    let admin: AdminClient<DefaultClientContext> = client(kafka).create().unwrap();
    // What the operator has set stays.
    let retention = Retention {
        age: Duration::from_hours(8),
        bytes: 64 << 20,
    };
    log.create_topic(&topic, retention).await.unwrap();
    let expected = [
        ("retention.ms", "28800000".to_owned()),
        ("retention.bytes", (32 << 20).to_string()),
        ("segment.ms", "3600000".to_owned()),
        ("segment.bytes", (4 << 20).to_string()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
    ];
    // What the controller has changed the broker tells a moment later.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let resource = ResourceSpecifier::Topic("events-kept");
        let mut configs = admin.describe_configs(&[resource], &AdminOptions::new()).await.unwrap();
        let config = configs.remove(0).unwrap();
        let told = |name| config.get(name).and_then(|entry| entry.value.clone()).unwrap();
        let told = expected.clone().map(|(name, _)| (name, told(name)));
        if told == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{told:?}");
    }
}

#[tokio::test]
async fn an_append_never_makes_a_topic() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 1, "removed-elsewhere").await;
    let one = || vec![record(&[], "1")];
    let two = || vec![record(&[], "1"), record(&[], "2")];
    log.append(&topic, one()).await.unwrap();
    log.append(&topic, two()).await.unwrap();
    // Removed by another program: this engine still believes that it is there.
    let admin: AdminClient<DefaultClientContext> = client(kafka).create().unwrap();
    admin
        .delete_topics(&["events-removed-elsewhere"], &AdminOptions::new())
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    for records in [one(), two(), one(), two()] {
        // A producer may at first say only that its request is lost.
        let mut unavailable = 0;
        loop {
            match log.append(&topic, records.clone()).await {
                Err(AppendError::NoTopic(of)) if of == topic => break,
                Err(AppendError::Unavailable(why)) if unavailable < 3 => {
                    eprintln!("{why}");
                    unavailable += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(log.span(&topic).await, Err(ReadError::NoTopic(topic.clone())));
}

/// The broker makes topics for whoever asks for them, if they let it; the watch asks for what is followed.
#[tokio::test]
async fn a_topic_that_is_removed_while_it_is_followed_stays_removed() {
    let Some(kafka) = kafka::shared().unwrap() else { return };
    let (log, topic) = engine(kafka, 1, "unfollowed").await;
    let end = log.span(&topic).await.unwrap().end;
    let mut follower = log.follow(&topic, &end).await.unwrap();
    let other: AdminClient<DefaultClientContext> = client(kafka).create().unwrap();
    let name = "events-unfollowed";
    other.delete_topics(&[name], &AdminOptions::new()).await.unwrap()[0]
        .as_ref()
        .unwrap();

    let told = tokio::time::timeout(PATIENCE, follower.next())
        .await
        .expect("it is told");
    assert!(matches!(told, Err(ReadError::NoTopic(_))), "{told:?}");
    let consumer: BaseConsumer = client(kafka).create().unwrap();
    let topics = consumer.fetch_metadata(None, PATIENCE).unwrap();
    assert!(topics.topics().iter().all(|topic| topic.name() != name));
}

//! Reading from every position, within limits, by time.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::Fixture;
use super::sample::{Case, assert_same, ids, records};
use crate::{Position, ReadError, ReadLimit};

const ONE: ReadLimit = ReadLimit {
    records: 1,
    bytes: usize::MAX,
};

pub async fn every_position_can_be_read_from(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    for batch in [0..7, 7..8, 8..30] {
        case.append(records(batch)).await;
    }
    let mut at = case.oldest().await;
    let mut left: BTreeSet<usize> = (0..30).collect();
    while !left.is_empty() {
        let rest = case.read_all(&at).await;
        assert_eq!((rest.len(), ids(&rest)), (left.len(), left.clone()), "from {at}");
        let batch = case.read(&at, ONE).await;
        assert!(batch.records.len() <= 1);
        for id in ids(&batch.records) {
            assert!(left.remove(&id), "{id} came again");
        }
        at = batch.next;
    }
    assert_eq!(case.read_all(&at).await, []);
}

pub async fn limits_hold(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let mut batch = records(0..60);
    for (id, record) in batch.iter_mut().enumerate() {
        record.payload = Some(Bytes::from(vec![b'x'; id % 7 * 100]));
    }
    case.append(batch.clone()).await;
    for (count, bytes) in [
        (1, usize::MAX),
        (7, usize::MAX),
        (1_000, 1),
        (1_000, 700),
        (3, 900),
        (1_000, usize::MAX),
    ] {
        let limit = ReadLimit { records: count, bytes };
        let mut at = case.oldest().await;
        let end = case.end().await;
        let mut read = Vec::new();
        while !at.is_at_or_behind(&end) {
            let batch = case.read(&at, limit).await;
            let sizes: Vec<usize> = batch.records.iter().map(crate::Record::size).collect();
            assert!(sizes.len() <= count, "{} records at {limit:?}", sizes.len());
            assert!(
                sizes.len() <= 1 || sizes.iter().sum::<usize>() <= bytes,
                "{sizes:?} bytes at {limit:?}"
            );
            assert_ne!(batch.next, at, "the first record is given whatever its size");
            read.extend(batch.records);
            at = batch.next;
        }
        assert_same(&read, &batch);
    }
}

pub async fn there_is_nothing_at_the_end(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    for from in 0..3 {
        let end = case.end().await;
        let batch = case.read(&end, ReadLimit::default()).await;
        assert_eq!(batch.records, []);
        assert!(batch.next.is_at_or_behind(&end));
        case.append(records(from..from + 1)).await;
        assert_eq!(ids(&case.read_all(&batch.next).await), BTreeSet::from([from]));
    }
}

pub async fn a_span_holds_what_was_answered(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let mut before = case.end().await;
    for from in (0..50).step_by(5) {
        case.append(records(from..from + 5)).await;
        let span = case.log.span(&case.topic).await.unwrap();
        assert!(span.end.is_at_or_behind(&before) && span.end != before);
        assert!(span.end.is_at_or_behind(&span.oldest));
        assert_same(&case.read_all(&before).await, &records(from..from + 5));
        before = span.end;
    }
}

pub async fn a_position_without_partitions_is_the_beginning(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..5)).await;
    let beginning = Position::new(case.end().await.incarnation(), []);
    assert_same(&case.read_all(&beginning).await, &records(0..5));
}

pub async fn a_time_leads_to_the_records_since(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let nothing = case.log.position_at(&case.topic, Timestamp::UNIX_EPOCH).await.unwrap();
    // Until there are three times: the clock may be coarser than an append.
    let mut times = BTreeSet::new();
    let mut count = 0;
    while times.len() < 3 {
        case.append(records(count..count + 3)).await;
        count += 3;
        times = case
            .read_all(&case.oldest().await)
            .await
            .iter()
            .map(|record| record.time)
            .collect();
    }
    let all = case.read_all(&case.oldest().await).await;
    assert_eq!(
        ids(&case.read_all(&nothing).await).len(),
        count,
        "an empty topic has one position"
    );
    let nanosecond = SignedDuration::from_nanos(1);
    let around = times
        .iter()
        .flat_map(|time| [*time - nanosecond, *time, *time + nanosecond]);
    for time in around.chain([Timestamp::UNIX_EPOCH, Timestamp::MAX]) {
        let at = case.log.position_at(&case.topic, time).await.unwrap();
        let since: BTreeSet<usize> = all
            .iter()
            .filter(|record| record.time >= time)
            .flat_map(|record| ids(std::slice::from_ref(record)))
            .collect();
        assert_eq!(ids(&case.read_all(&at).await), since, "since {time}");
    }
}

pub async fn what_is_beyond_the_end_is_refused(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..9)).await;
    let end = case.end().await;
    for step in [1, 1_000_000, u64::MAX / 2] {
        let beyond = Position::new(
            end.incarnation(),
            end.offsets().iter().map(|(partition, next)| (*partition, next + step)),
        );
        let read = case.log.read(&case.topic, &beyond, ReadLimit::default()).await;
        assert_eq!(read.unwrap_err(), ReadError::BeyondEnd { end: end.clone() });
        let follow = case.log.follow(&case.topic, &beyond).await;
        assert_eq!(follow.err(), Some(ReadError::BeyondEnd { end: end.clone() }));
    }
}

pub async fn records_and_positions_survive_a_restart(fixture: &mut dyn Fixture) {
    let mut case = Case::new(fixture).await;
    case.append(records(0..20)).await;
    let oldest = case.oldest().await;
    let middle = case
        .read(
            &oldest,
            ReadLimit {
                records: 9,
                bytes: usize::MAX,
            },
        )
        .await;
    let read = ids(&middle.records);
    let end = case.end().await;
    let topic = case.topic.clone();
    drop(case);
    fixture.restart().await;
    case = Case {
        log: fixture.log(),
        topic,
    };
    assert_eq!(case.end().await, end);
    case.append(records(20..25)).await;
    assert_same(&case.read_all(&oldest).await, &records(0..25));
    assert_same(&case.read_all(&end).await, &records(20..25));
    let rest = ids(&case.read_all(&middle.next).await);
    assert_eq!(rest, (0..25).filter(|id| !read.contains(id)).collect());
}

//! What is removed, and what readers are told.

use super::Fixture;
use super::sample::{Case, assert_same, ids, records, take};
use crate::{Batch, Position, ReadError, ReadLimit};

/// Twenty records, and what the first nine or so of them are.
async fn twenty(fixture: &dyn Fixture) -> (Case, Position, Batch) {
    let case = Case::new(fixture).await;
    case.append(records(0..5)).await;
    case.append(records(5..20)).await;
    let oldest = case.oldest().await;
    let some = ReadLimit {
        records: 9,
        bytes: usize::MAX,
    };
    let first = case.read(&oldest, some).await;
    (case, oldest, first)
}

pub async fn trimmed_positions_are_refused(fixture: &mut dyn Fixture) {
    let (case, start, first) = twenty(fixture).await;
    let oldest = case.log.trim(&case.topic, &first.next).await.unwrap();
    assert_eq!(case.oldest().await, oldest);
    assert!(first.next.is_at_or_behind(&oldest), "more is gone than was asked for");
    if oldest != start {
        let told = ReadError::Trimmed { oldest: oldest.clone() };
        let read = case.log.read(&case.topic, &start, ReadLimit::default()).await;
        assert_eq!(read.unwrap_err(), told);
        assert_eq!(case.log.follow(&case.topic, &start).await.err(), Some(told));
    }
    // Again, and for what is gone already: nothing more happens.
    for before in [&first.next, &oldest] {
        assert_eq!(case.log.trim(&case.topic, before).await.unwrap(), oldest);
    }
}

pub async fn what_is_not_trimmed_stays(fixture: &mut dyn Fixture) {
    let (case, _, first) = twenty(fixture).await;
    let gone = ids(&first.records);
    let oldest = case.log.trim(&case.topic, &first.next).await.unwrap();
    let rest = ids(&case.read_all(&first.next).await);
    assert_eq!(rest, (0..20).filter(|id| !gone.contains(id)).collect());
    assert!(ids(&case.read_all(&oldest).await).is_superset(&rest));
}

pub async fn a_trimmed_topic_goes_on(fixture: &mut dyn Fixture) {
    let (mut case, ..) = twenty(fixture).await;
    let end = case.end().await;
    let oldest = case.log.trim(&case.topic, &end).await.unwrap();
    assert!(end.is_at_or_behind(&oldest));
    let mut follower = case.follow(&end).await;
    assert_eq!(case.read_all(&end).await, []);
    case.append(records(20..25)).await;
    assert_same(&case.read_all(&end).await, &records(20..25));
    assert_same(&take(&mut *follower, 5).await, &records(20..25));
    drop(follower);

    let end = case.end().await;
    case.log.trim(&case.topic, &end).await.unwrap();
    let topic = case.topic.clone();
    drop(case);
    fixture.restart().await;
    case = Case {
        log: fixture.log(),
        topic,
    };
    assert_eq!(case.end().await, end, "an emptied topic keeps its end");
    case.append(records(25..30)).await;
    assert_same(&case.read_all(&end).await, &records(25..30));
}

pub async fn a_follower_is_told_or_misses_nothing(fixture: &mut dyn Fixture) {
    let (case, start, first) = twenty(fixture).await;
    let mut follower = case.follow(&start).await;
    let oldest = case.log.trim(&case.topic, &first.next).await.unwrap();
    let mut read = Vec::new();
    while read.len() < 20 {
        match follower.next().await {
            Ok(batch) => read.extend(batch.records),
            Err(told) => {
                assert_eq!(told, ReadError::Trimmed { oldest });
                return;
            }
        }
    }
    assert_same(&read, &records(0..20));
}

pub async fn nothing_beyond_the_end_is_trimmed(fixture: &mut dyn Fixture) {
    let (case, ..) = twenty(fixture).await;
    let span = case.log.span(&case.topic).await.unwrap();
    let offsets = span
        .end
        .offsets()
        .iter()
        .map(|(partition, next)| (*partition, next + 1));
    let beyond = Position::new(span.end.incarnation(), offsets);
    let told = case.log.trim(&case.topic, &beyond).await;
    assert_eq!(told, Err(ReadError::BeyondEnd { end: span.end.clone() }));
    assert_eq!(case.log.span(&case.topic).await.unwrap(), span);
}

//! Live, gapless, however slow the reader.

use std::time::Duration;

use sockeye_limits as limits;

use super::Fixture;
use super::sample::{Case, assert_same, ids, records, take};
use crate::{ReadError, ReadLimit};

pub async fn a_follower_reads_the_past_and_goes_live(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..10)).await;
    let mut follower = case.follow(&case.oldest().await).await;
    let mut read = take(&mut *follower, 10).await;
    for from in (10..40).step_by(3) {
        case.append(records(from..from + 3)).await;
        read.extend(take(&mut *follower, 3).await);
    }
    assert_same(&read, &records(0..40));
}

pub async fn a_follower_from_the_middle_misses_nothing(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..20)).await;
    let some = ReadLimit {
        records: 7,
        bytes: usize::MAX,
    };
    let mut read = case.read(&case.oldest().await, some).await;
    let mut follower = case.follow(&read.next).await;
    case.append(records(20..30)).await;
    let left = 30 - read.records.len();
    read.records.extend(take(&mut *follower, left).await);
    assert_same(&read.records, &records(0..30));
}

pub async fn a_follower_from_the_end_gets_what_is_new(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..5)).await;
    let mut follower = case.follow(&case.end().await).await;
    case.append(records(5..9)).await;
    let read = take(&mut *follower, 4).await;
    assert_same(&read, &records(5..9));
    // What it gave is before the position it gives.
    case.append(records(9..10)).await;
    let mut last = follower.next().await.unwrap();
    while last.records.is_empty() {
        last = follower.next().await.unwrap();
    }
    assert_eq!(case.read_all(&last.next).await, []);
}

/// Also where what is stored behind the last record is none.
pub async fn a_follower_comes_to_the_end_that_is_told(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let mut follower = case.follow(&case.oldest().await).await;
    let mut next = case.oldest().await;
    for from in (0..9).step_by(3) {
        case.append(records(from..from + 3)).await;
        let end = case.end().await;
        while !next.is_at_or_behind(&end) {
            next = follower.next().await.unwrap().next;
        }
        assert_eq!(case.read_all(&next).await, []);
    }
}

pub async fn a_waiting_follower_is_woken(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let mut follower = case.follow(&case.end().await).await;
    let waiting = async { take(&mut *follower, 1).await };
    let appending = async {
        // The follower waits by now: `join` polls it first.
        tokio::task::yield_now().await;
        case.append(records(0..1)).await;
    };
    let (read, ()) = tokio::join!(waiting, appending);
    assert_same(&read, &records(0..1));
}

pub async fn a_slow_follower_misses_nothing(fixture: &mut dyn Fixture) {
    const COUNT: usize = 3 * limits::FOLLOW_QUEUE_BATCHES;
    let case = Case::new(fixture).await;
    let mut follower = case.follow(&case.end().await).await;
    let mut read = Vec::new();
    // It looks now and then only, and each time far more was appended than is kept for it.
    for round in 0..4 {
        for id in 0..COUNT {
            case.append(records(round * COUNT + id..round * COUNT + id + 1)).await;
        }
        let count = [1, COUNT, 2 * COUNT, 1][round];
        while read.len() < round * COUNT + count && read.len() < (round + 1) * COUNT {
            read.extend(take(&mut *follower, 1).await);
        }
    }
    // It catches up while more is appended.
    let appending = async {
        for id in 4 * COUNT..5 * COUNT {
            case.append(records(id..id + 1)).await;
        }
    };
    let left = 5 * COUNT - read.len();
    let (rest, ()) = tokio::join!(take(&mut *follower, left), appending);
    read.extend(rest);
    assert_same(&read, &records(0..5 * COUNT));
}

pub async fn many_followers_get_the_same(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let end = case.end().await;
    let mut followers = Vec::new();
    for _ in 0..20 {
        followers.push(case.follow(&end).await);
    }
    for from in (0..50).step_by(5) {
        case.append(records(from..from + 5)).await;
    }
    for mut follower in followers {
        assert_same(&take(&mut *follower, 50).await, &records(0..50));
    }
}

pub async fn a_cancelled_wait_loses_nothing(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let mut follower = case.follow(&case.oldest().await).await;
    let mut read = Vec::new();
    let mut cancelled = 0;
    for from in 0..100 {
        case.append(records(from..from + 1)).await;
        // Given up at once, or after a moment.
        for patience in [Duration::ZERO, Duration::from_micros(50 * (from as u64 % 10))] {
            match tokio::time::timeout(patience, follower.next()).await {
                Ok(batch) => read.extend(batch.unwrap().records),
                Err(_) => cancelled += 1,
            }
        }
    }
    let left = 100 - read.len();
    read.extend(take(&mut *follower, left).await);
    assert_same(&read, &records(0..100));
    assert!(cancelled > 0, "no wait was cancelled");
}

pub async fn a_follower_of_a_deleted_topic_is_told(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(records(0..3)).await;
    let mut follower = case.follow(&case.oldest().await).await;
    assert_eq!(ids(&take(&mut *follower, 3).await).len(), 3);
    let waiting = async {
        loop {
            if let Err(told) = follower.next().await {
                break told;
            }
        }
    };
    let deleting = async {
        tokio::task::yield_now().await;
        case.log.delete_topic(&case.topic).await.unwrap();
    };
    let (told, ()) = tokio::join!(waiting, deleting);
    assert_eq!(told, ReadError::NoTopic(case.topic.clone()));
}

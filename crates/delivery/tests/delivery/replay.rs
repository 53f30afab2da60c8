//! Subscriptions that start in the past, or end.

use std::time::Duration;

use futures_util::StreamExt;
use sockeye_delivery::{Cause, End, Selection, Subscription};
use sockeye_limits as limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::world::{CLOSE, TEXT, World, appended, closed, expect, frame, frames, numbers, position, subscription};

/// From one offset on, of a log that ends with another.
fn from(start: u64, end: u64) -> Subscription {
    Subscription {
        start: position(start),
        end: position(end),
        ..subscription(Selection::default())
    }
}

/// Only what was appended before this offset.
fn until(offset: u64, end: u64) -> Subscription {
    Subscription {
        until: Some(appended(offset)),
        ..from(0, end)
    }
}

const COMPLETE: (u16, &str) = (1000, "everything before `until` was sent");

#[tokio::test(start_paused = true)]
async fn who_comes_back_soon_needs_no_engine() {
    let world = World::new();
    let (mut client, end) = world.client().await;
    world.log.append("a", numbers(25));
    expect(&mut client, 0..25).await;
    client.close(None).await.unwrap();
    while client.next().await.is_some() {}
    assert_eq!(end.await.unwrap().cause, Cause::Client);
    let (opened, given) = (world.log.opened(), world.log.given());
    for start in 0..25 {
        let (mut client, _end) = world.client_of(from(start, 25)).await;
        expect(&mut client, start as usize..25).await;
    }
    assert_eq!((world.log.opened(), world.log.given()), (opened, given));
}

#[tokio::test(start_paused = true)]
async fn the_past_holds_up_nobody_who_is_live() {
    let world = World::new();
    world.log.append("a", numbers(100));
    // The first reader of the topic has a backlog, and does not take it.
    let (_slow, _end) = world.open(64, from(0, 100), |io| io);
    let (mut past, _end) = world.client_of(from(90, 100)).await;
    let (mut live, _end) = world.client_of(from(100, 100)).await;
    world.log.append("a", ["100".to_owned()]);
    expect(&mut live, 100..101).await;
    expect(&mut past, 90..101).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_may_have_an_end() {
    let world = World::new();
    world.log.append("a", numbers(25));
    for offset in [0, 1, 10, 11, 25] {
        let (mut client, end) = world.client_of(until(offset, 25)).await;
        expect(&mut client, 0..offset as usize).await;
        assert_eq!(
            closed(&mut client).await,
            (COMPLETE.0, COMPLETE.1.to_owned()),
            "{offset}"
        );
        while client.next().await.is_some() {}
        let expected = End {
            cause: Cause::Complete,
            code: Some(1000),
            clean: true,
        };
        assert_eq!(end.await.unwrap(), expected);
    }
}

/// The Close waits for what is before it, however slow the client is.
#[tokio::test(start_paused = true)]
async fn a_slow_client_gets_all_before_its_end() {
    let world = World::new();
    world.log.append("a", (0..30).map(|number| format!("{number:0>2000}")));
    let (mut client, end) = world.open(1024, until(30, 30), |io| io);
    let mut bytes = Vec::new();
    let frames = loop {
        let mut some = [0; 1024];
        let count = client.read(&mut some).await.unwrap();
        bytes.extend_from_slice(&some[..count]);
        let frames = frames(&mut bytes.clone());
        if frames.last().is_some_and(|(opcode, _)| *opcode == CLOSE) {
            break frames;
        }
        sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(frames.iter().filter(|(opcode, _)| *opcode == TEXT).count(), 30);
    client.write_all(&frame(CLOSE, &1000_u16.to_be_bytes())).await.unwrap();
    assert_eq!(end.await.unwrap().cause, Cause::Complete);
}

/// While the log does not answer, the subscription goes on, and ends when it does.
#[tokio::test(start_paused = true)]
async fn an_end_that_the_log_cannot_tell_yet() {
    let world = World::new();
    world.log.append("a", numbers(25));
    let (mut client, _end) = world.client_of(until(10, 25)).await;
    expect(&mut client, 0..10).await;
    world.log.unavailable();
    sleep(limits::UNTIL_SETTLES * 2).await;
    world.log.fail(None);
    let since = Instant::now();
    assert_eq!(closed(&mut client).await.0, 1000);
    assert!(since.elapsed() <= limits::LOG_RETRY_MOST + Duration::from_secs(1));
}

//! Readers that are behind, many at once, and what they cost.

use std::time::Duration;

use futures_util::StreamExt;
use sockeye_delivery::{Cause, MemoryLimits, Selection, Subscription};
use sockeye_limits as limits;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use crate::world::{TEXT, World, closed, expect, frames, numbers, position, subscription};

/// From one offset on, of a log that ends with another.
fn from(start: u64, end: u64) -> Subscription {
    Subscription {
        start: position(start),
        end: position(end),
        ..subscription(Selection::default())
    }
}

/// Reads until it has so many events, and gives their payloads.
async fn texts(io: &mut DuplexStream, count: usize) -> Vec<String> {
    let (mut bytes, mut texts) = (Vec::new(), Vec::new());
    while texts.len() < count {
        let mut part = [0; 4096];
        let length = io.read(&mut part).await.unwrap();
        assert!(length > 0, "the stream goes on behind {texts:?}");
        bytes.extend_from_slice(&part[..length]);
        let whole = frames(&mut bytes).into_iter().filter(|(opcode, _)| *opcode == TEXT);
        texts.extend(whole.map(|(_, payload)| String::from_utf8(payload).unwrap()));
    }
    texts
}

/// DESIGN.md, delivery contract 5: those far behind share catch-up readers. The log gives ten records at a time.
#[tokio::test(start_paused = true)]
async fn readers_that_are_near_each_other_share_what_is_read() {
    let world = World::new();
    world.log.append("a", numbers(40));
    let mut clients: Vec<_> = (0..5_000)
        .map(|number| {
            let start = if number % 2 == 0 { 0 } else { number % 40 };
            (start, world.open(256, from(start, 40), |io| io).0)
        })
        .collect();
    for (start, client) in &mut clients {
        let due: Vec<_> = (*start..40).map(|number| number.to_string()).collect();
        assert_eq!(texts(client, due.len()).await, due);
    }
    let reads = world.log.reads();
    assert!((4..20).contains(&reads), "{reads} reads for 5,000 readers");
    assert_eq!(world.metric("delivery_past_reads_total"), reads as u64);
    assert_eq!(world.log.opened(), 1, "the end of the log is followed once");
}

/// A reader that takes nothing holds a position, wherever it is, and keeps nobody else waiting.
#[tokio::test(start_paused = true)]
async fn who_is_stalled_holds_no_events() {
    let budget = 20_000;
    let world = World::with(MemoryLimits {
        bytes: budget,
        bytes_per_topic: budget,
        ..MemoryLimits::default()
    });
    let line = |number: u64| format!("{number:0500}");
    world.log.append("a", (0..400).map(line));
    let mut stalled: Vec<_> = (0..40)
        .map(|number| (number * 10, world.open(100, from(number * 10, 400), |io| io).0))
        .collect();
    let (mut prompt, _end) = world.open(100_000, from(0, 400), |io| io);
    let got = timeout(Duration::from_secs(1), texts(&mut prompt, 400)).await;
    assert_eq!(got.expect("nobody holds it up"), (0..400).map(line).collect::<Vec<_>>());
    sleep(Duration::from_secs(1)).await;
    assert!(world.metric("delivery_past_bytes") > 0);
    let held = world.metric("delivery_held_bytes");
    assert!(held <= budget as u64, "{held} bytes are held");
    for (start, client) in &mut stalled {
        let due: Vec<_> = (*start..400).map(line).collect();
        assert_eq!(texts(client, due.len()).await, due);
    }
}

/// A regression: `from=earliest` on a log that is being trimmed was told right after its 101 that it was too slow.
#[tokio::test(start_paused = true)]
async fn what_is_removed_before_reading_begins_is_not_missed() {
    for what_is_left in [true, false] {
        let world = World::new();
        world.log.append("a", numbers(25));
        let subscription = Subscription {
            what_is_left,
            ..from(0, 25)
        };
        // Between the answer to the client and the first read.
        world.log.trim(15);
        let (mut client, end) = world.client_of(subscription).await;
        if what_is_left {
            expect(&mut client, 15..25).await;
            world.log.append("a", ["25".to_owned()]);
            expect(&mut client, 25..26).await;
        } else {
            let (code, reason) = closed(&mut client).await;
            assert_eq!(code, 1013);
            assert!(reason.contains("up to 15 events"), "{reason}");
            while client.next().await.is_some() {}
            assert_eq!(end.await.unwrap().cause, Cause::Trimmed);
        }
    }
}

/// Once reading has begun, who is passed by retention is told, wherever it began.
#[tokio::test(start_paused = true)]
async fn what_is_removed_later_is_missed() {
    let world = World::with(MemoryLimits {
        bytes: 0,
        ..MemoryLimits::default()
    });
    world.log.append("a", (0..50).map(|number| format!("{number:0500}")));
    let subscription = Subscription {
        what_is_left: true,
        ..from(0, 50)
    };
    let (mut io, end) = world.open(100, subscription, |io| io);
    let mut bytes = [0; 50];
    io.read_exact(&mut bytes).await.unwrap();
    // The outbox is full of the first hundred or so; the others are removed.
    world.log.append("a", (50..1000).map(|number| format!("{number:0500}")));
    world.log.trim(900);
    tokio::spawn(async move { tokio::io::copy(&mut io, &mut tokio::io::sink()).await });
    assert_eq!(end.await.unwrap().cause, Cause::Trimmed);
}

/// A regression: when retention passed the head of a topic during an outage, those were told, too, who had come later and
/// missed nothing.
#[tokio::test(start_paused = true)]
async fn who_misses_nothing_is_not_told() {
    let world = World::new();
    world.log.append("a", numbers(3));
    let (mut early, end) = world.client_of(from(3, 3)).await;
    sleep(Duration::from_secs(1)).await;
    world.log.unavailable();
    world.log.append("a", (3..13).map(|number| number.to_string()));
    world.log.trim(8);
    let (mut late, _end) = world.client_of(from(10, 13)).await;
    let (mut live, _end) = world.client_of(from(13, 13)).await;
    sleep(Duration::from_secs(1)).await;
    world.log.fail(None);
    assert_eq!(closed(&mut early).await.0, 1013);
    while early.next().await.is_some() {}
    assert_eq!(end.await.unwrap().cause, Cause::Trimmed);
    expect(&mut late, 10..13).await;
    world.log.append("a", ["13".to_owned()]);
    expect(&mut late, 13..14).await;
    expect(&mut live, 13..14).await;
}

/// Everything arrives although nothing can be kept: who waits is given what was read for it.
#[tokio::test(start_paused = true)]
async fn nobody_needs_memory_to_read_on() {
    let world = World::with(MemoryLimits {
        bytes: 0,
        bytes_per_topic: 0,
        ..MemoryLimits::default()
    });
    world.log.append("a", numbers(50));
    let (mut client, _end) = world.client_of(from(0, 50)).await;
    let (mut other, _end) = world.client_of(from(7, 50)).await;
    expect(&mut client, 0..50).await;
    expect(&mut other, 7..50).await;
    world.log.append("a", ["50".to_owned()]);
    expect(&mut client, 50..51).await;
    expect(&mut other, 50..51).await;
    assert_eq!(
        world.metric("delivery_past_bytes") + world.metric("delivery_tail_bytes"),
        0
    );
}

/// Who reads the past waits for a log that does not answer, as those do who are live, and is told in the end.
#[tokio::test(start_paused = true)]
async fn an_outage_in_the_past() {
    let world = World::new();
    world.log.append("a", numbers(50));
    world.log.unavailable();
    let (mut client, _end) = world.client_of(from(0, 50)).await;
    let since = Instant::now();
    while since.elapsed() < limits::LOG_OUTAGE * 9 / 10 {
        assert!(client.next().await.unwrap().unwrap().is_ping());
    }
    world.log.fail(None);
    expect(&mut client, 0..50).await;

    let world = World::new();
    world.log.append("a", numbers(50));
    world.log.unavailable();
    let (mut client, end) = world.client_of(from(0, 50)).await;
    assert_eq!(closed(&mut client).await.0, 1013);
    while client.next().await.is_some() {}
    assert_eq!(end.await.unwrap().cause, Cause::Outage);
}

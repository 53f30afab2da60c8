//! Members that are slow, silent, or gone.

use std::time::Duration;

use futures_util::FutureExt;
use sockeye_delivery::Cause;
use sockeye_limits as limits;
use sockeye_log::ReadError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Received;

use super::{SETTLED, acknowledging, enter, joining, member, member_of, open, say, take, take_all};
use crate::world::{CLOSE, PING, PONG, TEXT, World, closed, frame, frames, next, numbers, position, topic};

/// It holds what its credit is, and no more; its receipts come late, but it is not taken for dead.
#[tokio::test(start_paused = true)]
async fn a_slow_member_holds_up_nobody() {
    let world = World::new();
    let (mut slow, end) = open(&world, joining("g"), 64).await;
    let mut fast = member(&world, "g").await;
    world.log.append("a", numbers(1_000));
    let taken = take_all(&mut fast).await;
    assert!(taken.len() >= 1_000 - limits::GROUP_CREDIT_FIRST, "{}", taken.len());
    // It is pinged on.
    tokio::spawn(async move { while !matches!(next(&mut fast).await, Received::Close(_)) {} });
    let mut bytes = Vec::new();
    let mut rest = 0;
    while world.positions.low("g") < 1_000 {
        let mut some = [0; 8];
        let read = timeout(2 * limits::WS_PING_INTERVAL, slow.read(&mut some)).await;
        let count = read.expect("it is pinged at least").unwrap();
        bytes.extend_from_slice(&some[..count]);
        for (opcode, payload) in frames(&mut bytes) {
            match opcode {
                TEXT => rest += 1,
                PING => slow.write_all(&frame(PONG, &payload)).await.unwrap(),
                other => panic!("{other}"),
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!end.is_finished());
    assert_eq!(rest, 1_000 - taken.len());
    assert_eq!(world.delivery.groups()[0].counts.redelivered, 0);
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_pings_is_closed_with_the_remedy() {
    let world = World::new();
    let (mut mute, end) = open(&world, joining("g"), 1 << 16).await;
    world.log.append("a", numbers(3));
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(opcode, _)| *opcode != CLOSE) {
        // Pongs that nobody asked for are signs of life, and no receipts.
        slow_read(&mut mute, &mut bytes).await;
        seen.append(&mut frames(&mut bytes));
        mute.write_all(&frame(PONG, b"PING")).await.unwrap();
    }
    let (_, close) = seen.pop().unwrap();
    assert_eq!(close[..2], 1008_u16.to_be_bytes());
    assert!(String::from_utf8_lossy(&close[2..]).contains("`ack=client`"));
    let took = start.elapsed();
    assert!(
        took >= limits::GROUP_RECEIPT_TIME && took < limits::GROUP_RECEIPT_TIME + SETTLED,
        "{took:?}"
    );
    assert_eq!(
        seen.iter().filter(|(opcode, _)| *opcode == PING).count(),
        1,
        "one number is outstanding"
    );
    mute.write_all(&frame(CLOSE, &close)).await.unwrap();
    assert_eq!(end.await.unwrap().cause, Cause::NoReceipt);
    assert_eq!(take_all(&mut member(&world, "g").await).await, [0, 1, 2]);
}

/// What comes within half a second.
async fn slow_read(io: &mut tokio::io::DuplexStream, bytes: &mut Vec<u8>) {
    sleep(Duration::from_millis(500)).await;
    if let Some(count) = io.read_buf(bytes).now_or_never() {
        count.unwrap();
    }
}

/// The usual Ping of an idle member carries a number too, so that at most one is outstanding.
#[tokio::test(start_paused = true)]
async fn an_idle_member_is_pinged_as_ever() {
    let world = World::new();
    let (mut idle, _end) = open(&world, joining("g"), 1 << 16).await;
    let (mut strict, _end) = open(&world, acknowledging("g"), 1 << 16).await;
    let (mut pings, mut bytes) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..44 {
        for (member, bytes) in [&mut idle, &mut strict].into_iter().zip(&mut bytes) {
            slow_read(member, bytes).await;
            for (opcode, payload) in frames(bytes) {
                assert_eq!(opcode, PING);
                member.write_all(&frame(PONG, &payload)).await.unwrap();
                pings.push(payload);
            }
        }
    }
    let numbered = pings
        .iter()
        .filter(|payload| payload[..] == 0_u64.to_be_bytes())
        .count();
    let plain = pings.iter().filter(|payload| payload[..] == b"PING"[..]).count();
    assert_eq!((numbered, plain), (8, 8), "every five seconds: {pings:?}");
}

#[tokio::test(start_paused = true)]
async fn members_are_told_why_the_log_cannot_be_read() {
    for (error, code, part) in [
        (ReadError::NoTopic(topic()), 1008, "deleted"),
        (ReadError::OtherIncarnation { oldest: position(0) }, 1011, "replaced"),
    ] {
        let world = World::new();
        let mut one = member(&world, "g").await;
        world.log.fail(Some(error));
        let (found, reason) = closed(&mut one).await;
        assert!(found == code && reason.contains(part), "{found} {reason}");
        sleep(SETTLED).await;
        assert!(world.delivery.groups().is_empty());
        assert_eq!(
            world.positions.stored(),
            0,
            "the positions of a log that is gone say nothing"
        );
    }
}

/// A client that never becomes a connection, because it goes before its 101 does.
#[tokio::test(start_paused = true)]
async fn who_goes_before_the_connection_is_open_leaves_nothing() {
    let world = World::new();
    let seat = enter(&world, joining("g")).await.unwrap();
    let mut one = member(&world, "g").await;
    world.log.append("a", numbers(4));
    assert_eq!(take(&mut one, 2).await, [1, 3]);
    drop(seat);
    assert_eq!(take(&mut one, 2).await, [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_a_group_are_seen() {
    let world = World::new();
    let (mut one, _end) = member_of(&world, acknowledging("a\"b")).await;
    world.log.append("a", numbers(40));
    assert_eq!(take(&mut one, limits::GROUP_CREDIT_FIRST).await.len(), 32);
    for text in ["ack 0", "nack 1", "ack nothing"] {
        say(&mut one, text).await;
    }
    sleep(SETTLED).await;
    let labels = r#"{application="app",group="a\"b",selection=""}"#;
    for (name, expected) in [
        ("members", 1),
        ("lag", 39),
        ("outstanding", 33),
        ("waiting", 6),
        ("credit", 33),
        ("deliveries_total", 35),
        ("redeliveries_total", 1),
        ("receipts_total", 1),
        ("dead_letters_total", 0),
        ("no_receipts_total", 0),
        ("stray_receipts_total", 1),
        ("trimmed_total", 0),
    ] {
        assert_eq!(
            world.metric(&format!("delivery_group_{name}{labels}")),
            expected,
            "{name}"
        );
    }
    // The log is of 1970.
    assert!(world.metric(&format!("delivery_group_lag_seconds{labels}")) > 1_000_000_000);
    assert_eq!(world.metric("delivery_groups "), 1);
}

//! Clients that do not as they should, and a log that fails.

use std::time::Duration;

use crate::world::{
    CLOSE, PING, PONG, TEXT, World, closed, expect, frame, frames, numbers, position, read_to_end, topic,
};
use sockeye_delivery::{Cause, End};
use sockeye_limits as limits;
use sockeye_log::{Incarnation, Position, ReadError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_is_dead() {
    let world = World::new();
    world.log.append("a", numbers(1));
    let (mut io, end) = world.connect(1024);
    let start = Instant::now();
    let frames = read_to_end(&mut io).await;
    let reason = b"\x03\xf0no sign of life for 10 seconds: pings must be answered";
    let expected = [(TEXT, &b"0"[..]), (PING, b"PING"), (CLOSE, reason)];
    assert!(
        frames
            .iter()
            .map(|(opcode, payload)| (*opcode, &**payload))
            .eq(expected),
        "{frames:?}"
    );
    assert_eq!(start.elapsed(), limits::WS_CLIENT_TIMEOUT + limits::WS_CLOSE_TIMEOUT);
    let dead = End {
        cause: Cause::Dead,
        code: Some(1008),
        clean: false,
    };
    assert_eq!(end.await.unwrap(), dead);
}

/// DESIGN.md, delivery contract 5: a Ping behind a backlog is no proof of death, a reader that takes bytes is alive.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_everything() {
    // The second pipe holds a backlog of its own when the server has written everything.
    for (pipe, pause) in [(1000, 2 * limits::WS_CLIENT_TIMEOUT), (20_000, Duration::from_secs(2))] {
        let world = World::new();
        let line = |number: usize| format!("{number:0500}");
        world.log.append("a", (0..400).map(line));
        let (mut io, end) = world.connect(pipe);
        let (mut bytes, mut texts) = (Vec::new(), 0);
        let start = Instant::now();
        // It never sends a byte: for minutes its reading is all that tells that it is there.
        while texts < 400 {
            sleep(pause).await;
            let mut part = [0; 1000];
            let length = io.read(&mut part).await.unwrap();
            assert!(length > 0, "the server has given up after {texts}");
            bytes.extend_from_slice(&part[..length]);
            for (opcode, payload) in frames(&mut bytes) {
                match opcode {
                    TEXT => {
                        assert_eq!(payload, line(texts).as_bytes());
                        texts += 1;
                    }
                    PING => {}
                    _ => panic!("{opcode}: {}", String::from_utf8_lossy(&payload)),
                }
            }
        }
        assert!(start.elapsed() > 30 * limits::WS_CLIENT_TIMEOUT);
        // Silent although nothing waits for it any more, it is found out.
        tokio::spawn(async move { copy(&mut io, &mut sink()).await });
        assert_eq!(end.await.unwrap().cause, Cause::Dead);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_stalled_whether_it_talks_or_not() {
    for talks in [false, true] {
        let world = World::new();
        world.log.append("a", (0..100).map(|_| "x".repeat(500)));
        let (mut io, end) = world.connect(1000);
        let start = Instant::now();
        tokio::spawn(async move {
            while !talks || io.write_all(&frame(PONG, b"PING")).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let stalled = End {
            cause: Cause::Stalled,
            code: Some(1008),
            clean: false,
        };
        assert_eq!(end.await.unwrap(), stalled);
        assert_eq!(start.elapsed(), limits::WS_STALL + limits::WS_CLOSE_TIMEOUT);
    }
}

/// While nothing can be written, what the client sends is read, and its Pings are remembered in bounded memory.
#[tokio::test(start_paused = true)]
async fn a_blocked_connection_still_reads() {
    let world = World::new();
    world.log.append("a", (0..1000).map(|_| "x".repeat(500)));
    let (io, end) = world.connect(1000);
    let (mut read, mut write) = tokio::io::split(io);
    let pings = 50_000_u32;
    for ping in 0..pings {
        write.write_all(&frame(PING, &ping.to_be_bytes())).await.unwrap();
    }
    let (mut bytes, mut pongs, mut texts) = (Vec::new(), Vec::new(), 0);
    while texts < 1000 {
        let mut part = [0; 4096];
        let length = read.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..length]);
        for (opcode, payload) in frames(&mut bytes) {
            match opcode {
                TEXT => texts += 1,
                PONG => pongs.push(u32::from_be_bytes(payload.try_into().unwrap())),
                _ => {}
            }
        }
    }
    assert!(pongs.len() < limits::WS_WRITE_CHUNK, "{} pongs", pongs.len());
    assert_eq!(pongs.last(), Some(&(pings - 1)), "the last one is answered");
    assert!(!end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_without_a_word_is_lost() {
    let world = World::new();
    let (io, end) = world.connect(1000);
    drop(io);
    let lost = End {
        cause: Cause::Lost,
        code: None,
        clean: false,
    };
    assert_eq!(end.await.unwrap(), lost);
    let closes = "delivery_closes_total{dialect=\"plain\",cause=\"lost\",code=\"0\",clean=\"false\"}";
    assert_eq!(world.metric(closes), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_the_protocol_is_told() {
    let oversize = [
        &[0x81, 0xff][..],
        &(limits::WS_INBOUND_MESSAGE as u64 + 1).to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    for (bytes, code) in [
        (vec![0x81, 1, b'x'], 1002),
        (frame(3, b""), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (oversize, 1009),
    ] {
        let world = World::new();
        let (mut io, end) = world.connect(1024);
        io.write_all(&bytes).await.unwrap();
        // What follows is nothing any more.
        io.write_all(&frame(PING, b"still there?")).await.unwrap();
        let frames = read_to_end(&mut io).await;
        let [(CLOSE, close)] = &frames[..] else {
            panic!("{frames:?}")
        };
        let (sent, reason) = close.split_at(2);
        assert_eq!(sent, u16::to_be_bytes(code), "{bytes:?}");
        assert!(
            std::str::from_utf8(reason).is_ok_and(|reason| !reason.is_empty()),
            "{reason:?}"
        );
        drop(io);
        let expected = End {
            cause: Cause::Protocol,
            code: Some(code),
            clean: true,
        };
        assert_eq!(end.await.unwrap(), expected, "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_on_ends_the_stream() {
    let other = Position::new(Incarnation(2), []);
    for (failure, cause, code, part) in [
        (
            ReadError::NoTopic(topic()),
            Cause::Gone,
            1008,
            "application was deleted",
        ),
        (
            ReadError::Trimmed { oldest: position(1003) },
            Cause::Trimmed,
            1013,
            "up to 1000 events",
        ),
        (
            ReadError::OtherIncarnation { oldest: other },
            Cause::Gone,
            1011,
            "log was replaced",
        ),
        (
            ReadError::BeyondEnd { end: position(1) },
            Cause::Gone,
            1011,
            "has lost events",
        ),
    ] {
        let world = World::new();
        let (mut client, end) = world.client().await;
        world.log.append("a", numbers(3));
        expect(&mut client, 0..3).await;
        world.log.fail(Some(failure));
        let (sent, reason) = closed(&mut client).await;
        assert_eq!(sent, code, "{reason}");
        assert!(reason.contains(part), "{reason}");
        assert!(futures_util::StreamExt::next(&mut client).await.is_none());
        let expected = End {
            cause,
            code: Some(code),
            clean: true,
        };
        assert_eq!(end.await.unwrap(), expected);
    }
}

/// compat/drogue.md, decision 3: the socket stays, the Pings go on, delivery resumes where it was.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_log_is_waited_for() {
    let world = World::new();
    let (mut client, end) = world.client().await;
    world.log.append("a", numbers(3));
    expect(&mut client, 0..3).await;
    for outage in 1..4 {
        world.log.unavailable();
        let opened = world.log.opened();
        let since = Instant::now();
        while since.elapsed() < limits::LOG_OUTAGE / 2 {
            let ping = futures_util::StreamExt::next(&mut client).await.unwrap().unwrap();
            assert!(ping.is_ping(), "{ping}");
        }
        let tries = world.log.opened() - opened;
        assert!((20..50).contains(&tries), "{tries} tries in {:?}", since.elapsed());
        world.log.append("a", [(2 + outage).to_string()]);
        world.log.fail(None);
        expect(&mut client, 2 + outage..3 + outage).await;
    }
    assert!(!end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_does_not_end_ends_the_stream() {
    let world = World::new();
    world.log.unavailable();
    let (mut client, end) = world.client().await;
    let start = Instant::now();
    let (code, reason) = closed(&mut client).await;
    assert_eq!(
        (code, &*reason),
        (1013, "the event log could not be read for too long, try again later")
    );
    let took = start.elapsed();
    assert!(
        took <= limits::LOG_OUTAGE && took + 2 * limits::LOG_RETRY_MOST > limits::LOG_OUTAGE,
        "{took:?}"
    );
    assert!(futures_util::StreamExt::next(&mut client).await.is_none());
    assert_eq!(end.await.unwrap().cause, Cause::Outage);
}

/// A regression: what a quiet log was out of reach before it was back for a moment counted for the next outage, too.
#[tokio::test(start_paused = true)]
async fn an_outage_begins_anew_after_a_quiet_moment() {
    let world = World::new();
    world.log.append("a", numbers(3));
    let (mut client, end) = world.client().await;
    expect(&mut client, 0..3).await;
    for _ in 0..3 {
        world.log.unavailable();
        let since = Instant::now();
        while since.elapsed() < limits::LOG_OUTAGE * 9 / 10 {
            assert!(
                futures_util::StreamExt::next(&mut client)
                    .await
                    .unwrap()
                    .unwrap()
                    .is_ping()
            );
        }
        let opened = world.log.opened();
        world.log.fail(None);
        // Asked again, and for a moment there.
        while world.log.opened() == opened {
            assert!(
                futures_util::StreamExt::next(&mut client)
                    .await
                    .unwrap()
                    .unwrap()
                    .is_ping()
            );
        }
    }
    assert!(!end.is_finished());
    world.log.append("a", ["3".to_owned()]);
    expect(&mut client, 3..4).await;
}

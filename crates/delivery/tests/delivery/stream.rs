//! Events on their way to clients that do as they should.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::world::{PING, Plain, TEXT, World, closed, expect, frame, next, numbers, read_to_end, subscription};
use bytes::Bytes;
use futures_util::SinkExt;
use sockeye_delivery::{Acknowledged, Cause, End, Link, Selection};
use sockeye_event::Headers;
use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// A pipe that counts writes.
struct Counted<IO>(IO, Arc<AtomicUsize>);

#[tokio::test(start_paused = true)]
async fn events_come_in_order_those_of_the_past_and_those_to_come() {
    let world = World::new();
    world.log.append("a", numbers(25));
    let (mut client, _end) = world.client().await;
    expect(&mut client, 0..25).await;
    for number in 25..30 {
        world.log.append("a", [number.to_string()]);
        expect(&mut client, number..number + 1).await;
    }
    assert_eq!(world.metric("delivery_connections{dialect=\"plain\"}"), 1);
    assert_eq!(world.metric("delivery_events_total{dialect=\"plain\"}"), 30);
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_selected() {
    let world = World::new();
    for number in 0..500 {
        world
            .log
            .append(if number % 250 == 9 { "mine" } else { "other" }, [number.to_string()]);
    }
    let selection = Selection {
        channel: Some("mine".into()),
        ..Selection::default()
    };
    let (mut io, end) = world.connect_with(1024, selection, |io| io);
    let mut bytes = [0; 8];
    io.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"\x81\x019\x81\x03259");
    drop(io);
    assert_eq!(end.await.unwrap().cause, Cause::Lost);
}

/// Events that are not wanted cost the other side of the connection, and other connections, no turn.
#[tokio::test(start_paused = true)]
async fn a_log_without_wanted_events_does_not_keep_the_core() {
    let world = World::new();
    world.log.append("other", numbers(10_000));
    let selection = Selection {
        channel: Some("mine".into()),
        ..Selection::default()
    };
    let (mut io, _end) = world.connect_with(1024, selection, |io| io);
    io.write_all(&frame(PING, b"x")).await.unwrap();
    let mut pong = [0; 3];
    io.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x01x");
    assert!(world.log.given() < 1000, "{} records first", world.log.given());
}

/// DESIGN.md, cost model: nothing is owned while idle. What is left is the state of the task.
#[tokio::test]
async fn an_idle_connection_is_small() {
    let world = World::new();
    let (_client, server) = tokio::io::duplex(64);
    let served = world
        .delivery
        .serve(server, subscription(Selection::default()), Plain, false);
    let size = size_of_val(&served);
    assert!(size <= 2048, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_goes_out_in_one_write() {
    let world = World::new();
    world.log.append("a", numbers(50));
    let writes = Arc::new(AtomicUsize::new(0));
    let (mut io, _end) = world.connect_with(1 << 16, Selection::default(), |io| Counted(io, writes.clone()));
    let length = numbers(50).map(|text| 2 + text.len()).sum();
    io.read_exact(&mut vec![0; length]).await.unwrap();
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

/// compat/drogue.md 1.6: one frame, whatever the size; none of what an encoder does not show.
#[tokio::test(start_paused = true)]
async fn an_event_is_one_frame() {
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 900_000];
    let world = World::new();
    world.log.append("a", sizes.map(|size| "x".repeat(size)));
    let (mut io, end) = world.connect(4096);
    let reader = tokio::spawn(async move { read_to_end(&mut io).await });
    // Read to the end of the log, then until the client is found dead.
    assert_eq!(end.await.unwrap().cause, Cause::Dead);
    let frames = reader.await.unwrap();
    let texts = frames.iter().filter(|(opcode, _)| *opcode == TEXT);
    let shown = sizes.into_iter().filter(|size| *size > 0);
    assert!(texts.map(|(_, payload)| payload.len()).eq(shown));
}

/// DESIGN.md, delivery contract 8.
#[tokio::test(start_paused = true)]
async fn a_bad_record_stops_no_stream() {
    let world = World::new();
    world.log.append("a", ["0".to_owned()]);
    world.log.append_raw([
        (Headers::default(), Some(Bytes::from_static(b"nonsense"))),
        (Headers::default(), None),
    ]);
    world.log.append("a", ["1".to_owned()]);
    let (mut client, _end) = world.client().await;
    expect(&mut client, 0..2).await;
    assert_eq!(world.metric("delivery_skipped_records_total"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_server_pings_and_a_client_that_answers_lives() {
    let world = World::new();
    let (mut client, end) = world.client().await;
    let start = Instant::now();
    for ping in 1..=20 {
        let message = futures_util::StreamExt::next(&mut client).await.unwrap().unwrap();
        assert_eq!(message, Message::Ping("PING".into()));
        assert_eq!(start.elapsed().as_secs(), ping * 5);
    }
    assert!(!end.is_finished());
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered() {
    let world = World::new();
    let (mut client, _end) = world.client().await;
    for payload in ["", "one", &"x".repeat(125)] {
        client.send(Message::Ping(payload.to_owned().into())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Pong(payload.to_owned().into()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_dialect_judges_messages() {
    let world = World::new();
    let (mut client, end) = world.client().await;
    client.send(Message::text("hello")).await.unwrap();
    client.send(Message::binary(&b"bye"[..])).await.unwrap();
    client.send(Message::Ping("".into())).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong("".into()));
    assert_eq!(world.metric("delivery_ignored_messages_total"), 2);

    let long = format!("bye{}", "ä".repeat(100));
    client.send(Message::text(long.clone())).await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert_eq!((code, reason.len()), (4000, limits::WS_CLOSE_REASON));
    assert!(long.starts_with(&reason));
    assert!(futures_util::StreamExt::next(&mut client).await.is_none());
    let expected = End {
        cause: Cause::Message,
        code: Some(4000),
        clean: true,
    };
    assert_eq!(end.await.unwrap(), expected);
    let closes = "delivery_closes_total{dialect=\"plain\",cause=\"message\",code=\"4000\",clean=\"true\"}";
    assert_eq!((world.metric(closes), world.metric("delivery_connections")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_is_answered_after_what_is_due() {
    let close_frame = |code: u16, reason: &'static str| CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    for close in [None, Some(close_frame(1000, "")), Some(close_frame(4321, "enough"))] {
        let world = World::new();
        let (mut client, end) = world.client().await;
        world.log.append("a", numbers(3));
        expect(&mut client, 0..3).await;
        client.send(Message::Close(close.clone())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Close(close.clone()));
        let expected = End {
            cause: Cause::Client,
            code: close.map(|close| close.code.into()),
            clean: true,
        };
        assert_eq!(end.await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_says_so() {
    let world = World::new();
    let (mut client, end) = world.client().await;
    let (deaf, deaf_end) = world.connect(1024);
    world.log.append("a", numbers(1));
    expect(&mut client, 0..1).await;
    let start = Instant::now();
    world.stop.cancel();
    assert_eq!(closed(&mut client).await, (1001, "the server is stopping".to_owned()));
    assert!(futures_util::StreamExt::next(&mut client).await.is_none());
    let stopped = |clean| End {
        cause: Cause::Stopping,
        code: Some(1001),
        clean,
    };
    assert_eq!(end.await.unwrap(), stopped(true));
    // Who does not answer is not waited for.
    assert_eq!(deaf_end.await.unwrap(), stopped(false));
    assert!(start.elapsed() <= limits::WS_CLOSE_TIMEOUT + Duration::from_millis(10));
    drop(deaf);
    // A connection that comes too late is told as well.
    let (mut late, _end) = world.client().await;
    assert_eq!(closed(&mut late).await.0, 1001);
}

impl<IO: Link> Link for Counted<IO> {
    fn acknowledged(&self) -> Option<Acknowledged> {
        self.0.acknowledged()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Counted<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Counted<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

//! What others want of a connection: to be sent, and to end.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::world::{CLOSE, PlainFrames, TEXT, World, closed, expect, frame, next, numbers, read_to_end, subscription};
use futures_util::SinkExt;
use sockeye_delivery::{
    Cause, Closing, Encoder, End, Later, Message, Remote, RemoteError, Selection, Session, Verdict,
};
use sockeye_limits as limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Received;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Answers every message with itself, and gives its connection away.
struct Echo(mpsc::SyncSender<Remote>);

// ----------------------------------------------------------------------------------------------

impl Session for Echo {
    const DIALECT: &'static str = "echo";

    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(PlainFrames)
    }

    fn opened(&mut self, remote: Remote) {
        self.0.send(remote).unwrap();
    }

    fn receive(&mut self, message: Message<'_>) -> Verdict {
        match message {
            // As slow as the number says.
            Message::Text(text) if text.starts_with("after ") => {
                let (text, pause) = (text.to_owned(), Duration::from_millis(text[6..].parse().unwrap()));
                Verdict::Later(Later::new(async move {
                    sleep(pause).await;
                    Verdict::Reply(text)
                }))
            }
            Message::Text(text) => Verdict::Reply(text.to_owned()),
            Message::Binary(_) => Verdict::Ignore,
        }
    }
}

/// A client of everything, over a pipe of this many bytes.
async fn connect(world: &World, pipe: usize) -> (DuplexStream, Remote, JoinHandle<End>) {
    let (client, server) = tokio::io::duplex(pipe);
    let (tell, told) = mpsc::sync_channel(1);
    let delivery = Arc::clone(&world.delivery);
    let subscription = subscription(Selection::default());
    let end = tokio::spawn(async move { delivery.serve(server, subscription, Echo(tell), false).await });
    tokio::task::yield_now().await;
    (client, told.recv().unwrap(), end)
}

fn expired() -> Closing {
    Closing::new(1008, "the token has expired")
}

#[tokio::test(start_paused = true)]
async fn a_text_from_outside_comes_between_events() {
    let world = World::new();
    let (io, remote, end) = connect(&world, 1 << 16).await;
    let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    world.log.append("a", numbers(1));
    expect(&mut client, 0..1).await;
    let elsewhere = remote.clone();
    std::thread::spawn(move || elsewhere.send("from a thread").unwrap())
        .join()
        .unwrap();
    assert_eq!(next(&mut client).await, Received::text("from a thread"));
    world.log.append("a", ["1".to_owned()]);
    expect(&mut client, 1..2).await;

    drop(client);
    end.await.unwrap();
    assert_eq!(remote.send("too late"), Err(RemoteError::Gone));
    remote.close(Cause::Unauthorized, expired());
}

#[tokio::test(start_paused = true)]
async fn messages_are_answered_one_by_one() {
    let world = World::new();
    let (io, _remote, _end) = connect(&world, 1 << 16).await;
    let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    for text in ["", "one", &"ä".repeat(1_000)] {
        client.send(Received::text(text)).await.unwrap();
        assert_eq!(next(&mut client).await, Received::text(text));
    }
}

/// A message that takes some work holds up those behind it, and no event.
#[tokio::test(start_paused = true)]
async fn messages_are_answered_in_order_however_long_it_takes() {
    let world = World::new();
    let (io, _remote, end) = connect(&world, 1 << 16).await;
    let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    let start = Instant::now();
    for text in ["after 300", "at once", "after 200", "after 0", "last"] {
        client.send(Received::text(text)).await.unwrap();
    }
    sleep(Duration::from_millis(10)).await;
    world.log.append("a", numbers(1));
    expect(&mut client, 0..1).await;
    assert!(start.elapsed() < Duration::from_millis(20));
    for (text, millis) in [
        ("after 300", 300),
        ("at once", 300),
        ("after 200", 500),
        ("after 0", 500),
        ("last", 500),
    ] {
        assert_eq!(next(&mut client).await, Received::text(text));
        let late = start.elapsed().checked_sub(Duration::from_millis(millis));
        assert!(
            late.is_some_and(|late| late < Duration::from_millis(20)),
            "{text}: {late:?}"
        );
    }
    // Who goes meanwhile is not waited for.
    client.send(Received::text("after 2000")).await.unwrap();
    sleep(Duration::from_millis(10)).await;
    world.stop.cancel();
    assert_eq!(closed(&mut client).await.0, 1001);
    assert_eq!(end.await.unwrap().cause, Cause::Stopping);
}

/// Answers that nobody reads are bounded: the client's next messages wait in its own system.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_answers_is_not_read() {
    let world = World::new();
    let (io, _remote, end) = connect(&world, 1024).await;
    let (mut from, mut to) = tokio::io::split(io);
    let writer = tokio::spawn(async move {
        let mut sent = 0;
        let asked = frame(TEXT, &[b'x'; 100]);
        while tokio::time::timeout(Duration::from_secs(1), to.write_all(&asked))
            .await
            .is_ok()
        {
            sent += asked.len();
        }
        (sent, to)
    });
    let (sent, to) = writer.await.unwrap();
    assert!(sent < 2 * limits::WS_WRITE_CHUNK, "{sent} bytes were taken");
    // Whoever reads again is answered again.
    let mut bytes = vec![0; 2 * limits::WS_WRITE_CHUNK];
    let read = async {
        let mut count = 0;
        while count < sent / 106 * 102 {
            count += from.read(&mut bytes).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(1), read).await.unwrap();
    drop((from, to));
    assert_eq!(end.await.unwrap().cause, Cause::Lost);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_client_that_does_not_read_is_bounded() {
    let world = World::new();
    world.log.append("a", (0..300).map(|_| "x".repeat(1_000)));
    let (mut io, remote, end) = connect(&world, 100).await;
    sleep(Duration::from_secs(1)).await;
    for _ in 0..limits::WS_COMMANDS {
        remote.send("waits").unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(remote.send("no more"), Err(RemoteError::Full));
    // A right that has ended does not wait for that.
    let start = Instant::now();
    remote.close(Cause::Unauthorized, expired());
    let frames = read_to_end(&mut io).await;
    assert_eq!(
        frames.last().unwrap(),
        &(CLOSE, b"\x03\xf0the token has expired".to_vec())
    );
    assert!(!frames.contains(&(TEXT, b"waits".to_vec())) && start.elapsed() <= limits::WS_CLOSE_TIMEOUT);
    let unauthorized = End {
        cause: Cause::Unauthorized,
        code: Some(1008),
        clean: false,
    };
    assert_eq!(end.await.unwrap(), unauthorized);
    assert_eq!(remote.send("too late"), Err(RemoteError::Gone));
}

/// DESIGN.md, Security: a token's expiry closes within a second, wherever the wheel is.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_and_can_be_moved() {
    for after in [0, 40, 3_000, 4_999, 5_000, 7_321, 60_000] {
        let world = World::new();
        let (io, remote, _end) = connect(&world, 1 << 16).await;
        let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
        let start = Instant::now();
        let after = Duration::from_millis(after);
        remote.close_at(start + Duration::from_millis(1_500), Cause::Client, expired());
        remote.close_at(start + after, Cause::Unauthorized, expired());
        assert_eq!(closed(&mut client).await, (1008, "the token has expired".to_owned()));
        let late = start.elapsed().checked_sub(after).expect("not too early");
        assert!(late <= 2 * limits::WHEEL_TICK, "{late:?} late, of {after:?}");
    }
}

/// Moving a deadline leaves one visit of the wheel: Pings go on at their pace.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_given_up_changes_nothing() {
    let world = World::new();
    let (io, remote, end) = connect(&world, 1 << 16).await;
    let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    for _ in 0..100 {
        remote.close_at(Instant::now() + Duration::from_secs(1), Cause::Unauthorized, expired());
        remote.keep();
    }
    let start = Instant::now();
    for ping in 1..=5 {
        let message = futures_util::StreamExt::next(&mut client).await.unwrap().unwrap();
        assert_eq!(message, Received::Ping("PING".into()));
        assert_eq!(start.elapsed().as_secs(), ping * limits::WS_PING_INTERVAL.as_secs());
    }
    assert!(!end.is_finished());
}

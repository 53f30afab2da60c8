//! A member of a group behind a slow link: its receipts come late, and it is not taken for dead.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sockeye_limits as limits;
use support::{APP, Server, numbered};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_tungstenite::tungstenite::Message;

/// Bytes that the link carries in a second, each way.
const RATE: usize = 6 * 1024;
/// How long each byte is under way.
const DELAY: Duration = Duration::from_millis(700);
/// Bytes that go together.
const PIECE: usize = 256;

// ----------------------------------------------------------------------------------------------

/// All of it takes longer than a receipt may: whoever took what lies in buffers for silence would close the connection.
#[tokio::test]
async fn a_member_on_a_slow_link_is_not_taken_for_dead() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let link = link(server.url.trim_start_matches("http://").parse().unwrap()).await;
    let admin = server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    let url = format!("ws://{link}/{APP}?group_id=g&username={user}&api_key={key}");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();

    // More than the link can carry meanwhile.
    let time = limits::GROUP_RECEIPT_TIME + Duration::from_secs(3);
    let http = support::http();
    let padding = "x".repeat(400);
    for number in 0..RATE as u64 * time.as_secs() / 400 {
        let payload = json!({ "number": number, "padding": padding });
        assert_eq!(server.publish(&http, "c", &payload).await.unwrap(), 202);
    }
    let start = Instant::now();
    let mut next = 0_u64;
    while start.elapsed() < time {
        match support::next_message(&mut socket).await {
            Message::Text(text) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(event["data"]["number"], next, "in order, each once");
                next += 1;
            }
            Message::Ping(_) => {}
            other => panic!("after {:?} and {next} events: {other:?}", start.elapsed()),
        }
    }
    let shown: Value = serde_json::from_str(&server.cli_ok(&["group", "show", APP, "g"])).unwrap();
    let live = &shown["live"];
    assert_eq!(
        (&live["redelivered"], &live["noReceipt"]),
        (&json!(0), &json!(0)),
        "{shown}"
    );
    let receipted = live["receipted"].as_u64().unwrap();
    assert!(
        receipted <= next && receipted + limits::GROUP_CREDIT as u64 >= next,
        "{next}: {shown}"
    );
    assert!(
        shown["lag"]["events"].as_u64().unwrap() > 0,
        "the link is too quick for this test: {shown}"
    );
}

/// One that is quick takes what the slow one has no credit for.
#[tokio::test]
async fn a_member_on_a_slow_link_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let link = link(server.url.trim_start_matches("http://").parse().unwrap()).await;
    let admin = server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    let url = format!("ws://{link}/{APP}?group_id=g&username={user}&api_key={key}");
    let (mut slow, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut quick = server.stream(&format!("{APP}?group_id=g")).await;
    let (take, mut taken) = watch::channel(0);
    let slow = tokio::spawn(async move {
        while let Some(Ok(message)) = slow.next().await {
            take.send_modify(|taken| *taken += u64::from(message.is_text()));
        }
    });

    const EVENTS: u64 = 600;
    // What may be under way to the slow one, whose credit hardly grows.
    const UNDER_WAY: u64 = 2 * limits::GROUP_CREDIT_FIRST as u64;
    let publish = async {
        let http = support::http();
        for number in 0..EVENTS {
            assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        }
    };
    let read = async {
        let mut count = 0;
        while count + *taken.borrow() + UNDER_WAY < EVENTS {
            support::next_event(&mut quick).await;
            count += 1;
        }
        count
    };
    let ((), count) = tokio::join!(publish, read);
    assert!(count > 0, "both have their share");
    taken.wait_for(|taken| *taken > 0).await.expect("both have their share");
    slow.abort();
}

/// A link to a server: what comes at its address arrives there late and slowly, and the same back.
async fn link(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(carry(from_client, to_server));
            tokio::spawn(carry(from_server, to_client));
        }
    });
    address
}

/// One way of the link. What is under way on it is bounded by its rate and its delay.
async fn carry(mut from: impl AsyncRead + Unpin + Send + 'static, mut to: impl AsyncWrite + Unpin) {
    let under_way = (RATE as f64 * DELAY.as_secs_f64()) as usize / PIECE;
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(under_way.max(1));
    tokio::spawn(async move {
        let mut free = Instant::now();
        let mut piece = [0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            // The link carries one piece after the other.
            free = free.max(Instant::now()) + Duration::from_secs_f64(length as f64 / RATE as f64);
            tokio::time::sleep_until(free.into()).await;
            if sender.send((free + DELAY, piece[..length].to_vec())).await.is_err() {
                return;
            }
        }
    });
    while let Some((arrives, piece)) = pieces.recv().await {
        tokio::time::sleep_until(arrives.into()).await;
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
}

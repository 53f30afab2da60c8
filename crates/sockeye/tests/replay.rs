//! Streams that start in the past, and connections while events come: no gap, no duplicate.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use serde_json::Value;
use support::{APP, DEVICE, PASSWORD, Server, Socket, http, next_event, next_message, numbered};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Publishes 0, 1, 2, .. one after the other until it is told to stop.
struct Publisher {
    /// Numbers below this are stored.
    stored: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Publisher {
    fn start(server: &Server) -> Self {
        let (stored, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, stopped) = (Arc::clone(&stored), Arc::clone(&stop));
        let address = format!("{}/v1/c", server.url);
        let client = http();
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::SeqCst) {
                let number = count.load(Ordering::SeqCst);
                let request = client.post(&address).json(&numbered(number));
                let request = request.basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD));
                assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
                count.store(number + 1, Ordering::SeqCst);
            }
            count.load(Ordering::SeqCst)
        });
        Self { stored, stop, task }
    }

    fn stored(&self) -> u64 {
        self.stored.load(Ordering::SeqCst)
    }

    /// Waits until this many are stored.
    async fn reach(&self, count: u64) {
        while self.stored() < count {
            tokio::task::yield_now().await;
        }
    }

    /// How many were published.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

fn number(event: &Value) -> u64 {
    event["data"]["number"].as_u64().unwrap()
}

fn cursor(event: &Value) -> String {
    event["cursor"].as_str().unwrap().to_owned()
}

/// Reads these numbers, each once, in order.
async fn check_gapless(socket: &mut Socket, numbers: std::ops::Range<u64>) {
    for expected in numbers {
        assert_eq!(number(&next_event(socket).await), expected);
    }
}

/// The past, memory and the lane meet without gap or duplicate, wherever a stream starts.
#[tokio::test]
async fn a_replay_goes_live_while_events_come() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let publisher = Publisher::start(&server);
    publisher.reach(300).await;
    let mut first = server.stream(&format!("{APP}?from=earliest&cursor=true")).await;
    let mut cursors = Vec::new();
    for expected in 0..300 {
        let event = next_event(&mut first).await;
        assert_eq!(number(&event), expected);
        cursors.push((cursor(&event), event["time"].as_str().unwrap().to_owned()));
    }
    let mut from_time = server.stream(&format!("{APP}?from={}", cursors[150].1)).await;
    let mut resumed = Vec::new();
    for at in (0..300).step_by(10) {
        let path = format!("{APP}?from={}", cursors[at].0);
        resumed.push((at as u64 + 1, server.stream(&path).await));
    }
    publisher.reach(600).await;
    let count = publisher.end().await;
    check_gapless(&mut first, 300..count).await;
    for (start, mut socket) in resumed {
        check_gapless(&mut socket, start..count).await;
    }
    // The time of an event is that of its receipt, just before it is appended.
    let begun = number(&next_event(&mut from_time).await);
    assert!(begun <= 150, "{begun}");
    check_gapless(&mut from_time, begun + 1..count).await;
}

/// A client that loses its connection at every event and comes back with the cursor sees each once.
#[tokio::test]
async fn a_client_that_comes_back_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let publisher = Publisher::start(&server);
    let mut path = format!("{APP}?from=earliest&cursor=true");
    let mut seen = 0;
    while seen < 200 {
        let mut socket = server.stream(&path).await;
        for _ in 0..=seen % 4 {
            let event = next_event(&mut socket).await;
            assert_eq!(number(&event), seen);
            seen += 1;
            path = format!("{APP}?from={}&cursor=true", cursor(&event));
        }
    }
    publisher.end().await;
}

/// DESIGN.md, delivery contract 1.
#[tokio::test]
async fn a_thousand_connections_each_see_all_after_their_101() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let publisher = Publisher::start(&server);
    for _ in 0..1_000 {
        // What is being stored now may be before or behind the 101; what is sent after it is behind.
        let before = publisher.stored();
        let mut socket = server.stream(APP).await;
        let after = publisher.stored();
        let first = number(&next_event(&mut socket).await);
        assert!((before..=after + 1).contains(&first), "{first} of {before} to {after}");
        check_gapless(&mut socket, first + 1..first + 3).await;
    }
    publisher.end().await;
}

/// Opens a stream with this query; status and JSON if it is refused.
async fn attempt(server: &Server, query: &str) -> Result<Socket, (u16, Value)> {
    let login = server.admin();
    let (user, key) = login.split_once(':').unwrap();
    let path = format!("{APP}?username={user}&api_key={key}&{query}");
    server.connect(&path, None).await.map_err(|error| match error {
        Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), serde_json::from_slice(body).unwrap())
        }
        other => panic!("{query}: {other}"),
    })
}

#[tokio::test]
async fn a_cursor_of_an_application_that_was_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let client = http();
    server.publish(&client, "c", &numbered(0)).await.unwrap();
    let old = cursor(&next_event(&mut server.stream(&format!("{APP}?from=earliest&cursor=true")).await).await);
    server.cli_ok(&["app", "delete", APP]);
    server.make_device();
    server.publish(&client, "c", &numbered(7)).await.unwrap();
    let (status, body) = attempt(&server, &format!("from={old}")).await.unwrap_err();
    assert_eq!((status, &body["error"]), (410, &Value::from("Gone")), "{body}");
    let mut socket = server.stream(&format!("{APP}?from={}", cursor(&body))).await;
    assert_eq!(number(&next_event(&mut socket).await), 7);
    let (status, body) = attempt(&server, &format!("from={old}x")).await.unwrap_err();
    assert_eq!(status, 400, "{body}");
}

/// Size is what retention goes by here: a few events are more than it keeps.
#[tokio::test]
async fn a_cursor_that_retention_has_passed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), |command| {
        command.args(["--retention-bytes", "1MiB"]);
    });
    server.make_device();
    let client = http();
    let publish = async |number: u64| {
        let payload = serde_json::json!({"number": number, "filler": "x".repeat(60_000)});
        assert_eq!(server.publish(&client, "c", &payload).await.unwrap(), 202);
    };
    publish(0).await;
    let old = cursor(&next_event(&mut server.stream(&format!("{APP}?from=earliest&cursor=true")).await).await);
    let query = format!("from={old}");
    let mut sent = 0;
    let (status, body) = loop {
        sent += 1;
        publish(sent).await;
        match attempt(&server, &query).await {
            Ok(_) => assert!(sent < 10_000, "nothing was removed"),
            Err(answer) => break answer,
        }
    };
    assert_eq!(status, 410, "{body}");
    // Retention goes on in steps: the oldest of an answer may be gone before it is asked for.
    let mut oldest = cursor(&body);
    let mut socket = loop {
        match attempt(&server, &format!("from={oldest}")).await {
            Ok(socket) => break socket,
            Err((status, body)) => {
                assert_eq!(status, 410, "{body}");
                let next = cursor(&body);
                assert_ne!(next, oldest, "the oldest is refused");
                oldest = next;
            }
        }
    };
    let first = number(&next_event(&mut socket).await);
    assert!(first > 1, "{first}");
    check_gapless(&mut socket, first + 1..sent + 1).await;
}

#[tokio::test]
async fn a_stream_with_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let publisher = Publisher::start(&server);
    publisher.reach(50).await;
    let until = jiff::Timestamp::now() + std::time::Duration::from_secs(1);
    let mut past_and_live = server
        .stream(&format!("{APP}?from=earliest&until={until}&type=io.drogue.event.v1"))
        .await;
    let mut live = server.stream(&format!("{APP}?until={until}")).await;
    // The end comes by itself while events go on.
    let ends = [
        all_until_closed(&mut past_and_live).await,
        all_until_closed(&mut live).await,
    ];
    let count = publisher.end().await;
    let [past_and_live, live] = ends;
    assert!(past_and_live.iter().copied().eq(0..past_and_live.len() as u64));
    assert_eq!(past_and_live.last(), live.last(), "both end with the same event");
    assert!(live.len() < past_and_live.len() && (past_and_live.len() as u64) < count);
    assert!(live.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{live:?}");
}

/// The numbers that come before the stream is closed as complete.
async fn all_until_closed(socket: &mut Socket) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match next_message(socket).await {
            Message::Text(text) => {
                numbers.push(number(&serde_json::from_str(&text).unwrap()));
            }
            Message::Close(Some(close)) => {
                assert_eq!(u16::from(close.code), 1000, "{close}");
                return numbers;
            }
            _ => {}
        }
    }
}

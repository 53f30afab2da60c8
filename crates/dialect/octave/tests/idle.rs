//! compat/octave.md 10, number 6: who says nothing but heartbeats, or nothing at all, is not closed. Ten minutes pass at once: the clock
//! of the server is the one that stands still.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sockeye_access::{Access, key};
use sockeye_delivery::Delivery;
use sockeye_dialect_octave::{Metrics, Octave, router};
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_log::{Log, Retention};
use sockeye_registry::{AccessKey, Application, Registry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, pause, resume, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A server with the application `app` of `alice`: its address, and her key.
async fn server(folder: &std::path::Path) -> (String, String) {
    let engine = Arc::new(SqliteEngine::open(folder.join("sockeye.db"), Options::default()).unwrap());
    let (registry, log): (Arc<dyn Registry>, Arc<dyn Log>) = (engine.clone(), engine);
    registry.ensure_user("alice", false).await.unwrap();
    let made = key::generate();
    let stored = AccessKey::new(made.prefix, made.hash, "alice", Timestamp::now());
    registry.create_key(stored).await.unwrap();
    registry
        .create_application(Application::named("app", "alice"))
        .await
        .unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let delivery = Delivery::new(log.clone(), sockeye_delivery::Metrics::default(), tasks, stop);
    let access = Arc::new(Access::new(registry.clone()));
    let octave = Octave::new(
        access,
        registry,
        log,
        Arc::new(delivery),
        Retention::default(),
        "test",
        Metrics::default(),
    );
    let octave = Arc::new(octave);
    let (routes, runs) = (router(octave.clone()), octave);
    tokio::spawn(async move { runs.run().await });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (address, made.key.expose().to_owned())
}

async fn connect(address: &str, key: &str) -> Socket {
    let mut io = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /session HTTP/1.1\r\nHost: x\r\nX-Auth-User: alice\r\nX-Auth-Token: {key}\r\nX-Auth-Company: app\r\nConnection: close\r\n\r\n"
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").last().unwrap()).unwrap();
    let session = body["body"]["id"].as_str().unwrap();
    connect_async(format!("ws://{address}/session/{session}/ws"))
        .await
        .unwrap()
        .0
}

/// Takes what comes for this long: Pings, which are answered on the way.
async fn listen(socket: &mut Socket, time: Duration) -> u32 {
    let until = Instant::now() + time;
    let mut pings = 0;
    while let Ok(message) = timeout(until - Instant::now(), socket.next()).await {
        match message.expect("the socket is open").unwrap() {
            Message::Ping(_) => pings += 1,
            other => panic!("not expected: {other:?}"),
        }
    }
    pings
}

#[tokio::test]
async fn nobody_is_closed_for_being_idle() {
    const TEN_MINUTES: Duration = Duration::from_mins(10);
    let folder = tempfile::tempdir().unwrap();
    let (address, key) = server(folder.path()).await;
    for pause_between in [Some(10), Some(30), None].map(|seconds| seconds.map(Duration::from_secs)) {
        let mut socket = connect(&address, &key).await;
        pause();
        let start = Instant::now();
        let mut pings = 0;
        while start.elapsed() < TEN_MINUTES {
            if pause_between.is_some() {
                socket.send(Message::text(r#"{"type":"heartbeat"}"#)).await.unwrap();
            }
            pings += listen(&mut socket, pause_between.unwrap_or(TEN_MINUTES)).await;
        }
        resume();
        assert!(pings > 60, "it is pinged all the time: {pings}");
        let request = json!({"msgId": 7, "object": "event", "type": "unsubscribe", "path": "/app/x"});
        socket.send(Message::text(request.to_string())).await.unwrap();
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                Message::Text(text) => {
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(
                        (&answer["head"]["msgId"], &answer["head"]["ok"]),
                        (&json!(7), &json!(true))
                    );
                    break;
                }
                other => panic!("not expected: {other:?}"),
            }
        }
    }
}

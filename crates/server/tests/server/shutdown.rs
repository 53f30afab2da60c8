//! How a server stops.

use std::time::Duration;

use futures_util::StreamExt as _;
use sockeye_server::{Config, Server, Stopped};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{answer, basic, call, make_application};
use crate::{config, start};

#[tokio::test]
async fn sockets_are_closed_with_1001_and_open_requests_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    make_application(&server, "app", "dev").await;
    let address = server.http_address();
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/app"))
        .await
        .unwrap();
    let mut publisher = half_a_request(&server).await;
    let idle = TcpStream::connect(address).await.unwrap();

    let stopping = tokio::spawn(server.stop());
    let closed = socket.next().await.unwrap().unwrap();
    let Message::Close(Some(frame)) = closed else {
        panic!("{closed:?}")
    };
    assert_eq!(u16::from(frame.code), 1001);
    while socket.next().await.is_some() {} // answers the close
    assert!(!stopping.is_finished(), "a request is open");
    publisher.write_all(b"{}").await.unwrap();
    assert_eq!(answer(&mut publisher).await.status, 202, "what was begun is done");
    assert_eq!(stopping.await.unwrap(), Stopped { cut: 0 });
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");

    // What was acknowledged last is there.
    let server = start(folder.path()).await;
    let credentials = basic("dev@app:pw");
    assert_eq!(
        call(server.http_address(), "POST /v1/c", &[&credentials], "x")
            .await
            .status,
        202
    );
    server.stop().await;
}

/// The head of a publish request, and not yet its body. When this returns the server is in the middle of it.
async fn half_a_request(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.http_address()).await.unwrap();
    let credentials = basic("dev@app:pw");
    let head = format!(
        "POST /v1/c HTTP/1.1\r\nhost: h\r\n{credentials}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut go_on)
        .await
        .unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn who_does_not_end_in_time_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Config {
        drain: Duration::from_millis(50),
        ..config(folder.path())
    })
    .await
    .unwrap();
    make_application(&server, "app", "dev").await;
    let mut publisher = half_a_request(&server).await;
    assert_eq!(server.stop().await, Stopped { cut: 1 });
    let mut rest = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut publisher, &mut rest).await;
    assert!(ended.is_err() || rest.is_empty(), "no answer: {ended:?} {rest:?}");
}

#[tokio::test]
async fn the_first_signal_stops_and_the_second_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (signal, mut signals) = mpsc::channel(2);
    let server = start(folder.path()).await;
    make_application(&server, "app", "dev").await;
    let _open = half_a_request(&server).await;
    let address = server.http_address();
    let (told, mut at_once) = mpsc::channel(1);
    let tell = move |signal| told.try_send(signal).unwrap();
    let running = tokio::spawn(server.run_until(async move || signals.recv().await.unwrap(), tell));
    signal.send(1).await.unwrap();
    while TcpStream::connect(address).await.is_ok() {} // until it listens no more
    assert!(!running.is_finished(), "it waits for the request");
    signal.send(2).await.unwrap();
    assert_eq!(running.await.unwrap(), None);
    assert_eq!(at_once.recv().await, Some(2));
}

#[tokio::test]
async fn one_signal_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let (signal, mut signals) = mpsc::channel(1);
    signal.send(()).await.unwrap();
    let server = start(folder.path()).await;
    let ended = server
        .run_until(async || signals.recv().await.unwrap(), |()| panic!("there was one"))
        .await;
    assert_eq!(ended, Some(Stopped { cut: 0 }));
}

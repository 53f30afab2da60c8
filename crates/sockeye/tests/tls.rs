//! The whole over TLS: a real server process with a certificate, independent clients, the command line.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use futures_util::StreamExt as _;
use rustls::CipherSuite;
use socket2::{Domain, SockAddr, Type};
use sockeye_limits::TLS_HANDSHAKE_TIME as HANDSHAKE;
use sockeye_parts::websocat;
use support::{APP, DEVICE, PASSWORD, PATIENCE, Server, Socket, next_event, numbered, sockeye};
use tokio::net::TcpStream;
use tokio_tungstenite::{Connector, MaybeTlsStream, tungstenite::Message};

fn https(server: &Server) -> reqwest::Client {
    let config = server.tls().unwrap();
    let builder = reqwest::Client::builder().tls_backend_preconfigured((*config).clone());
    builder.build().unwrap()
}

#[tokio::test]
async fn events_reach_a_tls_client_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_tls(folder.path());
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let http = https(&server);
    let mut socket = server.stream(APP).await;
    let MaybeTlsStream::Rustls(tls) = socket.get_ref() else {
        panic!("the client has no TLS");
    };
    let suite = tls.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, CipherSuite::TLS13_AES_128_GCM_SHA256);
    for number in 0..50 {
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
    // What is published after the 101 arrives, however soon.
    for number in 0..20 {
        let mut socket = server.stream(APP).await;
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
}

/// Opens a stream whose socket takes little: its kernel buffers less than the server has for it.
async fn narrow(server: &Server) -> Socket {
    let address: std::net::SocketAddr = server.url.trim_start_matches("https://").parse().unwrap();
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&SockAddr::from(address)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let stream = TcpStream::from_std(socket.into()).unwrap();
    let (user, key) = server
        .admin()
        .split_once(':')
        .map(|(u, k)| (u.to_owned(), k.to_owned()))
        .unwrap();
    let request = format!("wss://{address}/{APP}?username={user}&api_key={key}");
    let connector = Connector::Rustls(server.tls().unwrap());
    let opened = tokio_tungstenite::client_async_tls_with_config(request, stream, None, Some(connector));
    opened.await.unwrap().0
}

/// DESIGN.md, delivery contract 5, over TLS: who does not read harms nobody, and gets everything later.
#[tokio::test]
async fn a_stalled_tls_reader_recovers_and_others_do_not_notice() {
    const EVENTS: u64 = 4_000;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_tls(folder.path());
    let mut stalled = narrow(&server).await;
    let mut reading = server.stream(APP).await;
    let mut publish = sockeye();
    publish
        .args(["publish", APP, "c", "--device", DEVICE, "--password", PASSWORD])
        .args(["--url", &server.url, "--ca"])
        .arg(server.certificate.as_ref().unwrap())
        .stdin(Stdio::piped());
    let mut publish = publish.spawn().unwrap();
    let mut lines = publish.stdin.take().unwrap();
    let writer = tokio::task::spawn_blocking(move || {
        for number in 0..EVENTS {
            // 4 MiB in all: more than both kernels hold.
            writeln!(lines, "{{\"number\":{number},\"pad\":\"{:x<1000}\"}}", "").unwrap();
        }
    });
    for number in 0..EVENTS {
        assert_eq!(
            next_event(&mut reading).await["data"]["number"],
            number,
            "who reads gets everything at once"
        );
    }
    writer.await.unwrap();
    assert!(publish.wait().unwrap().success());
    // Only now the other one reads.
    for number in 0..EVENTS {
        assert_eq!(next_event(&mut stalled).await["data"]["number"], number);
    }
    // And it is live again.
    assert_eq!(
        server.publish(&https(&server), "c", &numbered(EVENTS)).await.unwrap(),
        202
    );
    for socket in [&mut stalled, &mut reading] {
        assert_eq!(next_event(socket).await["data"]["number"], EVENTS);
    }
}

#[tokio::test]
async fn a_stop_closes_tls_sockets_with_1001() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_tls(folder.path());
    let mut socket = server.stream(APP).await;
    support::signal(server.pid(), "TERM");
    assert_eq!(support::closed(&mut socket).await.0, 1001);
    // Its answer goes out, and the session ends in order: an error otherwise.
    let rest = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(!matches!(rest, Some(Ok(Message::Text(_)))), "{rest:?}");
    assert!(server.wait().success());
}

/// `sockeye publish` and `sockeye stream` against https, with the certificate and without.
#[test]
fn the_command_line_trusts_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_tls(folder.path());
    let ca = server.certificate.clone().unwrap();
    let admin = server.admin();
    let command = |words: &[&str]| {
        let mut command = sockeye();
        command
            .args(words)
            .args(["--url", &server.url])
            .env("SOCKEYE_KEY", &admin);
        command
    };
    let publish = [
        "publish",
        APP,
        "c",
        "{\"number\":1}",
        "--device",
        DEVICE,
        "--password",
        PASSWORD,
    ];
    let stream = [
        "stream",
        APP,
        "--from",
        "earliest",
        "--type",
        "io.drogue.event.v1",
        "--events",
        "1",
        "--output",
        "json",
        "--no-reconnect",
    ];
    let published = command(&publish).arg("--ca").arg(&ca).output().unwrap();
    assert!(
        published.status.success(),
        "{}",
        String::from_utf8_lossy(&published.stderr)
    );
    let streamed = command(&stream).arg("--ca").arg(&ca).output().unwrap();
    let event: serde_json::Value = serde_json::from_slice(&streamed.stdout).unwrap();
    assert_eq!(event["data"], numbered(1));
    // Nobody else's certificate is trusted, and the remedy is said.
    for words in [&publish[..], &stream[..], &["app", "list"]] {
        let refused = command(words).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("--ca"), "{words:?}: {said}");
    }
    // Regression: what the system trusts was trusted by calls, and streams had certificates of their own.
    for words in [&publish[..], &stream[..], &["app", "list"]] {
        let trusted = command(words).env("SSL_CERT_FILE", &ca).output().unwrap();
        let said = String::from_utf8_lossy(&trusted.stderr);
        assert!(trusted.status.success(), "{words:?}: {said}");
    }
    let none = folder.path().join("none.pem");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (file, says) in [(none, "cannot be read"), (empty, "BEGIN CERTIFICATE")] {
        let refused = command(&publish).arg("--ca").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{said}");
        assert!(said.contains("--ca ") && said.contains(says), "{said}");
    }
}

/// The client that people have: unmodified `websocat`, as a process.
#[tokio::test]
async fn websocat_reads_over_tls() {
    let Some(websocat) = websocat::path().expect("websocat can be had") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_tls(folder.path());
    let http = https(&server);
    assert_eq!(server.publish(&http, "c", &numbered(0)).await.unwrap(), 202);
    let mut child = Command::new(websocat)
        .args(["--no-close", "-U", "-k"])
        .arg(format!(
            "{}/{APP}?from=earliest&type=io.drogue.event.v1",
            server.url.replacen("http", "ws", 1)
        ))
        .arg(format!("--basic-auth={}", server.admin()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (give, mut lines_read) = tokio::sync::mpsc::channel(10);
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            if give.blocking_send(line).is_err() {
                break;
            }
        }
    });
    for number in 0..10 {
        let line = tokio::time::timeout(PATIENCE, lines_read.recv())
            .await
            .unwrap()
            .unwrap();
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["data"], numbered(number));
        assert_eq!(server.publish(&http, "c", &numbered(number + 1)).await.unwrap(), 202);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A client that connects and says nothing does not keep others from being served.
#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_tls(folder.path());
    let address = server.url.trim_start_matches("https://");
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let http = https(&server);
    let event = numbered(0);
    let published = tokio::time::timeout(HANDSHAKE, server.publish(&http, "c", &event));
    assert_eq!(
        published.await.expect("before the silent ones are closed").unwrap(),
        202
    );
}

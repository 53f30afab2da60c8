//! Clients that say nothing, or not all of it: they lose their connection after the time the limits give them, and meanwhile
//! take nothing from others.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::{SockFilter, SockRef};
use sockeye_limits as limits;

use crate::raw::{PING, RawSocket, TEXT, answer, connect, device, masked, publish, rest};
use crate::support::{APP, PATIENCE, Server};

/// Clients of each kind.
const CLIENTS: usize = 50;
/// Bytes that wait for a slow reader: less than a socket holds, so that nothing but its system tells that it reads.
const BACKLOG: usize = 400_000;

#[test]
fn slow_heads_and_bodies_are_given_up_and_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let start = Instant::now();
    let begin = |bytes: &str| {
        let begin = |_| {
            let mut stream = connect(&server);
            stream
                .set_read_timeout(Some(limits::HTTP_HEAD_TIME + PATIENCE))
                .unwrap();
            stream.write_all(bytes.as_bytes()).unwrap();
            stream
        };
        (0..CLIENTS).map(begin).collect::<Vec<_>>()
    };
    let nothing = begin("");
    let heads = begin("POST /v1/c HTTP/1.1\r\nhost: h\r\nx: ");
    let bodies = begin(&format!(
        "POST /v1/c HTTP/1.1\r\nhost: h\r\n{}\r\ncontent-length: 10\r\n\r\n123",
        device()
    ));
    let chunks = begin(&format!(
        "POST /v1/c HTTP/1.1\r\nhost: h\r\n{}\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n",
        device()
    ));
    for number in 0..20 {
        assert_eq!(publish(&server, &number.to_string()).status, 202);
    }
    assert!(start.elapsed() < limits::HTTP_HEAD_TIME, "nobody waited for them");

    for mut stream in nothing.into_iter().chain(heads) {
        assert_eq!(rest(&mut stream).0, b"", "no request, no answer");
    }
    for mut stream in bodies.into_iter().chain(chunks) {
        let answer = answer(&mut stream);
        assert_eq!(answer.status, 408);
        assert_eq!(answer.explained().0, "RequestTimeout");
    }
    assert!(start.elapsed() >= limits::HTTP_HEAD_TIME, "they had their time");
    assert_eq!(publish(&server, "1").status, 202);
}

/// A stream's clients that answer no Ping. Those whose systems acknowledge what is sent live (DESIGN.md, delivery contract 5):
/// one that reads a backlog slowly, so that no Ping has reached it yet, one that reads nothing, one that stopped in the middle
/// of a frame. One's machine is gone, one broke off.
#[test]
fn half_open_peers_are_found_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), |command| {
        command.args(["--metrics-bind", "127.0.0.1:0"]);
    });
    let metrics = server.metrics_url();
    server.make_device();
    let admin = server.admin();
    // Nothing is published on this channel: Pings are all that is sent there.
    let quiet = format!("{APP}/quiet");
    let silent = RawSocket::open(&server, &quiet, &admin);
    let mut halved = RawSocket::open(&server, &quiet, &admin);
    let frame = masked(TEXT, b"{\"RefreshAccessToken\":\"", Some(60));
    halved.send(&frame);
    let broken = RawSocket::open(&server, &quiet, &admin);
    SockRef::from(&broken.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(broken);
    let mut slow = RawSocket::open(&server, APP, &admin);
    let payload = format!("\"{}\"", "x".repeat(10_000));
    for _ in 0..BACKLOG / payload.len() {
        assert_eq!(publish(&server, &payload).status, 202);
    }
    let gone = RawSocket::open(&server, &quiet, &admin);
    vanish(&gone.0);

    // The time that the gone one has, and as much again, at a pace that leaves a backlog to the end.
    let start = Instant::now();
    let (time, mut taken) = (2 * limits::WS_CLIENT_TIMEOUT, [0; 500]);
    while start.elapsed() < time {
        slow.0.read_exact(&mut taken).expect("a reader that is slow is kept");
        #[expect(clippy::disallowed_methods, reason = "a reader's pace, which nothing waits for")]
        std::thread::sleep(Duration::from_millis(50));
    }
    let numbers = numbers(&metrics);
    let closed = |cause| -> u32 {
        let family = format!("sockeye_delivery_closes_total{{dialect=\"drogue\",cause=\"{cause}\"");
        let lines = numbers.lines().filter(|line| line.starts_with(&family));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap())
            .sum()
    };
    assert_eq!((closed("dead"), closed("lost")), (1, 1), "{numbers}");
    assert!(
        numbers.contains("sockeye_delivery_connections{dialect=\"drogue\"} 3\n"),
        "{numbers}"
    );
    for mut socket in [silent, halved] {
        for _ in 0..3 {
            assert_eq!(socket.frame().expect("it is kept").kind, PING);
        }
    }
    drop(gone);
    assert_eq!(publish(&server, "\"the last\"").status, 202);
    let mut rest = Vec::new();
    while !String::from_utf8_lossy(&rest).contains("\"the last\"") {
        let mut part = [0; 1 << 12];
        let count = slow.0.read(&mut part).expect("nothing is lost");
        assert!(count > 0, "the stream goes on");
        rest.extend_from_slice(&part[..count]);
    }
}

/// From now on this end neither receives nor acknowledges anything, as if its machine were gone.
fn vanish(stream: &TcpStream) {
    const RETURN: u16 = 0x06;
    let drop_everything = [SockFilter::new(RETURN, 0, 0, 0)];
    SockRef::from(stream)
        .attach_filter(&drop_everything)
        .expect("the system has socket filters");
}

/// What the metrics listener says.
fn numbers(url: &str) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => text,
    }
}

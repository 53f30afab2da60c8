//! The same over TLS: the lane encrypts and writes, a socket that is full goes to its task, nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use sockeye_delivery::{Cause, End, Selection, Transport};
use sockeye_limits as limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, sink};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::world::{CLOSE, PING, PONG, Plain, TEXT, World, frame, frames, numbers, subscription};

/// A client that reads everything from the beginning of the log, over TLS and a pipe of this many bytes.
async fn connect(world: &World, pipe: usize) -> (TlsStream<DuplexStream>, JoinHandle<End>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (near, far) = duplex(pipe);
    let (acceptor, connector) = (
        TlsAcceptor::from(Arc::new(server)),
        TlsConnector::from(Arc::new(client)),
    );
    let bound = acceptor.accept_with(far, |session| session.set_buffer_limit(Some(limits::TLS_BUFFER)));
    let name = ServerName::try_from("localhost").unwrap();
    let (server, client) = tokio::join!(bound, connector.connect(name, near));
    let transport = Transport::tls(server.unwrap(), Arc::new(()));
    let delivery = Arc::clone(&world.delivery);
    let of_all = subscription(Selection::default());
    let end = tokio::spawn(async move { delivery.serve(transport, of_all, Plain, false).await });
    (client.unwrap(), end)
}

/// Reads texts from a client's end.
struct Reader {
    io: TlsStream<DuplexStream>,
    bytes: Vec<u8>,
    texts: Vec<Vec<u8>>,
}

impl Reader {
    fn new(io: TlsStream<DuplexStream>) -> Self {
        Self {
            io,
            bytes: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Reads at most so many bytes.
    async fn read(&mut self, most: usize) {
        let mut part = vec![0; most];
        let length = self.io.read(&mut part).await.unwrap();
        assert!(length > 0, "the server has given up after {} events", self.texts.len());
        self.bytes.extend_from_slice(&part[..length]);
        for (opcode, payload) in frames(&mut self.bytes) {
            match opcode {
                TEXT => self.texts.push(payload),
                PING => {}
                _ => panic!("{opcode}: {}", String::from_utf8_lossy(&payload)),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_lane_writes_to_a_tls_socket() {
    let world = World::new();
    world.log.append("a", numbers(1));
    let (io, _end) = connect(&world, 1 << 16).await;
    let mut reader = Reader::new(io);
    for round in 1..=10 {
        while reader.texts.len() < round {
            reader.read(1000).await;
        }
        // Everything has come: what is next goes through the lane.
        world.log.append("a", [round.to_string()]);
    }
    let expected: Vec<_> = (0..10).map(|number| number.to_string().into_bytes()).collect();
    assert_eq!(reader.texts, expected);
    assert!(world.metric("delivery_lane_write_frames_count") >= 1, "no lane wrote");
}

/// A socket that is full in the middle of what the lane writes is handed over, and comes back: nothing is lost, nothing
/// doubled, however often that happens.
#[tokio::test(start_paused = true)]
async fn a_tls_reader_that_stalls_and_goes_on_gets_everything() {
    let world = World::new();
    world.log.append("a", ["begin".to_owned()]);
    let (io, end) = connect(&world, 1000).await;
    let mut reader = Reader::new(io);
    let line = |number: usize| format!("{number:0500}");
    let mut expected = vec![b"begin".to_vec()];
    for round in 0..5 {
        while reader.texts.len() < expected.len() {
            reader.read(3000).await;
        }
        let new = round * 300..(round + 1) * 300;
        world.log.append("a", new.clone().map(line));
        expected.extend(new.map(|number| line(number).into_bytes()));
        // Much longer than a silent peer is waited for, not as long as one that takes nothing.
        sleep(limits::WS_STALL.saturating_sub(Duration::from_secs(5))).await;
        assert!(!end.is_finished(), "taken for dead although something waited for it");
    }
    while reader.texts.len() < expected.len() {
        reader.read(3000).await;
    }
    assert!(
        reader.texts == expected,
        "something is missing, doubled or in another order"
    );
    // Silent although nothing waits for it any more, it is found out.
    tokio::spawn(async move { copy(&mut reader.io, &mut sink()).await });
    assert_eq!(end.await.unwrap().cause, Cause::Dead);
}

/// Regression: TLS takes bytes of its own accord, and what is in its buffer told nobody that the socket was full: the peer
/// was closed as dead after ten seconds instead of as stalled after a minute.
#[tokio::test(start_paused = true)]
async fn a_tls_reader_that_stops_is_stalled_whether_it_talks_or_not() {
    for talks in [false, true] {
        // Less than the buffer of TLS takes, and more.
        for events in [20, 1000] {
            let world = World::new();
            world.log.append("a", (0..events).map(|_| "x".repeat(500)));
            let (mut io, end) = connect(&world, 1000).await;
            let start = Instant::now();
            tokio::spawn(async move {
                while !talks || (io.write_all(&frame(PONG, b"PING")).await.is_ok() && io.flush().await.is_ok()) {
                    sleep(Duration::from_secs(1)).await;
                }
            });
            let stalled = End {
                cause: Cause::Stalled,
                code: Some(1008),
                clean: false,
            };
            assert_eq!(end.await.unwrap(), stalled, "{events} events");
            assert_eq!(
                start.elapsed(),
                limits::WS_STALL + limits::WS_CLOSE_TIMEOUT,
                "{events} events"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_says_so_and_ends_the_tls_session() {
    let world = World::new();
    let (mut io, end) = connect(&world, 1 << 16).await;
    world.stop.cancel();
    let mut bytes = Vec::new();
    let mut part = [0; 100];
    let (opcode, payload) = loop {
        let length = io.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..length]);
        if let Some(first) = frames(&mut bytes).into_iter().next() {
            break first;
        }
    };
    assert_eq!((opcode, &payload[..2]), (CLOSE, &[0x03, 0xe9][..]));
    io.write_all(&frame(CLOSE, &[0x03, 0xe9])).await.unwrap();
    // A session that is cut without a word would be an error here.
    assert_eq!(io.read(&mut part).await.unwrap(), 0);
    assert!(end.await.unwrap().clean);
}

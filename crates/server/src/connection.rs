//! One connection from its first byte to its last: what a proxy says before it; its TLS handshake, where there is TLS; requests one after the other, each with its id, until it is closed or
//! becomes a WebSocket.

use std::convert::Infallible;
use std::net::{IpAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sockeye_delivery::Transport;
use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::handshake::Exchanges;
use crate::listener::Service;
use crate::request;

/// A connection on its way to a core.
pub(crate) struct Accepted {
    stream: TcpStream,
    peer: IpAddr,
    place: Arc<Place>,
}

/// The place that a connection takes, free again when the last part of the connection is dropped: a WebSocket outlives the
/// HTTP connection that it was.
struct Place {
    service: Arc<Service>,
    upgraded: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

// ----------------------------------------------------------------------------------------------

/// Serves a connection until it ends. After `stop` the request that is open is answered, and no other.
pub(crate) async fn serve(accepted: Accepted, exchanges: Exchanges, stop: CancellationToken) {
    let Accepted { stream, peer, place } = accepted;
    let mut stream = match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a connection cannot be served"),
    };
    let told = tokio::select! {
        biased;
        told = place.service.proxies.before(peer, &mut stream) => told,
        () = stop.cancelled() => return,
    };
    let peer = match told {
        Ok(peer) => peer,
        Err(error) => {
            return tracing::warn!(%peer, %error, "a proxy does not speak the PROXY protocol as `proxy.speaks` says");
        }
    };
    let held = Arc::clone(&place);
    let transport = match &place.service.handshakes {
        None => Transport::plain(stream, held),
        Some(handshakes) => {
            let handshake = tokio::select! {
                biased;
                handshake = handshakes.shake(stream, &exchanges) => handshake,
                () = stop.cancelled() => return,
            };
            place.service.metrics.shaken(&handshake);
            match handshake {
                Ok(stream) => Transport::tls(stream, held),
                // No TLS, or none that we have; gone, or too slow: the client's business.
                Err(error) => return tracing::debug!(%error, "a TLS handshake failed"),
            }
        }
    };
    serve_http(transport, peer, place, stop).await;
}

async fn serve_http(
    transport: Transport<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    peer: IpAddr,
    place: Arc<Place>,
    stop: CancellationToken,
) {
    let answer = service_fn(move |incoming| {
        let place = Arc::clone(&place);
        async move {
            let client = place.service.proxies.client(peer, incoming.headers());
            let response = request::answer(place.service.router.clone(), incoming, client).await;
            place.answered(response.status());
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_HEAD_TIME)
        .max_buf_size(limits::HTTP_HEAD_READ)
        // Who has said all it has to say may close its end at once, and still gets the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(transport), answer)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        biased;
        result = &mut connection => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Broken off, too slow, no HTTP: the client's business, and nothing that a server could not go on after.
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl Accepted {
    /// A connection that was given a place.
    pub(crate) fn new(stream: TcpStream, peer: IpAddr, permit: OwnedSemaphorePermit, service: Arc<Service>) -> Self {
        Self {
            stream,
            peer,
            place: Place::take(permit, service),
        }
    }
}

impl Place {
    fn take(permit: OwnedSemaphorePermit, service: Arc<Service>) -> Arc<Self> {
        service.metrics.requesting.inc();
        Arc::new(Self {
            service,
            upgraded: AtomicBool::new(false),
            _permit: permit,
        })
    }

    fn answered(&self, status: StatusCode) {
        self.service.metrics.answered(status);
        if status == StatusCode::SWITCHING_PROTOCOLS && !self.upgraded.swap(true, Ordering::Relaxed) {
            self.service.metrics.requesting.dec();
            self.service.metrics.upgraded.inc();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let metrics = &self.service.metrics;
        if *self.upgraded.get_mut() {
            metrics.upgraded.dec()
        } else {
            metrics.requesting.dec()
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::{Notify, Semaphore};
    use tokio::time::Instant;

    use super::*;
    use crate::metrics::Metrics;

    /// A client's end of a connection that is served.
    struct Client {
        io: DuplexStream,
        service: Arc<Service>,
        stop: CancellationToken,
    }

    fn connect(router: Router) -> Client {
        let service = Arc::new(Service {
            router,
            handshakes: None,
            proxies: Arc::default(),
            permits: Arc::new(Semaphore::new(1)),
            metrics: Metrics::default().of("test"),
        });
        let permit = Arc::clone(&service.permits).try_acquire_owned().unwrap();
        let place = Place::take(permit, Arc::clone(&service));
        let stop = CancellationToken::new();
        let (io, server) = duplex(64 * 1024);
        let transport = Transport::plain(server, Arc::clone(&place) as _);
        let peer = IpAddr::from([127, 0, 0, 1]);
        tokio::spawn(serve_http(transport, peer, place, stop.clone()));
        Client { io, service, stop }
    }

    impl Client {
        async fn send(&mut self, text: &str) {
            self.io.write_all(text.as_bytes()).await.unwrap();
        }

        /// Everything until the server closes, and how long that took.
        async fn rest(&mut self) -> (String, Duration) {
            let (start, mut text) = (Instant::now(), String::new());
            self.io.read_to_string(&mut text).await.unwrap();
            (text, start.elapsed())
        }
    }

    fn hello() -> Router {
        Router::new().route("/", get(async || "hello"))
    }

    /// Clients that send slowly, or nothing, lose their connection; what they sent before is answered.
    #[tokio::test(start_paused = true)]
    async fn a_slow_head_and_an_idle_connection_are_closed() {
        for (sent, answers) in [
            ("", 0),
            ("GET / HT", 0),
            ("GET / HTTP/1.1\r\nhost: h\r\nslow: ", 0),
            ("GET / HTTP/1.1\r\nhost: h\r\n\r\n", 1),
            ("GET / HTTP/1.1\r\nhost: h\r\n\r\nGET /", 1),
        ] {
            let mut client = connect(hello());
            client.send(sent).await;
            let (text, took) = client.rest().await;
            assert_eq!(text.matches("200 OK").count(), answers, "{sent:?}: {text}");
            assert!(
                took >= limits::HTTP_HEAD_TIME && took < 2 * limits::HTTP_HEAD_TIME,
                "{sent:?}: {took:?}"
            );
            assert_eq!(
                client.service.permits.available_permits(),
                1,
                "{sent:?}: the place is free again"
            );
        }
    }

    /// One byte now and then does not help.
    #[tokio::test(start_paused = true)]
    async fn a_trickle_of_a_head_is_closed() {
        let mut client = connect(hello());
        let start = Instant::now();
        for byte in "GET / HTTP/1.1\r\nx: ".chars().chain(std::iter::repeat('a')) {
            if client.io.write_all(&[byte as u8]).await.is_err() {
                break;
            }
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(start.elapsed() < 2 * limits::HTTP_HEAD_TIME, "it goes on for ever");
        }
    }

    #[tokio::test]
    async fn a_head_that_is_not_read_to_its_end_is_refused() {
        let mut client = connect(hello());
        let head = format!(
            "GET / HTTP/1.1\r\nhost: h\r\nlong: {}",
            "a".repeat(limits::HTTP_HEAD_READ)
        );
        // It may be refused before all of it is sent.
        let _ = client.io.write_all(head.as_bytes()).await;
        let (text, _) = client.rest().await;
        assert!(
            text.starts_with("HTTP/1.1 431 ") && text.contains("longer than 131072 bytes"),
            "{text}"
        );
    }

    /// Up to what is read of a head the answer is ours, in words.
    #[tokio::test]
    async fn a_head_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let before = "GET /?q HTTP/1.1\r\nhost: h\r\nconnection: close\r\nlong: ";
        let room = limits::HTTP_HEAD - before.len() - "\r\n\r\n".len();
        let read = limits::HTTP_HEAD_READ - limits::HTTP_HEAD;
        for (length, status) in [(room, 200), (room + 1, 431), (room + read - limits::KIB, 431)] {
            let mut client = connect(hello());
            client.send(&format!("{before}{}\r\n\r\n", "a".repeat(length))).await;
            let (text, _) = client.rest().await;
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {text}");
            assert_eq!(
                text.contains("longer than 32768 bytes"),
                status == 431,
                "{length}: {text}"
            );
        }
    }

    /// As `printf .. | nc -N` does.
    #[tokio::test]
    async fn a_client_that_closes_its_end_after_the_request_gets_the_answer() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (in_handler, until) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = get(async move || {
            in_handler.notify_one();
            until.notified().await;
            "done"
        });
        let mut client = connect(Router::new().route("/", slow));
        client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        begun.notified().await;
        client.io.shutdown().await.unwrap();
        // The connection has its turn, and sees the end, before the answer is there.
        tokio::task::yield_now().await;
        go_on.notify_one();
        let (text, _) = client.rest().await;
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("done"), "{text}");
    }

    #[tokio::test]
    async fn after_the_stop_an_open_request_is_answered_and_an_idle_connection_closed() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (in_handler, until) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = get(async move || {
            in_handler.notify_one();
            until.notified().await;
            "done"
        });
        let mut client = connect(Router::new().route("/", slow));
        client.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        begun.notified().await;
        client.stop.cancel();
        go_on.notify_one();
        let (text, _) = client.rest().await;
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("done"), "{text}");

        let mut idle = connect(hello());
        idle.stop.cancel();
        assert_eq!(idle.rest().await.0, "");
    }

    /// What a WebSocket holds is counted until the WebSocket ends, not until HTTP does.
    #[tokio::test]
    async fn an_upgraded_connection_keeps_its_place() {
        let close = Arc::new(Notify::new());
        let until = Arc::clone(&close);
        let upgrade = get(async move |mut request: axum::extract::Request| {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let _io = upgraded.await.unwrap();
                until.notified().await;
            });
            (
                StatusCode::SWITCHING_PROTOCOLS,
                [("upgrade", "x"), ("connection", "upgrade")],
            )
        });
        let mut client = connect(Router::new().route("/", upgrade));
        let metrics = client.service.metrics.clone();
        assert_eq!((metrics.requesting.get(), metrics.upgraded.get()), (1, 0));
        client
            .send("GET / HTTP/1.1\r\nhost: h\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
            .await;
        let mut first = [0; 12];
        client.io.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 101");
        assert_eq!((metrics.requesting.get(), metrics.upgraded.get()), (0, 1));
        assert_eq!(client.service.permits.available_permits(), 0);
        close.notify_one();
        client.rest().await;
        assert_eq!((metrics.requesting.get(), metrics.upgraded.get()), (0, 0));
        assert_eq!(client.service.permits.available_permits(), 1);
    }
}

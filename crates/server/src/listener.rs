//! One address that is listened on, with what is served there; and the thread that accepts for all of them.
//!
//! There is one acceptor, no `SO_REUSEPORT`: a second server on the port fails instead of taking half of the clients.

use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use socket2::{Domain, Protocol, Socket, Type};
use sockeye_limits as limits;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connection::Accepted;
use crate::cores::Queues;
use crate::handshake::Handshakes;
use crate::metrics::ListenerMetrics;
use crate::proxy::Proxies;

/// A listening address.
pub(crate) struct Listener {
    socket: net::TcpListener,
    /// The address, with the port that was chosen.
    pub(crate) address: SocketAddr,
}

/// What is served on an address.
pub(crate) struct Service {
    /// All routes.
    pub(crate) router: Router,
    /// For those who come with TLS; without it, all connections are plain.
    pub(crate) handshakes: Option<Handshakes>,
    /// Who is believed when it tells that a client is elsewhere.
    pub(crate) proxies: Arc<Proxies>,
    /// One permit for each connection that may be open.
    pub(crate) permits: Arc<Semaphore>,
    /// What is counted.
    pub(crate) metrics: ListenerMetrics,
}

/// What a client reads for which there is no room. It can try again at once: places become free when clients leave.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: application/json\r\ncontent-length: 75\r\n\r\n\
    {\"error\":\"Busy\",\"message\":\"the server has no room for another connection\"}\n";

// ----------------------------------------------------------------------------------------------

impl Listener {
    /// Binds the address, and listens from now on: who connects waits for [`start`].
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?; // connections of the server before us may linger
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // Inherited by every connection. Left to itself the kernel holds megabytes for a client that does not read.
        socket.set_send_buffer_size(limits::SEND_BUFFER)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(limits::ACCEPT_BACKLOG)?;
        let socket = net::TcpListener::from(socket);
        Ok(Self {
            address: socket.local_addr()?,
            socket,
        })
    }
}

/// Accepts on all listeners, in a thread of its own, until `stop`; then the listeners and the queues to the cores close.
pub(crate) fn start(
    listeners: impl IntoIterator<Item = (Listener, Service)>,
    queues: &Queues,
    stop: &CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut loops = JoinSet::new();
    for (listener, service) in listeners {
        let context = runtime.enter();
        let socket = TcpListener::from_std(listener.socket)?;
        drop(context);
        let accepting = accept(socket, Arc::new(service), queues.clone(), stop.clone());
        loops.spawn_on(accepting, runtime.handle());
    }
    std::thread::Builder::new()
        .name("sockeye-accept".to_owned())
        .spawn(move || runtime.block_on(async { while loops.join_next().await.is_some() {} }))
}

async fn accept(socket: TcpListener, service: Arc<Service>, mut queues: Queues, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                service.metrics.accepted.inc();
                // Without this option small frames would wait for the acknowledgement of those before.
                let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else {
                    continue;
                };
                match Arc::clone(&service.permits).try_acquire_owned() {
                    Ok(permit) => {
                        let accepted = Accepted::new(stream, peer.ip(), permit, Arc::clone(&service));
                        queues.hand(accepted).await;
                    }
                    Err(_full) => {
                        service.metrics.refused.inc();
                        refuse(&stream);
                    }
                }
            }
            // The client left before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                service.metrics.errors.inc();
                tracing::warn!(%error, "no connection can be accepted now");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(limits::ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// Tells a client that there is no room for it, as far as that goes without waiting.
fn refuse(mut stream: &net::TcpStream) {
    // What is not read when a socket is closed resets it, and the answer may be lost.
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write(FULL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_those_without_room_has_its_length() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}

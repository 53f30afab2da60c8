//! Peers over real sockets of TCP that give no sign of life, or one that is easily missed.

use std::time::Duration;

use socket2::SockRef;
use sockeye_delivery::{Cause, Selection};
use sockeye_limits as limits;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::world::{PONG, World, frame, subscription};

/// Both ends of a connection whose system holds little: the server's, and the client's.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    SockRef::from(&listener).set_send_buffer_size(16 * 1024).unwrap();
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(16 * 1024).unwrap();
    client.set_nodelay(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(client.connect(address), listener.accept());
    (server.unwrap().0, client.unwrap())
}

/// Its system acknowledges every probe of the closed window, but no byte. Time is paused: the kernel's does not matter here.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_reader_whose_window_stays_closed_is_dead_or_stalled() {
    for (talks, cause) in [(false, Cause::Dead), (true, Cause::Stalled)] {
        let world = World::new();
        world.log.append("a", (0..100).map(|_| "x".repeat(10_000)));
        let (server, mut client) = pair().await;
        let start = Instant::now();
        let end = world.serve(server, subscription(Selection::default()));
        let client: JoinHandle<()> = tokio::spawn(async move {
            while !talks || client.write_all(&frame(PONG, b"PING")).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(end.await.unwrap().cause, cause);
        let (took, most) = (start.elapsed(), limits::WS_STALL + 2 * limits::WS_CLIENT_TIMEOUT);
        assert!(took >= limits::WS_STALL && took <= most, "{took:?}");
        client.abort();
    }
}

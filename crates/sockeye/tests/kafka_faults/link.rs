//! The way between a server and Kafka: a proxy that cuts connections, refuses new ones, or holds back bytes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Passes everything on.
    Fine,
    /// Passes everything on, this much later.
    Slow(Duration),
    /// Passes nothing on, and says nothing.
    Held,
    /// Ends all connections, and takes no new ones.
    Cut,
}

/// The proxy; it ends with the runtime.
pub struct Link {
    pub port: u16,
    to: Arc<AtomicU16>,
    weather: watch::Sender<Weather>,
}

// ----------------------------------------------------------------------------------------------

impl Link {
    pub async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = Arc::<AtomicU16>::default();
        let (weather, seen) = watch::channel(Weather::Fine);
        let target = Arc::clone(&to);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                if *seen.borrow() != Weather::Cut {
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target.load(Ordering::Relaxed)));
                    tokio::spawn(join(from, address, seen.clone()));
                }
            }
        });
        Self { port, to, weather }
    }

    /// Leads to this port from now on.
    pub fn leads_to(&self, port: u16) {
        self.to.store(port, Ordering::Relaxed);
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// Joins a connection to another one until either ends.
async fn join(from: TcpStream, address: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Ok(to) = TcpStream::connect(address).await else {
        return;
    };
    let (from_read, from_write) = from.into_split();
    let (to_read, to_write) = to.into_split();
    let (up, down) = (weather.clone(), weather.clone());
    tokio::select! {
        () = pass(from_read, to_write, up) => {}
        () = pass(to_read, from_write, down) => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if weather.wait_for(|weather| *weather != Weather::Held).await.is_err() {
            return;
        }
        let now = *weather.borrow();
        if let Weather::Slow(time) = now {
            tokio::time::sleep(time).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

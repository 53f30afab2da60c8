//! A running server: its rooms and its front, how they start and how they end.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;

use crate::cores::Life;
use crate::front::{Addresses, Front};
use crate::rooms::Rooms;
use crate::{Config, KEY_FILE, StartError, files};

/// A server that runs in threads of its own until it is stopped. Dropped without that it ends at once.
pub struct Server {
    config: Config,
    rooms: Rooms,
    front: Front,
}

/// How a server has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that had not ended when the time to drain was over.
    pub cut: usize,
}

// ----------------------------------------------------------------------------------------------

impl Server {
    /// Starts a server: addresses first, so that nothing is touched if they are taken, then engines, connections last. When
    /// this returns, clients are answered.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let addresses = Addresses::bind(&config)?;
        let connections = files::connections(config.connections);
        let life = Life::default();
        let rooms = Rooms::open(&config, &life).await?;
        let front = match Front::open(addresses, &rooms, connections, config.cores, life) {
            Ok(front) => front,
            Err(error) => {
                rooms.close().await;
                return Err(error);
            }
        };
        tracing::info!(
            http = %front.http,
            tls = !config.tls.certificates.is_empty(),
            metrics = front.metrics.map(tracing::field::display),
            data = %config.data.display(),
            kafka = config.kafka.brokers,
            postgres = !config.postgres.url.is_empty(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        Ok(Self { config, rooms, front })
    }

    /// Where devices, clients and operators connect, with the port that was chosen.
    pub fn http_address(&self) -> SocketAddr {
        self.front.http
    }

    /// Where clients connect, as the beginning of a URL: `https://127.0.0.1:8080`.
    pub fn http_url(&self) -> String {
        format!(
            "{}://{}",
            scheme(!self.config.tls.certificates.is_empty()),
            self.front.http
        )
    }

    /// Where scrapers find the numbers, unless they are off: `http://127.0.0.1:9090/metrics`.
    pub fn metrics_url(&self) -> Option<String> {
        let address = self.front.metrics?;
        Some(format!("{}://{address}/metrics", scheme(self.config.metrics_tls)))
    }

    /// Where a gateway of dojot connects, if one is served: `http://127.0.0.1:8081`.
    pub fn gateway_url(&self) -> Option<String> {
        let address = self.front.gateway?;
        Some(format!("{}://{address}", scheme(self.config.dojot.gateway_tls)))
    }

    /// Where `/metrics` is served, unless it is off.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.front.metrics
    }

    /// The file with the administrator's key, which the first start wrote.
    pub fn admin_key_file(&self) -> PathBuf {
        self.config.data.join(KEY_FILE)
    }

    /// The folder of the data.
    pub fn data(&self) -> &Path {
        &self.config.data
    }

    /// Stops: takes no more connections, closes WebSockets with 1001, answers the requests that are open, at most for the
    /// configured time; then closes the engines. What was accepted is on disk.
    pub async fn stop(mut self) -> Stopped {
        let cut = self.front.close(self.config.drain).await;
        self.rooms.close().await;
        tracing::info!("stopped");
        Stopped { cut }
    }

    /// Runs until a signal comes, then stops. Another signal meanwhile is given to `at_once`, which ends the process: it is
    /// called before anything is dropped, as that could wait for a disk. If it returns, so does this, with `None`.
    pub async fn run_until<S: Debug>(
        self,
        mut next_signal: impl AsyncFnMut() -> S,
        at_once: impl FnOnce(S),
    ) -> Option<Stopped> {
        let signal = next_signal().await;
        tracing::info!(?signal, "a signal came; another one ends at once");
        let mut stopping = pin!(self.stop());
        tokio::select! {
            stopped = &mut stopping => Some(stopped),
            signal = next_signal() => {
                at_once(signal);
                None
            }
        }
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

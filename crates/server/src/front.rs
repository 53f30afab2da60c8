//! Everything that stands between clients and rooms: listeners, the acceptor, the cores.

use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sockeye_limits as limits;

use crate::cores::{self, Life};
use crate::listener::{self, Listener};
use crate::proxy::Proxies;
use crate::rooms::Rooms;
use crate::tls::{self, Tls};
use crate::{Config, StartError};

/// The addresses of a server, bound but not served yet, and its certificates.
pub(crate) struct Addresses {
    http: Listener,
    tls: Option<Tls>,
    proxies: Arc<Proxies>,
    metrics: Option<Listener>,
    metrics_tls: Option<Tls>,
    gateway: Option<Listener>,
    gateway_tls: Option<Tls>,
}

/// The front of a server. Dropped without having been closed it ends at once, and its connections with it.
pub(crate) struct Front {
    /// Where devices, clients and operators connect.
    pub(crate) http: SocketAddr,
    /// Where `/metrics` is served.
    pub(crate) metrics: Option<SocketAddr>,
    /// Where a gateway of dojot connects.
    pub(crate) gateway: Option<SocketAddr>,
    life: Life,
    threads: Vec<JoinHandle<()>>,
}

// ----------------------------------------------------------------------------------------------

impl Addresses {
    /// Reads the certificates, and binds all addresses.
    pub(crate) fn bind(config: &Config) -> Result<Self, StartError> {
        let tls = tls::read(&config.tls)?;
        let tls_if = |wanted: bool, setting| match &tls {
            _ if !wanted => Ok(None),
            Some(tls) => Ok(Some(tls.clone())),
            None => Err(tls::none_for(setting)),
        };
        let metrics_tls = tls_if(config.metrics_tls, "metrics.tls")?;
        let gateway_tls = tls_if(config.dojot.gateway_tls, "dojot.gateway_tls")?;
        let bind = |address, flag| Listener::bind(address).map_err(|reason| StartError::Bind { address, flag, reason });
        let http = bind(config.http_bind, "http-bind")?;
        let metrics = config
            .metrics_bind
            .map(|address| bind(address, "metrics-bind"))
            .transpose()?;
        let gateway = config.dojot.gateway;
        let gateway = gateway.map(|address| bind(address, "dojot-gateway")).transpose()?;
        Ok(Self {
            http,
            tls,
            proxies: Arc::new(Proxies::new(config.proxy.clone())),
            metrics,
            metrics_tls,
            gateway,
            gateway_tls,
        })
    }
}

impl Front {
    /// Serves the rooms at the addresses. At most `connections` are open at once.
    pub(crate) fn open(
        addresses: Addresses,
        rooms: &Rooms,
        connections: usize,
        cores: Option<usize>,
        life: Life,
    ) -> Result<Self, StartError> {
        let Addresses {
            http,
            tls,
            proxies,
            metrics,
            metrics_tls,
            gateway,
            gateway_tls,
        } = addresses;
        let of_metrics = metrics.as_ref().map(|listener| listener.address);
        let mut front = Self {
            http: http.address,
            metrics: of_metrics,
            gateway: gateway.as_ref().map(|listener| listener.address),
            life,
            threads: Vec::new(),
        };
        let all_cores = || {
            std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(limits::CORES)
        };
        let queues = cores::start(cores.unwrap_or_else(all_cores), &front.life, &mut front.threads);
        let queues = queues.map_err(StartError::Thread)?;
        if let Some(tls) = &tls {
            let certificates = Arc::clone(&tls.certificates);
            let watch = certificates.watch(rooms.counted_certificates(), front.life.stop.clone());
            front.life.tasks.spawn(watch);
        }
        let http = (http, rooms.http(connections, tls, proxies));
        let metrics = metrics.map(|listener| (listener, rooms.metrics(limits::METRICS_CONNECTIONS, metrics_tls)));
        let gateway = gateway.map(|listener| (listener, rooms.gateway(connections, gateway_tls)));
        let acceptor = listener::start(
            iter::once(http).chain(metrics).chain(gateway),
            &queues,
            &front.life.stop,
        );
        front.threads.push(acceptor.map_err(StartError::Thread)?);
        Ok(front)
    }

    /// Takes no more connections, and gives those that are open this time to end. Gives the number of those that were cut
    /// off.
    pub(crate) async fn close(&mut self, drain: Duration) -> usize {
        let Life { tasks, stop, cut } = &self.life;
        tracing::info!(
            connections = tasks.len(),
            seconds = drain.as_secs_f64(),
            "stopping: open connections may end"
        );
        stop.cancel();
        tasks.close();
        let drained = tokio::time::timeout(drain, tasks.wait()).await;
        let left = if drained.is_ok() { 0 } else { tasks.len() };
        if left > 0 {
            tracing::warn!(connections = left, "the time to drain is over: connections are cut off");
        }
        cut.cancel();
        let threads = std::mem::take(&mut self.threads);
        let ended = tokio::task::spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok())).await;
        if !matches!(ended, Ok(true)) {
            tracing::error!("a thread that serves connections has panicked");
        }
        left
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.life.stop.cancel();
        self.life.cut.cancel();
    }
}

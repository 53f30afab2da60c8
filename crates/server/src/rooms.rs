//! The rooms of the house, and what each is given: engines, who may do what, and the routes of every protocol.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use futures_util::{StreamExt, TryStreamExt, stream};
use prometheus_client::registry::Registry as Numbers;
use sockeye_access::{Access, Devices, Oidc, TenantTokens};
use sockeye_api::{Api, Reached, RegistryEvents, Removal};
use sockeye_delivery::Delivery;
use sockeye_dialect_dojot::{Dojot, Lifetime, Settings};
use sockeye_dialect_drogue::Drogue;
use sockeye_dialect_octave::Octave;
use sockeye_ingest_http::{Commands, Ingest};
use sockeye_limits as limits;
use sockeye_log::{GroupPositions, Log, Retention, Topic};
use sockeye_policy::retention_of;
use sockeye_registry::{Found, Registry, Wanted};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, CorsLayer};

use crate::cores::Life;
use crate::engines::Engines;
use crate::expiry::Expiry;
use crate::handshake::Handshakes;
use crate::health::{self, Health};
use crate::listener::Service;
use crate::live_groups::Served;
use crate::metrics::{self, Metrics};
use crate::mirror::Mirror;
use crate::proxy::Proxies;
use crate::tls::{Counted, Tls};
use crate::{Config, StartError, first_start, not_found, oidc, tenants};

/// Everything that serves requests.
pub(crate) struct Rooms {
    engines: Engines,
    mirror: Option<Arc<Mirror>>,
    protocols: Router,
    /// What is behind a gateway of dojot.
    behind_gateway: Router,
    health: Router,
    numbers: Arc<Numbers>,
    metrics: Metrics,
}

// ----------------------------------------------------------------------------------------------

impl Rooms {
    /// Opens the engines, prepares them, and furnishes the rooms around them.
    pub(crate) async fn open(config: &Config, life: &Life) -> Result<Self, StartError> {
        let oidc = oidc::read(&config.oidc)?;
        let tokens = tenants::read(&config.dojot)?;
        let engines = Engines::open(config).await?;
        if let Err(error) = prepare(&engines, config).await {
            engines.close().await;
            return Err(error);
        }
        Ok(Self::around(engines, oidc, tokens, config, life))
    }

    fn around(engines: Engines, oidc: Option<Oidc>, tokens: TenantTokens, config: &Config, life: &Life) -> Self {
        let mut numbers = Numbers::with_prefix("sockeye");
        let metrics = Metrics::default();
        metrics.register(&mut numbers);
        engines.register(&mut numbers);

        let (log, registry) = (Arc::clone(&engines.log), Arc::clone(&engines.registry));
        let mut access = Access::new(Arc::clone(&registry));
        if let Some(oidc) = oidc {
            access = access.with_oidc(oidc);
        }
        let access = Arc::new(access);
        life.tasks.spawn(watch(Arc::clone(&access), life.stop.clone()));
        let devices = Arc::new(Devices::new(Arc::clone(&registry)));

        let ingest_metrics = sockeye_ingest_http::Metrics::default();
        ingest_metrics.register(&mut numbers);
        let instance = config.instance.as_str();
        let commands = Arc::new(Commands::new(Arc::clone(&registry), life.stop.clone()));
        life.tasks.spawn(wake(Arc::clone(&commands), life.stop.clone()));
        let (into, kept) = (Arc::clone(&log), config.retention);
        let ingest = Ingest::new(into, devices, commands, instance, kept, ingest_metrics);

        let delivery_metrics = sockeye_delivery::Metrics::default();
        delivery_metrics.register(&mut numbers);
        let (tasks, stop) = (life.tasks.clone(), life.stop.clone());
        let delivery = Delivery::new(Arc::clone(&log), delivery_metrics, tasks, stop);
        let delivery = delivery.with_longest_outage(config.stream_outage);
        let mut positions: Arc<dyn GroupPositions> = Arc::clone(&registry) as _;
        let mirror = config.kafka.brokers.is_some().then(|| {
            let mirror = Arc::new(Mirror::new(Arc::clone(&positions), Arc::clone(&log)));
            positions = Arc::clone(&mirror) as _;
            life.tasks.spawn(Arc::clone(&mirror).run(life.stop.clone()));
            mirror
        });
        let delivery = Arc::new(delivery.with_groups(Arc::clone(&positions), config.retention));
        delivery.register_groups(&mut numbers);

        let drogue_metrics = sockeye_dialect_drogue::Metrics::default();
        drogue_metrics.register(&mut numbers);
        let (read, may) = (Arc::clone(&log), Arc::clone(&access));
        let drogue = Drogue::new(may, read, Arc::clone(&delivery), config.retention, drogue_metrics)
            .with_token_grace(config.oidc.token_grace);

        let dojot_metrics = sockeye_dialect_dojot::Metrics::default();
        dojot_metrics.register(&mut numbers);
        let settings = Settings {
            ticket_life: config.dojot.ticket_life,
            ticket_errors: config.dojot.ticket_errors,
            lifetime: Lifetime {
                most: config.dojot.connection_life,
                of_token: config.dojot.token_expiry,
            },
            retention: config.retention,
        };
        let dojot = |tokens| {
            let (read, may) = (Arc::clone(&log), Arc::clone(&access));
            let dojot = Dojot::new(
                may,
                tokens,
                read,
                Arc::clone(&delivery),
                settings,
                dojot_metrics.clone(),
            );
            sockeye_dialect_dojot::router(Arc::new(dojot)).layer(any_origin())
        };
        let (behind_gateway, dojot) = (dojot(tokens.clone().trusted()), dojot(tokens));

        let octave_metrics = sockeye_dialect_octave::Metrics::default();
        octave_metrics.register(&mut numbers);
        let octave = Octave::new(
            Arc::clone(&access),
            Arc::clone(&registry),
            Arc::clone(&log),
            Arc::clone(&delivery),
            config.retention,
            instance,
            octave_metrics,
        );
        let octave = Arc::new(octave.with_bounds(config.octave));
        life.tasks.spawn(run_octave(Arc::clone(&octave), life.stop.clone()));

        let groups = Arc::new(Served(Arc::clone(&delivery)));
        if let Some(after) = config.groups_expire {
            let expiry = Expiry::new(positions, groups.clone(), after, &mut numbers);
            life.tasks.spawn(expiry.run(life.stop.clone()));
        }
        let (from, to) = (Arc::clone(&registry), Arc::clone(&log));
        let events = Arc::new(RegistryEvents::new(from, to, config.retention, instance));
        life.tasks.spawn(tell(Arc::clone(&events), life.stop.clone()));
        let (from, to) = (Arc::clone(&registry), Arc::clone(&log));
        let removal = Arc::new(Removal::new(from, to, config.retention_deleted));
        life.tasks.spawn(remove(Arc::clone(&removal), life.stop.clone()));
        let api = Api::new(
            Arc::clone(&registry),
            Arc::clone(&log),
            Arc::clone(&access),
            groups,
            events,
            removal,
            config.retention,
            life.stop.clone(),
        );
        let api = api.reached(Reached {
            url: config.http_url.clone(),
            tls: !config.tls.certificates.is_empty(),
            issuer: config.oidc.issuers.first().cloned(),
        });
        let (ingest, drogue) = (Arc::new(ingest), sockeye_dialect_drogue::router(Arc::new(drogue)));
        let protocols = Router::new()
            .route("/", any(not_found::root))
            .merge(sockeye_api::router(Arc::new(api)).layer(any_origin()))
            .merge(sockeye_dialect_octave::router(octave).layer(any_origin()))
            .merge(sockeye_ingest_http::router(Arc::clone(&ingest)))
            .merge(sockeye_ingest_http::webhooks(ingest, &drogue))
            .merge(dojot)
            .merge(drogue);
        let health = health::router(Health {
            log,
            registry,
            access,
            stop: life.stop.clone(),
        });
        Self {
            engines,
            mirror,
            protocols,
            behind_gateway,
            health,
            numbers: Arc::new(numbers),
            metrics,
        }
    }

    /// What devices, clients and operators get, over TLS if there is a certificate.
    pub(crate) fn http(&self, connections: usize, tls: Option<Tls>, proxies: Arc<Proxies>) -> Service {
        let router = self.protocols.clone().merge(self.health.clone());
        Service {
            proxies,
            ..self.service("http", router, connections, tls)
        }
    }

    /// What clients of dojot get whose tokens a gateway has verified.
    pub(crate) fn gateway(&self, connections: usize, tls: Option<Tls>) -> Service {
        let router = self.behind_gateway.clone().merge(self.health.clone());
        self.service("gateway", router, connections, tls)
    }

    /// What scrapers get.
    pub(crate) fn metrics(&self, connections: usize, tls: Option<Tls>) -> Service {
        let router = metrics::router(Arc::clone(&self.numbers)).merge(self.health.clone());
        self.service("metrics", router, connections, tls)
    }

    /// Where it is counted that files of certificates have changed.
    pub(crate) fn counted_certificates(&self) -> Counted {
        self.metrics.certificates.clone()
    }

    fn service(&self, listener: &'static str, router: Router, connections: usize, tls: Option<Tls>) -> Service {
        Service {
            router: router.fallback(not_found::not_found),
            handshakes: tls.map(|tls| Handshakes::new(tls.config)),
            proxies: Arc::default(),
            permits: Arc::new(Semaphore::new(connections)),
            metrics: self.metrics.of(listener),
        }
    }

    /// Closes the engines: what they accepted is durable, and the data file is free for another process.
    pub(crate) async fn close(&self) {
        if let Some(mirror) = &self.mirror {
            // What groups have stored last; the next start would tell too.
            let _ = tokio::time::timeout(limits::KAFKA_ANSWER, mirror.tell()).await;
        }
        self.engines.close().await;
    }
}

async fn prepare(engines: &Engines, config: &Config) -> Result<(), StartError> {
    first_start::ensure_administrator(&*engines.registry, Path::new(&config.data)).await?;
    retain(&*engines.registry, &*engines.log, config.retention).await
}

/// Lets the configured retention hold for the logs of all applications that do not say another, also for those made under another one.
async fn retain(registry: &dyn Registry, log: &dyn Log, retention: Retention) -> Result<(), StartError> {
    let mut after = String::new();
    loop {
        let wanted = Wanted {
            after,
            limit: limits::REGISTRY_LIST_STEP,
            ..Wanted::default()
        };
        let Found { entries, next } = registry.applications(wanted).await?;
        // Side by side, so that many become one commit.
        stream::iter(entries)
            .map(async |application| {
                let of_events = retention_of(&application.spec, retention);
                let [events, dead_letters] = Topic::all_of(application.metadata.name);
                log.create_topic(&events, of_events).await?;
                match log.span(&dead_letters).await {
                    Ok(_) => log.create_topic(&dead_letters, retention).await,
                    // Most applications have none, and whoever stores the first one makes it.
                    Err(_) => Ok(()),
                }
            })
            .buffer_unordered(limits::REGISTRY_LIST_STEP)
            .try_collect::<()>()
            .await?;
        match next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

/// Ends the streams of those whose right has ended, until the server stops.
async fn watch(access: Arc<Access>, stop: CancellationToken) {
    tokio::select! {
        () = access.watch() => {}
        () = stop.cancelled() => {}
    }
}

/// Wakes devices for which a command has come, until the server stops.
async fn wake(commands: Arc<Commands>, stop: CancellationToken) {
    tokio::select! {
        () = commands.run() => {}
        () = stop.cancelled() => {}
    }
}

/// Takes what waits to be told of devices to the log, until the server stops.
async fn tell(events: Arc<RegistryEvents>, stop: CancellationToken) {
    tokio::select! {
        () = events.run() => {}
        () = stop.cancelled() => {}
    }
}

/// Removes what deleted applications have left in the log, until the server stops.
async fn remove(removal: Arc<Removal>, stop: CancellationToken) {
    tokio::select! {
        () = removal.run() => {}
        () = stop.cancelled() => {}
    }
}

/// Keeps what clients of Octave have, until the server stops.
async fn run_octave(octave: Arc<Octave>, stop: CancellationToken) {
    tokio::select! {
        () = octave.run() => {}
        () = stop.cancelled() => {}
    }
}

/// Browsers may call the API from any page (compat/drogue.md 4.2). `*` would not cover `Authorization` (Fetch Standard,
/// CORS protocol), so the headers that are asked for are allowed by name.
fn any_origin() -> CorsLayer {
    CorsLayer::permissive().allow_headers(AllowHeaders::mirror_request())
}

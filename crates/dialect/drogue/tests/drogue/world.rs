//! The dialect on a real engine in a folder of its own, with the application `app` of `alice`, `open`, which is public, and
//! `bob`, who has nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use prometheus_client::registry::Registry as Prometheus;
use sockeye_access::{Access, key};
use sockeye_delivery::Delivery;
use sockeye_dialect_drogue::{Drogue, Metrics, router};
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_event::{Event, binary};
use sockeye_log::{Log, NewRecord, Retention, Topic};
use sockeye_registry::{AccessKey, Application, Registry, Role};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    keys: BTreeMap<&'static str, String>,
    prometheus: Prometheus,
    _folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A handshake as clients send it.
pub(crate) const HANDSHAKE: &[(&str, &str)] = &[
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_log(|engine| engine).await
    }

    /// A world whose log is not the engine's.
    pub(crate) async fn with_log<L: Log>(log: impl FnOnce(Arc<SqliteEngine>) -> Arc<L>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap());
        let registry: Arc<dyn Registry> = engine.clone();
        let log: Arc<dyn Log> = log(engine);
        let mut keys = BTreeMap::new();
        for user in ["alice", "bob"] {
            registry.ensure_user(user, false).await.unwrap();
            let made = key::generate();
            keys.insert(user, made.key.expose().to_owned());
            let stored = AccessKey::new(made.prefix, made.hash, user, Timestamp::now());
            registry.create_key(stored).await.unwrap();
        }
        let app = Application::named("app", "alice");
        registry.create_application(app).await.unwrap();
        let mut open = Application::named("open", "alice");
        open.members.insert(String::new(), Role::Reader);
        registry.create_application(open).await.unwrap();

        let (tasks, stop, metrics) = (TaskTracker::new(), CancellationToken::new(), Metrics::default());
        let mut prometheus = Prometheus::default();
        metrics.register(&mut prometheus);
        let access = Arc::new(Access::new(registry));
        let delivery = Delivery::new(
            log.clone(),
            sockeye_delivery::Metrics::default(),
            tasks.clone(),
            stop.clone(),
        );
        let drogue = Drogue::new(access, log.clone(), Arc::new(delivery), Retention::default(), metrics);
        Self {
            router: router(Arc::new(drogue)),
            log,
            tasks,
            stop,
            keys,
            prometheus,
            _folder: folder,
        }
    }

    /// `user:key`, for `alice` and `bob`.
    pub(crate) fn login(&self, user: &str) -> String {
        format!("{user}:{}", self.keys[user])
    }

    /// `Basic ..`
    pub(crate) fn basic(&self, user: &str) -> String {
        format!("Basic {}", STANDARD.encode(self.login(user)))
    }

    /// Sends a request with these headers.
    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Serves on a port of its own; the address.
    pub(crate) async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    /// Appends an event of `app` with this payload.
    pub(crate) async fn publish(&self, channel: &str, payload: &'static str) {
        let event = Event {
            id: "1".into(),
            source: "drogue://app/d".into(),
            ty: "io.drogue.event.v1".into(),
            data_content_type: Some("application/json".into()),
            data_schema: None,
            subject: Some(channel.into()),
            time: None,
            extensions: vec![("device".into(), "d".into())],
            data: Some(Bytes::from_static(payload.as_bytes())),
        };
        let (headers, payload) = binary::encode(&event);
        let records = vec![NewRecord { headers, payload }];
        self.log.append(&Topic::events_of("app"), records).await.unwrap();
    }

    /// The metrics, as text.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.prometheus).unwrap();
        text
    }
}

//! The endpoint on a real engine in a folder of its own, with an application `app` and its devices.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use sockeye_access::Devices;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_event::{Event, binary};
use sockeye_ingest_http::{Commands, Ingest, Metrics, router};
use sockeye_log::{
    AppendError, Batch, Follow, Log, NewRecord, Position, ReadError, ReadLimit, Retention, Span, Topic, TopicError,
    Unavailable,
};
use sockeye_registry::{Application, Device, Preconditions, Registry};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// `Authorization` of device `d`, with `?application=app`.
pub(crate) const D: (&str, &str) = ("application=app", "d:pw");

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) log: Arc<Faulty>,
    pub(crate) metrics: Metrics,
    _folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A log whose next append can be made to fail.
pub(crate) struct Faulty {
    engine: Arc<SqliteEngine>,
    fault: Mutex<Option<AppendError>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap());
        let registry: Arc<dyn Registry> = engine.clone();
        let log = Arc::new(Faulty {
            engine,
            fault: Mutex::new(None),
        });
        let devices = Arc::new(Devices::new(registry.clone()));
        let metrics = Metrics::default();
        let commands = Arc::new(Commands::new(registry.clone(), CancellationToken::new()));
        let waking = Arc::clone(&commands);
        tokio::spawn(async move { waking.run().await });
        let ingest = Ingest::new(
            log.clone(),
            devices,
            commands,
            "test",
            Retention::default(),
            metrics.clone(),
        );
        let world = Self {
            router: router(Arc::new(ingest)),
            registry,
            log,
            metrics,
            _folder: folder,
        };
        world.furnish().await;
        world
    }

    async fn furnish(&self) {
        registry_application(&*self.registry, "app", &json!({})).await;
        registry_application(&*self.registry, "off", &json!({"core": {"disabled": true}})).await;
        let pass = json!({"credentials": [{"pass": "pw"}]});
        for (app, name, spec) in [
            ("off", "d", json!({"authentication": pass})),
            ("app", "d", json!({"authentication": pass})),
            ("app", "old", json!({"credentials": pass})),
            ("app", "with space@home", json!({"authentication": pass})),
            (
                "app",
                "plain",
                json!({"authentication": {"credentials": [{"pass": {"plain": "pw"}}]}}),
            ),
            ("app", "alias", json!({"authentication": pass, "alias": ["also-alias"]})),
            (
                "app",
                "user",
                json!({"authentication": {"credentials": [
                {"user": {"username": "foo", "password": "pw"}},
                {"user": {"username": "uniq", "password": "pw", "unique": true}}]}}),
            ),
            ("app", "gw", json!({"authentication": pass})),
            ("app", "behind", json!({"gatewaySelector": {"matchNames": ["gw"]}})),
            ("app", "none", json!({})),
        ] {
            let mut device = Device::named(app, name);
            device.spec = spec.as_object().unwrap().clone();
            self.registry.create_device(device).await.unwrap();
        }
    }

    /// Publishes to a path with a query, as somebody (`user:password`; empty for no credentials).
    pub(crate) async fn publish(
        &self,
        path: &str,
        (query, who): (&str, &str),
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post(format!("{path}?{query}"));
        if !who.is_empty() {
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(who)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// All events of `app`, oldest first.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let topic = Topic::events_of("app");
        let span = match self.log.span(&topic).await {
            Err(ReadError::NoTopic(_)) => return Vec::new(),
            span => span.unwrap(),
        };
        let batch = self.log.read(&topic, &span.oldest, ReadLimit::default()).await.unwrap();
        batch
            .records
            .iter()
            .map(|record| binary::decode(&record.headers, record.payload.as_ref()).unwrap())
            .collect()
    }

    /// The one event that is there.
    pub(crate) async fn event(&self) -> Event {
        let mut events = self.events().await;
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// Gives `app` this `spec`.
    pub(crate) async fn set_spec(&self, spec: &Value) {
        let mut application = self.registry.application("app").await.unwrap().unwrap();
        application.spec = spec.as_object().unwrap().clone();
        let pre = Preconditions::default();
        self.registry.update_application(application, pre).await.unwrap();
    }

    /// All numbers, as they are scraped.
    pub(crate) fn numbers(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    pub(crate) async fn delete_application(&self) {
        self.registry
            .delete_application("app", Preconditions::default())
            .await
            .unwrap();
    }
}

pub(crate) async fn registry_application(registry: &dyn Registry, name: &str, spec: &Value) {
    let mut application = Application::named(name, "owner");
    registry.ensure_user("owner", false).await.unwrap();
    application.spec = spec.as_object().unwrap().clone();
    registry.create_application(application).await.unwrap();
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Faulty {
    /// Lets the next append fail.
    pub(crate) fn fail(&self, error: AppendError) {
        *self.fault.lock().unwrap() = Some(error);
    }
}

#[async_trait]
impl Log for Faulty {
    async fn append(&self, topic: &Topic, records: Vec<NewRecord>) -> Result<(), AppendError> {
        if let Some(error) = self.fault.lock().unwrap().take() {
            return Err(error);
        }
        self.engine.append(topic, records).await
    }
    async fn create_topic(&self, topic: &Topic, retention: Retention) -> Result<(), TopicError> {
        self.engine.create_topic(topic, retention).await
    }
    async fn delete_topic(&self, topic: &Topic) -> Result<(), TopicError> {
        self.engine.delete_topic(topic).await
    }
    async fn span(&self, topic: &Topic) -> Result<Span, ReadError> {
        self.engine.span(topic).await
    }
    async fn position_at(&self, topic: &Topic, time: Timestamp) -> Result<Position, ReadError> {
        self.engine.position_at(topic, time).await
    }
    async fn read(&self, topic: &Topic, from: &Position, limit: ReadLimit) -> Result<Batch, ReadError> {
        self.engine.read(topic, from, limit).await
    }
    async fn follow(&self, topic: &Topic, from: &Position) -> Result<Box<dyn Follow>, ReadError> {
        self.engine.follow(topic, from).await
    }
    async fn trim(&self, topic: &Topic, before: &Position) -> Result<Position, ReadError> {
        self.engine.trim(topic, before).await
    }
    async fn probe(&self) -> Result<(), Unavailable> {
        self.engine.probe().await
    }
}

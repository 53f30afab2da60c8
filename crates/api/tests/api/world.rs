//! The API on a real engine in a folder of its own, with three users: `admin`, an administrator, `alice` and `bob`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use sockeye_access::{Access, key};
use sockeye_api::{Api, LiveGroup, LiveGroups, RegistryEvents, Removal, router};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_engine_postgres::{PostgresOptions, PostgresRegistry};
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_log::{GroupError, GroupId, GroupMark, Log, Position, Retention};
use sockeye_registry::{AccessKey, Registry};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::engines;

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) groups: Arc<Members>,
    pub(crate) stop: CancellationToken,
    keys: BTreeMap<&'static str, String>,
    _folder: TempDir,
}

/// Groups whose members are what a test says.
pub(crate) struct Members {
    registry: Arc<dyn Registry>,
    pub(crate) live: Mutex<BTreeMap<GroupId, LiveGroup>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

#[async_trait]
impl LiveGroups for Members {
    fn all(&self) -> Vec<GroupId> {
        self.live.lock().unwrap().keys().cloned().collect()
    }

    fn live(&self, group: &GroupId) -> Option<LiveGroup> {
        self.live.lock().unwrap().get(group).cloned()
    }

    async fn seek(&self, group: &GroupId, position: &Position) -> Result<(), GroupError> {
        self.live.lock().unwrap().remove(group);
        let mark = GroupMark::at(position.clone());
        self.registry.set_group(group, &mark).await
    }

    async fn delete(&self, group: &GroupId) -> Result<bool, GroupError> {
        self.live.lock().unwrap().remove(group);
        self.registry.delete_group(group).await
    }
}

impl World {
    /// Logs go with their applications.
    pub(crate) async fn new() -> Self {
        Self::with_kept(Duration::ZERO).await
    }

    /// Logs stay so long after their applications.
    pub(crate) async fn with_kept(kept: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (registry, log) = open(folder.path()).await;
        let mut keys = BTreeMap::new();
        for (user, admin) in [("admin", true), ("alice", false), ("bob", false)] {
            registry.ensure_user(user, admin).await.unwrap();
            let made = key::generate();
            keys.insert(user, made.key.expose().to_owned());
            let stored = AccessKey::new(made.prefix, made.hash, user, Timestamp::now());
            registry.create_key(stored).await.unwrap();
        }
        let access = Arc::new(Access::new(registry.clone()));
        let groups = Arc::new(Members {
            registry: registry.clone(),
            live: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let events = RegistryEvents::new(registry.clone(), log.clone(), Retention::default(), "drogue");
        let router = router(Arc::new(Api::new(
            registry.clone(),
            log.clone(),
            access,
            groups.clone(),
            Arc::new(events),
            Arc::new(Removal::new(registry.clone(), log.clone(), kept)),
            Retention::default(),
            stop.clone(),
        )));
        Self {
            router,
            registry,
            log,
            groups,
            stop,
            keys,
            _folder: folder,
        }
    }

    /// `Authorization` of a user.
    pub(crate) fn authorization(&self, user: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{}", self.keys[user])))
    }

    /// Calls as a user, `-` for nobody. The call is method and path; a body goes as JSON.
    pub(crate) async fn call(&self, user: &str, call: &str, body: &str) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here");
        if user != "-" {
            request = request.header(header::AUTHORIZATION, self.authorization(user));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Calls and demands a status.
    pub(crate) async fn ok(&self, user: &str, call: &str, body: &str, status: u16) -> Answer {
        let answer = self.call(user, call, body).await;
        assert_eq!(answer.status, status, "{user} {call} {body}: {}", answer.text);
        answer
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
}

/// Registry and log in a file in this folder, or where the tests want them.
async fn open(folder: &Path) -> (Arc<dyn Registry>, Arc<dyn Log>) {
    let Some(place) = engines::place(folder) else {
        let engine = Arc::new(SqliteEngine::open(folder.join("sockeye.db"), Options::default()).unwrap());
        return (engine.clone(), engine);
    };
    let options = PostgresOptions {
        url: place.postgres,
        ..PostgresOptions::default()
    };
    let registry = PostgresRegistry::open(&options).await.unwrap();
    let options = KafkaOptions {
        bootstrap: engines::kafka().bootstrap(),
        topics: Some(place.topics),
        // Tests count on the order of what they publish.
        partitions: Some(1),
        ..KafkaOptions::default()
    };
    (Arc::new(registry), Arc::new(KafkaLog::new(&options).unwrap()))
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Names in a list of documents.
    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

//! `kill -9` between changes of devices and their events: both are there, or neither is. In the data file each event is there once; in
//! another log at least once, with the same id.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use support::{APP, PATIENCE, Server, engines, next_event_of_any_type};
use tokio::sync::Notify;

/// Kills on the same folder.
const KILLS: usize = 4;
const OPERATORS: usize = 4;
/// Changes of a device between its beginning and its end, if it has one.
const STEPS: usize = 2;

/// How many changes were answered.
#[derive(Default)]
struct Answered {
    count: AtomicUsize,
    more: Notify,
}

/// What streams have told of a device: ids of the events of each kind.
type Told = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

// ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_change_of_a_device_and_its_event_are_both_there_or_neither() {
    let seed = std::env::var("CRASH_SEED").map_or(1, |text| text.parse().expect("a number"));
    println!("CRASH_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    server.cli_ok(&["app", "create", APP]);
    drop(server);
    for kill in 0..KILLS {
        let mut server = Server::start(&data);
        let answered = Arc::<Answered>::default();
        let operators: Vec<_> = (0..OPERATORS)
            .map(|number| {
                let calls = Calls::of(&server);
                tokio::spawn(operate(calls, format!("{kill}-{number}"), Arc::clone(&answered)))
            })
            .collect();
        let enough = rng.random_range(10..120);
        while answered.count.load(Ordering::SeqCst) < enough {
            tokio::time::timeout(PATIENCE, answered.more.notified())
                .await
                .expect("operating goes on");
        }
        server.kill();
        for operator in operators {
            operator.await.unwrap();
        }
        let server = Server::start(&data);
        check(&server, &format!("CRASH_SEED={seed}, kill {kill}")).await;
    }
}

/// Makes devices, changes them, and removes every second one, until the server is gone.
async fn operate(calls: Calls, name: String, answered: Arc<Answered>) {
    for number in 0.. {
        let device = format!("{name}-{number}");
        let mut document = json!({"metadata": {"application": APP, "name": device}});
        let mut changes = vec![(Method::POST, String::new(), Some(document.clone()))];
        for step in 1..=STEPS {
            document["metadata"]["labels"] = json!({ "step": step.to_string() });
            changes.push((Method::PUT, format!("/{device}"), Some(document.clone())));
        }
        if number % 2 == 1 {
            changes.push((Method::DELETE, format!("/{device}"), None));
        }
        for (method, path, body) in changes {
            let Some((status, said)) = calls.call(method.clone(), &path, body.as_ref()).await else {
                return;
            };
            assert!((201..=204).contains(&status), "{method} {device}: {status} {said}");
            answered.count.fetch_add(1, Ordering::SeqCst);
            answered.more.notify_one();
        }
    }
}

/// What the registry has, the stream tells, and nothing else.
async fn check(server: &Server, context: &str) {
    let mut stream = server.stream(&format!("{APP}?from=earliest")).await;
    let (_, listed) = Calls::of(server)
        .call(Method::GET, "", None)
        .await
        .expect("the server answers");
    let devices: Value = serde_json::from_str(&listed).unwrap();
    // How many events tell that a device is another now, if it is there.
    let steps: BTreeMap<String, usize> = devices
        .as_array()
        .unwrap()
        .iter()
        .map(|device| {
            let step = device["metadata"]["labels"]["step"].as_str().unwrap_or("0");
            let name = device["metadata"]["name"].as_str().unwrap();
            (name.to_owned(), step.parse().unwrap())
        })
        .collect();
    // What was made last is told last, of one partition.
    let last = format!("last-{}", steps.len());
    let document = json!({"metadata": {"name": last}});
    let made = Calls::of(server).call(Method::POST, "", Some(&document)).await;
    assert_eq!(made.map(|(status, _)| status), Some(201));

    let mut told = Told::new();
    let is_told = |told: &Told| {
        let of = |name: &str, what: &str| {
            told.get(name)
                .and_then(|kinds| kinds.get(what))
                .map_or(0, BTreeSet::len)
        };
        of(&last, "created") == 1
            && steps
                .iter()
                .all(|(name, steps)| of(name, "created") == 1 && of(name, "updated") == *steps)
    };
    while !is_told(&told) {
        let event = next_event_of_any_type(&mut stream).await;
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (text("type"), text("subject")),
            ("io.drogue.registry.v1".into(), "devices".into())
        );
        let ids = told
            .entry(text("device"))
            .or_default()
            .entry(text("change"))
            .or_default();
        let is_new = ids.insert(text("id"));
        assert!(is_new || engines::are_elsewhere(), "{context}: told twice: {event}");
    }
    for (name, kinds) in told.iter().filter(|(name, _)| **name != last) {
        let count = |what: &str| kinds.get(what).map_or(0, BTreeSet::len);
        let all = (count("created"), count("updated"), count("deleted"));
        let expected = match steps.get(name) {
            Some(steps) => (1, *steps, 0),
            None => (1, STEPS, 1),
        };
        // What was removed may be told in another partition, of which nothing was waited for.
        if steps.contains_key(name) || !engines::are_elsewhere() {
            assert_eq!(all, expected, "{context}: {name}");
        }
    }
}

/// Calls of an administrator for the devices of the application.
struct Calls {
    http: Client,
    url: String,
    user: String,
    key: String,
}

impl Calls {
    fn of(server: &Server) -> Self {
        let admin = server.admin();
        let (user, key) = admin.split_once(':').unwrap();
        Self {
            http: support::http(),
            url: format!("{}/api/registry/v1alpha1/apps/{APP}/devices", server.url),
            user: user.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Status and body; `None` if the server is gone.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, String)> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.basic_auth(&self.user, Some(&self.key));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
}

//! `kill -9` in the middle of publishing, with and without the loss of everything that was not synced: every event that
//! got its 202 is there after the restart, exactly once.
//!
//! A failing seed is printed; `CRASH_SEED=n` replays it, `CRASH_SEEDS=n` runs more of them (`scripts/soak`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use sockeye_parts::unsynced;
use support::{APP, DEVICE, PASSWORD, Server, engines::are_elsewhere, numbered};
use tokio::sync::Notify;

/// Seeds of an ordinary run, and kills of each, on the same folder.
const SEEDS: u64 = 4;
const KILLS: usize = 4;
/// In Kafka: a kill in the middle of a batch leaves a transaction, which takes its time to end.
const SEEDS_ELSEWHERE: u64 = 1;
const KILLS_ELSEWHERE: usize = 2;
const PUBLISHERS: u64 = 6;

/// What devices were told.
#[derive(Default)]
struct Acknowledged {
    /// Ids of events that got their 202.
    ids: Mutex<BTreeSet<String>>,
    /// Told of each one.
    more: Notify,
}

// ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_killed_server_keeps_what_it_acknowledged() {
    for seed in seeds() {
        crash(seed, |_| {}).await;
    }
}

#[tokio::test]
async fn a_power_failure_keeps_what_it_acknowledged() {
    if are_elsewhere() {
        return; // what Kafka does with its disk is not Sockeye's
    }
    let Some(layer) = unsynced::library().expect("the layer can be built") else {
        return;
    };
    for seed in seeds() {
        crash(seed, |(folder, command)| unsynced::apply(&layer, command, folder, seed)).await;
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let usual = if are_elsewhere() { SEEDS_ELSEWHERE } else { SEEDS };
    match number("CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CRASH_SEEDS").unwrap_or(usual),
    }
}

async fn crash(seed: u64, layer: impl Fn((&Path, &mut Command))) {
    println!("CRASH_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Server::with_device(&data));
    let acknowledged = Arc::new(Acknowledged::default());
    let kills = if are_elsewhere() { KILLS_ELSEWHERE } else { KILLS };
    for kill in 0..kills {
        let mut server = Server::start_with(&data, |command| layer((&data, command)));
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| {
                let name = format!("{kill}-{number}");
                tokio::spawn(publish(server.url.clone(), name, rng.random(), acknowledged.clone()))
            })
            .collect();
        // The kill comes after so many acknowledgements, in the middle of whatever is going on.
        let enough = acknowledged.ids.lock().unwrap().len() + rng.random_range(20..400);
        while acknowledged.ids.lock().unwrap().len() < enough {
            tokio::time::timeout(support::PATIENCE, acknowledged.more.notified())
                .await
                .expect("publishing goes on");
        }
        server.kill();
        for publisher in publishers {
            publisher.await.unwrap();
        }
        let stored = stored(&data).await;
        let acknowledged = acknowledged.ids.lock().unwrap();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains_key(*id)).collect();
        assert!(
            lost.is_empty(),
            "CRASH_SEED={seed}, kill {kill}: {} of {} lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
        let twice: Vec<_> = stored.iter().filter(|(_, count)| **count != 1).collect();
        assert!(
            twice.is_empty(),
            "CRASH_SEED={seed}, kill {kill}: more than once: {twice:?}"
        );
    }
}

/// Publishes single events and batches under ids of its own until the server is gone.
async fn publish(url: String, name: String, seed: u64, acknowledged: Arc<Acknowledged>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let http = support::http();
    for round in 0_u64.. {
        let size = if rng.random_bool(0.5) {
            1
        } else {
            rng.random_range(2..50)
        };
        let ids: Vec<String> = (0..size).map(|at| format!("{name}-{round}-{at}")).collect();
        let events: Vec<Value> = ids
            .iter()
            .map(|id| {
                json!({ "specversion": "1.0", "id": id, "type": "t", "source": "/", "datacontenttype": "application/json",
                        "data": numbered(round) })
            })
            .collect();
        let answer = http
            .post(format!("{url}/v1/c"))
            .basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD))
            .header("Content-Type", "application/cloudevents-batch+json")
            .body(json!(events).to_string())
            .send()
            .await;
        match answer {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 202, "{:?}", answer.text().await),
            Err(_) => return,
        }
        acknowledged.ids.lock().unwrap().extend(ids);
        acknowledged.more.notify_one();
    }
}

/// How often each id is in the log.
async fn stored(data: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for event in support::stored(data).await {
        *found.entry(event.id.to_string()).or_default() += 1;
    }
    found
}

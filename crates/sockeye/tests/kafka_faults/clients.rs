//! Those who depend on it: a device that publishes all the time, members of a group and a reader with a cursor that come back
//! whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use serde_json::Value;
use sockeye_event::event::TYPE_REGISTRY;
use tokio::{task::JoinHandle, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{self, APP, DEVICE, PASSWORD, numbered};

/// Where the server is now, and who may read there.
#[derive(Clone, Default)]
pub struct Address(Arc<Mutex<(String, String)>>);

/// What has come to whom.
#[derive(Default)]
pub struct Seen {
    /// How often each number came.
    numbers: Mutex<BTreeMap<u64, u64>>,
    /// How often a cursor was refused with 410.
    gone: AtomicU64,
}

/// A device that publishes numbers one after the other.
pub struct Publisher {
    /// Numbers that were accepted: 202.
    pub accepted: Arc<Mutex<BTreeSet<u64>>>,
    /// Answers that were not.
    pub refused: Arc<AtomicU64>,
    /// The longest time that an answer took, in ms.
    pub slowest: Arc<AtomicU64>,
    paused: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// Between two tries of somebody who was sent away.
const AGAIN: Duration = Duration::from_millis(50);
/// A client gives up on an answer after this, as real ones do.
const ANSWER: Duration = Duration::from_secs(40);
/// A socket that says nothing for so long is dead: pings come every 5 s.
const SILENCE: Duration = Duration::from_secs(20);

// ----------------------------------------------------------------------------------------------

impl Address {
    pub fn set(&self, url: &str, admin: &str) {
        *self.0.lock().unwrap() = (url.to_owned(), admin.to_owned());
    }

    fn url(&self) -> String {
        self.0.lock().unwrap().0.clone()
    }

    /// What a client opens.
    fn stream(&self, query: &str) -> String {
        let (url, admin) = self.0.lock().unwrap().clone();
        let (user, key) = admin.split_once(':').unwrap();
        let url = url.replacen("http", "ws", 1);
        format!("{url}/{APP}?username={user}&api_key={key}&{query}")
    }
}

impl Seen {
    /// What is told of the device itself is passed over.
    fn add(&self, event: &Value) {
        if event["type"] == TYPE_REGISTRY {
            return;
        }
        let number = event["data"]["number"].as_u64().unwrap();
        *self.numbers.lock().unwrap().entry(number).or_default() += 1;
    }

    /// Those of the numbers that have not come.
    pub fn missing(&self, of: &BTreeSet<u64>) -> Vec<u64> {
        let numbers = self.numbers.lock().unwrap();
        of.iter()
            .filter(|number| !numbers.contains_key(number))
            .copied()
            .collect()
    }

    /// How often a cursor was refused with 410.
    pub fn gone(&self) -> u64 {
        self.gone.load(Ordering::SeqCst)
    }

    /// Deliveries, and how many of them were not the first of their event.
    pub fn counts(&self) -> (u64, u64) {
        let numbers = self.numbers.lock().unwrap();
        let all = numbers.values().sum::<u64>();
        (all, all - numbers.len() as u64)
    }
}

impl Publisher {
    pub fn start(address: Address) -> Self {
        let accepted = Arc::<Mutex<BTreeSet<u64>>>::default();
        let (refused, slowest) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (paused, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn({
            let (accepted, refused, slowest) = (Arc::clone(&accepted), Arc::clone(&refused), Arc::clone(&slowest));
            let (paused, stop) = (Arc::clone(&paused), Arc::clone(&stop));
            async move {
                let client = support::http();
                for number in 0.. {
                    while paused.load(Ordering::SeqCst) && !stop.load(Ordering::SeqCst) {
                        tokio::time::sleep(AGAIN).await;
                    }
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let request = client.post(format!("{}/v1/c", address.url())).timeout(ANSWER);
                    let request = request.basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD));
                    let asked = Instant::now();
                    let answer = request.json(&numbered(number)).send().await;
                    let millis = asked.elapsed().as_millis() as u64;
                    slowest.fetch_max(millis, Ordering::SeqCst);
                    if answer.is_ok_and(|answer| answer.status() == 202) {
                        accepted.lock().unwrap().insert(number);
                    } else {
                        refused.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        });
        Self {
            accepted,
            refused,
            slowest,
            paused,
            stop,
            task,
        }
    }

    pub fn accepted(&self) -> BTreeSet<u64> {
        self.accepted.lock().unwrap().clone()
    }

    /// Publishes nothing, or goes on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
    }

    /// What was accepted in all.
    pub async fn end(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        Arc::try_unwrap(self.accepted).unwrap().into_inner().unwrap()
    }
}

/// A member of the group `g` that comes back whenever its socket ends.
pub fn member(address: Address, seen: Arc<Seen>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            read(&address.stream("group_id=g"), |event| seen.add(event)).await;
        }
    })
}

/// A reader that comes back with the cursor of the last event that it had. A cursor that is refused (410) begins anew.
pub fn reader(address: Address, seen: Arc<Seen>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut from = "earliest".to_owned();
        loop {
            let url = address.stream(&format!("cursor=true&from={from}"));
            let opened = read(&url, |event| {
                seen.add(event);
                event["cursor"].as_str().unwrap().clone_into(&mut from);
            });
            if opened.await == Opened::Gone {
                seen.gone.fetch_add(1, Ordering::SeqCst);
                "earliest".clone_into(&mut from);
            }
        }
    })
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    /// It was opened, and has ended.
    Ended,
    Refused,
    /// 410.
    Gone,
}

async fn read(url: &str, mut take: impl FnMut(&Value)) -> Opened {
    let connected = timeout(ANSWER, tokio_tungstenite::connect_async(url)).await;
    let mut socket = match connected {
        Ok(Ok((socket, _))) => socket,
        refused => {
            tokio::time::sleep(AGAIN).await;
            let is_gone = matches!(
                refused,
                Ok(Err(tokio_tungstenite::tungstenite::Error::Http(answer))) if answer.status() == 410
            );
            return if is_gone { Opened::Gone } else { Opened::Refused };
        }
    };
    while let Ok(Some(Ok(message))) = timeout(SILENCE, socket.next()).await {
        match message {
            Message::Text(text) => take(&serde_json::from_str(&text).unwrap()),
            Message::Close(_) => break,
            _ => {}
        }
    }
    Opened::Ended
}

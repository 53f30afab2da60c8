//! Kafka says, for a moment, that it has no brokers; clients of librdkafka forget them all, and never ask again by themselves.
//!
//! A Kafka of one broker says so when it has stood still for longer than its controller waits, and leads many topics
//! (`scripts/bench kafka` does that). Here a proxy takes the brokers out of its answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::{
    collections::HashSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use common::{PATIENCE, payloads, record};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_log::{Follow, Log, Position, ReadLimit, Retention, Topic};
use sockeye_parts::kafka::Kafka;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::Instant,
};

/// Between clients and Kafka; it ends with the runtime.
struct Proxy {
    port: u16,
    hides: watch::Sender<bool>,
    /// Connections that have ended behind an answer without brokers.
    forgotten: watch::Receiver<usize>,
}

/// Numbers of questions for metadata that were not answered yet.
type Asked = Arc<Mutex<HashSet<[u8; 4]>>>;

// ----------------------------------------------------------------------------------------------

impl Proxy {
    /// Leads to the port that it is told.
    async fn new(to: watch::Receiver<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hides, hidden) = watch::channel(false);
        let (forget, forgotten) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (kafka, hidden, forget) = (*to.borrow(), hidden.clone(), forget.clone());
                tokio::spawn(async move {
                    let Ok(kafka) = TcpStream::connect((Ipv4Addr::LOCALHOST, kafka)).await else {
                        return;
                    };
                    let ((questions, client), (answers, kafka)) = (client.into_split(), kafka.into_split());
                    let asked = Asked::default();
                    let mut has_hidden = false;
                    tokio::select! {
                        () = ask(questions, kafka, asked.clone()) => {}
                        () = answer(answers, client, asked, &hidden, &mut has_hidden) => {}
                    }
                    forget.send_modify(|count| *count += usize::from(has_hidden));
                });
            }
        });
        Self { port, hides, forgotten }
    }
}

async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut frame = vec![0; length as usize];
    from.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn send(to: &mut OwnedWriteHalf, frame: &[u8]) -> Option<()> {
    to.write_u32(u32::try_from(frame.len()).unwrap()).await.ok()?;
    to.write_all(frame).await.ok()
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: Asked) {
    const METADATA: [u8; 2] = [0, 3];
    while let Some(frame) = frame(&mut from).await {
        // Kind, version, number.
        if frame[..2] == METADATA {
            assert!(frame[3] >= 9, "answers of this version are written otherwise");
            asked.lock().unwrap().insert(frame[4..8].try_into().unwrap());
        }
        if send(&mut to, &frame).await.is_none() {
            return;
        }
    }
}

async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    asked: Asked,
    hides: &watch::Receiver<bool>,
    has_hidden: &mut bool,
) {
    while let Some(mut frame) = frame(&mut from).await {
        let is_metadata = asked.lock().unwrap().remove(&frame[..4]);
        if is_metadata && *hides.borrow() {
            frame = without_brokers(&frame);
            *has_hidden = true;
        }
        if send(&mut to, &frame).await.is_none() {
            return;
        }
    }
}

/// Of an answer of version 9 or later (<https://kafka.apache.org/protocol#The_Messages_Metadata>).
fn without_brokers(answer: &[u8]) -> Vec<u8> {
    // Number, tags (none), throttling; then the brokers.
    let (head, mut rest) = answer.split_at(4 + 1 + 4);
    let count = varint(&mut rest) - 1;
    for _ in 0..count {
        rest = &rest[4..];
        // Its host and, behind the port, its rack: nothing is a length of 0, else it is one more than the length.
        let host = varint(&mut rest) - 1;
        rest = &rest[host + 4..];
        let rack = varint(&mut rest).saturating_sub(1);
        rest = &rest[rack..];
        assert_eq!(varint(&mut rest), 0, "no tags");
    }
    [head, &[1], rest].concat()
}

fn varint(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

// ----------------------------------------------------------------------------------------------

/// A node and its follower, which is opened anew where it must.
struct Node {
    log: KafkaLog,
    topic: Topic,
    follower: Option<Box<dyn Follow>>,
    at: Position,
}

impl Node {
    /// Stores until it is stored; the follower and a reader have it.
    async fn works(&mut self, payload: &'static str) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.log.append(&self.topic, vec![record(&[], payload)]).await {
            assert!(Instant::now() < deadline, "{payload} is stored: {error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let from = self.at.clone();
        let followed = tokio::time::timeout(PATIENCE, self.next()).await;
        // What was not acknowledged may have been stored.
        assert_eq!(
            followed.unwrap_or_default().first().map(String::as_str),
            Some(payload),
            "followed"
        );
        loop {
            match self.log.read(&self.topic, &from, ReadLimit::default()).await {
                Ok(batch) => return assert_eq!(payloads(&batch.records)[0], payload, "read"),
                Err(error) => assert!(Instant::now() < deadline, "{payload} is read: {error}"),
            }
        }
    }

    async fn next(&mut self) -> Vec<String> {
        loop {
            let Some(follower) = &mut self.follower else {
                self.follower = self.log.follow(&self.topic, &self.at).await.ok();
                continue;
            };
            match follower.next().await {
                Ok(batch) => {
                    self.at = batch.next;
                    if !batch.records.is_empty() {
                        return payloads(&batch.records);
                    }
                }
                Err(_) => self.follower = None,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_have_forgotten_all_brokers_are_reminded_of_them() {
    let (port, to) = watch::channel(0);
    let mut proxy = Proxy::new(to).await;
    let Some(kafka) = Kafka::start_behind(proxy.port).unwrap() else {
        return;
    };
    port.send_replace(kafka.port());
    let options = KafkaOptions {
        bootstrap: format!("127.0.0.1:{}", proxy.port),
        ..KafkaOptions::default()
    };
    let log = KafkaLog::new(&options).unwrap();
    let topic = Topic::events_of("forgotten");
    log.create_topic(&topic, Retention::default()).await.unwrap();
    let at = log.span(&topic).await.unwrap().end;
    let follower = log.follow(&topic, &at).await.unwrap();
    let mut node = Node {
        log,
        topic,
        follower: Some(follower),
        at,
    };
    node.works("before").await;

    for payload in ["after", "and again"] {
        // Who produces and who follows ask every few seconds.
        let before = *proxy.forgotten.borrow();
        proxy.hides.send_replace(true);
        let forgotten = proxy.forgotten.wait_for(|forgotten| *forgotten >= before + 2);
        tokio::time::timeout(PATIENCE, forgotten)
            .await
            .expect("clients forget")
            .unwrap();
        proxy.hides.send_replace(false);
        node.works(payload).await;
    }
}

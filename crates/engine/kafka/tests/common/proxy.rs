//! A proxy between clients and Kafka that changes what Kafka answers.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use sockeye_parts::kafka::Kafka;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What it says that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// There are no brokers.
    NoBrokers,
    /// The numbers of records do not follow each other.
    OutOfOrder,
}

/// It ends with the runtime.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) lie: watch::Sender<Lie>,
    /// Connections that have ended behind a lie.
    pub(crate) deceived: watch::Receiver<usize>,
}

/// Kinds of questions that were not answered yet, by their numbers: those that are answered otherwise.
type Asked = Arc<Mutex<HashMap<[u8; 4], Lie>>>;

// ----------------------------------------------------------------------------------------------

/// A Kafka behind such a proxy; `None`, said loudly, where it cannot be had.
pub(crate) async fn start() -> Option<(Proxy, Kafka)> {
    let (port, to) = watch::channel(0);
    let proxy = Proxy::new(to).await;
    let kafka = Kafka::start_behind(proxy.port).unwrap()?;
    port.send_replace(kafka.port());
    Some((proxy, kafka))
}

impl Proxy {
    /// Leads to the port that it is told.
    async fn new(to: watch::Receiver<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lie, told) = watch::channel(Lie::None);
        let (deceive, deceived) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (kafka, told, deceive) = (*to.borrow(), told.clone(), deceive.clone());
                tokio::spawn(async move {
                    let Ok(kafka) = TcpStream::connect((Ipv4Addr::LOCALHOST, kafka)).await else {
                        return;
                    };
                    let ((questions, client), (answers, kafka)) = (client.into_split(), kafka.into_split());
                    let asked = Asked::default();
                    let mut has_lied = false;
                    tokio::select! {
                        () = ask(questions, kafka, asked.clone()) => {}
                        () = answer(answers, client, asked, &told, &mut has_lied) => {}
                    }
                    deceive.send_modify(|count| *count += usize::from(has_lied));
                });
            }
        });
        Self { port, lie, deceived }
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
    const PRODUCE: [u8; 2] = [0, 0];
    const METADATA: [u8; 2] = [0, 3];
    while let Some(frame) = frame(&mut from).await {
        // Kind, version, number.
        let kind = match [frame[0], frame[1]] {
            METADATA => Some(Lie::NoBrokers),
            PRODUCE => Some(Lie::OutOfOrder),
            _ => None,
        };
        if let Some(kind) = kind {
            assert!(frame[3] >= 9, "answers of this version are written otherwise");
            asked.lock().unwrap().insert(frame[4..8].try_into().unwrap(), kind);
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
    told: &watch::Receiver<Lie>,
    has_lied: &mut bool,
) {
    while let Some(mut frame) = frame(&mut from).await {
        let lie = *told.borrow();
        if asked.lock().unwrap().remove(&frame[..4]) == Some(lie) {
            *has_lied = true;
            frame = match lie {
                Lie::OutOfOrder => out_of_order(frame),
                _ => without_brokers(&frame),
            };
        }
        if send(&mut to, &frame).await.is_none() {
            return;
        }
    }
}

/// Of an answer of version 9 or later, for one topic and one partition (<https://kafka.apache.org/protocol#The_Messages_Produce>).
fn out_of_order(mut answer: Vec<u8>) -> Vec<u8> {
    const OUT_OF_ORDER_SEQUENCE_NUMBER: [u8; 2] = [0, 45];
    // Number, tags (none), topics.
    let mut rest = &answer[4 + 1..];
    assert_eq!(varint(&mut rest) - 1, 1, "one topic");
    let name = varint(&mut rest) - 1;
    rest = &rest[name..];
    assert_eq!(varint(&mut rest) - 1, 1, "one partition");
    // Behind its number.
    let code = answer.len() - rest.len() + 4;
    answer[code..code + 2].copy_from_slice(&OUT_OF_ORDER_SEQUENCE_NUMBER);
    answer
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

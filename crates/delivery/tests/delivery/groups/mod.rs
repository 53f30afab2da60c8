//! Groups over pipes: each event goes to one member, and none is lost.

mod acknowledgements;
mod members;
mod positions;
mod sharing;

use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use sockeye_delivery::{Balance, End, EnterError, Joining, Receipts, Seat, Selection};
use sockeye_log::GroupId;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Received;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::world::{Client, Plain, PlainFrames, World, next, topic};

/// More than a group takes to store what was receipted.
const SETTLED: Duration = Duration::from_secs(3);

const CLIENT: Receipts = Receipts::Client {
    time: Duration::from_secs(30),
};

pub(crate) fn joining(group: &str) -> Joining {
    Joining {
        topic: topic(),
        group: group.into(),
        selection: Selection::default(),
        balance: Balance::Any,
        receipts: Receipts::Pong,
        deflate: false,
        name: None,
    }
}

fn acknowledging(group: &str) -> Joining {
    Joining {
        receipts: CLIENT,
        ..joining(group)
    }
}

fn identity(group: &str) -> GroupId {
    GroupId {
        application: "app".into(),
        group: group.into(),
        selection: String::new(),
    }
}

async fn enter(world: &World, joining: Joining) -> Result<Seat, EnterError> {
    world.delivery.join(joining, Arc::new(PlainFrames)).await
}

/// Serves a member over a pipe of this many bytes.
pub(crate) async fn open(world: &World, joining: Joining, pipe: usize) -> (tokio::io::DuplexStream, JoinHandle<End>) {
    let deflate = joining.deflate;
    let seat = enter(world, joining).await.unwrap();
    let (client, server) = tokio::io::duplex(pipe);
    let delivery = world.delivery.clone();
    let end = tokio::spawn(async move { delivery.serve(server, seat, Plain, deflate).await });
    (client, end)
}

async fn member_of(world: &World, joining: Joining) -> (Client, JoinHandle<End>) {
    let (client, end) = open(world, joining, 1 << 16).await;
    (WebSocketStream::from_raw_socket(client, Role::Client, None).await, end)
}

async fn member(world: &World, group: &str) -> Client {
    member_of(world, joining(group)).await.0
}

/// The next events of a member.
async fn take(client: &mut Client, count: usize) -> Vec<usize> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let message = next(client).await;
        taken.push(message.to_text().unwrap().parse().unwrap());
    }
    taken
}

/// What a member gets, answering Pings, until it gets nothing for a while.
async fn take_all(client: &mut Client) -> Vec<usize> {
    let mut taken = Vec::new();
    while let Ok(mut some) = timeout(SETTLED, take(client, 1)).await {
        taken.append(&mut some);
    }
    taken
}

async fn say(client: &mut Client, text: &str) {
    client.send(Received::text(text.to_owned())).await.unwrap();
}

/// Ends a connection as a client that crashes does.
async fn kill(client: Client, end: JoinHandle<End>) {
    drop(client);
    end.await.unwrap();
}

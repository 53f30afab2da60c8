//! What one writes first for filters: a task for each socket, which makes a tree of each message, looks at it, and prints it anew.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::broadcast::{self, error::RecvError},
};
use tokio_tungstenite::tungstenite::Message;

use super::control::{self, ACCEPTED};
use crate::delivery::FILTERS;

/// Messages that wait for the slowest socket.
const QUEUE: usize = 1024;

// ----------------------------------------------------------------------------------------------

/// Sockets and publishers share the address: what begins with POST publishes.
#[tokio::main(flavor = "current_thread")]
pub async fn serve() -> Result<()> {
    static SOCKETS: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    let (publish, _) = broadcast::channel(QUEUE);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let publish = publish.clone();
        // A connection that breaks is the load's to notice.
        tokio::spawn(async move {
            let mut first = [0];
            match stream.peek(&mut first).await {
                Ok(1) if first == *b"P" => control(stream, publish).await,
                _ => {
                    let least = SOCKETS.fetch_add(1, Ordering::Relaxed) % FILTERS;
                    socket(stream, publish.subscribe(), least as f64).await
                }
            }
        });
    }
}

async fn control(mut stream: TcpStream, publish: broadcast::Sender<Bytes>) -> Result<()> {
    let mut inbox = Vec::new();
    while stream.read_buf(&mut inbox).await? > 0 {
        while let Some(request) = control::first(&inbox) {
            let (body, length) = (Bytes::copy_from_slice(request.body), request.length);
            let _ = publish.send(body);
            inbox.drain(..length);
            stream.write_all(ACCEPTED).await?;
        }
    }
    Ok(())
}

/// Messages whose temperature is at least this.
async fn socket(stream: TcpStream, mut messages: broadcast::Receiver<Bytes>, least: f64) -> Result<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(bytes) => {
                    let tree: Value = serde_json::from_slice(&bytes)?;
                    if tree["temperature"].as_f64().is_some_and(|value| value >= least) {
                        socket.send(Message::text(tree.to_string())).await?;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            incoming = socket.next() => match incoming {
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
        }
    }
}

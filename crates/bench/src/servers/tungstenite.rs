//! What one writes first: tokio-tungstenite, a task for each socket, and a broadcast channel.

use std::net::SocketAddr;

use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::broadcast::{self, error::RecvError},
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::control::{self, ACCEPTED};

/// Messages that wait for the slowest socket.
const QUEUE: usize = 1024;

// ----------------------------------------------------------------------------------------------

/// Sockets and publishers share the address: what begins with POST publishes.
#[tokio::main(flavor = "current_thread")]
pub async fn serve() -> Result<()> {
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
                _ => socket(stream, publish.subscribe()).await,
            }
        });
    }
}

async fn control(mut stream: TcpStream, publish: broadcast::Sender<Utf8Bytes>) -> Result<()> {
    let mut inbox = Vec::new();
    while stream.read_buf(&mut inbox).await? > 0 {
        while let Some(request) = control::first(&inbox) {
            let (body, length) = (String::from_utf8_lossy(request.body).into_owned(), request.length);
            let _ = publish.send(body.into());
            inbox.drain(..length);
            stream.write_all(ACCEPTED).await?;
        }
    }
    Ok(())
}

async fn socket(stream: TcpStream, mut messages: broadcast::Receiver<Utf8Bytes>) -> Result<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(text) => socket.send(Message::Text(text)).await?,
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

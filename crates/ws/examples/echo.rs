#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that says what it does"
)]
//! A server that sends back what it gets, compressed if the client offers it, for conformance suites such as Autobahn's.
//!
//! ```text
//! cargo run --release -p sockeye-ws --example echo -- 127.0.0.1:9001
//! ```

use bytes::BytesMut;
use sockeye_ws::{
    Connection, Incoming,
    deflate::{self, Deflater},
    frame, handshake,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Above the largest message of Autobahn's cases 9 and 10 (16 MiB).
const MESSAGE: usize = 64 * 1024 * 1024;
const READ: usize = 64 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::new();
    let mut connection = Connection::new(MESSAGE);
    let mut deflater = None;
    if upgrade(&mut stream, &mut input).await? {
        connection = connection.with_deflate();
        deflater = Some(Deflater::default());
    }
    while !connection.is_over() {
        let answer = match connection.receive(&mut input) {
            Ok(None) => {
                input.reserve(READ);
                if stream.read_buf(&mut input).await? == 0 {
                    break;
                }
                continue;
            }
            Ok(Some(Incoming::Text(text))) => Some(frame::text(&text)),
            Ok(Some(Incoming::Binary(data))) => Some(frame::binary(&data)),
            Ok(Some(Incoming::Ping(data))) => Some(frame::pong(&data)),
            Ok(Some(Incoming::Pong(_))) => None,
            Ok(Some(Incoming::Close(close))) => connection.close_back(close.as_ref()),
            Err(error) => connection.close(error.close_code(), &error.to_string()),
        };
        if let Some(answer) = answer {
            let deflated = deflater.as_mut().and_then(|deflater| deflater.deflated(&answer));
            let answer = deflated.unwrap_or(answer);
            stream.write_all(&answer).await?;
        }
    }
    // The server closes first (RFC 6455 section 7.1.1).
    stream.shutdown().await
}

/// Reads the request and accepts it; whether permessage-deflate is agreed on.
async fn upgrade(stream: &mut TcpStream, input: &mut BytesMut) -> std::io::Result<bool> {
    let end = loop {
        if let Some(at) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(input).await? == 0 {
            return Err(std::io::Error::other("no request"));
        }
    };
    let head = input.split_to(end);
    let mut headers = http::HeaderMap::new();
    for line in String::from_utf8_lossy(&head).lines().skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.trim().parse())
        {
            headers.append(name, value);
        }
    }
    let key = handshake::accept(&http::Method::GET, &headers).map_err(std::io::Error::other)?;
    let extensions = deflate::agree(&headers).map_err(std::io::Error::other)?;
    let extension = match extensions.as_ref().and_then(|value| value.to_str().ok()) {
        Some(value) => format!("Sec-WebSocket-Extensions: {value}\r\n"),
        None => String::new(),
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {key}\r\n{extension}\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(extensions.is_some())
}

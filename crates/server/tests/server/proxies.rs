//! Proxies before the server: who is believed stands in the log as the client.

use std::net::SocketAddr;

use sockeye_server::{Config, ProxyConfig, ProxySpeaks, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config;

/// What comes back for these bytes, until the server closes.
async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    // It may be reset while it is still read: that is no answer.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn start(folder: &std::path::Path, trusted: &str) -> Server {
    let config = Config {
        proxy: ProxyConfig {
            trusted: vec![trusted.parse().unwrap()],
            speaks: ProxySpeaks::ProxyProtocol,
        },
        ..config(folder)
    };
    Server::start(config).await.unwrap()
}

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_trusted_proxy_speaks_before_its_client_and_nobody_else_does() {
    let second = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[192, 0, 2, 1, 10, 0, 0, 1, 1, 2, 3, 4],
    ]
    .concat();
    let first = &b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"[..];
    for (trusted, with_header) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path(), trusted).await;
        for header in [first, &second] {
            let answer = send(server.http_address(), &[header, REQUEST].concat()).await;
            assert_eq!(answer.starts_with("HTTP/1.1 200"), with_header, "{trusted}: {answer}");
        }
        let answer = send(server.http_address(), REQUEST).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200"), !with_header, "{trusted}: {answer}");
        // The other listener has no proxies before it.
        let answer = send(server.metrics_address().unwrap(), REQUEST).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        server.stop().await;
    }
}

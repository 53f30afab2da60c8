//! What is connected to, and what is sent there.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{request::Template, stream::Tls};

/// A WebSocket to open, many times.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the server listens.
    pub address: SocketAddr,
    /// What the server calls itself: the header `Host`.
    pub host: String,
    /// How to speak TLS, where the server does.
    pub tls: Option<Tls>,
    /// Path and query.
    pub path: String,
    /// A user and an access key.
    pub login: Option<(String, String)>,
    /// More lines of the head of the upgrade, each with its end.
    pub headers: String,
    /// The first messages that each client sends.
    pub hello: Vec<Vec<u8>>,
    /// A client is ready when this was among what it received; without it, after the upgrade.
    pub ready: Option<Vec<u8>>,
}

/// How events are published.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// Where they are published.
    pub address: SocketAddr,
    /// How to speak TLS, where the server does.
    pub tls: Option<Tls>,
    /// How many connections.
    pub connections: usize,
    /// Requests on their way at a time, on each of them.
    pub pipelined: usize,
    /// Sent on each new connection.
    pub hello: Vec<u8>,
    /// What is sent for each event, or batch of events.
    pub request: Template,
    /// Whether each request has an answer (HTTP, status 2xx); else it counts as answered once it is sent.
    pub answered: bool,
}

// ----------------------------------------------------------------------------------------------

impl Target {
    /// A socket that is open and ready after its upgrade.
    pub fn new(address: SocketAddr, path: impl Into<String>) -> Self {
        Self {
            address,
            host: address.to_string(),
            tls: None,
            path: path.into(),
            login: None,
            headers: String::new(),
            hello: Vec::new(),
            ready: None,
        }
    }

    /// The upgrade (RFC 6455 section 4.1). The key is always the same one: the answer to it is not what is measured.
    pub(crate) fn upgrade(&self) -> Vec<u8> {
        let Self {
            host, path, headers, ..
        } = self;
        let login = self
            .login
            .as_ref()
            .map_or_else(String::new, |(user, key)| basic(user, key));
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{login}{headers}\r\n"
        )
        .into_bytes()
    }
}

impl Publishing {
    /// Requests over HTTP, one at a time on each of these connections.
    pub fn http(address: SocketAddr, connections: usize, request: Template) -> Self {
        Self {
            address,
            tls: None,
            connections,
            pipelined: 1,
            hello: Vec::new(),
            request,
            answered: true,
        }
    }
}

/// The header line of a login.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        STANDARD.encode(format!("{user}:{password}"))
    )
}

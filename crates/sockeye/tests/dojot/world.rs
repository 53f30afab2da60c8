//! A server with clients of dojot, as these do it: a ticket by HTTP, then a socket with it.

use std::path::Path;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

use crate::support::{self, APP, DEVICE, PASSWORD, Server, Socket, closed, next_event};

/// The claim `iss` of the tokens that are made here, and the key that belongs to it.
pub const ISSUER: &str = "kong-of-tests";
pub const SECRET: &str = "s3cret of the gateway";

pub struct World {
    pub server: Server,
    pub http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With more flags of the server.
    pub fn with(flags: &[&str]) -> Self {
        Self::changed(|command| {
            command.args(flags);
        })
    }

    /// With changes to the command that starts the server.
    pub fn changed(change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self::start(folder.path(), change);
        server.make_device();
        Self {
            server,
            http: support::http(),
            _folder: folder,
        }
    }

    fn start(folder: &Path, change: impl FnOnce(&mut Command)) -> Server {
        let secrets = folder.join("secrets.json");
        std::fs::write(&secrets, json!({ ISSUER: SECRET }).to_string()).unwrap();
        Server::start_with(&folder.join("data"), |command| {
            command.arg("--dojot-secrets").arg(secrets);
            change(command);
        })
    }

    /// A user's token as dojot's own service signs it.
    pub fn token(tenant: &str, expires: i64) -> String {
        Self::signed(&json!({"iss": ISSUER, "service": tenant, "exp": expires}), SECRET)
    }

    pub fn signed(claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Seconds since 1970, in so many.
    pub fn in_seconds(seconds: i64) -> i64 {
        Timestamp::now().as_second() + seconds
    }

    /// A ticket of the tenant `app`.
    pub async fn ticket(&self) -> String {
        self.ticket_of(&Self::token(APP, Self::in_seconds(600))).await
    }

    pub async fn ticket_of(&self, token: &str) -> String {
        let answer = self.http.get(format!("{}/kafka-ws/v1/ticket", self.server.url));
        let answer = answer
            .header("Authorization", format!("Bearer {token}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        body["ticket"].as_str().unwrap().to_owned()
    }

    /// Opens a topic with a fresh ticket, with these parameters as they stand.
    pub async fn open(&self, topic: &str, query: &str) -> Socket {
        let ticket = self.ticket().await;
        self.open_with(&ticket, topic, query).await.unwrap()
    }

    pub async fn open_with(&self, ticket: &str, topic: &str, query: &str) -> tungstenite::Result<Socket> {
        // What the client of these tests cannot send as it stands; `raw_characters_of_a_query_are_understood` does.
        let query = query.replace('"', "%22").replace('<', "%3C").replace('>', "%3E");
        let path = format!("kafka-ws/v1/topics/{topic}?ticket={ticket}&{query}");
        self.server.connect(&path, None).await
    }

    /// As [`World::open`], by hand, with every character as it stands.
    pub async fn open_raw(&self, topic: &str, query: &str) -> TcpStream {
        let ticket = self.ticket().await;
        let mut raw = self
            .send_raw(&format!("/kafka-ws/v1/topics/{topic}?ticket={ticket}&{query}"), b"")
            .await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(raw.read_u8().await.unwrap());
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        raw
    }

    /// Sends a handshake, and this behind it.
    pub async fn send_raw(&self, path: &str, behind: &[u8]) -> TcpStream {
        let address = self.server.url.strip_prefix("http://").unwrap();
        let mut raw = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        raw.write_all(&[head.as_bytes(), behind].concat()).await.unwrap();
        raw
    }

    /// How a socket is closed that is opened so.
    pub async fn closed(&self, topic: &str, query: &str) -> (u16, String) {
        closed(&mut self.open(topic, query).await).await
    }

    /// Publishes as the device, in the bytes given.
    pub async fn publish(&self, channel: &str, payload: impl Into<String>) {
        let answer = self.http.post(format!("{}/v1/{channel}", self.server.url));
        let answer = answer.basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD));
        let answer = answer.header("Content-Type", "application/json").body(payload.into());
        let status = answer.send().await.unwrap().status();
        assert_eq!(status, 202);
    }

    /// What a socket gets of messages on a channel, up to the one that tells the end.
    pub async fn until_end(&self, socket: &mut Socket, channel: &str) -> Vec<Value> {
        self.publish(channel, r#"{"end":true}"#).await;
        let mut got = Vec::new();
        loop {
            let message = next_event(socket).await;
            if message == json!({"end": true}) {
                return got;
            }
            got.push(message);
        }
    }
}

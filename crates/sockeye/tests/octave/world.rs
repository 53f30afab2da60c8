//! A server with the application `app` and its device `dev`, and clients of Octave.

use std::path::Path;
use std::process::Command;

use futures_util::{FutureExt as _, SinkExt as _};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{self, APP, Server, Socket, next_event, next_message};

/// The path of a stream of the device.
pub const PATH: &str = "/app/devices/dev/temperature";

pub struct World {
    pub server: Server,
    pub http: reqwest::Client,
    pub user: String,
    pub key: String,
}

/// One socket.
pub struct Client {
    pub socket: Socket,
}

// ----------------------------------------------------------------------------------------------

impl World {
    pub fn new(folder: &Path) -> Self {
        Self::with(folder, |_| {})
    }

    pub fn with(folder: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let server = Server::start_with(folder, change);
        server.make_device();
        let (user, key) = server
            .admin()
            .split_once(':')
            .map(|(user, key)| (user.to_owned(), key.to_owned()))
            .unwrap();
        Self {
            server,
            http: support::http(),
            user,
            key,
        }
    }

    /// `POST /session` with these headers; status and answer.
    pub async fn session_with(&self, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.http.post(format!("{}/session", self.server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        told(request.send().await.unwrap()).await
    }

    /// The id of a session of the administrator.
    pub async fn session(&self) -> String {
        let headers = [
            ("X-Auth-User", &*self.user),
            ("X-Auth-Token", &self.key),
            ("X-Auth-Company", APP),
        ];
        let (status, answer) = self.session_with(&headers).await;
        assert_eq!(status, 201, "{answer}");
        answer["body"]["id"].as_str().unwrap().to_owned()
    }

    /// A socket of this session.
    pub async fn open(&self, session: &str) -> Client {
        let socket = self
            .server
            .connect(&format!("session/{session}/ws"), None)
            .await
            .unwrap();
        Client { socket }
    }

    /// A socket of a session of its own.
    pub async fn client(&self) -> Client {
        self.open(&self.session().await).await
    }

    /// A call below `/v5.0/app` as the administrator.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self
            .http
            .request(method, format!("{}/v5.0/app/{path}", self.server.url));
        request = request
            .header("X-Auth-User", &self.user)
            .header("X-Auth-Token", &self.key);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        told(request.send().await.unwrap()).await
    }

    /// As [`World::call`]; the body of what was answered with this status.
    pub async fn done(&self, status: u16, method: Method, path: &str, body: Option<Value>) -> Value {
        let (found, answer) = self.call(method, path, body).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert_eq!(answer["head"]["status"], status);
        answer["body"].clone()
    }

    /// A topic of dojot, as its clients open it.
    pub async fn dojot(&self, topic: &str) -> Socket {
        let login = json!({"username": self.user, "passwd": self.key}).to_string();
        let login = self.http.post(format!("{}/auth", self.server.url)).body(login);
        let (_, answer) = told(login.send().await.unwrap()).await;
        let ticket = self.http.get(format!("{}/kafka-ws/v1/ticket", self.server.url));
        let ticket = ticket.bearer_auth(answer["jwt"].as_str().unwrap());
        let (_, answer) = told(ticket.send().await.unwrap()).await;
        let path = format!(
            "kafka-ws/v1/topics/{topic}?ticket={}",
            answer["ticket"].as_str().unwrap()
        );
        self.server.connect(&path, None).await.unwrap()
    }

    /// Publishes as the device.
    pub async fn publish(&self, channel: &str, payload: &Value) {
        assert_eq!(self.server.publish(&self.http, channel, payload).await.unwrap(), 202);
    }

    pub fn device(&self, name: &str) {
        self.server
            .cli_ok(&["device", "create", APP, name, "--password", "secret-password"]);
    }
}

impl Client {
    pub async fn say(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).await.unwrap();
    }

    /// The next frame that is no control frame.
    pub async fn next(&mut self) -> Value {
        next_event(&mut self.socket).await
    }

    /// What is answered to a request.
    pub async fn ask(&mut self, request: Value) -> Value {
        self.say(request.to_string()).await;
        self.next().await
    }

    /// A request that is done.
    pub async fn done(&mut self, request: Value) {
        let answer = self.ask(request.clone()).await;
        assert_eq!(answer["head"]["ok"], true, "{request}: {answer}");
        assert_eq!(answer["head"]["msgId"], request["msgId"]);
        assert_eq!(answer["body"], json!({}));
    }

    pub async fn subscribe(&mut self, path: &str) {
        self.done(json!({"msgId": 1, "object": "event", "type": "subscribe", "path": path}))
            .await;
    }

    pub async fn unsubscribe(&mut self, path: &str) {
        self.done(json!({"msgId": 2, "object": "event", "type": "unsubscribe", "path": path}))
            .await;
    }

    /// A request that is not done, with this status; what is told.
    pub async fn refused(&mut self, status: u16, request: Value) -> String {
        let answer = self.ask(request.clone()).await;
        refused(&answer, status, &request["msgId"])
    }

    /// The next event; its elements.
    pub async fn elements(&mut self) -> Value {
        let event = self.next().await;
        assert_eq!(event["type"], "message", "{event}");
        event["value"]["elems"].clone()
    }

    /// Nothing has come that is not looked at yet: what is asked now is answered next.
    pub async fn is_silent(&mut self) {
        self.done(json!({"msgId": "mark", "type": "heartbeat"})).await;
        loop {
            match next_message(&mut self.socket).now_or_never() {
                None => return,
                Some(Message::Ping(_)) => {}
                Some(other) => panic!("not expected: {other:?}"),
            }
        }
    }
}

/// Looks at a failure acknowledgement (compat/octave.md 5.2); its text.
pub fn refused(answer: &Value, status: u16, message: &Value) -> String {
    assert_eq!(answer["head"]["ok"], false, "{answer}");
    assert_eq!(answer["head"]["status"], status, "{answer}");
    assert_eq!(answer["head"].get("msgId"), Some(message), "{answer}");
    assert_eq!(answer["body"], json!({}), "{answer}");
    let errors = answer["head"]["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer}");
    errors[0].as_str().unwrap().to_owned()
}

pub async fn told(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status, answer)
}

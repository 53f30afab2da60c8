//! A real `sockeye serve` as a process, and what tests do with it.

#![allow(dead_code, reason = "each test uses its part")]

pub mod engines;

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use sockeye_engine_kafka::{KafkaLog, KafkaOptions};
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_event::{Event, binary, event::TYPE_REGISTRY};
use sockeye_log::{Log, ReadError, ReadLimit, Record, Topic};
use sockeye_parts::certificate::Certificate;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// Nothing that is waited for here takes longer on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const APP: &str = "app";
pub const DEVICE: &str = "dev";
pub const PASSWORD: &str = "dev-password";

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    data: PathBuf,
    /// Kept open: what the server goes on to say must not break its pipe.
    output: Lines<BufReader<ChildStdout>>,
    /// `http://127.0.0.1:port`, or `https://..`
    pub url: String,
    /// What a client has to trust, where it is https.
    pub certificate: Option<PathBuf>,
}

// ----------------------------------------------------------------------------------------------

impl Server {
    /// Starts a server on this folder and waits until it listens.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {})
    }

    /// As [`Server::start`], with changes to the command.
    pub fn start_with(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = sockeye();
        command.args([
            "serve",
            "--http-bind",
            "127.0.0.1:0",
            "--metrics-bind",
            "off",
            "--log-level",
            "warn",
            "--data",
        ]);
        command.arg(data).stdout(Stdio::piped());
        engines::choose(data, &mut command);
        change(&mut command);
        let mut child = command.spawn().expect("the binary starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = output
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_whitespace()
                    .find(|word| word.starts_with("http"))
                    .map(str::to_owned)
            })
            .unwrap_or_else(|| panic!("the server ended without listening: {:?}", child.wait()));
        Self {
            child,
            data: data.to_owned(),
            output,
            url,
            certificate: None,
        }
    }

    /// As [`Server::with_device`], over TLS, with a certificate made for this run.
    pub fn with_tls(folder: &Path) -> Self {
        let files = Certificate::make(folder).expect("a certificate can be made");
        let mut server = Self::start_with(&folder.join("data"), |command| {
            command.arg("--tls-certificate").arg(&files.certificate);
            command.arg("--tls-key").arg(&files.key);
        });
        server.certificate = Some(files.certificate);
        server.make_device();
        server
    }

    /// As [`Server::start`], with an application `app` and a device in it.
    pub fn with_device(data: &Path) -> Self {
        let server = Self::start(data);
        server.make_device();
        server
    }

    /// Makes an application `app` and a device in it.
    pub fn make_device(&self) {
        self.cli_ok(&["app", "create", APP]);
        self.cli_ok(&["device", "create", APP, DEVICE, "--password", PASSWORD]);
    }

    /// Where the numbers are, if it was started with `--metrics-bind`.
    pub fn metrics_url(&mut self) -> String {
        self.said("metrics: ")
    }

    /// What stands behind these words in what it says at its start.
    pub fn said(&mut self, words: &str) -> String {
        let said = self.output.by_ref().map_while(Result::ok);
        let mut found = said.filter_map(|line| Some(line.strip_prefix(words)?.to_owned()));
        found.next().expect("it says so")
    }

    /// The administrator's `user:key`.
    pub fn admin(&self) -> String {
        std::fs::read_to_string(self.data.join("admin-key"))
            .expect("the server wrote it")
            .trim()
            .to_owned()
    }

    /// Runs the command line against this server as the administrator.
    pub fn cli(&self, words: &[&str]) -> Output {
        let mut command = sockeye();
        command
            .args(words)
            .env("SOCKEYE_URL", &self.url)
            .env("SOCKEYE_KEY_FILE", self.data.join("admin-key"));
        if let Some(certificate) = &self.certificate {
            command.env("SOCKEYE_CA", certificate);
        }
        command.output().expect("the binary starts")
    }

    /// As [`Server::cli`]; what it printed.
    pub fn cli_ok(&self, words: &[&str]) -> String {
        let output = self.cli(words);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("it prints text")
    }

    /// Publishes as the device; the status.
    pub async fn publish(&self, client: &reqwest::Client, channel: &str, payload: &Value) -> reqwest::Result<u16> {
        let answer = client
            .post(format!("{}/v1/{channel}", self.url))
            .basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD))
            .json(payload)
            .send()
            .await?;
        Ok(answer.status().as_u16())
    }

    /// Opens a stream as the administrator.
    pub async fn stream(&self, path: &str) -> Socket {
        let (user, key) = self
            .admin()
            .split_once(':')
            .map(|(u, k)| (u.to_owned(), k.to_owned()))
            .expect("user:key");
        let path = format!(
            "{path}{}username={user}&api_key={key}",
            if path.contains('?') { '&' } else { '?' }
        );
        self.connect(&path, None).await.expect("the stream opens")
    }

    /// Opens a stream with these credentials.
    pub async fn connect(&self, path: &str, authorization: Option<&str>) -> tungstenite::Result<Socket> {
        let mut request = format!("{}/{path}", self.url.replacen("http", "ws", 1)).into_client_request()?;
        if let Some(value) = authorization {
            request
                .headers_mut()
                .insert("Authorization", HeaderValue::from_str(value).expect("a header value"));
        }
        let connector = self.tls().map(Connector::Rustls);
        Ok(
            tokio_tungstenite::connect_async_tls_with_config(request, None, false, connector)
                .await?
                .0,
        )
    }

    /// What a client of this server needs, where it is https.
    pub fn tls(&self) -> Option<Arc<ClientConfig>> {
        let pem = std::fs::read(self.certificate.as_ref()?).expect("it was made");
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.expect("it is one")).expect("it can be trusted");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for them");
        Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without a chance to do anything (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        signal(self.pid(), "TERM");
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, without what the environment of the test says about servers.
pub fn sockeye() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SOCKEYE_")) {
        command.env_remove(name);
    }
    command
}

/// An HTTP client.
pub fn http() -> reqwest::Client {
    // The first test of a process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .expect("kill is there");
    assert!(status.success(), "no process {pid}");
}

/// The next event of a device of a stream, as JSON; what is told of devices themselves is passed over.
pub async fn next_event(socket: &mut Socket) -> Value {
    loop {
        let event = next_event_of_any_type(socket).await;
        if event["type"] != TYPE_REGISTRY {
            return event;
        }
    }
}

/// The next event of a stream, as JSON.
pub async fn next_event_of_any_type(socket: &mut Socket) -> Value {
    loop {
        match next_message(socket).await {
            Message::Text(text) => return serde_json::from_str(&text).expect("an event is JSON"),
            Message::Ping(_) => {}
            other => panic!("not an event: {other:?}"),
        }
    }
}

/// The next message of a stream, whatever it is.
pub async fn next_message(socket: &mut Socket) -> Message {
    tokio::time::timeout(PATIENCE, socket.next())
        .await
        .expect("a message comes in time")
        .expect("the stream goes on")
        .expect("the message is well-formed")
}

/// Code and reason with which a stream is closed; pings and events before it are passed over.
pub async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        match next_message(socket).await {
            Message::Close(frame) => {
                let frame = frame.expect("a close carries a code");
                return (frame.code.into(), frame.reason.to_string());
            }
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("not expected: {other:?}"),
        }
    }
}

/// A payload that says which one it is.
pub fn numbered(number: u64) -> Value {
    json!({ "number": number })
}

/// All events of devices of the application `app`, read by the engine itself where a server on this folder, which has ended, kept them.
pub async fn stored(data: &Path) -> Vec<Event> {
    if let Some(place) = engines::place(data) {
        let options = KafkaOptions {
            bootstrap: engines::kafka().bootstrap(),
            topics: Some(place.topics),
            ..KafkaOptions::default()
        };
        return all_of(&KafkaLog::new(&options).expect("Kafka is there")).await;
    }
    let file = data.join(sockeye_server::DATA_FILE);
    all_of(&SqliteEngine::open(file, Options::default()).expect("the file is sound")).await
}

async fn all_of(log: &dyn Log) -> Vec<Event> {
    let topic = Topic::events_of(APP);
    let deadline = Instant::now() + PATIENCE;
    let span = loop {
        match log.span(&topic).await {
            // A batch that a killed server was in the middle of: Kafka gives it up after its time.
            Err(ReadError::Unavailable(_)) if Instant::now() < deadline => {}
            span => break span.expect("the topic is there"),
        }
    };
    let (mut position, mut events) = (span.oldest, Vec::new());
    while !position.is_at_or_behind(&span.end) {
        let batch = log.read(&topic, &position, ReadLimit::default()).await;
        let batch = batch.expect("the log can be read");
        let event = |record: &Record| binary::decode(&record.headers, record.payload.as_ref());
        let of_devices = batch
            .records
            .iter()
            .map(|record| event(record).expect("what was stored is an event"))
            .filter(|event| event.ty != TYPE_REGISTRY);
        events.extend(of_devices);
        assert!(batch.next != position, "it goes on to the end");
        position = batch.next;
    }
    events
}

//! Sockeye as a server that is measured: a public application, and a device that publishes over HTTP.

use std::{
    fs,
    io::{BufWriter, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use sockeye_load::{Requests, Target, Template};
use sockeye_parts::certificate::Certificate;
use tempfile::TempDir;

use crate::process::Server;

/// A server with an empty data folder, and an application in it.
pub struct Sockeye {
    pub server: Server,
    pub address: SocketAddr,
    /// User and access key of the administrator.
    pub admin: (String, String),
    binary: PathBuf,
    url: String,
    /// Whom the command line trusts.
    ca: Option<PathBuf>,
    /// Removed behind the server.
    folder: TempDir,
}

pub const APPLICATION: &str = "bench";
pub const DEVICE: &str = "d";
const PASSWORD: &str = "bench-password";

// ----------------------------------------------------------------------------------------------

impl Sockeye {
    pub fn start(binary: &Path) -> Result<Self> {
        Self::start_with(binary, None)
    }

    /// As [`Sockeye::start`], over TLS if there is a certificate.
    pub fn start_with(binary: &Path, certificate: Option<&Certificate>) -> Result<Self> {
        let mut words = Vec::new();
        if let Some(files) = certificate {
            let path = |path: &Path| path.to_string_lossy().into_owned();
            words.extend(["--tls-certificate".to_owned(), path(&files.certificate)]);
            words.extend(["--tls-key".to_owned(), path(&files.key)]);
        }
        Self::start_first(binary, &words, certificate.map(|files| files.certificate.clone()))
    }

    /// As [`Sockeye::start`], with these words more.
    pub fn start_on(binary: &Path, words: &[String]) -> Result<Self> {
        Self::start_first(binary, words, None)
    }

    /// Ends it, and starts it again on the same folder.
    pub fn start_again(self, words: &[String]) -> Result<Self> {
        let (binary, ca) = (self.binary, self.ca);
        drop(self.server);
        Self::start_in(self.folder, &binary, words, ca)
    }

    /// Ends it, has its file changed, and starts it again.
    pub fn changed(self, change: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let (binary, ca) = (self.binary, self.ca);
        drop(self.server);
        change(&self.folder.path().join("data").join("sockeye.db"))?;
        Self::start_in(self.folder, &binary, &[], ca)
    }

    fn start_first(binary: &Path, words: &[String], ca: Option<PathBuf>) -> Result<Self> {
        let sockeye = Self::start_in(tempfile::tempdir()?, binary, words, ca)?;
        sockeye.run(&["app", "create", APPLICATION, "--public"])?;
        sockeye.run(&["device", "create", APPLICATION, DEVICE, "--password", PASSWORD])?;
        Ok(sockeye)
    }

    fn start_in(folder: TempDir, binary: &Path, words: &[String], ca: Option<PathBuf>) -> Result<Self> {
        let data = folder.path().join("data");
        let mut command = Command::new(binary);
        command.arg("serve").arg("--data").arg(&data);
        command.args([
            "--http-bind",
            "127.0.0.1:0",
            "--metrics-bind",
            "off",
            "--log-level",
            "warn",
        ]);
        command.args(words);
        let server = Server::start(&mut command, "listens on").context("build it with `cargo build --release`")?;
        let url = server.ready.split(' ').next_back().context("no URL")?;
        let address = url.rsplit('/').next().context("no address")?.parse()?;
        let key = fs::read_to_string(data.join("admin-key"))?;
        let (user, key) = key.trim().split_once(':').context("the key has no user")?;
        Ok(Self {
            address,
            admin: (user.to_owned(), key.to_owned()),
            url: url.to_owned(),
            ca,
            binary: binary.to_owned(),
            folder,
            server,
        })
    }

    /// Runs a command of an operator.
    pub fn run(&self, words: &[&str]) -> Result<()> {
        let mut call = Command::new(&self.binary);
        if let Some(ca) = &self.ca {
            call.env("SOCKEYE_CA", ca);
        }
        let (user, key) = &self.admin;
        let output = call
            .args(words)
            .args(["--url", &self.url])
            .env("SOCKEYE_KEY", format!("{user}:{key}"))
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`sockeye {}` failed: {said}", words.join(" "));
        Ok(())
    }

    /// What the server answers to a request, as JSON. `head`: its first line and headers, without their end.
    pub fn ask(&self, head: &str) -> Result<serde_json::Value> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "{head}\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        serde_json::from_str(body).with_context(|| head.to_owned())
    }

    /// A request to the device endpoint.
    pub fn request(&self, content_type: &str, body: &[u8]) -> Template {
        self.requests()(content_type, body)
    }

    /// Makes such requests, from media type and body.
    pub fn requests(&self) -> Requests {
        let address = self.address;
        let user = format!("{DEVICE}@{APPLICATION}");
        Box::new(move |content_type, body| {
            Template::post(address, "/v1/temperature", Some((&user, PASSWORD)), content_type, body)
        })
    }

    /// A request that publishes a payload with a place for its number.
    pub fn numbered(&self, payload: usize) -> Template {
        self.request("application/json", Template::payload(payload).as_bytes())
    }

    /// What a client opens that asks for these parameters.
    pub fn target(&self, query: &str) -> Target {
        Target::new(self.address, format!("/{APPLICATION}?{query}"))
    }

    /// Publishes so many events; returns when all are on disk.
    pub fn fill(&self, events: usize) -> Result<()> {
        let mut child = Command::new(&self.binary)
            .args([
                "publish",
                APPLICATION,
                "past",
                "--device",
                DEVICE,
                "--password",
                PASSWORD,
                "--url",
            ])
            .arg(format!("http://{}", self.address))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufWriter::new(child.stdin.take().context("it has an input")?);
        for number in 0..events {
            writeln!(lines, "{{\"number\":{number},\"text\":\"{:x<80}\"}}", "")?;
        }
        drop(lines);
        ensure!(child.wait()?.success(), "`sockeye publish` failed");
        Ok(())
    }

    /// The server, and the folder that it needs.
    pub fn into_parts(self) -> (Server, TempDir) {
        (self.server, self.folder)
    }
}

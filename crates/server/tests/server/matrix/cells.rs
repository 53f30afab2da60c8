//! A server on which everybody of the matrix has credentials, and calls to it.

use std::collections::BTreeMap;

use sockeye_server::Server;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::CALLERS;
use crate::client::{basic, call};

/// What asks for a WebSocket.
pub(crate) const UPGRADE: [&str; 4] = [
    "connection: upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// A server on which each caller has credentials.
pub(crate) struct Cells {
    pub(crate) server: Server,
    /// `user:key`, by caller.
    keys: BTreeMap<&'static str, String>,
    made: usize,
    _folder: TempDir,
}

// ----------------------------------------------------------------------------------------------

impl Cells {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = crate::start(folder.path()).await;
        let keys = [("root", crate::admin(&server))].into();
        let mut cells = Self {
            server,
            keys,
            made: 0,
            _folder: folder,
        };
        for caller in CALLERS {
            let (user, query) = match *caller {
                "root" | "nobody" | "device" => continue,
                "readkey" => ("owner", "&access=read"),
                "otherkey" => ("owner", "&applications=other"),
                user => (user, ""),
            };
            let key = cells.key(user, query).await;
            cells.keys.insert(caller, key);
        }
        let revoked = prefix(&cells.keys["revoked"]).to_owned();
        cells
            .ok("revoked", "DELETE", &format!("/api/tokens/v1alpha1/{revoked}"), "")
            .await;
        cells
            .ok(
                "root",
                "PUT",
                "/api/admin/v1alpha1/users/disabled",
                r#"{"disabled":true}"#,
            )
            .await;
        cells.application("private", false).await;
        cells.application("public", true).await;
        cells
    }

    /// A new key of a user, who is made if there is none.
    async fn key(&self, user: &str, query: &str) -> String {
        let path = format!("POST /api/tokens/v1alpha1?user={user}{query}");
        let root = basic(&self.keys["root"]);
        let answer = call(self.server.http_address(), &path, &[&root], "").await;
        format!("{user}:{}", answer.json()["token"].as_str().unwrap())
    }

    /// Makes an application with everything that calls are about.
    async fn application(&self, name: &str, public: bool) {
        let apps = "/api/registry/v1alpha1/apps";
        let app = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        let everybody = if public { r#","":{"role":"reader"}"# } else { "" };
        let members = format!(
            r#"{{"members":{{"appadmin":{{"role":"admin"}},"manager":{{"role":"manager"}},"reader":{{"role":"reader"}}{everybody}}}}}"#
        );
        let device = format!(
            r#"{{"metadata":{{"application":"{name}","name":"d"}},"spec":{{"credentials":{{"credentials":[{{"pass":"pw"}}]}}}}}}"#
        );
        let group = format!("/api/groups/v1alpha1/apps/{name}/groups/g");
        self.ok("owner", "POST", apps, &app).await;
        let of_members = format!("/api/admin/v1alpha1/apps/{name}/members");
        self.ok("owner", "PUT", &of_members, &members).await;
        self.ok("owner", "POST", &format!("{apps}/{name}/devices"), &device)
            .await;
        self.ok("owner", "POST", &group, "{}").await;
        // A manager may not take more than others, unless it is offered.
        let offer = format!("/api/admin/v1alpha1/apps/{name}/transfer-ownership");
        self.ok("owner", "PUT", &offer, r#"{"newUser":"manager"}"#).await;
    }

    async fn ok(&self, caller: &str, method: &str, path: &str, body: &str) {
        let status = self.send(caller, method, path, body, "").await;
        assert!((200..300).contains(&status), "{caller} {method} {path}: {status}");
    }

    /// The status of one cell. What could change something gets an application of its own.
    pub(crate) async fn status(&mut self, caller: &str, (method, path, body): (&str, &str, &str), public: bool) -> u16 {
        let mut name = if public { "public" } else { "private" }.to_owned();
        let mut of_key = String::new();
        if !matches!(method, "GET" | "OPEN") && (path.starts_with("/api/") || path.starts_with("/v5.0/")) {
            self.made += 1;
            name = format!("app{}", self.made);
            self.application(&name, public).await;
            of_key = self.key("owner", "").await;
        }
        // What is to be made is not there yet.
        let group = if method == "POST" && path.ends_with("{group}") {
            "h"
        } else {
            "g"
        };
        let new = format!("new{}-{caller}", self.made);
        let command = if path.contains("{command}") {
            self.command(&name).await
        } else {
            String::new()
        };
        let fill = |text: &str| {
            fill(text, &name)
                .replace("{new}", &new)
                .replace("{group}", group)
                .replace("{command}", &command)
                .replace("{prefix}", if of_key.is_empty() { "" } else { prefix(&of_key) })
        };
        self.send(caller, method, &fill(path), &fill(body), &name).await
    }

    /// The id of a command to a device of `application`.
    async fn command(&self, application: &str) -> String {
        let path = format!("/api/command/v1alpha1/apps/{application}/devices/d?command=c");
        let shown = self.shown("root", &path, application).concat();
        let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n{shown}\r\n");
        let mut stream = TcpStream::connect(self.server.http_address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        let location = said.lines().find_map(|line| line.strip_prefix("location: "));
        let location = location.unwrap_or_else(|| panic!("{application}: {said}"));
        location.rsplit('/').next().unwrap().to_owned()
    }

    /// The lines of the head in which a caller shows who it is. The device that may call is one of `application`.
    pub(crate) fn shown(&self, caller: &str, path: &str, application: &str) -> Vec<String> {
        let login = match caller {
            "device" => Some(format!("d@{application}:pw")),
            caller => self.keys.get(caller).cloned(),
        };
        let lines = match (login, is_octave(path)) {
            // Clients of Octave have headers of their own.
            (Some(login), true) if caller != "device" => {
                let (user, key) = login.split_once(':').unwrap();
                vec![
                    format!("x-auth-user: {user}"),
                    format!("x-auth-token: {key}"),
                    format!("x-auth-company: {application}"),
                ]
            }
            (login, _) => login.iter().map(|login| basic(login)).collect(),
        };
        lines.into_iter().map(|line| line + "\r\n").collect()
    }

    /// What a WebSocket says before it ends, as text.
    pub(crate) async fn end_of(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.server.http_address()).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: h\r\n{}\r\n",
            UPGRADE.join("\r\n") + "\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // It is reset, as it takes no leave itself.
        let _ = stream.read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        let (head, frames) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        frames.to_owned()
    }

    /// Sends a call; the status.
    pub(crate) async fn send(&self, caller: &str, method: &str, path: &str, body: &str, application: &str) -> u16 {
        let address = match path {
            "/metrics" => self.server.metrics_address().unwrap(),
            _ => self.server.http_address(),
        };
        let (method, more) = match method {
            "OPEN" => ("GET", UPGRADE.join("\r\n") + "\r\n"),
            method if body.is_empty() => (method, String::new()),
            method => (method, "content-type: application/json\r\n".to_owned()),
        };
        let shown = self.shown(caller, path, application).concat();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("{head}{more}{shown}\r\n{body}").as_bytes())
            .await
            .unwrap();
        let mut first = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut first).await.unwrap();
        String::from_utf8_lossy(&first)[9..].parse().unwrap()
    }
}

pub(crate) fn is_octave(path: &str) -> bool {
    path.starts_with("/session") || path.starts_with("/v5.0")
}

/// Names in place of those in braces, but for those that a call makes.
pub(crate) fn fill(text: &str, application: &str) -> String {
    text.replace("{*rest}", "{app}/stream")
        .replace("{app}", application)
        .replace("{application}", application)
        .replace("{topic}", &format!("{application}.c"))
        .replace("{channel}", "c")
        .replace("{topic}", &format!("{application}.c"))
        .replace("{*suffix}", "s")
        .replace("{device}", "d")
        .replace("{user}", "stranger")
}

/// The public part of `user:key`.
fn prefix(login: &str) -> &str {
    &login.split_once(':').unwrap().1[..10]
}

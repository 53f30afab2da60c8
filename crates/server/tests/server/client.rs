//! A small HTTP client: one request, one connection.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sockeye_server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// Sends `GET /path` or the like, with more header lines, and reads the answer to its end.
pub(crate) async fn call(address: SocketAddr, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (first, length) = (format!("{line} HTTP/1.1"), format!("content-length: {}", body.len()));
    let head = [&[&first, "host: h", "connection: close", &length], headers]
        .concat()
        .join("\r\n");
    stream
        .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
        .await
        .unwrap();
    answer(&mut stream).await
}

/// Reads what a connection has until it ends.
pub(crate) async fn answer(stream: &mut TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// The header line with credentials.
pub(crate) fn basic(login: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(login))
}

/// Makes an application that anyone may read, and a device in it with the password `pw`.
pub(crate) async fn make_application(server: &Server, name: &str, device: &str) {
    let admin = basic(&crate::admin(server));
    let headers = [admin.as_str(), "content-type: application/json"];
    let apps = "/api/registry/v1alpha1/apps";
    let app = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
    let members = r#"{"members":{"":{"role":"reader"}}}"#;
    let device = format!(
        r#"{{"metadata":{{"application":"{name}","name":"{device}"}},"spec":{{"credentials":{{"credentials":[{{"pass":"pw"}}]}}}}}}"#
    );
    for (line, body) in [
        (format!("POST {apps}"), app.as_str()),
        (format!("PUT /api/admin/v1alpha1/apps/{name}/members"), members),
        (format!("POST {apps}/{name}/devices"), device.as_str()),
    ] {
        let answer = call(server.http_address(), &line, &headers, body).await;
        assert!((200..300).contains(&answer.status), "{line}: {answer:?}");
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

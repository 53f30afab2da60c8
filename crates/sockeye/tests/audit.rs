//! The audit log, line by line: who did what to whom, from where, and nothing that is secret.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};
use support::{APP, Server, closed};

const WRONG_KEY: &str = "eve:drg_012345_01234567890123456789012345678920BetF";

/// A request that is refused, and so is in the log.
const REFUSED: &str = "GET /unknown HTTP/1.1\r\nhost: h\r\nconnection: close\r\n";

/// The lines, each without its time and the id of its request, which is there.
fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let fields = line.as_object_mut().unwrap();
        assert_eq!(fields.remove("target"), Some("audit".into()));
        assert_eq!(fields.remove("level"), Some("INFO".into()));
        assert!(fields.remove("timestamp").is_some(), "{fields:?}");
        let request = fields
            .remove("span")
            .unwrap_or_else(|| panic!("no request: {fields:?}"));
        assert_eq!(request["client"], "127.0.0.1");
        assert!(request["id"].as_str().is_some_and(|id| !id.is_empty()), "{request}");
        fields.insert("path".into(), request["path"].clone());
        line
    });
    lines.collect()
}

#[tokio::test]
async fn every_change_of_rights_and_every_stream_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = Server::start_with(&folder.path().join("data"), |command| {
        command.args(["--log-level", "off,audit=info", "--log-format", "json"]);
        command.stderr(fs::File::create(&log).unwrap());
    });
    server.make_device();
    let admin = server.admin();
    let made = server.cli_ok(&["key", "create", "--user", "eve", "--output", "json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let (prefix, key) = (made["prefix"].as_str().unwrap(), made["token"].as_str().unwrap());
    let http = support::http();
    let (name, secret) = admin.split_once(':').unwrap();
    let set = async |user: &str, password: &str| {
        let members = json!({"members": {"eve": {"role": "reader"}}});
        let call = http
            .put(members_url(&server))
            .basic_auth(user, Some(password))
            .json(&members);
        call.send().await.unwrap().status().as_u16()
    };
    assert_eq!(set(name, secret).await, 204);
    let (user, wrong) = WRONG_KEY.split_once(':').unwrap();
    assert_eq!(set(user, wrong).await, 401);
    assert!(server.connect(APP, Some(&format!("Bearer {WRONG_KEY}"))).await.is_err());
    assert!(server.connect("unknown", None).await.is_err());
    let mut socket = server.connect(APP, Some(&format!("Bearer eve:{key}"))).await.unwrap();
    server.cli_ok(&["key", "disable", prefix]);
    assert_eq!(closed(&mut socket).await.0, 1008);
    server.cli_ok(&["key", "delete", prefix, "--user", "eve"]);
    server.cli_ok(&["user", "disable", "eve"]);
    assert!(server.terminate().success());

    let text = fs::read_to_string(&log).unwrap();
    for secret in [secret, key, wrong] {
        assert!(!text.contains(secret), "{text}");
    }
    let admin = format!("admin key={}", &secret[..10]);
    let mut found = lines(&text);
    // When a stream has closed is not tied to when the call is answered that closed it.
    let closed = found.iter().position(|line| line["action"] == "stream.closed").unwrap();
    let closed = found.remove(closed);
    assert_eq!(
        closed,
        json!({"action": "stream.closed", "cause": "unauthorized", "code": 1008, "path": "/app"})
    );
    let of_members = "/api/admin/v1alpha1/apps/app/members";
    let of_key = format!("/api/tokens/v1alpha1/{prefix}");
    assert_eq!(
        found,
        [
            json!({"action": "key.made", "by": admin, "user": "eve", "key": prefix, "path": "/api/tokens/v1alpha1"}),
            json!({"action": "members.changed", "by": admin, "application": APP, "path": of_members}),
            json!({"action": "login.refused", "reason": "the user name or the access key is wrong", "path": of_members}),
            json!({"action": "stream.refused", "status": 401, "reason": "the user name or the access key is wrong", "path": "/app"}),
            json!({"action": "stream.refused", "status": 404, "reason": "Resource not found: Application / unknown", "path": "/unknown"}),
            json!({"action": "stream.opened", "caller": format!("eve key={prefix}"), "application": APP, "path": "/app"}),
            json!({"action": "key.changed", "by": admin, "key": prefix, "disabled": true, "path": of_key}),
            json!({"action": "key.revoked", "by": admin, "key": prefix, "path": of_key}),
            json!({"action": "user.changed", "by": admin, "user": "eve", "disabled": true, "path": "/api/admin/v1alpha1/users/eve"}),
        ],
        "{text}"
    );
}

/// Where the client of each of these connections is, as the audit log has it, behind a proxy that speaks so and is trusted or not.
fn clients(speaks: &str, trusted: &str, connections: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = Server::start_with(&folder.path().join("data"), |command| {
        command.args(["--proxy-trusted", trusted, "--proxy-speaks", speaks]);
        command.args(["--log-level", "off,audit=info", "--log-format", "json"]);
        command.stderr(fs::File::create(&log).unwrap());
    });
    for bytes in connections {
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    assert!(server.terminate().success());
    let text = fs::read_to_string(&log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let refused = lines.filter(|line| line["action"] == "stream.refused");
    refused
        .map(|line| line["span"]["client"].as_str().unwrap().to_owned())
        .collect()
}

/// In each of the ways in which proxies tell it; who is not trusted is not believed.
#[test]
fn the_client_behind_a_trusted_proxy_is_the_one_in_the_log() {
    let header = |lines: &str| format!("{REFUSED}{lines}\r\n");
    let forwarded_for = [
        header("x-forwarded-for: 192.0.2.9, 192.0.2.1\r\n"),
        header("forwarded: for=192.0.2.1\r\n"),
    ];
    assert_eq!(
        clients("x-forwarded-for", "127.0.0.0/8", &forwarded_for),
        ["192.0.2.1", "127.0.0.1"]
    );
    assert_eq!(
        clients("x-forwarded-for", "10.0.0.0/8", &forwarded_for),
        ["127.0.0.1", "127.0.0.1"]
    );
    let forwarded = [
        header("forwarded: for=192.0.2.9, for=\"[2001:db8::17]:4711\";proto=https\r\n"),
        header("x-forwarded-for: 192.0.2.1\r\n"),
    ];
    assert_eq!(
        clients("forwarded", "127.0.0.0/8", &forwarded),
        ["2001:db8::17", "127.0.0.1"]
    );
    let protocol = [format!(
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n{}",
        header("x-forwarded-for: 192.0.2.9\r\n")
    )];
    assert_eq!(clients("proxy-protocol", "127.0.0.0/8", &protocol), ["192.0.2.1"]);
}

fn members_url(server: &Server) -> String {
    format!("{}/api/admin/v1alpha1/apps/{APP}/members", server.url)
}

//! The audit log, line by line: who did what to whom, from where, and nothing that is secret.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{APP, Server, closed};

const WRONG_KEY: &str = "eve:drg_012345_01234567890123456789012345678920BetF";

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

fn members_url(server: &Server) -> String {
    format!("{}/api/admin/v1alpha1/apps/{APP}/members", server.url)
}

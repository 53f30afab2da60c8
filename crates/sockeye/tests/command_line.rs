//! The command line against a real server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use sockeye_event::event::TYPE_EVENT as EVENT;
use support::{APP, DEVICE, PASSWORD, Server, sockeye};

#[test]
fn applications_devices_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let lines = |text: String| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };

    server.cli_ok(&["app", "create", "one"]);
    server.cli_ok(&["app", "create", "two", "--public"]);
    let apps = lines(server.cli_ok(&["app", "list"]));
    let names: Vec<_> = apps
        .iter()
        .map(|app| app["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["one", "two"]);
    let two = &lines(server.cli_ok(&["app", "show", "two"]))[0];
    assert_eq!(two["members"][""]["role"], "reader");

    server.cli_ok(&[
        "app",
        "set",
        "one",
        "--retain",
        "30d",
        "--device-events-per-second",
        "5",
    ]);
    server.cli_ok(&["app", "set", "one", "--events-per-second", "100", "--retain", "default"]);
    let one = &lines(server.cli_ok(&["app", "show", "one"]))[0];
    assert_eq!(one["spec"], json!({"quota": {"events": 100, "device": {"events": 5}}}));

    server.cli_ok(&["key", "create", "--user", "jane"]);
    server.cli_ok(&["member", "set", "one", "jane"]);
    server.cli_ok(&["member", "set", "one", "", "--role", "reader"]);
    server.cli_ok(&["member", "set", "one", "jane", "--role", "admin"]);
    let members = [
        json!({"user": "", "role": "reader"}),
        json!({"user": "jane", "role": "admin"}),
    ];
    assert_eq!(lines(server.cli_ok(&["member", "list", "one"])), members);
    server.cli_ok(&["member", "remove", "one", ""]);
    assert_eq!(lines(server.cli_ok(&["member", "list", "one"])), members[1..]);

    let made = &lines(server.cli_ok(&["device", "create", "one", "d", "--gateway", "gw"]))[0];
    let password = made["password"].as_str().unwrap();
    let shown = server.cli_ok(&["device", "show", "one", "d"]);
    assert!(!shown.contains(password), "a secret is shown once");
    assert_eq!(lines(shown)[0]["spec"]["gatewaySelector"]["matchNames"][0], "gw");
    assert_eq!(lines(server.cli_ok(&["device", "list", "one"])).len(), 1);

    let made = &lines(server.cli_ok(&["key", "create", "--description", "a test"]))[0];
    let (prefix, key) = (made["prefix"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(key.starts_with(prefix) && prefix.starts_with("drg_"));
    let listed = server.cli_ok(&["key", "list"]);
    assert!(listed.contains(prefix) && !listed.contains(key));
    assert_eq!(
        lines(server.cli_ok(&["key", "show", prefix]))[0]["description"],
        "a test"
    );
    let with_key = |words: &[&str]| {
        let mut command = sockeye();
        command
            .args(words)
            .env("SOCKEYE_URL", &server.url)
            .env("SOCKEYE_KEY", format!("admin:{key}"));
        command.output().unwrap()
    };
    assert!(with_key(&["app", "list"]).status.success());
    server.cli_ok(&["key", "delete", prefix]);
    assert!(
        !with_key(&["app", "list"]).status.success(),
        "a deleted key is not accepted"
    );

    server.cli_ok(&["device", "delete", "one", "d"]);
    server.cli_ok(&["app", "delete", "one"]);
    assert_eq!(lines(server.cli_ok(&["app", "list"])).len(), 1);
}

#[tokio::test]
async fn a_command_waits_for_its_device_and_tells_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let send = |words: &[&str]| {
        let sent = server.cli_ok(&[&["command", "send", APP, DEVICE], words].concat());
        let sent: Value = serde_json::from_str(&sent).unwrap();
        sent["id"].as_str().unwrap().to_owned()
    };
    let state = |id: &str| -> Value { serde_json::from_str(&server.cli_ok(&["command", "state", APP, id])).unwrap() };
    let id = send(&["set-color", r#"{"color":"red"}"#, "--ttl", "10m"]);
    let waiting = state(&id);
    assert_eq!(
        (&waiting["state"], &waiting["command"], &waiting["device"]),
        (&json!("waiting"), &json!("set-color"), &json!(DEVICE))
    );
    let fetch = support::http()
        .post(format!("{}/v1/x?ct=30", server.url))
        .basic_auth(format!("{DEVICE}@{APP}"), Some(PASSWORD))
        .body("1");
    let fetched = fetch.send().await.unwrap();
    assert_eq!(
        (fetched.status().as_u16(), &fetched.headers()["command"]),
        (200, &"set-color".parse().unwrap())
    );
    assert_eq!(fetched.text().await.unwrap(), r#"{"color":"red"}"#);
    assert_eq!(state(&id)["state"], "delivered");
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.cli_ok(&["app", "create", "one"]);
    for (words, text) in [
        (&["app", "create", "Upper"][..], "lower"),
        (&["app", "create", "api"], "a path of the server itself"),
        (&["app", "show", "none"], "404"),
        (&["device", "create", "none", "d"], "none"),
        (
            &["app", "set", "none", "--retain", "7d"],
            "there is no application `none`",
        ),
        (&["app", "set", "one"], "--retain"),
        (
            &["app", "set", "one", "--rules", "no-such-file"],
            "cannot read no-such-file",
        ),
        (
            &["app", "set", "one", "--events-per-second", "many"],
            "`spec.quota.events`",
        ),
        (&["command", "send", "none", "d", "x"], "there is no application `none`"),
        (&["command", "send", "one", "d", "x"], "no device `d`"),
        (&["command", "send", "one", "d", ""], "`command` must be given"),
        (
            &["command", "send", "one", "d", "x", "--ttl", "soon"],
            "a duration such as",
        ),
        (&["command", "state", "one", "7"], "there is no command `7`"),
        (&["member", "list", "none"], "there is no application `none`"),
        (&["member", "remove", "one", "jane"], "sockeye member list one"),
        (
            &["member", "set", "one", "jane", "--role", "owner"],
            "reader, manager, admin",
        ),
        (&["key", "show", "drg_nobody"], "sockeye key list"),
        (&["key", "delete", "drg_nobody"], "sockeye key list"),
        (&["stream", "none"], "Resource not found: Application / none"),
        (
            &["publish", "none", "c", "1", "--device", "d", "--password", "p"],
            "Authentication failed",
        ),
        // What is wrong is named before anybody is asked.
        (
            &["app", "list", "--url", "ftp://x"],
            "'--url <URL>': give an address such as",
        ),
        (
            &["stream", "app", "--url", "mailto:x"],
            "'--url <URL>': give an address such as",
        ),
        (
            &["import", "drogue", "--from", "x"],
            "'--from <URL>': give an address such as",
        ),
        (
            &["import", "drogue", "--from", "ws://x"],
            "ws://x/ must start with http:// or https://",
        ),
        (&["app", "set", "one", "--retain", "-5d"], "must be a duration"),
        (
            &["app", "set", "one", "--events-per-second", "-1"],
            "a whole number, at least 1",
        ),
        (
            &["stream", "one", "--events", "-1"],
            "'--events <N>': give a whole number",
        ),
        (&["app", "show", ""], "'<NAME>'"),
        (&["device", "delete", "one", ""], "'<DEVICE>'"),
        (&["stream", ""], "'<APP>'"),
        (&["stream", "one", ""], "'[CHANNEL]'"),
        (
            &["publish", "one", "", "1", "--device", "d", "--password", "p"],
            "'<CHANNEL>'",
        ),
        (
            &["publish", "one", "c", "1", "--device", "", "--password", "p"],
            "'--device <DEVICE>'",
        ),
        (&["group", "create", "one", ""], "'<GROUP>'"),
        (
            &["group", "create", "one", "g", "--from", "bad"],
            "`from` must be `earliest`",
        ),
        (&["stream", "one", "--where", "a="], "`where` is wrong"),
        (
            &["backup", "b", "--data", "none"],
            "there is no file none/sockeye.db: name the data folder of the server with --data",
        ),
        (&["app", "list", "--url", "http://127.0.0.1:1"], "sockeye serve"),
        (&["stream", "app", "--url", "http://127.0.0.1:1"], "sockeye serve"),
    ] {
        let output = server.cli(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{words:?} succeeded");
        assert!(said.contains(text), "{words:?} must say `{text}`: {said}");
        assert!(!said.contains("panicked"), "{words:?}: {said}");
    }
}

#[test]
fn published_lines_are_streamed_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let mut stream = follow(&server, &["stream", APP, "--events", "7"]);
    let credentials = ["--device", DEVICE, "--password", PASSWORD];
    let publish = |words: &[&str]| server.cli_ok(&[&["publish", APP, "c"], words, &credentials[..]].concat());
    publish(&["{\"n\":1}", "two"]);
    let file = folder.path().join("three.json");
    std::fs::write(&file, "{\"n\": 3}").unwrap();
    publish(&["--file", file.to_str().unwrap()]);

    let mut lines = sockeye();
    lines
        .args(["publish", APP, "c"])
        .args(credentials)
        .env("SOCKEYE_URL", &server.url);
    let mut lines = lines.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    lines
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"n\":4.50}\n5\nsix\n{\"n\":7}\n")
        .unwrap();
    let said = lines.wait_with_output().unwrap();
    assert!(said.status.success());
    assert!(String::from_utf8_lossy(&said.stderr).contains("published 4 events"));

    let events = stream.rest();
    let data: Vec<_> = events
        .iter()
        .map(|event| event.get("data").unwrap_or(&event["data_base64"]).to_string())
        .collect();
    assert_eq!(
        data,
        [
            r#"{"n":1}"#,
            r#""dHdv""#,
            r#"{"n":3}"#,
            r#"{"n":4.5}"#,
            "5",
            r#""c2l4""#,
            r#"{"n":7}"#
        ]
    );
}

/// `stream` goes on when the server comes back, says so, and has missed nothing.
#[test]
fn a_stream_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    let address = server.url.trim_start_matches("http://").to_owned();
    let publish = |server: &Server, payload: &str| {
        server.cli_ok(&["publish", APP, "c", payload, "--device", DEVICE, "--password", PASSWORD]);
    };
    publish(&server, "0");
    let mut stream = follow(&server, &["stream", APP, "--events", "4"]);
    let mut empty = follow(&server, &["stream", APP, "other", "--events", "1"]);
    publish(&server, "1");
    assert!(server.terminate().success());
    assert!(stream.wait_for("connecting again"), "it says that it lost the server");
    // Somewhere else, the server runs while the stream cannot reach it.
    let mut elsewhere = Server::start(folder.path());
    publish(&elsewhere, "2");
    publish(&elsewhere, "3");
    elsewhere.cli_ok(&["publish", APP, "other", "5", "--device", DEVICE, "--password", PASSWORD]);
    assert!(elsewhere.terminate().success());
    let _server = Server::start_with(folder.path(), |command| {
        command.args(["--http-bind", &address]);
    });
    for stream in [&mut stream, &mut empty] {
        assert!(stream.wait_for("nothing was missed"), "it says that it found it");
    }
    assert_eq!(numbers(&stream.rest()), [1, 2, 3, 5], "each once, in order");
    assert_eq!(numbers(&empty.rest()), [5], "also what came before its first event");
}

/// What was lost while a stream could not be is told.
#[test]
fn a_stream_tells_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut stream = follow(&server, &["stream", APP, "--events", "1", "--type", EVENT]);
    assert!(server.terminate().success());
    let mut elsewhere = Server::start(folder.path());
    elsewhere.cli_ok(&["app", "delete", APP]);
    elsewhere.make_device();
    elsewhere.cli_ok(&["publish", APP, "c", "1", "--device", DEVICE, "--password", PASSWORD]);
    assert!(elsewhere.terminate().success());
    let _server = Server::start_with(folder.path(), |command| {
        command.args(["--http-bind", &address]);
    });
    assert!(stream.wait_for("was replaced"), "it says why");
    assert!(stream.wait_for("going on with the oldest event that is left"));
    assert_eq!(numbers(&stream.rest()), [1]);
}

#[test]
fn what_was_missed_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let publish = [
        "publish",
        APP,
        "c",
        "0",
        "1",
        "2",
        "--device",
        DEVICE,
        "--password",
        PASSWORD,
    ];
    server.cli_ok(&publish);
    let stream = |words: &[&str]| {
        let lines = server.cli_ok(&[&["stream", APP], words].concat());
        let events = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        events.collect::<Vec<Value>>()
    };
    let all = stream(&["--from", "earliest", "--events", "3", "--type", EVENT]);
    assert_eq!(numbers(&all), [0, 1, 2]);
    assert!(all.iter().all(|event| event.get("cursor").is_none()), "{all:?}");
    let with_cursors = stream(&["--from", "earliest", "--events", "3", "--type", EVENT, "--cursor"]);
    let cursor = with_cursors[0]["cursor"].as_str().unwrap();
    assert_eq!(numbers(&stream(&["--from", cursor, "--events", "2"])), [1, 2]);
    let now = jiff::Timestamp::now().to_string();
    let ended = stream(&["--from", "2000-01-01T00:00:00Z", "--until", &now, "--type", EVENT]);
    assert_eq!(numbers(&ended), [0, 1, 2], "it ends by itself");
    for (option, value, count) in [
        ("--device", DEVICE, 4),
        ("--device", "x", 0),
        ("--type", EVENT, 3),
        ("--type", "x", 0),
    ] {
        let found = stream(&["--from", "earliest", "--until", &now, option, value]);
        assert_eq!(found.len(), count, "{option} {value}");
    }
    let refused = server.cli(&["stream", APP, "--from", "yesterday"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("`from` is neither `earliest`"),
        "{said}"
    );
}

/// The payloads.
fn numbers(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["data"].as_i64().unwrap()).collect()
}

#[test]
fn backup_and_restore() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy.db"));
    let mut server = Server::with_device(&data);
    let publish = ["publish", APP, "c", "1", "--device", DEVICE, "--password", PASSWORD];
    server.cli_ok(&publish);
    let data_text = data.to_str().unwrap();
    let copy_text = copy.to_str().unwrap();
    if support::engines::are_elsewhere() {
        let refused = server.cli(&["backup", copy_text, "--data", data_text]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("back them up with their own tools"),
            "{said}"
        );
        return;
    }
    // Online: the server goes on.
    server.cli_ok(&["backup", copy_text, "--data", data_text]);
    server.cli_ok(&publish);
    let refused = server.cli(&["restore", copy_text, "--data", data_text, "--force"]);
    assert!(!refused.status.success(), "not under a running server");
    assert!(server.terminate().success());

    let restore = |words: &[&str]| {
        sockeye()
            .args(["restore", copy_text, "--data", data_text])
            .args(words)
            .output()
            .unwrap()
    };
    let kept = restore(&[]);
    assert!(!kept.status.success() && String::from_utf8_lossy(&kept.stderr).contains("--force"));
    let restored = restore(&["--force"]);
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    let server = Server::start(&data);
    assert!(
        server.cli_ok(&["device", "list", APP]).contains(DEVICE),
        "what was backed up is there"
    );
    server.cli_ok(&publish);
}

#[test]
fn help_completions_and_man_pages() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["--help"][..],
        &["serve", "--help"],
        &["stream", "--help"],
        &["demo", "--help"],
        &["--version"],
    ] {
        assert!(sockeye().args(words).output().unwrap().status.success(), "{words:?}");
    }
    let completions = sockeye().args(["completions", "bash"]).output().unwrap();
    assert!(String::from_utf8_lossy(&completions.stdout).contains("_sockeye"));
    assert!(sockeye().arg("man").arg(folder.path()).status().unwrap().success());
    assert!(folder.path().join("sockeye-serve.1").exists());
    let config = sockeye().arg("config").output().unwrap();
    let file = folder.path().join("sockeye.toml");
    std::fs::write(&file, &config.stdout).unwrap();
    assert!(
        String::from_utf8_lossy(&config.stdout).contains("bind"),
        "the template is documented"
    );
}

/// A `sockeye stream` that has its first connection.
struct Stream {
    child: std::process::Child,
    said: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

fn follow(server: &Server, words: &[&str]) -> Stream {
    let mut command: Command = sockeye();
    command
        .args(words)
        .env("SOCKEYE_URL", &server.url)
        .env("SOCKEYE_KEY", server.admin());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut stream = Stream { child, said };
    assert!(stream.wait_for("streaming"), "the stream opens");
    stream
}

impl Stream {
    /// Whether it says this before it ends.
    fn wait_for(&mut self, text: &str) -> bool {
        self.said.by_ref().map_while(Result::ok).any(|line| line.contains(text))
    }

    /// What it printed, to its end.
    fn rest(&mut self) -> Vec<Value> {
        let lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let events = lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect();
        assert!(self.child.wait().unwrap().success());
        events
    }
}

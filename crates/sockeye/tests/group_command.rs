//! Groups on the command line, against a real server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use sockeye_limits as limits;
use support::{APP, DEVICE, PASSWORD, Server, next_event, numbered};
use tokio_tungstenite::tungstenite::Message;

const HEAD: &str = "GROUP  SELECTION  MEMBERS  OUTSTANDING  LAG  OLDEST  TRIMMED";

fn publish(server: &Server, lines: &[&str]) {
    let credentials = ["--device", DEVICE, "--password", PASSWORD];
    server.cli_ok(&[&["publish", APP, "temp"], lines, &credentials[..]].concat());
}

fn show(server: &Server, words: &[&str]) -> Value {
    let shown = server.cli_ok(&[&["group", "show", APP], words].concat());
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn groups_are_made_seen_moved_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    publish(&server, &["1", "2", "3"]);
    server.cli_ok(&["group", "create", APP, "late"]);
    let made = server.cli_ok(&["group", "create", APP, "all", "--channel", "temp", "--from", "earliest"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let all = show(&server, &["all", "--channel", "temp"]);
    assert_eq!(all["position"], made["position"]);
    assert_eq!((&all["lag"]["events"], &all["lag"]["exact"]), (&json!(3), &json!(true)));
    assert_eq!(show(&server, &["late"])["lag"]["events"], 0);

    let table = server.cli_ok(&["group", "list", APP, "--output", "pretty"]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = table.lines().map(words).collect();
    assert_eq!(lines[0], words(HEAD));
    assert!(
        lines[1].starts_with("all channel=temp 0 3 ") && lines[1].ends_with(" s 0"),
        "{table}"
    );
    assert_eq!(lines[2], "late 0 0 0");
    assert_eq!(server.cli_ok(&["group", "list", APP]).lines().count(), 2);

    let output = server.cli(&["group", "seek", APP, "late", "9000-01-01T00:00:00Z"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("moved group late of application app"), "{said}");
    assert!(said.contains("note: the time is in the future"), "{said}");
    let cursor = all["position"].as_str().unwrap();
    server.cli_ok(&["group", "seek", APP, "late", cursor]);
    // With what is told of the device.
    assert_eq!(show(&server, &["late"])["lag"]["events"], 4);

    server.cli_ok(&["group", "delete", APP, "late"]);
    assert_eq!(server.cli_ok(&["group", "dead-letters", APP, "all"]), "");
    assert_eq!(server.cli_ok(&["group", "list", APP]).lines().count(), 1);
}

#[test]
fn groups_survive_a_crash_and_go_with_their_application() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    publish(&server, &["1", "2"]);
    server.cli_ok(&["group", "create", APP, "g", "--from", "earliest"]);
    let before = show(&server, &["g"])["position"].clone();
    server.kill();
    let server = Server::start(folder.path());
    let after = show(&server, &["g"]);
    // With what is told of the device.
    assert_eq!((&after["position"], &after["lag"]["events"]), (&before, &json!(3)));
    server.cli_ok(&["app", "delete", APP]);
    server.cli_ok(&["app", "create", APP]);
    assert_eq!(server.cli_ok(&["group", "list", APP]), "");
}

#[test]
fn a_group_without_members_expires() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), |command| {
        command.args(["--groups-expire", "1s"]);
    });
    server.make_device();
    publish(&server, &["1"]);
    server.cli_ok(&["group", "create", APP, "g"]);
    while !server.cli_ok(&["group", "list", APP]).is_empty() {}
    let output = server.cli(&["group", "show", APP, "g"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no group `g`"));
}

#[tokio::test]
async fn an_event_that_fails_is_a_dead_letter_and_is_sent_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let mut member = server.stream(&format!("{APP}?group_id=g&ack=client")).await;
    let answer = server.publish(&support::http(), "c", &numbered(7)).await;
    assert_eq!(answer.unwrap(), 202);
    let say = |what: &str, event: &Value| Message::text(format!(r#"{{"{what}":{}}}"#, event["id"]));
    let mut id = Value::Null;
    for _ in 0..limits::GROUP_FAILURES {
        let event = next_event(&mut member).await;
        member.send(say("Nack", &event)).await.unwrap();
        id = event["id"].clone();
    }
    let letters = || server.cli_ok(&["group", "dead-letters", APP, "g"]);
    while letters().is_empty() {}
    let letter: Value = serde_json::from_str(&letters()).unwrap();
    assert_eq!(
        (&letter["failures"], &letter["event"]["id"]),
        (&json!(limits::GROUP_FAILURES), &id)
    );
    assert_eq!(letter["event"]["data"], numbered(7));
    let name = letter["letter"].as_str().unwrap();
    let pretty = server.cli_ok(&["group", "dead-letters", APP, "g", "--output", "pretty"]);
    assert!(pretty.starts_with(&format!("{name}  failed 5 times  ")), "{pretty}");

    server.cli_ok(&["group", "dead-letters", APP, "g", "--resend", name]);
    let again = next_event(&mut member).await;
    assert_eq!((&again["id"], &again["data"]), (&id, &numbered(7)));
    member.send(say("Ack", &again)).await.unwrap();
    assert_eq!(letters(), "");
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    server.cli_ok(&["group", "create", APP, "g"]);
    let long = "x".repeat(129);
    for (words, text) in [
        (&["list", "none"][..], "there is no application `none`"),
        (&["show", APP, "h"], "there is no group `h` of the whole application"),
        (
            &["show", APP, "g", "--channel", "c"],
            "there is no group `g` with channel `c`",
        ),
        (&["create", APP, "g"], "is there: move it"),
        (&["create", APP, ""], "a value is required"),
        (&["create", APP, &long], "1 to 128 bytes"),
        (&["create", APP, "h", "--from", "yesterday"], "a time as RFC 3339"),
        (&["seek", APP, "h", "end"], "there is no group `h`"),
        (&["seek", APP, "g", "never"], "`earliest`, `end`"),
        (&["delete", APP, "h"], "there is no group `h`"),
        (
            &["dead-letters", APP, "g", "--resend", "x"],
            "is no name of a dead letter",
        ),
        (&["dead-letters", APP, "g", "--drop", "0-1"], "nothing was done"),
        (
            &["dead-letters", APP, "g", "--drop-all", "--resend-all"],
            "cannot be used with",
        ),
    ] {
        let output = server.cli(&[&["group"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{words:?} succeeded");
        assert!(said.contains(text), "{words:?} must say `{text}`: {said}");
    }
}

//! Clients as people have them: the examples for Node.js and Python, written against dojot's documentation only, and a browser.

use std::path::Path;
use std::process::Command;

use sockeye_parts::{clients, process::Process};

use crate::support::{APP, PATIENCE};
use crate::world::World;

/// Messages that pass, or do not, and what is seen of the one that does.
const PASSED_OVER: &str = r#"{"sensor":{"status":"running"},"temperature":35}"#;
const SHOWN: &str = r#"{"sensor":{"status":"failed","id":7},"temperature":35.0}"#;
const SEEN: &str = r#"{"sensor":{"status":"failed"},"temperature":35.0}"#;
const FIELDS: &str = "fields=sensor/status,temperature";
/// With quotes, which no client of Python encodes.
const WHERE: &str = r#"where=sensor.status=in:"failed",stopped;"#;

/// Runs a client that gets one message and is then told that the server stops.
async fn follow(mut command: Command) {
    let mut world = World::new();
    let key = world.server.admin();
    let (user, secret) = key.split_once(':').unwrap();
    let topic = format!("{APP}.c");
    command.args([&*world.server.url, user, secret, &topic, FIELDS, WHERE]);
    let mut client = Process::spawn(&mut command).unwrap();
    client.wait_line(PATIENCE, |line| line == "open").unwrap();
    world.publish("c", PASSED_OVER).await;
    world.publish("c", SHOWN).await;
    let mut first = None;
    client
        .wait_line(PATIENCE, |line| {
            first.get_or_insert_with(|| line.to_owned());
            true
        })
        .unwrap();
    assert_eq!(first.as_deref(), Some(SEEN));
    crate::support::signal(world.server.pid(), "TERM");
    client
        .wait_line(PATIENCE, |line| line.starts_with("closed 1001"))
        .unwrap();
    world.server.wait();
}

fn example(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("{}/../../examples/dojot/{name}", env!("CARGO_MANIFEST_DIR")));
    command
}

#[tokio::test]
async fn the_example_for_node_works() {
    if let Some(node) = clients::node().unwrap() {
        follow(example(&node, "follow.mjs")).await;
    }
}

#[tokio::test]
async fn the_example_for_python_works() {
    if let Some(python) = clients::python().unwrap() {
        follow(example(&python, "follow.py")).await;
    }
}

/// The whole way of a ticket, from another origin; and a ticket that does not count, which only a WebSocket can tell a browser.
#[tokio::test]
async fn a_browser_fetches_a_ticket_and_follows_a_topic() {
    let Some(chromium) = clients::chromium().unwrap() else {
        return;
    };
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let page = format!("{}/tests/clients/dojot.html", env!("CARGO_MANIFEST_DIR"));
    let told = [
        &*world.server.url,
        &format!("Bearer {}", World::token(APP, World::in_seconds(600))),
        &format!("{APP}.c"),
        &format!("{FIELDS}&{WHERE}"),
    ]
    .join("\n");
    let told = percent_encoding::utf8_percent_encode(&told, percent_encoding::NON_ALPHANUMERIC);
    let mut command = clients::browser(&chromium, folder.path(), &format!("file://{page}#{told}"));
    let mut browser = Process::spawn(&mut command).unwrap();
    let mut says = |words: &str| {
        browser.wait_line(PATIENCE, |line| line.contains(words)).unwrap();
    };
    says("\"open\"");
    world.publish("c", PASSED_OVER).await;
    world.publish("c", SHOWN).await;
    says(SEEN);
    says("closed 4401 INVALID_TICKET");
}

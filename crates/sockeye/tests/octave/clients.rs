//! Clients as people have them: the examples for Node.js, Python and a browser, written against Octave's documentation only.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use sockeye_parts::{clients, process::Process};

use crate::support::{APP, PATIENCE, signal};
use crate::world::{PATH, World};

fn example(name: &str) -> String {
    format!("{}/../../examples/octave/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client that gets one event and is then told that the server stops.
async fn follow(program: &Path, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path());
    let mut command = Command::new(program);
    command.arg(example(name));
    command.args([
        &*world.server.url,
        APP,
        &world.user,
        &world.key,
        PATH,
        "/app/devices/dev/other",
    ]);
    let mut client = Process::spawn(&mut command).unwrap();
    client.wait_line(PATIENCE, |line| line == "subscribed").unwrap();
    world.publish("another", &json!({"not": "seen"})).await;
    world.publish("temperature", &json!({"celsius": 21})).await;
    let mut first = None;
    client
        .wait_line(PATIENCE, |line| {
            first.get_or_insert_with(|| line.to_owned());
            true
        })
        .unwrap();
    assert_eq!(first.as_deref(), Some(&*format!("{PATH} {{\"celsius\":21}}")));
    signal(world.server.pid(), "TERM");
    client
        .wait_line(PATIENCE, |line| line.starts_with("closed 1001"))
        .unwrap();
    world.server.wait();
}

#[tokio::test]
async fn the_example_for_node_works() {
    if let Some(node) = clients::node().unwrap() {
        follow(&node, "follow.mjs").await;
    }
}

#[tokio::test]
async fn the_example_for_python_works() {
    if let Some(python) = clients::python().unwrap() {
        follow(&python, "follow.py").await;
    }
}

/// From another origin, with headers that its preflight asks for.
#[tokio::test]
async fn the_example_for_browsers_works() {
    let Some(chromium) = clients::chromium().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&folder.path().join("data"));
    let told = [&*world.server.url, APP, &world.user, &world.key, PATH].join("\n");
    let told = percent_encoding::utf8_percent_encode(&told, percent_encoding::NON_ALPHANUMERIC);
    let page = format!("file://{}#{told}", example("follow.html"));
    let mut command = clients::browser(&chromium, folder.path(), &page);
    let mut browser = Process::spawn(&mut command).unwrap();
    let mut says = |words: &str| {
        browser.wait_line(PATIENCE, |line| line.contains(words)).unwrap();
    };
    says("\"subscribed\"");
    world.publish("temperature", &json!({"celsius": 21})).await;
    says("{\"celsius\":21}");
}

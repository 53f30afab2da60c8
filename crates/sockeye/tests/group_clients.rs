//! Clients that know nothing of groups as members of one: a program for Node.js, a page in a browser, `websocat`. The answers to
//! Pings, which their stacks give by themselves, are all the receipts there are.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::mpsc::{self, SyncSender},
    thread,
};

use serde_json::Value;
use sockeye_parts::{clients, process::Process, websocat};
use support::{APP, PATIENCE, Server, numbered};

const EVENTS: u64 = 300;

/// What a member told.
enum Told {
    Open,
    Number(&'static str, u64),
}

// ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn unmodified_clients_share_events_and_give_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(&folder.path().join("data"));
    let url = url(&server);
    let (sender, told) = mpsc::sync_channel(EVENTS as usize);
    let mut members = 0;
    if let Some(node) = clients::node().unwrap() {
        let mut command = Command::new(node);
        command.arg(script("member.mjs")).arg(&url);
        listen("node", &mut command, &sender);
        members += 1;
    }
    if let Some(chromium) = clients::chromium().unwrap() {
        listen("browser", &mut browser(&chromium, folder.path(), &url), &sender);
        members += 1;
    }
    if let Some(websocat) = websocat::path().unwrap() {
        let mut command = Command::new(websocat);
        command.args(["--no-close", "-U", &url]);
        listen("websocat", &mut command, &sender);
        members += 1;
    }
    if members == 0 {
        return;
    }
    // websocat does not say that it is connected.
    let live = |shown: &Value| {
        shown
            .pointer("/live/members")
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    until(&server, |shown| live(shown) == members);

    let http = support::http();
    for number in 0..EVENTS {
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
    }
    let mut seen = BTreeMap::new();
    while (seen.len() as u64) < EVENTS {
        if let Told::Number(who, number) = told.recv_timeout(PATIENCE).expect("every event comes") {
            assert_eq!(seen.insert(number, who), None, "{number} came twice");
        }
    }
    let mut shares = BTreeMap::<_, u64>::new();
    for who in seen.values() {
        *shares.entry(*who).or_default() += 1;
    }
    // By turns: whoever comes from far away has credit all the same.
    let least = EVENTS / members as u64 / 2;
    assert!(
        shares.len() == members && shares.values().all(|share| *share >= least),
        "{shares:?}"
    );
    until(&server, |shown| shown["lag"]["events"] == 0);
}

/// Where a member connects.
fn url(server: &Server) -> String {
    let admin = server.admin();
    let (user, key) = admin.split_once(':').unwrap();
    let base = server.url.replacen("http", "ws", 1);
    format!("{base}/{APP}?group_id=g&username={user}&api_key={key}")
}

fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A browser that shows the page of a member.
fn browser(chromium: &Path, folder: &Path, url: &str) -> Command {
    let address = percent_encoding::utf8_percent_encode(url, percent_encoding::NON_ALPHANUMERIC);
    let page = format!("file://{}#{address}", script("member.html"));
    clients::browser(chromium, folder, &page)
}

/// Starts a member, and sends what it tells until nobody listens any more.
fn listen(who: &'static str, command: &mut Command, told: &SyncSender<Told>) {
    let mut process = Process::spawn(command).unwrap();
    let told = told.clone();
    thread::spawn(move || {
        let mut last = None;
        while let Ok(line) = process.wait_line(PATIENCE, |line| {
            last = read(who, line);
            last.is_some()
        }) {
            assert!(!line.contains("closed"), "{who}: {line}");
            if last.take().is_none_or(|last| told.send(last).is_err()) {
                break;
            }
        }
    });
}

/// What a line of a member means: `number 5` of our scripts, somewhere in a line of the browser, or an event.
fn read(who: &'static str, line: &str) -> Option<Told> {
    if let Ok(event) = serde_json::from_str::<Value>(line) {
        return Some(Told::Number(who, event["data"]["number"].as_u64()?));
    }
    if line == "open" || line.contains("\"open\"") {
        return Some(Told::Open);
    }
    let (_, number) = line.split_once("number ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    Some(Told::Number(who, number[..digits].parse().ok()?))
}

/// Waits until the group is like that.
fn until(server: &Server, is: impl Fn(&Value) -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let output = server.cli(&["group", "show", APP, "g"]);
        let shown = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        if is(&shown) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{shown}");
    }
}

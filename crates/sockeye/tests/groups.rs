//! Groups of a real server: unmodified clients that share events, members and servers that are killed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::Value;
use sockeye_parts::websocat;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use support::{APP, PATIENCE, Server, closed, next_event, numbered};

/// `websocat` as a process, line by line.
struct Websocat {
    child: Child,
    lines: mpsc::Receiver<String>,
}

// ----------------------------------------------------------------------------------------------

impl Websocat {
    fn start(program: &Path, server: &Server, path: &str) -> Self {
        let url = server.url.replacen("http", "ws", 1);
        let mut child = Command::new(program)
            .args(["--no-close", "-U"])
            .arg(format!("{url}/{path}"))
            .arg(format!("--basic-auth={}", server.admin()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel(10_000);
        tokio::task::spawn_blocking(move || {
            for line in std::io::BufReader::new(stdout).lines() {
                if line.is_err() || line.is_ok_and(|line| sender.blocking_send(line).is_err()) {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The number of the next event.
    async fn next(&mut self) -> u64 {
        let line = timeout(PATIENCE, self.lines.recv()).await.expect("a line comes");
        number(&serde_json::from_str(&line.expect("websocat goes on")).unwrap())
    }
}

impl Drop for Websocat {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(event: &Value) -> u64 {
    event["data"]["number"].as_u64().unwrap()
}

/// The group as the API shows it.
async fn shown(server: &Server, http: &reqwest::Client, group: &str) -> Option<Value> {
    let (user, key) = server
        .admin()
        .split_once(':')
        .map(|(user, key)| (user.to_owned(), key.to_owned()))
        .unwrap();
    let url = format!("{}/api/groups/v1alpha1/apps/{APP}/groups/{group}", server.url);
    let answer = http.get(url).basic_auth(user, Some(key)).send().await.unwrap();
    answer.status().is_success().then_some(())?;
    Some(answer.json().await.unwrap())
}

/// Waits until the group is as it should be.
async fn until(server: &Server, http: &reqwest::Client, group: &str, is: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let shown = shown(server, http, group).await;
        if let Some(shown) = shown.as_ref().filter(|shown| is(shown)) {
            return shown.clone();
        }
        assert!(start.elapsed() < PATIENCE, "{group}: {shown:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn members(shown: &Value) -> usize {
    shown["live"]["members"].as_array().map_or(0, Vec::len)
}

/// What was promised of Drogue Cloud, and is not so there: every other event, strictly by turns.
#[tokio::test]
async fn two_websocats_of_a_group_get_every_other_event() {
    let Some(program) = websocat::path().expect("websocat can be had") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let http = support::http();
    let path = format!("{APP}?group_id=shared");
    let (mut one, mut two) = (
        Websocat::start(&program, &server, &path),
        Websocat::start(&program, &server, &path),
    );
    until(&server, &http, "shared", |shown| members(shown) == 2).await;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for number in 0..1_000 {
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        // Within its credit, whoever has its turn gets the event.
        if number % 20 == 19 {
            for _ in 0..10 {
                first.push(one.next().await);
                second.push(two.next().await);
            }
        }
    }
    assert_eq!((first.len(), second.len()), (500, 500));
    if first[0] != 0 {
        std::mem::swap(&mut first, &mut second);
    }
    assert_eq!(first, (0..1_000).step_by(2).collect::<Vec<_>>());
    assert_eq!(second, (1..1_000).step_by(2).collect::<Vec<_>>());
    let shown = until(&server, &http, "shared", |shown| shown["lag"]["events"] == 0).await;
    assert_eq!(shown["live"]["receipted"], 1_000, "{shown}");
    assert_eq!(shown["live"]["redelivered"], 0, "{shown}");
}

/// Members and server are killed while events come; nothing is lost, and what is doubled was not receipted durably.
#[tokio::test]
async fn nothing_is_lost_when_members_and_server_are_killed() {
    let Some(program) = websocat::path().expect("websocat can be had") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    let http = support::http();
    let path = format!("{APP}?group_id=shared");
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    let mut next = 0;
    let mut one = Websocat::start(&program, &server, &path);
    until(&server, &http, "shared", |shown| members(shown) == 1).await;
    for round in 0..6 {
        let mut two = server.stream(&path).await;
        until(&server, &http, "shared", |shown| members(shown) == 2).await;
        for _ in 0..50 {
            assert_eq!(server.publish(&http, "c", &numbered(next)).await.unwrap(), 202);
            next += 1;
        }
        // It reads some of them, or none, and is gone without a word; what it had not read goes to the other.
        for _ in 0..round * 4 {
            *seen.entry(number(&next_event(&mut two).await)).or_default() += 1;
        }
        drop(two);
        if round % 2 == 1 {
            server.kill();
            // It ends by itself, because its connection does.
            while let Ok(Some(line)) = timeout(Duration::from_secs(5), one.lines.recv()).await {
                *seen.entry(number(&serde_json::from_str(&line).unwrap())).or_default() += 1;
            }
            server = Server::start(folder.path());
            one = Websocat::start(&program, &server, &path);
            until(&server, &http, "shared", |shown| members(shown) == 1).await;
        }
    }
    let shown = until(&server, &http, "shared", |shown| shown["lag"]["events"] == 0).await;
    while let Ok(Some(line)) = timeout(Duration::from_secs(1), one.lines.recv()).await {
        *seen.entry(number(&serde_json::from_str(&line).unwrap())).or_default() += 1;
    }
    assert_eq!(shown["trimmed"], 0);
    let missing: Vec<_> = (0..next).filter(|number| !seen.contains_key(number)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// `ack=client`, with what is refused, and what a strict client is told.
#[tokio::test]
async fn a_strict_client_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(folder.path());
    let http = support::http();
    let mut one = server
        .stream(&format!("{APP}?group_id=strict&ack=client&cursor=true"))
        .await;
    for count in 0..2 {
        assert_eq!(server.publish(&http, "c", &numbered(count)).await.unwrap(), 202);
    }
    let (first, second) = (next_event(&mut one).await, next_event(&mut one).await);
    assert_eq!((number(&first), number(&second)), (0, 1));
    assert!(first["redelivered"].is_null() && first["cursor"].is_string());
    let say = |what: &str, event: &Value| Message::text(format!(r#"{{"{what}":{}}}"#, event["id"]));
    one.send(say("Nack", &first)).await.unwrap();
    one.send(say("Ack", &second)).await.unwrap();
    let again = next_event(&mut one).await;
    assert_eq!((number(&again), &again["redelivered"]), (0, &Value::Bool(true)));
    assert_eq!((&again["id"], &again["cursor"]), (&first["id"], &first["cursor"]));
    one.send(say("Ack", &again)).await.unwrap();
    until(&server, &http, "strict", |shown| shown["lag"]["events"] == 0).await;
    // Who did not ask for it may not acknowledge.
    let mut plain = server.stream(&format!("{APP}?group_id=plain")).await;
    plain.send(say("Ack", &first)).await.unwrap();
    let (code, reason) = closed(&mut plain).await;
    assert_eq!((code, reason.contains("`ack=client`")), (1002, true), "{reason}");
    // Members have to agree.
    let _other = server.stream(&format!("{APP}?group_id=devices&balance=device")).await;
    let admin = format!("{APP}?group_id=devices");
    match server.connect(&admin, Some(&basic(&server))).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 409);
            let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
            assert!(body.contains("`balance`"), "{body}");
        }
        other => panic!("{other:?}"),
    }
}

fn basic(server: &Server) -> String {
    use base64::Engine as _;
    let admin = server.admin();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(admin))
}

/// A server that stops stores what was receipted; the next one goes on behind it.
#[tokio::test]
async fn a_restart_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    let http = support::http();
    let path = format!("{APP}?group_id=g");
    let mut one = server.stream(&path).await;
    for count in 0..10 {
        assert_eq!(server.publish(&http, "c", &numbered(count)).await.unwrap(), 202);
        assert_eq!(number(&next_event(&mut one).await), count);
    }
    // Its answer to the last Ping is on its way.
    let listening = tokio::spawn(async move { closed(&mut one).await });
    until(&server, &http, "g", |shown| shown["live"]["receipted"] == 10).await;
    assert!(server.terminate().success());
    assert_eq!(listening.await.unwrap().0, 1001);
    let server = Server::start(folder.path());
    let mut one = server.stream(&path).await;
    assert_eq!(server.publish(&http, "c", &numbered(10)).await.unwrap(), 202);
    assert_eq!(number(&next_event(&mut one).await), 10);
}

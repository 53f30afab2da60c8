//! A page in Chromium that streams with `?token=`, and renews its token in band with those of a real Keycloak.

use std::path::Path;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sockeye_parts::{clients, process::Process};

use crate::support::{self, APP, PATIENCE, numbered};
use crate::world::World;

/// So often the token is renewed, with more than two of its lives between the first time and the last.
const TIMES: u32 = 6;

#[tokio::test]
async fn a_page_renews_its_token_until_it_does_not() {
    let Some(chromium) = clients::chromium().unwrap() else {
        return;
    };
    let mut late = Vec::new();
    // Where there is much else to do, no page is in time with tokens that live so short.
    for life in [4, 12] {
        let Some(world) = World::new(&format!("browser-{life}"), life).await else {
            return;
        };
        late = page_renews_its_token(&chromium, &world, life).await;
        if late.is_empty() {
            return;
        }
    }
    panic!("the page renewed no token in time: {late:?}");
}

/// A page renews its token some times, then not any more, and is told so. What it said, if it did not come to renew it every time.
async fn page_renews_its_token(chromium: &Path, world: &World, life: u32) -> Vec<String> {
    // Milliseconds between renewals.
    let pause = life * 375;
    let folder = tempfile::tempdir().unwrap();
    let told = json!({
        "stream": format!("{}/{APP}", world.server.url.replacen("http", "ws", 1)),
        "tokens": format!("{}/protocol/openid-connect/token", world.realm.issuer()),
        "times": TIMES, "pause": pause,
    });
    let page = format!("{}/tests/clients/identity.html", env!("CARGO_MANIFEST_DIR"));
    let told = utf8_percent_encode(&told.to_string(), NON_ALPHANUMERIC).to_string();
    let mut command = clients::browser(chromium, folder.path(), &format!("file://{page}#{told}"));
    let mut browser = Process::spawn(&mut command).unwrap();
    let mut said = Vec::new();
    let (sender, mut lines) = tokio::sync::mpsc::channel(1024);
    std::thread::spawn(move || {
        while let Ok(line) = browser.wait_line(PATIENCE, |line| line.contains("CONSOLE")) {
            // `[..:CONSOLE:18] "number 5", source: ..`
            let text = line.split('"').nth(1).unwrap_or_default().to_owned();
            if sender.blocking_send(text).is_err() {
                return;
            }
        }
    });
    let http = support::http();
    let lives = Duration::from_secs(u64::from(life * TIMES));
    let (mut sent, mut opened, deadline) = (0, None, Instant::now() + 2 * PATIENCE + lives);
    while !said.iter().any(|line: &String| line.starts_with("closed")) {
        assert!(Instant::now() < deadline, "{said:?}");
        if opened.is_some() {
            assert_eq!(world.server.publish(&http, "c", &numbered(sent)).await.unwrap(), 202);
            sent += 1;
        }
        while let Ok(Some(line)) = tokio::time::timeout(Duration::from_millis(50), lines.recv()).await {
            if line == "open" {
                opened = Some(Instant::now());
            }
            said.push(line);
        }
    }
    let of = |word: &str| {
        let found = said.iter().filter_map(|line| line.strip_prefix(word));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    if of("renewed ").len() < TIMES as usize {
        return said;
    }
    assert_eq!(of("closed "), ["1008 JWT token expired"], "{said:?}");
    let lived = opened.unwrap().elapsed();
    assert!(
        lived > Duration::from_millis((TIMES * pause).into()),
        "{lived:?}: {said:?}"
    );
    let numbers: Vec<u64> = of("number ").iter().map(|number| number.parse().unwrap()).collect();
    assert!(numbers.len() > TIMES as usize, "{said:?}");
    // What was sent behind the end of the token did not come; all before did, once and in order.
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    Vec::new()
}

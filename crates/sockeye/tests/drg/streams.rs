//! `stream`.

use std::time::{Duration, Instant};

use serde_json::{Deserializer, Value};

use crate::support::{PATIENCE, numbered};
use crate::world::{Ran, Way, World, publish};

/// An application with two devices.
fn furnish(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    for name in ["d", "e"] {
        world.run_ok(&["create", "device", name, "-a", "a"]);
        world.run_ok(&["set", "password", name, "pw", "-a", "a"]);
    }
}

/// Runs `drg stream`, and publishes as the two devices by turns until it ends, or for ever; how it ended, and what it showed.
async fn stream(world: &World, words: &[&str]) -> (Ran, Vec<Value>) {
    let words = [&["stream", "-a", "a"], words].concat();
    let publishing = async {
        for number in 0.. {
            let who = if number % 2 == 0 { "d@a" } else { "e@a" };
            let answer = publish(&world.server, (who, "pw"), "c", &numbered(number)).await;
            assert_eq!(answer.status(), 202);
        }
    };
    let ran = tokio::select! {
        ran = world.run_beside(&words) => ran,
        () = publishing => unreachable!("it goes on for ever"),
        () = tokio::time::sleep(PATIENCE) => panic!("`drg stream` does not end"),
    };
    let shown = Deserializer::from_str(&ran.out).into_iter().collect::<Result<_, _>>();
    let shown = shown.unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran, shown)
}

pub async fn events_are_streamed(world: &World) {
    furnish(world);
    let (ran, shown) = stream(world, &["-n", "3"]).await;
    assert_eq!((ran.code, shown.len()), (Some(0), 3), "{ran:?}");
    let first = shown[0]["data"]["number"].as_u64().unwrap();
    for (event, number) in shown.iter().zip(first..) {
        let device = if number % 2 == 0 { "d" } else { "e" };
        assert_eq!(event["data"], numbered(number));
        for (name, value) in [
            ("specversion", "1.0"),
            ("type", "io.drogue.event.v1"),
            ("subject", "c"),
            ("application", "a"),
            ("device", device),
            ("sender", device),
            ("instance", "drogue"),
            ("datacontenttype", "application/json"),
        ] {
            assert_eq!(event[name], value, "{name}: {event}");
        }
    }
}

pub async fn the_stream_of_one_device(world: &World) {
    furnish(world);
    // `drg` counts what it does not show.
    let (ran, shown) = stream(world, &["--device", "e", "-n", "4"]).await;
    assert_eq!((ran.code, shown.len()), (Some(0), 2), "{ran:?}");
    assert!(shown.iter().all(|event| event["sender"] == "e"), "{shown:?}");
    // Without TLS there is nothing to skip.
    let (ran, shown) = stream(world, &["--insecure", "-n", "1"]).await;
    assert_eq!((ran.code, shown.len()), (Some(0), 1), "{ran:?}");
}

pub async fn a_stream_that_may_not_be_read(world: &World) {
    world.fails(&["stream", "-a", "nowhere"], "HTTP error: 404 Not Found");
    world.fails(&["stream"], "Missing --application argument");
}

/// A deleted token ends its stream with a reason; `drg` takes that for a good end.
#[tokio::test]
async fn the_stream_of_a_deleted_token_ends() {
    let Some(world) = World::new(Way::AccessKey).await else {
        return;
    };
    furnish(&world);
    let mut drg = world.spawn(&["stream", "-a", "a", "-v"]);
    let mut number = 0;
    let deadline = Instant::now() + PATIENCE;
    while drg
        .wait_line(Duration::from_millis(50), |line| line.contains("\"number\""))
        .is_err()
    {
        assert!(Instant::now() < deadline, "nothing is shown");
        publish(&world.server, ("d@a", "pw"), "c", &numbered(number)).await;
        number += 1;
    }
    let key = world.run_ok(&["whoami", "-t"]);
    let (_, key) = key.trim().split_once(':').unwrap();
    world.says(&["delete", "token", &key[..10]], "Access token deleted");
    let said = drg
        .wait_line(PATIENCE, |line| line.contains("Connection closed by server"))
        .unwrap();
    assert!(said.contains("code: 1008") || said.contains("Policy"), "{said}");
    assert!(said.contains("the access key was revoked"), "{said}");
    assert!(drg.wait_end(PATIENCE));
}

/// `drg` renews its token whenever a frame comes, so also by Pings while nothing is published.
#[tokio::test]
async fn a_stream_lives_longer_than_its_token() {
    // Seconds: a token is renewed by the first Ping, after five. Where there is much else to do, that may come too late for a
    // short life.
    for life in [12, 60] {
        let Some(world) = World::before_login(Way::SingleSignOn, life).await else {
            return;
        };
        world.log_in_as("alice", &[]).await;
        furnish(&world);
        let mut drg = world.spawn(&["stream", "-a", "a"]);
        if drg.wait_end(Duration::from_secs(u64::from(life) + 2)) {
            continue;
        }
        let answer = publish(&world.server, ("d@a", "pw"), "c", &numbered(7)).await;
        assert_eq!(answer.status(), 202);
        drg.wait_line(PATIENCE, |line| line.contains("\"number\": 7")).unwrap();
        return;
    }
    panic!("it ended with its token");
}

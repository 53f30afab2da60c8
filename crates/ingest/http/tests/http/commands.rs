//! Devices that wait for commands (compat/drogue.md 5.1).

use bytes::Bytes;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use sockeye_registry::Command;
use uuid::Uuid;

use crate::world::{Answer, D, World};

fn command(device: &str, name: &str, gateways: &[&str]) -> Command {
    let now = Timestamp::now();
    Command {
        id: Uuid::new_v4(),
        application: "app".into(),
        device: device.into(),
        gateways: gateways.iter().map(|&gateway| gateway.into()).collect(),
        name: name.into(),
        content_type: None,
        payload: Bytes::from_static(b"do"),
        made: now,
        expires: now + SignedDuration::from_mins(1),
    }
}

async fn keep(world: &World, command: Command) {
    world.registry.keep_command(command, Timestamp::MIN).await.unwrap();
}

fn is(answer: &Answer, name: &str, device: Option<&str>) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((header("command"), header("command-device")), (Some(name), device));
    assert_eq!((&*answer.text, header("content-type")), ("do", None));
}

#[tokio::test]
async fn a_command_that_waits_is_fetched_with_the_next_event() {
    let world = World::new().await;
    keep(&world, command("d", "reboot", &[])).await;
    for query in ["application=app", "application=app&ct=0"] {
        let answer = world.publish("/v1/c", (query, D.1), &[], "{}").await;
        assert_eq!((answer.status, &*answer.text), (StatusCode::ACCEPTED, ""));
    }
    let waits = ("application=app&ct=10", D.1);
    is(&world.publish("/v1/c", waits, &[], "{}").await, "reboot", None);
    // What is refused fetches nothing.
    keep(&world, command("d", "again", &[])).await;
    let refused = world
        .publish("/v1/c", ("application=app&ct=10", "d:wrong"), &[], "{}")
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    is(&world.publish("/v1/c", waits, &[], "{}").await, "again", None);
}

#[tokio::test]
async fn a_device_that_waits_is_told_at_once() {
    let world = World::new().await;
    let waits = world.publish("/v1/c", ("application=app&ct=60", D.1), &[], "{}");
    let sends = async {
        // Its event is accepted before it waits.
        while world.events().await.is_empty() {
            tokio::task::yield_now().await;
        }
        keep(&world, command("d", "now", &[])).await;
    };
    let (answer, ()) = tokio::join!(waits, sends);
    is(&answer, "now", None);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_has_its_202() {
    let world = World::new().await;
    keep(&world, command("gw", "for another", &[])).await;
    let before = tokio::time::Instant::now();
    let answer = world.publish("/v1/c", ("application=app&ct=5", D.1), &[], "{}").await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::ACCEPTED, ""));
    assert!(before.elapsed().as_secs() >= 5, "{:?}", before.elapsed());
    // And nobody waits longer than a limit.
    let answer = world
        .publish("/v1/c", ("application=app&ct=18446744073709551615", D.1), &[], "{}")
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_gateway_fetches_for_devices_behind_it() {
    let world = World::new().await;
    for (name, gateways) in [("first", &["gw"][..]), ("second", &["gw"]), ("directly", &[])] {
        keep(&world, command("behind", name, gateways)).await;
    }
    keep(&world, command("gw", "own", &[])).await;
    let asks = async |query: &str| world.publish("/v1/c", (query, "gw:pw"), &[], "{}").await;
    is(&asks("application=app&as=behind&ct=10").await, "first", Some("behind"));
    is(&asks("application=app&ct=10").await, "second", Some("behind"));
    is(&asks("application=app&ct=10").await, "own", None);
}

//! Commands: each goes to one device that may fetch it, once, as long as it counts.

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sockeye_limits as limits;
use uuid::Uuid;

use super::{ANY, Fixture, application, device};
use crate::{Change, Command, CommandError, CommandWay, Registry, Taken};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn command(device: &str, name: &str, gateways: &[&str]) -> Command {
    Command {
        id: Uuid::new_v4(),
        application: "app".into(),
        device: device.into(),
        gateways: gateways.iter().map(|&gateway| gateway.into()).collect(),
        name: name.into(),
        content_type: Some("application/json".into()),
        payload: Bytes::from_static(b"{\"a\":\"\xff\"}"),
        made: now(),
        expires: now() + MINUTE,
    }
}

fn way(sender: &str, device: Option<&str>) -> CommandWay {
    CommandWay {
        sender: sender.into(),
        device: device.map(Into::into),
    }
}

/// An application `app` with some devices.
async fn furnished(registry: &dyn Registry) {
    registry.create_application(application("app")).await.unwrap();
    for name in ["d", "e", "gw"] {
        registry.create_device(device("app", name, json!({}))).await.unwrap();
    }
}

async fn keep(registry: &dyn Registry, command: &Command) {
    registry.keep_command(command.clone(), Timestamp::MIN).await.unwrap();
}

/// The name of the command that is taken.
async fn taken(registry: &dyn Registry, way: CommandWay, at: Timestamp) -> Option<String> {
    let taken = registry.take_command("app", &way, at).await.unwrap();
    taken.map(|command| command.name)
}

pub async fn commands_are_taken_once_and_in_order(fixture: &mut impl Fixture) {
    furnished(fixture.registry()).await;
    let [one, two] = ["one", "two"].map(|name| command("d", name, &[]));
    keep(fixture.registry(), &one).await;
    keep(fixture.registry(), &two).await;
    let registry = fixture.registry();
    assert_eq!(registry.command("app", one.id).await, Ok(Some((one.clone(), None))));
    assert_eq!(taken(registry, way("e", None), now()).await, None);
    assert_eq!(
        registry.take_command("app", &way("d", None), now()).await,
        Ok(Some(one.clone()))
    );
    fixture.restart().await;
    let registry = fixture.registry();
    let by = Taken {
        at: now(),
        by: "d".into(),
    };
    assert_eq!(registry.command("app", one.id).await, Ok(Some((one.clone(), Some(by)))));
    assert_eq!(registry.command("other", one.id).await, Ok(None));
    assert_eq!(registry.command("app", Uuid::nil()).await, Ok(None));
    assert_eq!(taken(registry, way("d", None), now()).await, Some("two".into()));
    assert_eq!(taken(registry, way("d", None), now()).await, None);
    assert_eq!(registry.take_command("other", &way("d", None), now()).await, Ok(None));
}

pub async fn of_many_who_ask_one_gets_a_command(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    furnished(registry).await;
    for round in 0..10 {
        keep(registry, &command("d", &format!("{round}"), &["gw"])).await;
        let askers = (0..8).map(|number| taken(registry, way(["d", "gw"][number % 2], None), now()));
        let got: Vec<String> = join_all(askers).await.into_iter().flatten().collect();
        assert_eq!(got, [round.to_string()]);
    }
}

pub async fn a_gateway_takes_for_devices_behind_it(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    furnished(registry).await;
    keep(registry, &command("d", "for d", &["gw"])).await;
    keep(registry, &command("e", "for e", &["gw"])).await;
    keep(registry, &command("e", "directly", &[])).await;
    keep(registry, &command("gw", "for itself", &[])).await;
    for (asks, gets) in [
        (way("gw", Some("e")), Some("for e")),
        (way("gw", Some("e")), None),
        (way("gw", None), Some("for d")),
        (way("gw", None), Some("for itself")),
        (way("gw", None), None),
        (way("d", None), None),
        (way("e", Some("e")), Some("directly")),
    ] {
        assert_eq!(taken(registry, asks.clone(), now()).await.as_deref(), gets, "{asks:?}");
    }
}

pub async fn an_expired_command_goes_to_nobody_and_is_forgotten(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    furnished(registry).await;
    let old = command("d", "old", &["gw"]);
    keep(registry, &old).await;
    assert_eq!(taken(registry, way("d", None), now() + MINUTE).await, None);
    assert!(registry.command("app", old.id).await.unwrap().is_some());
    let mut next = command("d", "next", &[]);
    next.expires = now() + MINUTE + MINUTE;
    registry.keep_command(next, now() + MINUTE).await.unwrap();
    assert_eq!(registry.command("app", old.id).await, Ok(None), "forgotten");
    assert_eq!(taken(registry, way("d", None), now()).await, Some("next".into()));
}

pub async fn so_many_commands_wait_for_a_device_and_no_more(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    furnished(registry).await;
    for number in 0..limits::COMMANDS_OF_DEVICE {
        keep(registry, &command("d", &number.to_string(), &[])).await;
    }
    let more = || registry.keep_command(command("d", "more", &[]), Timestamp::MIN);
    assert_eq!(more().await, Err(CommandError::TooMany));
    keep(registry, &command("e", "of another", &[])).await;
    assert_eq!(taken(registry, way("d", None), now()).await, Some("0".into()));
    assert_eq!(more().await, Ok(()));
    let to_nobody = registry.keep_command(command("x", "a", &[]), Timestamp::MIN).await;
    assert_eq!(to_nobody, Err(CommandError::NoDevice("x".into())));
}

pub async fn commands_go_with_their_device_and_are_told(fixture: &mut impl Fixture) {
    let registry = fixture.registry();
    furnished(registry).await;
    let mut changes = registry.changes();
    let gone = command("d", "gone", &["gw"]);
    keep(registry, &gone).await;
    let told = Change::Command {
        application: "app".into(),
        targets: vec!["d".into(), "gw".into()],
    };
    assert_eq!(changes.recv().await, Ok(told));
    registry.delete_device("app", "d", ANY).await.unwrap();
    registry.create_device(device("app", "d", json!({}))).await.unwrap();
    assert_eq!(taken(registry, way("d", None), now()).await, None);
    assert_eq!(taken(registry, way("gw", None), now()).await, None);
    assert_eq!(registry.command("app", gone.id).await, Ok(None));
    keep(registry, &command("e", "a", &[])).await;
    registry.delete_application("app", ANY).await.unwrap();
    furnished(registry).await;
    assert_eq!(taken(registry, way("e", None), now()).await, None);
}

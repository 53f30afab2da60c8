//! Commands (compat/drogue.md 6.1, decision 8), as a device would fetch them from the registry.

use http::Request;
use jiff::Timestamp;
use serde_json::json;
use sockeye_limits as limits;
use sockeye_registry::{Command, CommandWay, Device};

use crate::world::World;

const TO: &str = "/api/command/v1alpha1/apps/mine/devices";

/// `alice` owns `mine`, where `bob` reads, with the devices `d` (behind `gw`, `off` and one that is not there), `gw`, and `off`,
/// which is disabled. And the public application `open`.
async fn furnished() -> World {
    let world = World::new().await;
    for (app, reader) in [("mine", "bob"), ("open", "")] {
        let body = json!({"metadata": {"name": app}}).to_string();
        world.ok("alice", "POST /api/registry/v1alpha1/apps", &body, 201).await;
        let members = json!({"members": {reader: {"role": "reader"}}}).to_string();
        let path = format!("PUT /api/admin/v1alpha1/apps/{app}/members");
        world.ok("alice", &path, &members, 204).await;
        for (name, spec) in [
            (
                "d",
                json!({"gatewaySelector": {"matchNames": ["gw", "off", "none", "d"]}}),
            ),
            ("gw", json!({"core": {"disabled": false}})),
            ("off", json!({"core": {"disabled": true}})),
        ] {
            let mut device = Device::named(app, name);
            device.spec = spec.as_object().unwrap().clone();
            world.registry.create_device(device).await.unwrap();
        }
    }
    world
}

async fn fetch(world: &World, sender: &str, device: Option<&str>) -> Option<Command> {
    let way = CommandWay {
        sender: sender.into(),
        device: device.map(Into::into),
    };
    world
        .registry
        .take_command("mine", &way, Timestamp::now())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_command_is_kept_and_its_state_is_told() {
    let world = furnished().await;
    let sent = world
        .ok(
            "alice",
            &format!("POST {TO}/d?command=set-temp"),
            r#"{"target": 21.50}"#,
            202,
        )
        .await;
    assert_eq!(sent.text, "");
    let location = sent.headers["location"].to_str().unwrap().to_owned();
    let state = world.ok("bob", &format!("GET {location}"), "", 200).await.json();
    assert_eq!(
        (&state["state"], &state["command"]),
        (&json!("waiting"), &json!("set-temp"))
    );
    let command = fetch(&world, "gw", Some("d")).await.unwrap();
    assert_eq!(command.payload, r#"{"target": 21.50}"#);
    assert_eq!(command.content_type.as_deref(), Some("application/json"));
    assert_eq!(command.gateways, ["gw"], "those that are there and enabled");
    let state = world.ok("bob", &format!("GET {location}"), "", 200).await.json();
    assert_eq!(
        (&state["state"], &state["deliveredTo"]),
        (&json!("delivered"), &json!("gw"))
    );
}

#[tokio::test]
async fn statuses_of_commands() {
    let world = furnished().await;
    let long = "x".repeat(limits::CHANNEL_NAME + 1);
    let large = format!("\"{}\"", "x".repeat(limits::REGISTRY_DOCUMENT));
    for (user, call, body, status, says) in [
        ("alice", "/d?command=c", "", 202, ""),
        ("alice", "/d?command=c&ttl=1&other=x", "{}", 202, ""),
        ("admin", "/gw?command=c", "null", 202, ""),
        // Who: defect 20 let readers, and anybody in a public application, do it.
        ("-", "/d?command=c", "", 401, "NotAuthorized"),
        ("bob", "/d?command=c", "", 403, "AuthenticationError"),
        ("bob", "/../../open/devices/d?command=c", "", 403, "AuthenticationError"),
        ("bob", "/../../theirs/devices/d?command=c", "", 404, "NotFound"),
        // What.
        ("alice", "/d", "", 400, "`command`"),
        ("alice", "/d?command=", "", 400, "`command`"),
        ("alice", "/d?command=a%0ab", "", 400, "`command`"),
        ("alice", &format!("/d?command={long}"), "", 400, "255"),
        ("alice", "/d?command=c&ttl=0", "", 400, "`ttl`"),
        ("alice", "/d?command=c&ttl=604801", "", 400, "`ttl`"),
        ("alice", "/d?command=c&ttl=soon", "", 400, "ttl"),
        ("alice", "/d?command=c", "{", 406, "not JSON at byte 1"),
        ("alice", "/d?command=c", &large, 413, "65536"),
        // To whom: defect 23 had it the wrong way round.
        ("alice", "/none?command=c", "", 406, "`none`"),
        ("alice", "/off?command=c", "", 406, "`off`"),
    ] {
        let path = match call.strip_prefix("/../../") {
            Some(elsewhere) => format!("/api/command/v1alpha1/apps/{elsewhere}"),
            None => format!("{TO}{call}"),
        };
        let answer = world.call(user, &format!("POST {path}"), body).await;
        assert_eq!(answer.status, status, "{user} {call} {body}: {}", answer.text);
        assert!(answer.text.contains(says), "{user} {call}: {}", answer.text);
    }
    for id in ["6a2ba2d6-5e9d-4b25-8a4e-0d5f0a3c8b7e", "x"] {
        let path = format!("GET /api/command/v1alpha1/apps/mine/commands/{id}");
        world.ok("alice", &path, "", 404).await;
        world.ok("-", &path, "", 401).await;
    }
}

#[tokio::test]
async fn a_payload_may_be_anything() {
    let world = furnished().await;
    let request = Request::post(format!("{TO}/d?command=raw"))
        .header("authorization", world.authorization("alice"))
        .header("content-type", "Text/Plain; charset=utf-8");
    let answer = world.send(request.body(vec![0xff, 0].into()).unwrap()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let command = fetch(&world, "d", None).await.unwrap();
    assert_eq!(&*command.payload, [0xff, 0]);
    assert_eq!(command.content_type.as_deref(), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_device_that_does_not_fetch_is_not_sent_without_end() {
    let world = furnished().await;
    for _ in 0..limits::COMMANDS_OF_DEVICE {
        world.ok("alice", &format!("POST {TO}/d?command=c"), "", 202).await;
    }
    let refused = world.ok("alice", &format!("POST {TO}/d?command=c"), "", 503).await;
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.text);
    assert!(refused.text.contains("100 commands wait"), "{}", refused.text);
}

#[tokio::test]
async fn rules_of_the_application_are_obeyed_before_a_command_is_kept() {
    let world = furnished().await;
    let rules = json!([
        {"when": {"isChannel": "old"}, "then": [{"setAttribute": {"name": "subject", "value": "new"}},
            {"setAttribute": {"name": "datacontenttype", "value": "text/plain"}}, "break"]},
        {"when": {"isChannel": "quiet"}, "then": ["drop"]},
        {"when": {"isChannel": "nameless"}, "then": [{"removeAttribute": "subject"}]},
        {"when": {"isChannel": "format"}, "then": [{"reject": "not from afar"}]},
    ]);
    let document = json!({"metadata": {"name": "mine"}, "spec": {"command": {"rules": rules}}}).to_string();
    world
        .ok("alice", "PUT /api/registry/v1alpha1/apps/mine", &document, 204)
        .await;
    for (name, status, says, fetched) in [
        ("old", 202, "", Some("new")),
        ("quiet", 202, "", None),
        ("nameless", 406, "no name", None),
        ("format", 406, "not from afar", None),
        ("other", 202, "", Some("other")),
    ] {
        let said = world
            .ok("alice", &format!("POST {TO}/d?command={name}"), "1", status)
            .await;
        assert!(said.text.contains(says), "{name}: {}", said.text);
        let command = fetch(&world, "d", None).await;
        assert_eq!(command.as_ref().map(|command| &*command.name), fetched, "{name}");
        let is_text = command.and_then(|command| command.content_type).as_deref() == Some("text/plain");
        assert_eq!(is_text, name == "old");
    }
    let wrong = json!({"metadata": {"name": "mine"}, "spec": {"command": {"rules": [{"then": ["drp"]}]}}}).to_string();
    let refused = world
        .ok("alice", "PUT /api/registry/v1alpha1/apps/mine", &wrong, 400)
        .await;
    assert!(refused.text.contains("spec.command.rules[0]"), "{}", refused.text);
}

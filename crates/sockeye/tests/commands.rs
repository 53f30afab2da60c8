//! Commands to devices (compat/drogue.md 6.1) through real servers: kept until they are delivered or have expired, also across
//! `kill -9`, and delivered once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::time::Instant;

use futures_util::future::join_all;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use sockeye_limits as limits;
use support::{APP, PATIENCE, Server, engines, next_event, numbered};
use tempfile::TempDir;

const PASSWORD: &str = "pw";
/// Seconds for which a device waits that gets something.
const LONG: &str = "ct=30";

/// A server with devices: `behind` is behind `gw`, `off` is disabled.
struct World {
    server: Server,
    http: Client,
    folder: TempDir,
}

/// What a device is answered.
#[derive(Debug, PartialEq, Eq)]
struct Fetched {
    status: u16,
    command: Option<String>,
    /// For whom it is, if not for the device that asks.
    device: Option<String>,
    payload: String,
}

// ----------------------------------------------------------------------------------------------

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("data"));
        server.cli_ok(&["app", "create", APP]);
        let http = support::http();
        let world = Self { server, http, folder };
        let pass = json!({"credentials": [{"pass": PASSWORD}]});
        for (name, spec) in [
            ("d", json!({"authentication": pass})),
            ("gw", json!({"authentication": pass})),
            ("behind", json!({"gatewaySelector": {"matchNames": ["gw"]}})),
            ("off", json!({"core": {"disabled": true}})),
        ] {
            let device = json!({"metadata": {"application": APP, "name": name}, "spec": spec});
            let path = format!("/api/registry/v1alpha1/apps/{APP}/devices");
            let made = world
                .call(&world.server.admin(), Method::POST, &path, Some(&device))
                .await;
            assert_eq!(made.status(), StatusCode::CREATED);
        }
        world
    }

    /// Calls the API as `user:key`.
    async fn call(&self, who: &str, method: Method, path: &str, body: Option<&Value>) -> Response {
        let mut call = self.http.request(method, format!("{}{path}", self.server.url));
        if let Some((user, key)) = who.split_once(':') {
            call = call.basic_auth(user, Some(key));
        }
        if let Some(body) = body {
            call = call.json(body);
        }
        call.send().await.unwrap()
    }

    /// Sends a command as `user:key`, with what its name is as payload too.
    async fn send_as(&self, who: &str, device: &str, query: &str) -> Response {
        let path = format!("/api/command/v1alpha1/apps/{APP}/devices/{device}?command={query}");
        let name = query.split('&').next().unwrap();
        self.call(who, Method::POST, &path, Some(&json!({ "do": name }))).await
    }

    /// Sends one as the administrator, which is accepted; where its state is told.
    async fn send(&self, device: &str, query: &str) -> String {
        let sent = self.send_as(&self.server.admin(), device, query).await;
        assert_eq!(sent.status(), StatusCode::ACCEPTED, "{device} {query}");
        let location = sent.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(sent.text().await.unwrap(), "");
        location
    }

    /// The state of a command.
    async fn state(&self, location: &str) -> Value {
        let told = self.call(&self.server.admin(), Method::GET, location, None).await;
        assert_eq!(told.status(), StatusCode::OK);
        told.json().await.unwrap()
    }

    /// Publishes as a device, and waits for a command as the query says.
    async fn fetch(&self, device: &str, query: &str) -> Fetched {
        fetch(&self.http, &self.server, device, query).await
    }

    /// A user who has this role in the application, or none: `user:key`.
    async fn user(&self, name: &str, role: Option<&str>) -> String {
        let made = self
            .server
            .cli_ok(&["key", "create", "--user", name, "--output", "json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        if let Some(role) = role {
            let path = format!("/api/admin/v1alpha1/apps/{APP}/members");
            let admin = self.server.admin();
            let mut members: Value = self.call(&admin, Method::GET, &path, None).await.json().await.unwrap();
            members["members"][name] = json!({ "role": role });
            let stored = self.call(&admin, Method::PUT, &path, Some(&members)).await;
            assert_eq!(stored.status(), StatusCode::NO_CONTENT);
        }
        format!("{name}:{}", made["token"].as_str().unwrap())
    }
}

async fn fetch(http: &Client, server: &Server, device: &str, query: &str) -> Fetched {
    let call = http.post(format!("{}/v1/c?{query}", server.url));
    let call = call
        .basic_auth(format!("{device}@{APP}"), Some(PASSWORD))
        .json(&json!({}));
    let answer = call.send().await.unwrap();
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    Fetched {
        status: answer.status().as_u16(),
        command: header("command"),
        device: header("command-device"),
        payload: answer.text().await.unwrap(),
    }
}

/// This command has come.
fn command(name: &str, device: Option<&str>) -> Fetched {
    Fetched {
        status: 200,
        command: Some(name.to_owned()),
        device: device.map(str::to_owned),
        payload: json!({ "do": name }).to_string(),
    }
}

/// No command has come.
fn nothing() -> Fetched {
    Fetched {
        status: 202,
        command: None,
        device: None,
        payload: String::new(),
    }
}

#[tokio::test]
async fn a_command_reaches_a_device_that_waits_and_its_answer_is_an_event() {
    let world = World::new().await;
    let mut stream = world.server.stream(APP).await;
    let sends = async {
        // Its event is there before it waits.
        next_event(&mut stream).await;
        world.send("d", "reboot").await
    };
    let (fetched, location) = tokio::join!(world.fetch("d", LONG), sends);
    assert_eq!(fetched, command("reboot", None));
    let state = world.state(&location).await;
    assert_eq!(
        (&state["state"], &state["deliveredTo"]),
        (&json!("delivered"), &json!("d"))
    );
    let call = world.http.post(format!("{}/v1/done", world.server.url));
    let call = call.basic_auth(format!("d@{APP}"), Some(PASSWORD)).json(&numbered(1));
    assert_eq!(call.send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(next_event(&mut stream).await["data"], numbered(1));
}

/// Where the registry is in PostgreSQL, the device waits at another server than that to which the command is sent.
#[tokio::test]
async fn a_command_finds_its_device_at_any_server() {
    let world = World::new().await;
    let other = engines::are_elsewhere().then(|| Server::start(&world.folder.path().join("data")));
    let mut stream = world.server.stream(APP).await;
    let waits = fetch(&world.http, other.as_ref().unwrap_or(&world.server), "d", LONG);
    let sends = async {
        next_event(&mut stream).await;
        world.send("d", "reboot").await
    };
    assert_eq!(tokio::join!(waits, sends).0, command("reboot", None));
}

#[tokio::test]
async fn a_command_waits_for_a_device_that_comes_late_also_across_kill_9() {
    let mut world = World::new().await;
    let locations = [world.send("d", "first").await, world.send("d", "second").await];
    world.server.kill();
    world.server = Server::start(&world.folder.path().join("data"));
    assert_eq!(world.state(&locations[0]).await["state"], "waiting");
    assert_eq!(world.fetch("d", "").await, nothing(), "it did not ask for one");
    assert_eq!(world.fetch("d", LONG).await, command("first", None));
    // What has been delivered is not delivered again.
    world.server.kill();
    world.server = Server::start(&world.folder.path().join("data"));
    let state = world.state(&locations[0]).await;
    assert_eq!(
        (&state["state"], &state["command"]),
        (&json!("delivered"), &json!("first"))
    );
    assert_eq!(world.fetch("d", LONG).await, command("second", None));
    assert_eq!(world.fetch("d", "ct=1").await, nothing());
}

#[tokio::test]
async fn a_gateway_fetches_for_devices_behind_it() {
    let world = World::new().await;
    for name in ["one", "two"] {
        world.send("behind", name).await;
    }
    world.send("gw", "own").await;
    assert_eq!(
        world.fetch("gw", "as=behind&ct=30").await,
        command("one", Some("behind"))
    );
    assert_eq!(world.fetch("gw", LONG).await, command("two", Some("behind")));
    assert_eq!(world.fetch("gw", LONG).await, command("own", None));
    let mut stream = world.server.stream(APP).await;
    let sends = async {
        next_event(&mut stream).await;
        world.send("behind", "three").await
    };
    let (fetched, location) = tokio::join!(world.fetch("gw", LONG), sends);
    assert_eq!(fetched, command("three", Some("behind")));
    assert_eq!(world.state(&location).await["deliveredTo"], "gw");
}

#[tokio::test]
async fn an_expired_command_goes_to_nobody() {
    let world = World::new().await;
    let location = world.send("d", "late&ttl=1").await;
    let deadline = Instant::now() + PATIENCE;
    while world.state(&location).await["state"] != "expired" {
        assert!(Instant::now() < deadline, "it never expires");
    }
    world.send("d", "in-time").await;
    assert_eq!(world.fetch("d", LONG).await, command("in-time", None));
    assert_eq!(world.fetch("d", "ct=1").await, nothing());
}

#[tokio::test]
async fn of_many_requests_one_gets_a_command() {
    let world = World::new().await;
    for name in ["one", "two", "three"] {
        world.send("behind", name).await;
    }
    let asked = (0..8).map(|_| world.fetch("gw", "ct=2"));
    let mut names: Vec<_> = join_all(asked)
        .await
        .into_iter()
        .filter_map(|got| got.command)
        .collect();
    names.sort();
    assert_eq!(names, ["one", "three", "two"]);
}

#[tokio::test]
async fn commands_to_nobody_or_too_many_are_refused() {
    let world = World::new().await;
    let admin = world.server.admin();
    for (device, says) in [("nobody", "`nobody`"), ("off", "`off`")] {
        let refused = world.send_as(&admin, device, "c").await;
        assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
        let said: Value = refused.json().await.unwrap();
        assert_eq!(said["error"], "NotAcceptable");
        assert!(said["message"].as_str().unwrap().contains(says), "{said}");
    }
    for _ in 0..limits::COMMANDS_OF_DEVICE {
        world.send("d", "c").await;
    }
    let refused = world.send_as(&admin, "d", "c").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    // Others have room, and so has it when it has fetched one.
    world.send("gw", "c").await;
    assert_eq!(world.fetch("d", LONG).await, command("c", None));
    world.send("d", "c").await;
}

/// In Drogue Cloud whoever could read could command: readers, and in a public application everybody.
#[tokio::test]
async fn defect_20_commands_need_the_right_to_write() {
    let world = World::new().await;
    let manager = world.user("mary", Some("manager")).await;
    let reader = world.user("rita", Some("reader")).await;
    let stranger = world.user("sam", None).await;
    for public in [false, true] {
        if public {
            world.server.cli_ok(&["member", "set", APP, "", "--role", "reader"]);
        }
        let stranger_sees = if public { 403 } else { 404 };
        for (who, status) in [
            (manager.as_str(), 202),
            (&reader, 403),
            (&stranger, stranger_sees),
            ("", 401),
            ("mary:drg_wrong", 401),
        ] {
            let answer = world.send_as(who, "d", "c").await;
            assert_eq!(answer.status(), status, "{who}, public: {public}");
        }
    }
    // Nothing of it has come.
    for _ in 0..2 {
        assert_eq!(world.fetch("d", LONG).await, command("c", None));
    }
    assert_eq!(world.fetch("d", "ct=1").await, nothing());
}

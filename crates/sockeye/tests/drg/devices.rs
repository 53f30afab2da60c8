//! `create`, `get`, `edit`, `label`, `set` and `delete` of devices.

use serde_json::json;

use crate::applications::edit_in_an_editor;
use crate::world::{World, publish};

pub async fn devices_come_change_and_go(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    world.fails(&["create", "device", "d"], "Missing --application argument");
    world.says(&["create", "device", "d", "-a", "a"], "Device created");
    world.says(
        &["create", "device", "room 1/é", "--app", "a", "-s", r#"{"x":1}"#],
        "Device created",
    );
    let file = world.write(
        "e.json",
        r#"{"metadata":{"name":"e","application":"a","labels":{"of":"file"}}}"#,
    );
    world.says(
        &["create", "device", "-a", "a", "-f", file.to_str().unwrap()],
        "Device created",
    );
    // The subject of its certificate is an alias, unless `drg` loses it, as it does without a specification.
    for (name, spec, alias) in [
        ("f", &["-s", "{}"][..], json!(["CN=f, O=Drogue IoT, OU=a"])),
        ("g", &[], json!(null)),
    ] {
        let words = [&["create", "device", name, "-a", "a", "--cert"][..], spec].concat();
        world.says(&words, "Device created");
        assert_eq!(world.json(&["get", "device", name, "-a", "a"])["spec"]["alias"], alias);
        world.says(&["delete", "device", name, "-a", "a"], "Device deleted");
    }
    world.fails(&["create", "device", "d", "-a", "a"], "Error from drogue cloud: ");
    world.fails(&["create", "device", "d", "-a", "nowhere"], "Error from drogue cloud: ");

    let table = world.run_ok(&["get", "devices", "-a", "a"]);
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["NAME", "d", "e", "room"], "{table}");
    assert_eq!(world.json(&["get", "device", "room 1/é", "-a", "a"])["spec"]["x"], 1);
    let wide = world.run_ok(&["get", "devices", "-a", "a", "-o", "wide"]);
    assert!(wide.contains("FIRMWARE"), "{wide}");

    world.says(&["label", "device", "d", "room=kitchen", "-a", "a"], "Device updated.");
    let listed = world.json(&["get", "devices", "-a", "a", "-l", "room=kitchen,!of"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["metadata"]["name"], "d");
    let mut e = world.json(&["get", "device", "e", "-a", "a"]);
    e["spec"] = json!({"y": 2});
    let file = world.write("e.json", &e.to_string());
    world.says(
        &["edit", "device", "-a", "a", "-f", file.to_str().unwrap()],
        "Device updated",
    );
    edit_in_an_editor(
        world,
        &["edit", "device", "e", "-a", "a"],
        "s/y: 2/y: 3/",
        "Device updated",
    );
    assert_eq!(world.json(&["get", "device", "e", "-a", "a"])["spec"]["y"], 3);

    world.says(&["delete", "device", "e", "-a", "a"], "Device deleted");
    world.fails(
        &["delete", "device", "e", "-a", "a"],
        "The application or device was not found",
    );
    world.says(
        &["delete", "device", "e", "-a", "a", "--ignore-missing"],
        "No device to delete, ignoring.",
    );
    world.fails(
        &["get", "device", "e", "-a", "a"],
        "The application or device was not found",
    );
    world.fails(
        &["get", "devices", "-a", "nowhere"],
        "The application or device was not found",
    );
}

pub async fn what_is_set_for_devices_counts(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    for name in ["d", "behind"] {
        world.run_ok(&["create", "device", name, "-a", "a"]);
    }
    for words in [
        &["set", "password", "d", "first"][..],
        &["set", "password", "d", "second"],
        &["set", "password", "d", "third", "-u", "somebody"],
        &["set", "alias", "d", "also-d"],
        &["set", "psk", "d", "key"],
        &["set", "gateway", "behind", "d"],
    ] {
        world.says(&[words, &["-a", "a"]].concat(), "Device updated.");
    }
    let d = world.json(&["get", "device", "d", "-a", "a"]);
    assert_eq!(
        d["spec"]["authentication"]["credentials"].as_array().unwrap().len(),
        4,
        "{d}"
    );
    assert_eq!(
        world.json(&["get", "device", "behind", "-a", "a"])["spec"]["gatewaySelector"]["matchNames"],
        json!(["d"])
    );
    for (user, password, query, status) in [
        ("d@a", "first", "", 202),
        ("d@a", "second", "", 202),
        ("d@a", "third", "", 403),
        ("also-d@a", "first", "", 202),
        ("somebody@a", "third", "?device=d", 202),
        ("d@a", "first", "?as=behind", 202),
        ("d@a", "first", "?as=nobody", 403),
        ("behind@a", "first", "", 403),
    ] {
        let answer = publish(&world.server, (user, password), &format!("c{query}"), &json!({})).await;
        assert_eq!(answer.status(), status, "{user} {password} {query}");
    }
    // An alias is of one device only.
    world.fails(
        &["set", "alias", "behind", "also-d", "-a", "a"],
        "Error from drogue cloud: ",
    );
    world.fails(
        &["set", "password", "nobody", "pw", "-a", "a"],
        "The application or device was not found",
    );
}

pub async fn certificates_are_made(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    world.run_ok(&["create", "device", "d", "-a", "a"]);
    world.says(
        &[
            "create",
            "app-cert",
            "-a",
            "a",
            "--algo",
            "ECDSA",
            "--key-output",
            "ca.pem",
        ],
        "Application updated",
    );
    let app = world.json(&["get", "app", "a"]);
    assert!(
        app["spec"]["trustAnchors"]["anchors"][0]["certificate"].is_string(),
        "{app}"
    );
    let said = world.run_ok(&[
        "create",
        "device-cert",
        "d",
        "-a",
        "a",
        "--ca-key",
        "ca.pem",
        "--cert_output",
        "d.crt",
        "--key-output",
        "d.key",
    ]);
    assert!(said.contains("Device updated."), "{said}");
    let device = world.json(&["get", "device", "d", "-a", "a"]);
    assert_eq!(device["spec"]["alias"], json!(["CN=d, O=Drogue IoT, OU=a"]));
    let certificate = std::fs::read_to_string(world.folder().join("d.crt")).unwrap();
    assert!(certificate.contains("BEGIN CERTIFICATE"), "{certificate}");
}

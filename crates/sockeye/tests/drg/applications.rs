//! `create`, `get`, `edit`, `label` and `delete` of applications.

use serde_json::{Value, json};

use crate::world::{Ran, World};

pub async fn applications_come_change_and_go(world: &World) {
    world.says(&["create", "app", "a"], "Application created");
    world.says(
        &["add", "application", "b", "-s", r#"{"core":{"disabled":true}}"#],
        "Application created",
    );
    let file = world.write(
        "c.json",
        r#"{"metadata":{"name":"c","labels":{"of":"file"}},"spec":{"x":[1]}}"#,
    );
    world.says(&["create", "app", "-f", file.to_str().unwrap()], "Application created");
    let made = json!({"status": "success", "message": "Application created"});
    assert_eq!(world.json(&["create", "app", "d"]), made);

    let table = world.run_ok(&["get", "apps"]);
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["NAME", "a", "b", "c", "d"], "{table}");
    let a = world.json(&["get", "app", "a"]);
    assert_eq!(a["metadata"]["generation"], 0);
    for condition in ["Ready", "KafkaReady"] {
        let conditions = a["status"]["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|found| found["type"] == condition);
        assert_eq!(found.unwrap()["status"], "True", "{a}");
    }
    assert_eq!(world.json(&["get", "app", "b"])["spec"]["core"]["disabled"], true);
    assert_eq!(world.json(&["get", "app", "c"])["metadata"]["labels"]["of"], "file");

    world.says(&["label", "app", "a", "room=kitchen", "floor=2"], "Application updated");
    let labelled = world.json(&["get", "app", "a"]);
    assert_eq!(labelled["metadata"]["labels"], json!({"room": "kitchen", "floor": "2"}));
    assert_ne!(
        labelled["metadata"]["resourceVersion"],
        a["metadata"]["resourceVersion"]
    );
    assert_eq!(labelled["status"]["conditions"], a["status"]["conditions"]);

    world.says(
        &["edit", "app", "b", "-s", r#"{"core":{"disabled":false}}"#],
        "Application updated",
    );
    assert_eq!(world.json(&["get", "app", "b"])["spec"]["core"]["disabled"], false);
    let mut c = world.json(&["get", "app", "c"]);
    c["spec"]["x"] = json!([1, 2]);
    let file = world.write("c.json", &c.to_string());
    world.says(&["edit", "app", "-f", file.to_str().unwrap()], "Application updated");
    let changed = world.json(&["get", "app", "c"]);
    assert_eq!(
        (&changed["spec"]["x"], &changed["metadata"]["generation"]),
        (&json!([1, 2]), &json!(1))
    );
    edit_in_an_editor(
        world,
        &["edit", "app", "c"],
        "s/of: file/of: editor/",
        "Application updated",
    );
    assert_eq!(world.json(&["get", "app", "c"])["metadata"]["labels"]["of"], "editor");

    for name in ["a", "b", "c"] {
        world.says(&["delete", "app", name], "Application deleted");
    }
    world.fails(&["get", "app", "a"], "The application or device was not found");
    world.fails(&["delete", "app", "a"], "The application or device was not found");
    world.says(
        &["delete", "app", "a", "--ignore-missing"],
        "No application to delete, ignoring.",
    );
    assert_eq!(world.json(&["get", "apps"]).as_array().unwrap().len(), 1);
}

pub async fn applications_are_found_by_labels(world: &World) {
    for (name, labels) in [
        ("a", &["room=kitchen", "floor=1"][..]),
        ("b", &["room=bath", "floor=1"]),
        ("c", &["floor=2"]),
    ] {
        world.run_ok(&["create", "app", name]);
        world.run_ok(&[&["label", "app", name], labels].concat());
    }
    for (selector, found) in [
        ("room=kitchen", &["a"][..]),
        ("floor=1,room", &["a", "b"]),
        ("!room", &["c"]),
        ("room!=kitchen", &["b"]),
        ("floor in (1,2)", &["a", "b", "c"]),
        ("floor notin (1)", &["c"]),
        ("room=attic", &[]),
    ] {
        let listed = world.json(&["get", "apps", "-l", selector]);
        let names = listed.as_array().unwrap().iter().map(|app| &app["metadata"]["name"]);
        assert_eq!(names.collect::<Vec<_>>(), found, "{selector}");
    }
}

pub async fn what_is_wrong_with_an_application_is_said(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    world.fails(&["create", "app", "a"], "Error from drogue cloud: ");
    let failed = Ran::of(&mut world.drg(&["create", "app", "a", "-o", "json"]));
    let said: Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!(
        (failed.code, &said["status"], &said["http_status"]),
        (Some(1), &json!("failure"), &json!(409))
    );
    world.fails(&["create", "app", "No Host Name"], "Error from drogue cloud: ");
    world.fails(
        &["edit", "app", "b", "-s", "{}"],
        "The application or device was not found",
    );
    world.fails(&["label", "app", "b", "a=b"], "The application or device was not found");
    world.fails(&["create", "app", "b", "-s", "{"], "Can't parse data args");
    // A version that is not the newest.
    let old = world.json(&["get", "app", "a"]);
    world.run_ok(&["label", "app", "a", "a=b"]);
    let file = world.write("old.json", &old.to_string());
    world.fails(
        &["edit", "app", "-f", file.to_str().unwrap()],
        "Error from drogue cloud: ",
    );
}

/// Edits what `drg` shows by a script of `sed`, as somebody in an editor.
pub fn edit_in_an_editor(world: &World, words: &[&str], script: &str, says: &str) {
    let editor = world.write(
        "editor",
        &format!("#!/bin/sh\nchanged=$(sed '{script}' \"$1\")\necho \"$changed\" >\"$1\"\n"),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&editor, mode).unwrap();
    let path = std::env::var("PATH").unwrap();
    let ran = Ran::of(world.drg(words).env("VISUAL", &editor).env("PATH", path));
    assert_eq!((ran.code, ran.out.trim()), (Some(0), says), "{ran:?}");
}

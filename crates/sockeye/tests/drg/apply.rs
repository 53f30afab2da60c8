//! `apply`: files of resources.

use std::{io::Write as _, process::Stdio};

use serde_json::json;

use crate::world::World;

pub async fn files_are_applied(world: &World) {
    let folder = world.folder().join("garden");
    std::fs::create_dir(&folder).unwrap();
    let app = json!({"metadata": {"name": "a"}});
    std::fs::write(folder.join("app.json"), app.to_string()).unwrap();
    let said = world.run_ok(&["apply", "-f", "garden"]);
    assert!(
        said.contains("Success creating app a") && said.contains("Finished apply"),
        "{said}"
    );

    let app = world.write("app.yaml", "metadata:\n  name: a\n  labels:\n    of: yaml\n");
    let device = world.write(
        "d.json",
        r#"{"metadata":{"name":"d","application":"a"},"spec":{"x":1}}"#,
    );
    let said = world.run_ok(&["apply", "-f", app.to_str().unwrap(), device.to_str().unwrap()]);
    assert!(
        said.contains("Success updating app a") && said.contains("Success creating device d"),
        "{said}"
    );
    assert_eq!(world.json(&["get", "app", "a"])["metadata"]["labels"]["of"], "yaml");

    let device = json!({"metadata": {"name": "d", "application": "a"}, "spec": {"x": 2}}).to_string();
    let mut command = world.drg(&["apply", "-f", "-"]);
    let mut drg = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drg.stdin.take().unwrap().write_all(device.as_bytes()).unwrap();
    let output = drg.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("Success updating device d"),
        "{said}"
    );
    assert_eq!(world.json(&["get", "device", "d", "-a", "a"])["spec"]["x"], 2);

    let lost = world.write("lost.json", r#"{"metadata":{"name":"d","application":"nowhere"}}"#);
    let said = world.run(&["apply", "-f", lost.to_str().unwrap()]);
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("application nowhere does not exist"), "{said:?}");
}

/// What one registry shows is made in another.
pub async fn what_is_shown_can_be_applied_elsewhere(world: &World) {
    world.run_ok(&["create", "app", "a", "-s", r#"{"core":{"disabled":false}}"#]);
    world.run_ok(&["create", "device", "d", "-a", "a"]);
    world.run_ok(&["set", "password", "d", "pw", "-a", "a"]);
    let (app, device) = (["get", "app", "a"], ["get", "device", "d", "-a", "a"]);
    let shown = [world.json(&app), world.json(&device)];
    world.run_ok(&["delete", "app", "a"]);
    for (document, says) in shown
        .iter()
        .zip(["Success creating app a", "Success creating device d"])
    {
        let file = world.write("shown.json", &document.to_string());
        let said = world.run_ok(&["apply", "-f", file.to_str().unwrap()]);
        assert!(said.contains(says), "{said}");
    }
    let made = [world.json(&app), world.json(&device)];
    for (shown, made) in shown.iter().zip(&made) {
        assert_eq!(shown["spec"], made["spec"]);
        assert_ne!(shown["metadata"]["uid"], made["metadata"]["uid"]);
    }
}

pub async fn a_conflict_is_said(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    let old = world.json(&["get", "app", "a"]);
    world.run_ok(&["label", "app", "a", "of=somebody"]);
    let file = world.write("a.json", &old.to_string());
    let file = file.to_str().unwrap();
    // `drg` fails for no error of a single file.
    let said = world.run_ok(&["apply", "-f", file]);
    assert!(
        said.contains("Error updating app a: Error from drogue cloud: "),
        "{said}"
    );
    assert_eq!(world.json(&["get", "app", "a"])["metadata"]["labels"]["of"], "somebody");
    let said = world.run_ok(&["apply", "--ignore-conflict", "-f", file]);
    assert!(said.contains("Success updating app a"), "{said}");
    assert_eq!(world.json(&["get", "app", "a"])["metadata"]["labels"], json!(null));
}

//! `config`, which never leaves the machine.

use crate::world::World;

pub async fn contexts_are_kept(world: &World) {
    let said = world.log_in_with(&world.key("eve"), &["-k", "-c", "eve"]).out;
    assert!(
        said.contains("Saved context: eve") && !said.contains("Switched"),
        "{said}"
    );
    assert_eq!(world.json(&["whoami"])["context_name"], "default");
    world.says(&["config", "default-context", "eve"], "Switched active context to: eve");
    assert_eq!(world.json(&["whoami"])["context_name"], "eve");
    world.says(&["context", "rename", "eve", "adam"], "Context eve renamed to adam");
    world.fails(&["config", "default-context", "eve"], "Context eve does not exist");
    world.says(
        &["config", "default-context", "default"],
        "Switched active context to: default",
    );

    world.says(
        &["config", "default-app", "first"],
        "first set as default application for context default",
    );
    world.says(
        &["config", "default-algo", "ECDSA"],
        "ECDSA set as default certificate algorithm for context default",
    );
    assert_eq!(world.json(&["whoami"])["default_app"], "first");
    let table = world.run_ok(&["config", "list"]);
    assert!(table.contains("default *") && table.contains("adam"), "{table}");
    let shown = world.run_ok(&["config", "show", "--active"]);
    assert!(shown.contains("default_app: first"), "{shown}");

    // What belongs to the context counts for the calls.
    world.run_ok(&["create", "app", "first"]);
    world.says(&["create", "device", "d"], "Device created");
    world.fails(
        &["-c", "adam", "get", "app", "first"],
        "The application or device was not found",
    );
    world.says(&["config", "delete", "adam"], "Context adam deleted");
    assert_eq!(
        world.json(&["config", "list"]).as_array().unwrap().len(),
        names(world).len()
    );
    assert!(!names(world).contains(&"adam".to_owned()));
}

fn names(world: &World) -> Vec<String> {
    let contexts = world.json(&["config", "list"]);
    let names = contexts
        .as_array()
        .unwrap()
        .iter()
        .map(|context| context["name"].as_str().unwrap().to_owned());
    names.collect()
}

//! `member`, and `transfer`.

use serde_json::json;

use crate::applications::edit_in_an_editor;
use crate::world::World;

pub async fn members_come_change_and_go(world: &World) {
    world.make_bob_known().await;
    world.run_ok(&["create", "app", "a"]);
    world.says(
        &["get", "members", "-a", "a"],
        "The member list for this application is empty.",
    );
    world.says(
        &["create", "member", "bob", "--role", "reader", "-a", "a"],
        "Application members updated",
    );
    let first = world.json(&["get", "members", "-a", "a"]);
    assert_eq!(first["members"], json!({"bob": {"role": "reader"}}));
    world.says(
        &["add", "member", "", "--role", "reader", "-a", "a"],
        "Application members updated",
    );
    let second = world.json(&["get", "members", "-a", "a"]);
    assert_eq!(
        second["members"],
        json!({"": {"role": "reader"}, "bob": {"role": "reader"}})
    );
    assert_ne!(first["resourceVersion"], second["resourceVersion"]);
    // It is public now.
    let path = "a".to_owned();
    drop(world.server.connect(&path, None).await.unwrap());

    edit_in_an_editor(
        world,
        &["edit", "member", "-a", "a"],
        "s/role: reader/role: manager/",
        "Application members updated",
    );
    let table = world.run_ok(&["get", "members", "-a", "a"]);
    assert!(table.contains("USER") && table.contains("bob  | Manager"), "{table}");
    world.says(&["delete", "member", "", "-a", "a"], "Application members updated");
    world.says(&["delete", "member", "bob", "-a", "a"], "Application members updated");
    assert!(world.server.connect(&path, None).await.is_err());
    world.fails(
        &["get", "members", "-a", "nowhere"],
        "The application or device was not found",
    );
}

/// `drg` 0.11.0 fails before it calls anybody.
pub async fn transfers_never_leave_drg(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    for words in [&["init", "bob", "-a", "a"][..], &["accept", "a"], &["cancel", "a"]] {
        world.fails(&[&["transfer"], words].concat(), "Matching variant not found");
    }
}

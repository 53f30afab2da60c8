//! `token`: access keys.

use crate::world::World;

pub async fn a_token_works_until_it_is_deleted(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    let said = world.run_ok(&["create", "token", "--description", "of a test"]);
    assert!(said.starts_with("A new API Token was created:"), "{said}");
    let token = said.lines().find(|line| line.starts_with("drg_")).unwrap();
    let prefix = &token[..10];
    let table = world.run_ok(&["get", "tokens"]);
    assert!(
        table
            .lines()
            .any(|line| line.starts_with(prefix) && line.contains("of a test")),
        "{table}"
    );
    let listed = world.json(&["get", "token"]);
    assert!(
        listed.as_array().unwrap().iter().any(|key| key["prefix"] == prefix),
        "{listed}"
    );

    let ran = world.log_in_with(&format!("alice:{token}"), &["-k", "-c", "by-token"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        world.json(&["-c", "by-token", "get", "apps"])[0]["metadata"]["name"],
        "a"
    );
    world.says(&["delete", "token", prefix], "Access token deleted");
    world.fails(&["-c", "by-token", "get", "apps"], "Error from drogue cloud: ");
    let listed = world.json(&["get", "tokens"]);
    assert!(
        listed.as_array().unwrap().iter().all(|key| key["prefix"] != prefix),
        "{listed}"
    );
}

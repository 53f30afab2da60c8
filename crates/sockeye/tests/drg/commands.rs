//! `command`.

use serde_json::json;

use crate::world::{World, publish};

pub async fn commands_reach_devices(world: &World) {
    world.run_ok(&["create", "app", "a"]);
    for name in ["d", "gw", "behind"] {
        world.run_ok(&["create", "device", name, "-a", "a"]);
        world.run_ok(&["set", "password", name, "pw", "-a", "a"]);
    }
    world.run_ok(&["set", "gateway", "behind", "gw", "-a", "a"]);
    let waits = async |who: &str, query: &str| {
        let answer = publish(
            &world.server,
            (&format!("{who}@a"), "pw"),
            &format!("c?{query}"),
            &json!({}),
        )
        .await;
        let status = answer.status().as_u16();
        let command = answer
            .headers()
            .get("command")
            .map(|name| name.to_str().unwrap().to_owned());
        (status, command, answer.text().await.unwrap())
    };

    // The device waits, or comes later.
    let sends = async {
        let words = ["command", "d", "set-temp", "-a", "a", "-p", r#"{"target":21.50}"#];
        let ran = world.run_beside(&words).await;
        assert_eq!((ran.code, ran.out.trim()), (Some(0), "Command accepted"), "{ran:?}");
    };
    let ((status, command, payload), ()) = tokio::join!(waits("d", "ct=30"), sends);
    assert_eq!((status, command.as_deref()), (200, Some("set-temp")));
    assert_eq!(payload, r#"{"target":21.5}"#, "as `drg` prints it");
    let file = world.write("payload.json", r#"["from", "a file"]"#);
    world.says(
        &["cmd", "behind", "say", "-a", "a", "-f", file.to_str().unwrap()],
        "Command accepted",
    );
    assert_eq!(waits("d", "").await, (202, None, String::new()));
    assert_eq!(
        waits("gw", "ct=30").await,
        (200, Some("say".into()), r#"["from","a file"]"#.into())
    );

    world.fails(
        &["command", "nobody", "c", "-a", "a", "-p", "null"],
        "Error from drogue cloud: ",
    );
    world.fails(
        &["command", "d", "c", "-a", "nowhere", "-p", "null"],
        "Error from drogue cloud: ",
    );
    world.fails(&["command", "d", "c", "-a", "a", "-p", "{"], "Can't parse data args");
    // Who may read only commands nobody (defect 20).
    let ran = world.log_in_with(&world.key("eve"), &["-k", "-c", "eve"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    world.run_ok(&["create", "member", "eve", "--role", "reader", "-a", "a"]);
    world.run_ok(&["-c", "eve", "get", "app", "a"]);
    world.fails(
        &["-c", "eve", "command", "d", "c", "-a", "a", "-p", "null"],
        "Error from drogue cloud: ",
    );
}

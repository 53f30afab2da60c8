//! `group` of a subscription (decision 5): sockets share the events of a stream, and a group loses none.

use serde_json::{Value, json};
use sockeye_limits as limits;

use crate::support::APP;
use crate::world::{Client, PATH, World};

fn join(path: &str, group: &str) -> Value {
    json!({"msgId": 1, "object": "event", "type": "subscribe", "path": path, "group": group})
}

async fn member(world: &World, group: &str) -> Client {
    let mut client = world.client().await;
    client.done(join(PATH, group)).await;
    client
}

async fn publish(world: &World, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        world.publish("temperature", &json!({"n": number})).await;
    }
}

async fn numbers(client: &mut Client, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(client.elements().await["n"].as_u64().unwrap());
    }
    numbers
}

/// What the operator sees of all groups: how many events each has before it, and members.
fn seen(world: &World) -> Vec<(String, u64, u64)> {
    let listed = world.server.cli_ok(&["group", "list", APP]);
    let groups = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let seen = groups.map(|group| {
        let members = group["live"]["members"]
            .as_array()
            .map_or(0, |members| members.len() as u64);
        let name = group["group"].as_str().unwrap().to_owned();
        (name, group["lag"]["events"].as_u64().unwrap(), members)
    });
    seen.collect()
}

#[tokio::test]
async fn members_share_the_events_of_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut all = world.client().await;
    all.subscribe(PATH).await;
    let (mut one, mut two) = (member(&world, "g").await, member(&world, "g").await);
    // To join again is to be there once.
    one.done(join(PATH, "g")).await;
    publish(&world, 0..20).await;
    assert_eq!(numbers(&mut all, 20).await, (0..20).collect::<Vec<_>>());
    let (mut one, two) = (numbers(&mut one, 10).await, numbers(&mut two, 10).await);
    one.extend(two);
    one.sort_unstable();
    assert_eq!(one, (0..20).collect::<Vec<_>>(), "each event goes to one of them");
}

/// And the group keeps its place while nobody is there.
#[tokio::test]
async fn what_a_member_has_not_receipted_is_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let silent = member(&world, "g").await;
    publish(&world, 0..5).await;
    // It never read them, and so never answered.
    drop(silent);
    publish(&world, 5..8).await;
    let mut other = member(&world, "g").await;
    let mut found = numbers(&mut other, 8).await;
    found.sort_unstable();
    assert_eq!(found, (0..8).collect::<Vec<_>>());
    other.unsubscribe(PATH).await;
    publish(&world, 8..11).await;
    other.is_silent().await;
    other.done(join(PATH, "g")).await;
    // What was not receipted before it left comes again.
    while numbers(&mut other, 1).await != [10] {}
}

/// A Pong is a receipt for the groups that asked for one, whichever they are.
#[tokio::test]
async fn a_socket_is_a_member_of_several_groups() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    for (name, more) in [
        ("a", json!({"path": PATH})),
        ("b", json!({"path": "/app/devices/dev/other", "fields": "n"})),
        (
            "c",
            json!({"pathPattern": "/app/devices/+/temperature", "where": "n=gte:3"}),
        ),
    ] {
        let mut request = json!({"msgId": name, "object": "event", "type": "subscribe", "group": name});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        client.done(request).await;
    }
    publish(&world, 0..5).await;
    world.publish("other", &json!({"n": 9, "more": 1})).await;
    let mut found = Vec::new();
    while found.len() < 5 + 2 + 1 {
        found.push(client.elements().await);
    }
    let count = |n: u64| found.iter().filter(|elements| **elements == json!({"n": n})).count();
    assert_eq!([0, 1, 2, 3, 4, 9].map(count), [1, 1, 1, 2, 2, 1]);
    // All of it is receipted, by the Pongs of a client that knows nothing of groups.
    let settled = [("a", 0, 1), ("b", 0, 1), ("c", 0, 1)].map(|(name, lag, members)| (name.to_owned(), lag, members));
    loop {
        // Its library answers Pings when it is read from.
        client.is_silent().await;
        let mut groups = seen(&world);
        groups.sort();
        if groups == settled {
            break;
        }
    }
}

#[tokio::test]
async fn what_a_group_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let mut client = world.client().await;
    let mut request = join(PATH, "g");
    request["since"] = json!(0);
    let text = client.refused(400, request).await;
    assert!(text.contains("not for groups"), "{text}");
    let text = client.refused(400, join(PATH, "")).await;
    assert!(text.contains("`group`"), "{text}");
    client.refused(404, join("/app/nope", "g")).await;
    for number in 0..limits::WS_GROUPS {
        client.done(join(&format!("{PATH}{number}"), "g")).await;
    }
    let text = client.refused(429, join(&format!("{PATH}x"), "g")).await;
    assert!(text.contains("groups"), "{text}");
    client.subscribe("/app/devices/dev/plain").await;
    client.unsubscribe(&format!("{PATH}0")).await;
    client.done(join(&format!("{PATH}x"), "g")).await;
}

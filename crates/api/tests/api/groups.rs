//! Groups, listed, shown, made, moved, deleted.

use jiff::Timestamp;
use serde_json::{Value, json};
use sockeye_event::{Event, binary};
use sockeye_group::{Balance, Counts, Group, Item, Mark, Receipts};
use sockeye_log::{Cursor, GroupId, GroupMark, NewRecord, Position, ReadLimit, Topic};

use crate::world::World;
use sockeye_api::{LiveGroup, LiveMember};

const GROUPS: &str = "/api/groups/v1alpha1/apps/garden/groups";

/// An event of a device on a channel.
pub(crate) fn event(id: &str, device: &str, channel: &str) -> NewRecord {
    let event = Event {
        id: id.into(),
        source: "drogue://garden".into(),
        ty: "io.drogue.event.v1".into(),
        data_content_type: Some("application/json".into()),
        data_schema: None,
        subject: Some(channel.into()),
        time: None,
        extensions: vec![("device".into(), device.into())],
        data: Some("{\"n\":1}".into()),
    };
    let (headers, payload) = binary::encode(&event);
    NewRecord { headers, payload }
}

/// A world with an application `garden` of Alice, which Bob may read, and ten events: `e0` to `e9`, of two devices by turns.
pub(crate) async fn garden() -> World {
    let world = World::new().await;
    let application = json!({ "metadata": { "name": "garden" } }).to_string();
    world
        .ok("alice", "POST /api/registry/v1alpha1/apps", &application, 201)
        .await;
    let members = json!({ "members": { "bob": { "role": "reader" } } }).to_string();
    let path = "PUT /api/admin/v1alpha1/apps/garden/members";
    world.ok("alice", path, &members, 204).await;
    for number in 0..10 {
        append(&world, &format!("e{number}"), ["d0", "d1"][number % 2]).await;
    }
    world
}

async fn append(world: &World, id: &str, device: &str) {
    let topic = Topic::events_of("garden");
    world.log.append(&topic, vec![event(id, device, "temp")]).await.unwrap();
}

/// The position behind so many events.
async fn behind(world: &World, records: usize) -> Position {
    let topic = Topic::events_of("garden");
    let span = world.log.span(&topic).await.unwrap();
    if records == 0 {
        return span.oldest;
    }
    let bytes = usize::MAX;
    let limit = ReadLimit { records, bytes };
    world.log.read(&topic, &span.oldest, limit).await.unwrap().next
}

fn id(group: &str, selection: &str) -> GroupId {
    GroupId {
        application: "garden".into(),
        group: group.into(),
        selection: selection.into(),
    }
}

async fn show(world: &World, group: &str) -> Value {
    world.ok("bob", &format!("GET {GROUPS}/{group}"), "", 200).await.json()
}

#[tokio::test]
async fn a_group_is_made_where_it_is_wanted() {
    let world = garden().await;
    let third = Cursor::encode("garden", &behind(&world, 3).await);
    for (group, body, lag, oldest) in [
        ("end", json!({}), 0, Value::Null),
        ("end2", json!({ "from": "end" }), 0, Value::Null),
        ("all", json!({ "from": "earliest" }), 10, json!("e0")),
        ("old", json!({ "from": "2000-01-01T00:00:00Z" }), 10, json!("e0")),
        ("new", json!({ "from": "9000-01-01T00:00:00Z" }), 0, Value::Null),
        ("third", json!({ "from": third }), 7, json!("e3")),
    ] {
        let path = format!("POST {GROUPS}/{group}");
        let made = world.ok("alice", &path, &body.to_string(), 201).await.json();
        assert_eq!(made["note"].is_string(), group == "new", "{group}: {made}");
        let shown = show(&world, group).await;
        assert_eq!(shown["group"], group);
        assert_eq!(shown["position"], made["position"], "{group}");
        assert_eq!(shown["lag"]["events"], lag, "{group}: {shown}");
        assert_eq!(shown["lag"]["exact"], true);
        assert_eq!(shown["lag"]["oldest"]["id"], oldest, "{group}");
        assert_eq!(shown["lag"]["seconds"].as_f64().unwrap() > 0.0, lag > 0, "{group}");
        assert_eq!((&shown["trimmed"], &shown["live"]), (&json!(0), &Value::Null));
        let again = world.ok("alice", &path, &body.to_string(), 409).await;
        assert!(again.text.contains("is there: move it"), "{}", again.text);
    }
}

#[tokio::test]
async fn a_selection_is_a_part_of_the_identity() {
    let world = garden().await;
    for query in ["", "?channel=temp", "?device=d1&channel=temp", "?channel=a%2Fb%26c"] {
        let path = format!("POST {GROUPS}/w%2F1{query}");
        world.ok("alice", &path, r#"{"from":"earliest"}"#, 201).await;
    }
    let listed = world.ok("bob", &format!("GET {GROUPS}"), "", 200).await.json();
    let seen: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (
                group["group"].clone(),
                group["selection"].clone(),
                group["lag"]["events"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!({}), 10),
        (json!({ "channel": "a/b&c" }), 0),
        (json!({ "channel": "temp" }), 10),
        (json!({ "channel": "temp", "device": "d1" }), 5),
    ];
    assert_eq!(
        seen,
        expected.map(|(selection, lag)| (json!("w/1"), selection, json!(lag)))
    );
    assert_eq!(
        show(&world, "w%2F1?device=d1&channel=temp").await["lag"]["oldest"]["id"],
        "e1"
    );
    let path = format!("DELETE {GROUPS}/w%2F1?channel=temp");
    world.ok("alice", &path, "", 204).await;
    let gone = world.ok("alice", &path, "", 404).await;
    assert!(gone.text.contains("group `w/1` with channel `temp`"), "{}", gone.text);
    show(&world, "w%2F1").await;
}

/// Members give a filter as they like; what it says is the identity.
#[tokio::test]
async fn a_filter_is_a_part_of_the_identity_however_it_is_written() {
    let world = garden().await;
    let create = format!("POST {GROUPS}/f?where=t%3Dgt%3A5%3B");
    world.ok("alice", &create, r#"{"from":"earliest"}"#, 201).await;
    let again = format!("POST {GROUPS}/f?where=t%3Dgt%3A5");
    world.ok("alice", &again, "{}", 409).await;
    let shown = show(&world, "f?where=t=gt:5").await;
    assert_eq!(shown["selection"]["where"], "t=gt:5;");
    // What the filter lets through is not counted here, and that is said.
    assert_eq!(shown["lag"]["exact"], false);
    // One that demands nothing is none.
    world.ok("alice", &format!("GET {GROUPS}/f?where="), "", 404).await;
}

#[tokio::test]
async fn a_group_is_moved_to_the_nearest_place_that_there_is() {
    let world = garden().await;
    world.ok("alice", &format!("POST {GROUPS}/g"), "{}", 201).await;
    let seek = async |from: &str| {
        let body = json!({ "from": from }).to_string();
        let moved = world
            .ok("alice", &format!("PUT {GROUPS}/g/position"), &body, 200)
            .await
            .json();
        let shown = show(&world, "g").await;
        assert_eq!(shown["position"], moved["position"]);
        (shown["lag"]["events"].clone(), moved["note"].clone())
    };
    let topic = Topic::events_of("garden");
    let [first, early, five] = [
        behind(&world, 0).await,
        behind(&world, 2).await,
        behind(&world, 5).await,
    ];
    assert_eq!(seek("earliest").await, (json!(10), Value::Null));
    world.log.trim(&topic, &five).await.unwrap();
    let left = world.log.span(&topic).await.unwrap().oldest;
    let kept = 10 - (left.offset(0) - first.offset(0));
    assert_eq!(left, five);
    assert_eq!(show(&world, "g").await["lag"]["events"], kept);
    let (lag, note) = seek(&Cursor::encode("garden", &early)).await;
    assert_eq!(lag, kept);
    assert!(note.as_str().unwrap().contains("at the oldest that is left"), "{note}");
    let end = world.log.span(&topic).await.unwrap().end;
    let beyond = Position::new(end.incarnation(), [(0, end.offset(0) + 9)]);
    let (lag, note) = seek(&Cursor::encode("garden", &beyond)).await;
    assert_eq!(lag, 0);
    assert!(note.as_str().unwrap().contains("beyond the end"), "{note}");
}

#[tokio::test]
async fn what_retention_takes_from_a_group_is_told() {
    let world = garden().await;
    let body = r#"{"from":"earliest"}"#;
    world.ok("alice", &format!("POST {GROUPS}/g"), body, 201).await;
    let before = behind(&world, 0).await;
    let topic = Topic::events_of("garden");
    let end = world.log.span(&topic).await.unwrap().end;
    let oldest = world.log.trim(&topic, &end).await.unwrap();
    let taken = oldest.offset(0) - before.offset(0);
    assert!(taken > 0);
    let shown = show(&world, "g").await;
    assert_eq!(
        (&shown["trimmed"], &shown["lag"]["events"]),
        (&json!(taken), &json!(10 - taken))
    );
    let mark = GroupMark {
        trimmed: 7,
        ..GroupMark::at(end)
    };
    world.registry.set_group(&id("g", ""), &mark).await.unwrap();
    assert_eq!(show(&world, "g").await["trimmed"], 7);
}

#[tokio::test]
async fn what_was_receipted_out_of_order_is_no_lag() {
    let world = garden().await;
    world.ok("alice", &format!("POST {GROUPS}/g"), "{}", 201).await;
    let mut marking = sockeye_group::Marking::of(&Mark::at(behind(&world, 0).await));
    let topic = Topic::events_of("garden");
    let batch = world
        .log
        .read(&topic, &behind(&world, 0).await, ReadLimit::default())
        .await
        .unwrap();
    for (at, record) in batch.records.iter().enumerate() {
        marking.read(record.partition, record.offset, ![2, 5, 6].contains(&at));
    }
    marking.passed(&batch.next);
    let mark = marking.mark();
    let mark = GroupMark {
        receipted: mark.encode_receipted(),
        ..GroupMark::at(mark.position)
    };
    world.registry.set_group(&id("g", ""), &mark).await.unwrap();
    let lag = show(&world, "g").await["lag"].clone();
    assert_eq!((&lag["events"], &lag["oldest"]["id"]), (&json!(3), &json!("e2")));
}

#[tokio::test]
async fn a_long_lag_is_an_upper_bound() {
    let world = garden().await;
    let body = r#"{"from":"earliest"}"#;
    world.ok("alice", &format!("POST {GROUPS}/g"), body, 201).await;
    let topic = Topic::events_of("garden");
    let records = (0..1_500)
        .map(|number| event(&format!("x{number}"), "d0", "other"))
        .collect();
    world.log.append(&topic, records).await.unwrap();
    let listed = world.ok("bob", &format!("GET {GROUPS}"), "", 200).await.json();
    let lag = &listed[0]["lag"];
    assert_eq!((&lag["exact"], &lag["oldest"]["id"]), (&json!(false), &json!("e0")));
    assert!(lag["events"].as_u64().unwrap() >= 1_510, "{lag}");
    let lag = show(&world, "g").await["lag"].clone();
    assert_eq!((&lag["exact"], &lag["events"]), (&json!(true), &json!(1_510)));
}

#[derive(Clone)]
struct Thing(bytestring::ByteString);

impl Item for Thing {
    fn id(&self) -> &str {
        &self.0
    }
    fn device(&self) -> &bytestring::ByteString {
        &self.0
    }
    fn bytes(&self) -> usize {
        100
    }
}

#[tokio::test]
async fn a_group_with_members_shows_them() {
    let world = garden().await;
    let body = r#"{"from":"earliest"}"#;
    world.ok("alice", &format!("POST {GROUPS}/g"), body, 201).await;
    let now = std::time::Instant::now();
    let mut group = Group::load(&Mark::at(behind(&world, 0).await));
    for _ in 0..2 {
        group.join(Receipts::Pong, Balance::Any).unwrap();
    }
    for offset in 0..4 {
        group.push(0, offset, Thing(format!("e{offset}").into()));
    }
    while group.next(now).is_some() {}
    let live = LiveGroup {
        members: group
            .members()
            .map(|view| LiveMember {
                view,
                name: Some("bob".into()),
                since: Timestamp::UNIX_EPOCH,
            })
            .collect(),
        position: behind(&world, 4).await,
        open: group.open(),
        waiting: group.waiting(),
        oldest: Some(Timestamp::UNIX_EPOCH),
        trimmed: 3,
        counts: Counts {
            redelivered: 2,
            ..group.counts()
        },
    };
    world.groups.live.lock().unwrap().insert(id("g", ""), live);
    let shown = show(&world, "g").await;
    assert_eq!((&shown["lag"]["events"], &shown["trimmed"]), (&json!(10), &json!(3)));
    assert_eq!(shown["lag"]["oldest"], json!({ "time": "1970-01-01T00:00:00Z" }));
    let live = &shown["live"];
    assert_eq!((&live["outstanding"], &live["waiting"]), (&json!(4), &json!(0)));
    assert_eq!((&live["delivered"], &live["redelivered"]), (&json!(4), &json!(2)));
    assert_eq!(live["members"][1]["outstanding"], 2);
    assert_eq!(live["members"][1]["receipts"], "pong");
    assert_eq!(live["members"][1]["name"], "bob");
    let moved = json!({ "from": "end" }).to_string();
    world
        .ok("alice", &format!("PUT {GROUPS}/g/position"), &moved, 200)
        .await;
    assert_eq!(
        show(&world, "g").await["live"],
        Value::Null,
        "its members are disconnected"
    );
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let world = garden().await;
    world.ok("alice", &format!("POST {GROUPS}/g"), "{}", 201).await;
    let refused = async |user: &str, call: &str, body: &str, status: u16, part: &str| {
        let answer = world.ok(user, call, body, status).await;
        assert!(answer.text.contains(part), "{call} {body}: {}", answer.text);
    };
    let long = "x".repeat(129);
    let create = |group: &str| format!("POST {GROUPS}/{group}");
    refused("alice", &create(&long), "{}", 400, "1 to 128 bytes").await;
    refused("alice", &create("a%0Ab"), "{}", 400, "no control characters").await;
    refused("alice", &create("h"), r#"{"form":"end"}"#, 400, "unknown field `form`").await;
    refused(
        "alice",
        &create("h"),
        r#"{"from":"yesterday"}"#,
        400,
        "a time as RFC 3339",
    )
    .await;
    refused("alice", &create("h?color=red"), "{}", 400, "unknown field `color`").await;
    refused(
        "alice",
        &create("h?where=t%3Dfoo%3A5"),
        "{}",
        400,
        "`where` is wrong: INVALID_OPERATOR",
    )
    .await;
    refused(
        "alice",
        &format!("PUT {GROUPS}/g/position"),
        "{}",
        400,
        "`from` is missing",
    )
    .await;
    refused(
        "alice",
        &format!("PUT {GROUPS}/h/position"),
        r#"{"from":"end"}"#,
        404,
        "group `h` of",
    )
    .await;
    refused("bob", &create("h"), "{}", 403, "Not authorized").await;
    refused("bob", &format!("PUT {GROUPS}/g/position"), r#"{"from":"end"}"#, 403, "").await;
    refused("bob", &format!("DELETE {GROUPS}/g"), "", 403, "").await;
    refused("-", &format!("GET {GROUPS}"), "", 401, "credentials").await;
    refused(
        "bob",
        "GET /api/groups/v1alpha1/apps/none/groups",
        "",
        404,
        "application `none`",
    )
    .await;
    let topic = Topic::events_of("garden");
    let old = Cursor::encode("garden", &world.log.span(&topic).await.unwrap().end);
    world.log.delete_topic(&topic).await.unwrap();
    assert_eq!(show(&world, "g").await["lag"]["events"], 0, "there is no log");
    let body = json!({ "from": old }).to_string();
    refused("alice", &create("h"), &body, 400, "was replaced since").await;
    append(&world, "first", "d0").await;
    assert_eq!(
        show(&world, "g").await["lag"]["events"],
        1,
        "the group goes on in the new log"
    );
}

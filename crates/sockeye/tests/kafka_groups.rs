//! Groups over Kafka, beside Kafka's own tools: they see how far groups are, and what they have left is gone on with.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::time::Instant;

use sockeye_parts::{kafka::Kafka, process::connections};
use support::{APP, DEVICE, PASSWORD, PATIENCE, Server, closed, engines::kafka, next_event, numbered};

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

// ----------------------------------------------------------------------------------------------

fn start(folder: &std::path::Path) -> Server {
    Server::start_with(folder, |command| {
        // As Kafka's own tools expect them in these tests; the registry is where the tests want it.
        command.args(["--kafka", &kafka().bootstrap(), "--kafka-partitions", "1"]);
        command.args(["--kafka-topics", "drogue"]);
    })
}

/// A server with the application and a device of it; each test has an application of its own, as they share Kafka.
fn with_application(folder: &std::path::Path, application: &str) -> Server {
    let server = start(folder);
    server.cli_ok(&["app", "create", application]);
    server.cli_ok(&["device", "create", application, DEVICE, "--password", PASSWORD]);
    server
}

async fn publish(server: &Server, application: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let request = support::http().post(format!("{}/v1/c", server.url));
        let request = request.basic_auth(format!("{DEVICE}@{application}"), Some(PASSWORD));
        assert_eq!(request.json(&numbered(number)).send().await.unwrap().status(), 202);
    }
}

/// What one of Kafka's tools prints.
fn tool(kafka: &Kafka, class: &str, words: &[&str]) -> String {
    let output = kafka
        .tool(class)
        .args(["--bootstrap-server", &kafka.bootstrap()])
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Committed offset and lag of a group in the one partition of its topic, as Kafka's tool shows them; `None` if it knows no such
/// group.
fn described(group: &str) -> Option<(u64, u64)> {
    let output = kafka()
        .tool(GROUPS)
        .args([
            "--bootstrap-server",
            &kafka().bootstrap(),
            "--describe",
            "--group",
            group,
        ])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = printed.lines().find(|line| line.starts_with(group))?;
    let columns: Vec<&str> = row.split_whitespace().collect();
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG ...
    Some((columns[3].parse().unwrap(), columns[5].parse().unwrap()))
}

/// Waits until the tool shows this.
fn is_described(group: &str, expected: Option<(u64, u64)>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = described(group);
        if seen == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{group}: {seen:?}, not {expected:?}");
    }
}

#[tokio::test]
async fn kafkas_own_tools_see_how_far_a_group_is() {
    let folder = tempfile::tempdir().unwrap();
    let application = "mirrored";
    let mut server = with_application(folder.path(), application);
    // Without a group: nothing of it stays.
    let mut ephemeral = server.stream(application).await;
    let mut member = server.stream(&format!("{application}?group_id=workers")).await;
    // Behind what is told of the device.
    is_described("mirrored.workers", Some((1, 0)));
    publish(&server, application, 0..3).await;
    for number in 0..3 {
        assert_eq!(next_event(&mut member).await["data"], numbered(number));
        assert_eq!(next_event(&mut ephemeral).await["data"], numbered(number));
    }
    // The receipt of the last one comes with the Pong to a Ping, which only a client that goes on reading answers.
    let reading = tokio::spawn(async move { closed(&mut member).await });
    tokio::task::spawn_blocking(|| is_described("mirrored.workers", Some((4, 0))))
        .await
        .unwrap();
    // What is told last is told before the server ends.
    assert!(server.terminate().success());
    assert_eq!(reading.await.unwrap().0, 1001);
    let server = start(folder.path());
    publish(&server, application, 3..5).await;
    is_described("mirrored.workers", Some((4, 2)));
    let listed = tool(kafka(), GROUPS, &["--list"]);
    let ours: Vec<&str> = listed.lines().filter(|name| name.starts_with("mirrored")).collect();
    assert_eq!(ours, ["mirrored.workers"], "ephemeral readers leave no group");

    server.cli_ok(&["group", "delete", application, "workers"]);
    is_described("mirrored.workers", None);
    // It was not only hidden: the next one is a new group, at the end.
    let mut member = server.stream(&format!("{application}?group_id=workers")).await;
    publish(&server, application, 5..6).await;
    assert_eq!(next_event(&mut member).await["data"], numbered(5));
}

/// Somebody has read with a group of Kafka so far: Sockeye goes on where it was.
#[tokio::test]
async fn a_group_that_only_kafka_knows_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let application = "adopting";
    let server = with_application(folder.path(), application);
    publish(&server, application, 0..4).await;
    let words = [
        "--topic",
        "events-adopting",
        "--group",
        "adopting.old",
        "--from-beginning",
    ];
    let read = tool(kafka(), CONSUMER, &[&words[..], &["--max-messages", "3"]].concat());
    // What is told of the device, and two of its events.
    assert_eq!(read.lines().count(), 3, "{read}");
    is_described("adopting.old", Some((3, 2)));

    let mut member = server.stream(&format!("{application}?group_id=old")).await;
    for number in 2..4 {
        assert_eq!(next_event(&mut member).await["data"], numbered(number));
    }
    let reading = tokio::spawn(async move { closed(&mut member).await });
    tokio::task::spawn_blocking(|| is_described("adopting.old", Some((5, 0))))
        .await
        .unwrap();
    reading.abort();
}

/// A topic is read once, whatever the number of its readers: what connections there are is a matter of the engine, which has a
/// few clients.
#[tokio::test]
async fn a_hundred_readers_are_one_for_kafka() {
    let folder = tempfile::tempdir().unwrap();
    let application = "shared";
    let server = with_application(folder.path(), application);
    let mut sockets = vec![server.stream(application).await];
    publish(&server, application, 0..1).await;
    assert_eq!(next_event(&mut sockets[0]).await["data"], numbered(0));
    assert!(
        connections(server.pid(), kafka().port()).unwrap() > 0,
        "it is connected"
    );
    for _ in 1..100 {
        sockets.push(server.stream(application).await);
    }
    publish(&server, application, 1..2).await;
    for socket in &mut sockets {
        assert_eq!(next_event(socket).await["data"], numbered(1));
    }
    let all = connections(server.pid(), kafka().port()).unwrap();
    assert!(all < 20, "{all} connections for 100 readers");
}

/// What was in Kafka before is nobody's by its name alone, and stays as it is.
#[tokio::test]
async fn a_topic_that_was_there_is_adopted_on_demand_and_left_alone() {
    const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
    let folder = tempfile::tempdir().unwrap();
    let topic = "events-app";
    let configured = ["--create", "--topic", topic, "--config", "retention.ms=2592000000"];
    tool(kafka(), TOPICS, &configured);
    let mut producer = kafka()
        .tool("org.apache.kafka.tools.ConsoleProducer")
        .args(["--bootstrap-server", &kafka().bootstrap(), "--topic", topic])
        .args(["--reader-property", "parse.headers=true"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let line = "ce_specversion:1.0,ce_id:1,ce_type:io.drogue.event.v1,ce_source:/d,ce_subject:c,ce_device:d,content-type:application/json\t\
                {\"number\":0}\n";
    std::io::Write::write_all(producer.stdin.as_mut().unwrap(), line.as_bytes()).unwrap();
    drop(producer.stdin.take());
    assert!(producer.wait().unwrap().success());

    let server = start(folder.path());
    let refused = server.cli(&["app", "create", APP]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains(topic) && said.contains("--adopt"),
        "{said}"
    );
    server.cli_ok(&["app", "create", APP, "--adopt"]);
    server.cli_ok(&["device", "create", APP, DEVICE, "--password", PASSWORD]);
    let mut socket = server.stream(&format!("{APP}?from=earliest")).await;
    publish(&server, APP, 1..2).await;
    for number in 0..2 {
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
    let settings = || tool(kafka(), TOPICS, &["--describe", "--topic", topic]);
    let is_untouched = |settings: String| {
        let first = settings.lines().next().unwrap().to_owned();
        assert!(first.contains("retention.ms=2592000000"), "{first}");
        assert!(
            !first.contains("retention.bytes") && !first.contains("segment"),
            "{first}"
        );
    };
    is_untouched(settings());
    server.cli_ok(&["app", "delete", APP]);
    is_untouched(settings());
    let words = ["--topic", topic, "--from-beginning", "--max-messages", "2"];
    let read = tool(kafka(), CONSUMER, &words);
    assert_eq!(read.lines().count(), 2, "nothing of it is gone: {read}");
}

//! Three brokers, of which one dies: another one leads the partition, and nothing that was accepted is lost.

use std::{sync::Arc, time::Instant};

use sockeye_parts::kafka::Cluster;

use crate::{
    LOOK, RECOVERY, TOPIC, TOPICS, all_comes,
    clients::{Address, Publisher, Seen, member, reader},
    elsewhere,
    support::{APP, Server},
    until,
};

/// Leaders that die, one after the other.
const DEATHS: usize = 2;

/// What Kafka's own tool says of the partition: its leader, and how many replicas are in step with it.
fn partition(cluster: &Cluster) -> (usize, usize) {
    let mut command = cluster.tool(TOPICS);
    command.args([
        "--bootstrap-server",
        &cluster.bootstrap(),
        "--describe",
        "--topic",
        TOPIC,
    ]);
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let word = |name: &str| {
        let (_, behind) = said.split_once(name)?;
        behind.split_whitespace().next().map(str::to_owned)
    };
    let leader = word("Leader: ").and_then(|id| id.parse().ok());
    let in_step = word("Isr: ").map(|ids| ids.split(',').count());
    leader.zip(in_step).unwrap_or_else(|| panic!("{said}"))
}

/// Waits until every replica is in step; the leader.
async fn whole(cluster: &Cluster) -> usize {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let (leader, in_step) = partition(cluster);
        if in_step == 3 {
            return leader;
        }
        assert!(Instant::now() < deadline, "{in_step} replicas are in step");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test]
async fn a_partition_whose_leader_dies_is_led_by_another() {
    let Some(mut cluster) = Cluster::start_or_say().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&folder.path().join("data"), |command| {
        command.args(["--kafka", &cluster.bootstrap()]);
        command.args(["--kafka-partitions", "1", "--kafka-replicas", "3"]);
    });
    server.make_device();
    let address = Address::default();
    address.set(&server.url, &server.admin());
    let (group, cursor) = (Arc::<Seen>::default(), Arc::<Seen>::default());
    let both = [&*group, &*cursor];
    let elsewhere = elsewhere();
    let entered = elsewhere.enter();
    let clients = [
        member(address.clone(), Arc::clone(&group)),
        reader(address.clone(), Arc::clone(&cursor)),
    ];
    // The group is there before the first event is.
    until("the group is there", || {
        server.cli(&["group", "show", APP, "g"]).status.success()
    })
    .await;
    let publisher = Publisher::start(address);
    drop(entered);
    until("it runs", || publisher.accepted().len() > 20).await;

    for _ in 0..DEATHS {
        let leader = whole(&cluster).await;
        cluster.kill(leader).unwrap();
        let before = publisher.accepted().len();
        until("publishing goes on", || publisher.accepted().len() > before + 50).await;
        let (next, _) = partition(&cluster);
        assert_ne!(next, leader);
        all_comes(&publisher, &both).await;
        cluster.start_again(leader).unwrap();
    }
    all_comes(&publisher, &both).await;
    let accepted = publisher.end().await;
    until("all has come", || {
        both.iter().all(|seen| seen.missing(&accepted).is_empty())
    })
    .await;
    for client in clients {
        client.abort();
    }
}

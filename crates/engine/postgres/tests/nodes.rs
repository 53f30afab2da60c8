//! Several nodes with one database: what one changes, all are told, in one order.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use common::{PATIENCE, application, next, node, of_application};
use futures_util::future::join_all;
use sockeye_parts::postgres;
use sockeye_registry::{Change, Preconditions, Registry, WriteError};

#[tokio::test]
async fn what_one_node_changes_all_are_told() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let (one, two) = (node(&url).await, node(&url).await);
    let mut changes = two.changes();
    one.create_application(application("app")).await.unwrap();
    assert_eq!(next(&mut changes).await, Ok(of_application("app")));
    assert!(two.application("app").await.unwrap().is_some());
}

#[tokio::test]
async fn changes_are_told_also_if_nobody_wakes() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let (one, two) = (node(&url).await, node(&url).await);
    let mut changes = two.changes();
    // Whoever listens is cut off, more often than it comes back in.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let mut cuts = 0;
    for step in 0..5 {
        cuts += postgres.psql(&url, cut).unwrap().parse::<u32>().unwrap();
        let name = format!("app-{step}");
        one.create_application(application(&name)).await.unwrap();
        assert_eq!(next(&mut changes).await, Ok(of_application(&name)));
    }
    assert!(cuts > 0, "somebody listened");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_are_told_in_one_order_and_one_wins() {
    const EACH: usize = 20;
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let nodes = [node(&url).await, node(&url).await, node(&url).await];
    let mut listeners = nodes.each_ref().map(Registry::changes);
    let makes = nodes
        .iter()
        .flat_map(|node| (0..EACH).map(|number| node.create_application(application(&format!("app-{number}")))));
    let made = join_all(makes).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), EACH);
    for refused in made.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, WriteError::Taken(_)), "{refused}");
    }
    let mut told = Vec::new();
    for listener in &mut listeners {
        let mut order = Vec::new();
        while order.len() < EACH {
            order.push(next(listener).await.unwrap());
        }
        told.push(order);
    }
    assert!(told.iter().all(|order| *order == told[0]), "{told:?}");
    for listener in &mut listeners {
        listener.try_recv().unwrap_err();
    }
}

#[tokio::test]
async fn who_missed_what_is_not_kept_is_told_to_forget() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let (one, two) = (node(&url).await, node(&url).await);
    // Many changes that are removed already; then a database that was restored from an older backup.
    for last in [1_000_000, 7] {
        one.create_application(application("app")).await.unwrap();
        let mut changes = two.changes();
        let elsewhere = format!("DELETE FROM changes; UPDATE change_counter SET last = {last}");
        postgres.psql(&url, &elsewhere).unwrap();
        one.delete_application("app", Preconditions::default()).await.unwrap();
        let forgotten = async { while changes.recv().await != Ok(Change::All) {} };
        tokio::time::timeout(PATIENCE, forgotten).await.expect("it is told");
        // And from then on as ever.
        let mut changes = two.changes();
        one.create_application(application("next")).await.unwrap();
        while next(&mut changes).await != Ok(of_application("next")) {}
        one.delete_application("next", Preconditions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn old_changes_are_removed() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let registry = node(&url).await;
    let many = "INSERT INTO changes (number, kind, application, name) SELECT n, 'user', '', '' FROM generate_series(1, 100000) n; \
                UPDATE change_counter SET last = 100000";
    postgres.psql(&url, many).unwrap();
    registry.create_application(application("app")).await.unwrap();
    let kept = postgres.psql(&url, "SELECT count(*), min(number), max(number) FROM changes");
    assert_eq!(kept.unwrap(), "100000|2|100001");
}

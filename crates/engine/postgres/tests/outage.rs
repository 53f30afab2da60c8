//! PostgreSQL stands still, dies, and comes back: calls fail in time, and work again; nothing that was told stored is lost.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::future::Future;
use std::time::{Duration, Instant};

use common::{PATIENCE, application, next, node, of_application};
use sockeye_limits as limits;
use sockeye_log::{GroupError, GroupId, GroupPositions as _};
use sockeye_parts::postgres::Postgres;
use sockeye_registry::{Registry as _, WriteError};

/// On a machine that is busy.
const SLACK: Duration = Duration::from_secs(3);

/// Asks until there is an answer.
async fn again<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(ask: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "it does not come back: {error:?}"),
        }
    }
}

#[tokio::test]
async fn who_stands_still_is_not_waited_for() {
    let Some(postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let registry = node(&url).await;
    registry.create_application(application("app")).await.unwrap();
    postgres.freeze().unwrap();
    let started = Instant::now();
    let group = GroupId {
        application: "app".into(),
        group: "g".into(),
        selection: String::new(),
    };
    let (read, written, group) = tokio::join!(
        registry.application("app"),
        registry.create_application(application("other")),
        registry.use_group(&group)
    );
    let waited = started.elapsed();
    read.unwrap_err();
    assert!(matches!(written, Err(WriteError::Unavailable(_))), "{written:?}");
    assert!(matches!(group, Err(GroupError::Unavailable(_))), "{group:?}");
    assert!(waited < limits::POSTGRES_ANSWER + SLACK, "{waited:?}");
    postgres.thaw().unwrap();
    assert!(again(|| registry.application("app")).await.is_some());
    // The change that was given up may have been made, or not; it can be made once at most.
    let other = again(|| async {
        match registry.create_application(application("other")).await {
            Err(WriteError::Unavailable(reason)) => Err(reason),
            answered => Ok(answered),
        }
    });
    assert!(matches!(other.await, Ok(_) | Err(WriteError::Taken(_))));
}

#[tokio::test]
async fn who_was_killed_is_used_again_and_what_was_missed_is_told() {
    let Some(mut postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let (one, two) = (node(&url).await, node(&url).await);
    let mut changes = two.changes();
    for round in 0..3 {
        let name = format!("app-{round}");
        postgres.kill().unwrap();
        let started = Instant::now();
        let refused = one.create_application(application(&name)).await;
        assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
        assert!(started.elapsed() < limits::POSTGRES_ANSWER + SLACK);
        postgres.start_again().unwrap();
        again(|| one.create_application(application(&name))).await;
        assert_eq!(next(&mut changes).await, Ok(of_application(&name)));
        for before in 0..=round {
            let name = format!("app-{before}");
            assert!(again(|| two.application(&name)).await.is_some(), "{name} was stored");
        }
    }
}

#[tokio::test]
async fn a_closed_registry_says_so() {
    let Some(postgres) = sockeye_parts::postgres::shared().unwrap() else {
        return;
    };
    let registry = node(&postgres.database().unwrap()).await;
    registry.close().await;
    let refused = registry.application("app").await.unwrap_err().to_string();
    assert!(refused.contains("closed"), "{refused}");
    registry.close().await;
}

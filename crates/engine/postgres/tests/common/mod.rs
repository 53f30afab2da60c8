//! Engines and waiting that the tests use.
#![allow(dead_code, reason = "each test uses its part")]

use std::time::Duration;

use sockeye_engine_postgres::{PostgresOptions, PostgresRegistry};
use sockeye_registry::{Application, Change};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// Nothing that is waited for here takes longer on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

// ----------------------------------------------------------------------------------------------

pub(crate) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        url: url.to_owned(),
        ..PostgresOptions::default()
    }
}

pub(crate) async fn node(url: &str) -> PostgresRegistry {
    PostgresRegistry::open(&options(url)).await.expect("it can be opened")
}

pub(crate) fn application(name: &str) -> Application {
    Application::named(name, "owner")
}

pub(crate) fn of_application(name: &str) -> Change {
    Change::Application(name.to_owned())
}

pub(crate) async fn next(changes: &mut Receiver<Change>) -> Result<Change, RecvError> {
    timeout(PATIENCE, changes.recv()).await.expect("it is told")
}

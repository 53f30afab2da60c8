//! The engine passes the conformance suite of the registry, on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use async_trait::async_trait;
use sockeye_engine_postgres::{PostgresOptions, PostgresRegistry};
use sockeye_parts::postgres;
use sockeye_registry::Registry;
use sockeye_registry::conformance::Fixture;

struct Database {
    registry: PostgresRegistry,
    options: PostgresOptions,
}

#[async_trait]
impl Fixture for Database {
    fn registry(&self) -> &dyn Registry {
        &self.registry
    }

    async fn restart(&mut self) {
        self.registry.close().await;
        self.registry = PostgresRegistry::open(&self.options).await.unwrap();
    }

    async fn restart_with_outbox(&mut self, most: usize) {
        self.options.outbox = most;
        self.restart().await;
    }
}

async fn fresh() -> Database {
    let postgres = postgres::shared()
        .expect("PostgreSQL can be had")
        .expect("there is nothing to test without PostgreSQL");
    let options = PostgresOptions {
        url: postgres.database().unwrap(),
        ..PostgresOptions::default()
    };
    Database {
        registry: PostgresRegistry::open(&options).await.unwrap(),
        options,
    }
}

sockeye_registry::registry_conformance!(fresh);

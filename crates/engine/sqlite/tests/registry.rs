//! The engine passes the conformance suite of the registry.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::future::{Ready, ready};

use async_trait::async_trait;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_registry::Registry;
use sockeye_registry::conformance::Fixture;
use tempfile::TempDir;

struct File {
    engine: SqliteEngine,
    folder: TempDir,
}

#[async_trait]
impl Fixture for File {
    fn registry(&self) -> &dyn Registry {
        &self.engine
    }

    async fn restart(&mut self) {
        self.engine.close().await;
        self.engine = open(&self.folder, Options::default());
    }

    async fn restart_with_outbox(&mut self, most: usize) {
        self.engine.close().await;
        let options = Options {
            outbox: most,
            ..Options::default()
        };
        self.engine = open(&self.folder, options);
    }
}

fn open(folder: &TempDir, options: Options) -> SqliteEngine {
    SqliteEngine::open(folder.path().join("sockeye.db"), options).unwrap()
}

fn fresh() -> Ready<File> {
    let folder = tempfile::tempdir().unwrap();
    ready(File {
        engine: open(&folder, Options::default()),
        folder,
    })
}

sockeye_registry::registry_conformance!(fresh);

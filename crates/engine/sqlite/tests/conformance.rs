//! The engine passes the conformance suite of the log.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use sockeye_engine_sqlite::{Options, SqliteEngine};
use sockeye_log::Log;
use sockeye_log::conformance::Fixture;
use tempfile::TempDir;

struct File {
    engine: SqliteEngine,
    folder: TempDir,
}

#[async_trait]
impl Fixture for File {
    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.engine.clone())
    }

    async fn restart(&mut self) {
        self.engine.close().await;
        self.engine = open(&self.folder);
    }
}

fn open(folder: &TempDir) -> SqliteEngine {
    SqliteEngine::open(folder.path().join("sockeye.db"), Options::default()).unwrap()
}

#[allow(clippy::unused_async, reason = "other engines wait when they start")]
async fn fresh() -> impl Fixture {
    let folder = tempfile::tempdir().unwrap();
    File {
        engine: open(&folder),
        folder,
    }
}

sockeye_log::log_conformance!(fresh);

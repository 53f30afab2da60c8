//! Where events and registry are: both in the data file, or events in Kafka, or the registry in PostgreSQL, or both elsewhere.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;

use prometheus_client::registry::Registry as Numbers;
use sockeye_engine_postgres::{OpenError, PostgresOptions, PostgresRegistry};
use sockeye_engine_sqlite::{DevicesTold, Options, SqliteEngine};
use sockeye_log::Log;
use sockeye_registry::Registry;

use crate::{Config, StartError, kafka};

/// Name of the data file in the data folder.
pub const DATA_FILE: &str = "sockeye.db";

/// Log and registry, and what has to be closed of them.
pub(crate) struct Engines {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) registry: Arc<dyn Registry>,
    /// The data file, unless nothing is in it.
    file: Option<SqliteEngine>,
    postgres: Option<PostgresRegistry>,
}

// ----------------------------------------------------------------------------------------------

impl Engines {
    /// Opens what is configured. The data folder is made in any case: the administrator's key is written there.
    pub(crate) async fn open(config: &Config) -> Result<Self, StartError> {
        let folder = |reason| StartError::Folder {
            path: config.data.clone(),
            reason,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.data)
            .map_err(folder)?;
        kafka::check(&config.kafka)?;
        // Each ends by itself if the next cannot be opened.
        let postgres = postgres(&config.postgres).await?;
        let log = match &config.kafka.brokers {
            Some(brokers) => Some(kafka::open(brokers, &config.kafka).await?),
            None => None,
        };
        if postgres.is_some() && log.is_none() {
            tracing::warn!(
                "events are in the data file of this server alone: others with the same registry do not have them"
            );
        }
        let file = match (&log, &postgres) {
            (Some(_), Some(_)) => None,
            _ => Some(file(config, log.is_none()).await?),
        };
        let in_file = || Arc::new(file.clone().expect("it is open unless nothing is in it"));
        Ok(Self {
            log: log.unwrap_or_else(|| in_file()),
            registry: match &postgres {
                Some(postgres) => Arc::new(postgres.clone()),
                None => in_file(),
            },
            file,
            postgres,
        })
    }

    /// What the engines count.
    pub(crate) fn register(&self, numbers: &mut Numbers) {
        // That of a log which is elsewhere would always be zero.
        if let Some(file) = &self.file {
            file.metrics().register(numbers);
        }
    }

    /// Closes them: what was accepted is durable, and the data file is free for another process.
    pub(crate) async fn close(&self) {
        if let Some(postgres) = &self.postgres {
            postgres.close().await;
        }
        if let Some(file) = &self.file {
            file.close().await;
        }
    }
}

async fn postgres(options: &PostgresOptions) -> Result<Option<PostgresRegistry>, StartError> {
    if !options.url.is_empty() {
        return Ok(Some(PostgresRegistry::open(options).await?));
    }
    if *options == PostgresOptions::default() {
        return Ok(None);
    }
    let message =
        "`postgres.url` is off, but other settings of PostgreSQL are given: give the URL too, or none of them";
    Err(OpenError::Options(message.to_owned()).into())
}

async fn file(config: &Config, has_log: bool) -> Result<SqliteEngine, StartError> {
    let file = config.data.join(DATA_FILE);
    let instance = config.instance.clone();
    let options = Options {
        devices: if has_log {
            DevicesTold::InLog { instance }
        } else {
            DevicesTold::Elsewhere
        },
        ..Options::default()
    };
    // In a thread that may block: a file that was not closed is recovered first.
    let open = tokio::task::spawn_blocking(move || SqliteEngine::open(file, options));
    Ok(open.await.map_err(|ended| StartError::Thread(ended.into()))??)
}

//! A whole server in this process, on free ports, and clients that know nothing of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bad_credentials;
mod client;
#[path = "../../../sockeye/tests/support/engines.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod engines;
mod first_start;
mod matrix;
#[path = "../../../access/tests/provider/mod.rs"]
#[allow(dead_code, reason = "the tests of `access` use the rest")]
mod provider;
mod proxies;
mod refusals;
mod requests;
mod shutdown;
mod tls;

use std::path::Path;

use sockeye_server::{Config, Server};

/// A configuration for tests: free ports, one core, this folder, or where the tests want things.
fn config(folder: &Path) -> Config {
    let mut config = Config {
        data: folder.join("data"),
        cores: Some(1),
        http_bind: "127.0.0.1:0".parse().unwrap(),
        metrics_bind: Some("127.0.0.1:0".parse().unwrap()),
        ..Config::default()
    };
    if let Some(place) = engines::place(&config.data) {
        config.kafka.brokers = Some(engines::kafka().bootstrap());
        config.kafka.topics = Some(place.topics);
        config.kafka.partitions = Some(engines::PARTITIONS.into());
        config.postgres.url = place.postgres;
    }
    config
}

async fn start(folder: &Path) -> Server {
    Server::start(config(folder)).await.unwrap()
}

/// `admin:drg_...`
fn admin(server: &Server) -> String {
    std::fs::read_to_string(server.admin_key_file())
        .unwrap()
        .trim()
        .to_owned()
}

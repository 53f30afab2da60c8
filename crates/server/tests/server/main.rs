//! A whole server in this process, on free ports, and clients that know nothing of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bad_credentials;
mod client;
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

/// A configuration for tests: free ports, one core, this folder.
fn config(folder: &Path) -> Config {
    Config {
        data: folder.join("data"),
        cores: Some(1),
        http_bind: "127.0.0.1:0".parse().unwrap(),
        metrics_bind: Some("127.0.0.1:0".parse().unwrap()),
        ..Config::default()
    }
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

//! Clients that people have: Node.js with its own WebSocket, a browser, Python with `websockets` or with a Kafka client.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::part;

/// The version that `scripts/parts` gets from npm: the first long-term release whose WebSocket needs no flag.
const NODE: &str = "22.23.3";
/// Whatever Debian has.
const CHROMIUM: &str = "debian";
/// Whatever Debian has.
const PYTHON_KAFKA: &str = "debian";
const PYTHON: &str = "debian";

// ----------------------------------------------------------------------------------------------

/// The program `node`; `Ok(None)` where it cannot be had.
pub fn node() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("node", NODE)?.map(|folder| folder.join("node")))
}

/// The program `chromium`; `Ok(None)` where it cannot be had.
pub fn chromium() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("chromium", CHROMIUM)?.map(|folder| folder.join("chromium")))
}

/// A command that runs Python with a Kafka client (`import kafka`); `Ok(None)` where it cannot be had.
pub fn python_with_kafka() -> anyhow::Result<Option<Command>> {
    Ok(part::folder("python-kafka", PYTHON_KAFKA)?.map(|folder| {
        let mut command = Command::new("/usr/bin/python3");
        command.env("PYTHONPATH", folder.join("usr/lib/python3/dist-packages"));
        command
    }))
}

/// The program `python3`, which knows `websockets`; `Ok(None)` where it cannot be had.
pub fn python() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("python", PYTHON)?.map(|folder| folder.join("python3")))
}

/// A browser without a window that shows the page at this address; what the page logs, it prints. `folder` is its own.
pub fn browser(chromium: &Path, folder: &Path, page: &str) -> Command {
    let mut command = Command::new(chromium);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--remote-debugging-port=0",
    ]);
    command.arg(format!("--user-data-dir={}", folder.join("browser").display()));
    command.arg(page);
    command
}

//! Servers to compare with. No test needs them: where one cannot be had, the error says why.

use std::path::PathBuf;

use crate::part;

/// The version that `scripts/parts` gets from npm.
const BUN: &str = "1.4.5";
/// Whatever Debian has.
const NATS: &str = "debian";

// ----------------------------------------------------------------------------------------------

/// Bun, whose WebSockets are uWebSockets.
pub fn bun() -> anyhow::Result<PathBuf> {
    Ok(part::fetched("bun", BUN)?.join("bun"))
}

/// NATS server.
pub fn nats() -> anyhow::Result<PathBuf> {
    Ok(part::fetched("nats", NATS)?.join("usr/sbin/nats-server"))
}

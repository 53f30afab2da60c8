//! Clients that people have: Node.js with its own WebSocket, and a browser.

use std::path::PathBuf;

use crate::part;

/// The version that `scripts/parts` gets from npm: the first long-term release whose WebSocket needs no flag.
const NODE: &str = "22.23.3";
/// Whatever Debian has.
const CHROMIUM: &str = "debian";

// ----------------------------------------------------------------------------------------------

/// The program `node`; `Ok(None)` where it cannot be had.
pub fn node() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("node", NODE)?.map(|folder| folder.join("node")))
}

/// The program `chromium`; `Ok(None)` where it cannot be had.
pub fn chromium() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("chromium", CHROMIUM)?.map(|folder| folder.join("chromium")))
}

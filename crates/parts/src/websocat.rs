//! `websocat`, the WebSocket client of the command line that people have.

use std::path::PathBuf;

use crate::part;

/// The version that `scripts/parts` builds.
const VERSION: &str = "1.14.0";

// ----------------------------------------------------------------------------------------------

/// The program; `Ok(None)` where it cannot be had.
pub fn path() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("websocat", VERSION)?.map(|folder| folder.join("bin/websocat")))
}

//! `drg`, the command line tool of Drogue Cloud that people have.

use std::path::PathBuf;

use crate::part;

/// The version that `scripts/parts` builds.
const VERSION: &str = "0.11.0";

// ----------------------------------------------------------------------------------------------

/// The program; `Ok(None)` where it cannot be had.
pub fn path() -> anyhow::Result<Option<PathBuf>> {
    Ok(part::folder("drg", VERSION)?.map(|folder| folder.join("bin/drg")))
}

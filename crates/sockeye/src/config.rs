//! `sockeye config`: the documented configuration file.

use anyhow::Result;

use crate::output;

// ----------------------------------------------------------------------------------------------

/// Prints the file with every setting at its default.
pub fn run() -> Result<()> {
    output::line(sockeye_server::template().trim_end())
}

//! Servers to compare with, each as a process of its own: `sockeye-bench serve NAME`. The first line of output is where it
//! listens.

mod bare;
mod control;
mod floor;
mod tungstenite;

use anyhow::{Result, bail};

// ----------------------------------------------------------------------------------------------

/// Serves until the process is ended.
pub fn serve(name: &str) -> Result<()> {
    match name {
        "bare" => bare::serve(),
        "floor" => floor::serve(),
        "tungstenite" => tungstenite::serve(),
        _ => bail!("there is no server `{name}`: there are bare, floor, tungstenite"),
    }
}

//! Servers to compare with, each as a process of its own: `sockeye-bench serve NAME`. The first line of output is where it
//! listens.

mod bare;
mod control;
mod floor;
mod floor_tls;
mod row;
mod trees;
mod tungstenite;
mod upgrade;

use anyhow::{Result, bail};

// ----------------------------------------------------------------------------------------------

/// Serves until the process is ended. What needs files finds them in the folder.
pub fn serve(name: &str, folder: &str) -> Result<()> {
    match name {
        "bare" => bare::serve(),
        "floor" => floor::serve(),
        "floor-tls" => floor_tls::serve(folder),
        // Not a server, but a process of its own too; the word behind it is where Kafka is.
        "kafka-consumer" => crate::kafka::serve_consumer(folder),
        "row" => row::serve(folder),
        "trees" => trees::serve(),
        "tungstenite" => tungstenite::serve(),
        "upgrade" => upgrade::serve(),
        _ => bail!(
            "there is no server `{name}`: there are bare, floor, floor-tls, row, trees, kafka-consumer, tungstenite, upgrade"
        ),
    }
}

//! Sockeye: durable device events over WebSockets. `cli.rs` lists the commands; each has its file.
//!
//! | file | idea |
//! | --- | --- |
//! | `cli.rs` | the definition of the command line |
//! | `serve.rs`, `config.rs` | a server and its configuration |
//! | `demo/` | the whole way of an event, with this machine as the devices |
//! | `stream.rs`, `publish.rs` | a client's and a device's end |
//! | `filter.rs` | the language of `where` and `fields`, for JSON lines |
//! | `app/`, `device.rs`, `member.rs`, `key.rs`, `user.rs` | the registry of a server |
//! | `command.rs` | what devices are told to do |
//! | `import/` | what other systems have |
//! | `group/` | its groups and their dead letters |
//! | `backup.rs` | copies of the data, and back |
//! | `bench/` | what a server on this machine can do |
//! | `client.rs`, `socket.rs`, `trust.rs` | what commands share that talk to a server |
//! | `value.rs`, `output.rs` | what values may be, how results are shown |
//! | `manual.rs` | completions and manual pages |

mod app;
mod backup;
mod bench;
mod cli;
mod client;
mod command;
mod config;
mod demo;
mod device;
mod filter;
mod group;
mod import;
mod key;
mod manual;
mod member;
mod output;
mod publish;
mod serve;
mod socket;
mod stream;
mod trust;
mod user;
mod value;

use std::process::ExitCode;

/// Fast where many small buffers come and go on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = cli::Cli::read();
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody installed another one before");
    match cli.run().await {
        Ok(code) => code,
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

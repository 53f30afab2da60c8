//! One process: configuration, wiring, limits, metrics, health, shutdown. It knows no rule of any protocol.
//!
//! | file | idea |
//! | --- | --- |
//! | `settings.rs` | every setting, once |
//! | `value.rs` | values from the text that people write |
//! | `sources.rs`, `flags.rs` | where settings are given: file, environment, flags |
//! | `config.rs` | [`Config`], or everything that is wrong with it |
//! | `template.rs` | the documented configuration file |
//! | `server.rs` | [`Server`]: start and stop |
//! | `rooms.rs` | the rooms of the house, and what each is given |
//! | `live_groups.rs`, `expiry.rs` | groups, from delivery to the API; those that are forgotten |
//! | `engines.rs`, `kafka.rs` | where events and registry are: any mix |
//! | `first_start.rs` | the administrator's key |
//! | `front.rs` | what stands between clients and rooms |
//! | `listener.rs` | addresses, and the thread that accepts |
//! | `cores.rs` | the threads that serve, one per core |
//! | `connection.rs` | one connection |
//! | `tls.rs`, `tls/`, `handshake.rs` | certificates; how a connection becomes one of TLS |
//! | `proxy.rs`, `proxy/` | who stands between a client and the server, and is believed |
//! | `oidc.rs`, `tenants.rs` | the providers of tokens; tokens that name a tenant |
//! | `request.rs`, `not_found.rs` | what every request gets; requests that are nobody's |
//! | `health.rs`, `metrics.rs`, `logs.rs` | what operators look at |
//! | `shutdown.rs` | signals |
//! | `files.rs` | file descriptors |
//! | `error.rs` | why a server does not start |

mod config;
mod connection;
mod cores;
mod engines;
mod error;
mod expiry;
mod files;
mod first_start;
mod flags;
mod front;
mod handshake;
mod health;
mod kafka;
mod listener;
mod live_groups;
pub mod logs;
mod metrics;
mod mirror;
mod not_found;
mod oidc;
mod proxy;
mod request;
mod rooms;
mod server;
mod settings;
mod shutdown;
mod sources;
mod template;
mod tenants;
mod tls;
mod value;

pub use config::{
    Config, ConfigErrors, DojotConfig, KafkaConfig, LogConfig, LogFormat, OidcConfig, ProxyConfig, ProxySpeaks,
    TlsConfig,
};
pub use engines::DATA_FILE;
pub use error::StartError;
pub use first_start::KEY_FILE;
pub use flags::Flags;
pub use oidc::OidcError;
pub use proxy::Network;
pub use server::{Server, Stopped};
pub use shutdown::{Signal, Signals};
pub use sources::Sources;
pub use template::template;
pub use tenants::TenantsError;
pub use tls::TlsErrors;

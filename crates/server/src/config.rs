//! The configuration: plain data that was checked, or everything that is wrong with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sockeye_access::oidc::Shape;
use sockeye_dialect_dojot::TicketErrors;
use sockeye_dialect_octave::Bounds;
use sockeye_engine_kafka::PlainJson;
use sockeye_engine_postgres::PostgresOptions;
use sockeye_log::Retention;

use crate::proxy::Network;
use crate::settings::SETTINGS;
use crate::sources::{Given, Origin, Sources};

/// What a server needs to know. [`Config::default`] is what it does when nothing is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder of the data file and of the administrator's key.
    pub data: PathBuf,
    /// Name of this installation, an extension of every event.
    pub instance: String,
    /// Threads that serve connections; `None` is one per core.
    pub cores: Option<usize>,
    /// How long open requests and sockets may take to end.
    pub drain: Duration,
    /// Where devices, clients and operators connect.
    pub http_bind: SocketAddr,
    /// How clients reach it, if not where they ask.
    pub http_url: Option<String>,
    /// Certificates and their keys, in files: without them, connections are plain.
    pub tls: TlsConfig,
    /// Which proxies are believed.
    pub proxy: ProxyConfig,
    /// Whose tokens are accepted.
    pub oidc: OidcConfig,
    /// Clients of dojot's Kafka WS.
    pub dojot: DojotConfig,
    /// Where `/metrics` is served.
    pub metrics_bind: Option<SocketAddr>,
    /// Whether TLS is spoken there too.
    pub metrics_tls: bool,
    /// Most open connections.
    pub connections: usize,
    /// How long the events of an application are kept.
    pub retention: Retention,
    /// How long they are kept after the application was deleted.
    pub retention_deleted: Duration,
    /// How long a group may be without members until it is forgotten; `None` is for ever.
    pub groups_expire: Option<Duration>,
    /// What clients of Octave may have at once.
    pub octave: Bounds,
    /// How long streams wait for a log that cannot be read.
    pub stream_outage: Duration,
    /// Where events are, if not in the data file.
    pub kafka: KafkaConfig,
    /// Where the registry is, if not in the data file: with a URL that is not empty.
    pub postgres: PostgresOptions,
    /// The log of the server itself.
    pub log: LogConfig,
}

/// How Kafka is reached, and what new topics are like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port` of some brokers, separated by commas; `None`: events are in the data file.
    pub brokers: Option<String>,
    /// File with further properties of librdkafka.
    pub properties: Option<PathBuf>,
    /// What topics are called, with `{application}` in it; `None`: as in Drogue Cloud.
    pub topics: Option<String>,
    /// How records that are plain JSON become events; `None`: they are skipped.
    pub plain: Option<PlainJson>,
    /// Partitions of new topics; `None`: as the brokers say.
    pub partitions: Option<usize>,
    /// Replicas of their partitions; `None`: as the brokers say.
    pub replicas: Option<usize>,
}

/// Where the certificates of the server are, if it has some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM files, each with a certificate, and behind it those that lead to its authority.
    pub certificates: Vec<PathBuf>,
    /// PEM files with their keys, in the same order.
    pub keys: Vec<PathBuf>,
}

/// Who may tell that a client is elsewhere, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Networks of proxies; nobody else is believed.
    pub trusted: Vec<Network>,
    /// How they tell it.
    pub speaks: ProxySpeaks,
}

/// How a proxy tells the address of its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxySpeaks {
    /// The header `X-Forwarded-For` of each request.
    #[default]
    XForwardedFor,
    /// The header `Forwarded` of each request (RFC 7239).
    Forwarded,
    /// The first bytes of each connection: the PROXY protocol, version 1 or 2.
    ProxyProtocol,
}

/// Which providers of tokens there are, and what of their tokens counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OidcConfig {
    /// URLs of the providers; without one there are no tokens.
    pub issuers: Vec<String>,
    /// For whom tokens have to be.
    pub audiences: Vec<String>,
    /// Where names and roles are: one for all issuers, or one for each.
    pub shapes: Vec<Shape>,
    /// Who has this role may do everything.
    pub admin_role: Option<String>,
    /// PEM file of the authorities of the providers' certificates; `None` is those of the system.
    pub ca: Option<PathBuf>,
    /// How long a socket lives on after its token has expired.
    pub token_grace: Duration,
}

/// What clients of dojot's Kafka WS may do, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DojotConfig {
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// JSON file with keys of HS256, by `iss`.
    pub secrets: Option<PathBuf>,
    /// Where a gateway connects that has verified tokens.
    pub gateway: Option<SocketAddr>,
    /// Whether TLS is spoken there too.
    pub gateway_tls: bool,
    /// How long a ticket can be used.
    pub ticket_life: Duration,
    /// How a client is told that its ticket does not count.
    pub ticket_errors: TicketErrors,
    /// How long a connection lives.
    pub connection_life: Option<Duration>,
    /// Whether it lives until its token expires, if that is later.
    pub token_expiry: bool,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// Levels of modules, in the words of `tracing-subscriber`.
    pub level: String,
}

/// The form of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Stands for a value that may hold a password.
const HIDDEN: &str = "(not shown)";

/// Everything that is wrong with a configuration, each by the name under which it was given.
#[derive(Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{origin}: `{value}` is not allowed; give {allowed}")]
    NotAllowed {
        origin: Origin,
        value: String,
        allowed: &'static str,
    },
    #[error("{origin}: there is no such setting{}", hint(suggestion.as_deref()))]
    Unknown { origin: Origin, suggestion: Option<String> },
    #[error("{variable}: the value is not UTF-8")]
    NotUtf8 { variable: String },
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{}: the file cannot be read: {reason}", path.display())]
    File { path: PathBuf, reason: String },
}

// ----------------------------------------------------------------------------------------------

impl Config {
    /// Reads the sources; what was given by flag counts more than the environment, and that more than the file.
    ///
    /// # Errors
    /// Every value that is wrong, also those that another source overrides, and every name that is not known.
    pub fn read(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut config = Self::default();
        let (given, mut errors) = sources.read();
        for Given { setting, text, origin } in given {
            if (setting.set)(&mut config, &text).is_none() {
                errors.push(ConfigError::NotAllowed {
                    origin,
                    value: if setting.is_secret() { HIDDEN.to_owned() } else { text },
                    allowed: setting.allowed,
                });
            }
        }
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(errors))
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        // The table knows the defaults; these values only give the fields their types.
        let mut config = Self {
            data: PathBuf::new(),
            instance: String::new(),
            cores: None,
            drain: Duration::ZERO,
            http_bind: (Ipv4Addr::LOCALHOST, 0).into(),
            http_url: None,
            tls: TlsConfig::default(),
            proxy: ProxyConfig::default(),
            oidc: OidcConfig::default(),
            dojot: DojotConfig {
                tenant_claim: String::new(),
                secrets: None,
                gateway: None,
                gateway_tls: false,
                ticket_life: Duration::ZERO,
                ticket_errors: TicketErrors::Close,
                connection_life: None,
                token_expiry: false,
            },
            metrics_bind: None,
            metrics_tls: false,
            connections: 0,
            retention: Retention {
                age: Duration::ZERO,
                bytes: 0,
            },
            retention_deleted: Duration::ZERO,
            groups_expire: None,
            octave: Bounds::default(),
            stream_outage: Duration::ZERO,
            kafka: KafkaConfig::default(),
            postgres: PostgresOptions::default(),
            log: LogConfig {
                format: LogFormat::Text,
                level: String::new(),
            },
        };
        for setting in SETTINGS {
            (setting.set)(&mut config, setting.default).expect("the defaults are allowed");
        }
        config
    }
}

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        f.write_str("\n`sockeye config` prints all settings with what is allowed")
    }
}

impl std::error::Error for ConfigErrors {}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use sockeye_limits as limits;

    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_limits() {
        let config = Config::default();
        assert_eq!(
            config.retention,
            Retention {
                age: limits::RETAIN_AGE,
                bytes: limits::RETAIN_BYTES
            }
        );
        assert_eq!(config.connections, limits::CONNECTIONS);
        assert_eq!(config.drain, limits::DRAIN_TIME);
        assert_eq!(config.groups_expire, Some(limits::GROUP_EXPIRY));
        assert_eq!(config.dojot.ticket_life, limits::TICKET_LIFE);
        assert_eq!(config.dojot.connection_life, Some(limits::TICKET_CONNECTION_LIFE));
        assert_eq!(config.octave, Bounds::default());
        assert_eq!(config.stream_outage, limits::LOG_OUTAGE);
        assert!(config.http_bind.ip().is_loopback(), "deny by default");
    }

    #[test]
    fn what_is_allowed_is_what_the_limits_say() {
        for (key, most) in [
            ("cores", limits::CORES),
            ("limits.connections", limits::CONNECTIONS_CONFIGURED),
            ("kafka.partitions", limits::KAFKA_PARTITIONS),
            ("kafka.replicas", limits::KAFKA_REPLICAS),
        ] {
            let setting = SETTINGS.iter().find(|setting| setting.key == key).unwrap();
            assert!(
                setting.allowed.ends_with(&format!("from 1 to {most}")),
                "{}",
                setting.allowed
            );
            let mut config = Config::default();
            for (number, allowed) in [(0, false), (1, true), (most, true), (most + 1, false)] {
                let set = (setting.set)(&mut config, &number.to_string());
                assert_eq!(set.is_some(), allowed, "{key} = {number}");
            }
        }
    }
}

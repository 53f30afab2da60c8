//! What an operator says about PostgreSQL.

use std::fmt;
use std::path::PathBuf;

use sockeye_limits as limits;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::OpenError;

/// Where the database is, and how it is trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// `postgresql://user@host:port/database`, as `psql` takes it; several hosts are tried in turn. A password may be part of it.
    pub url: String,
    /// PEM file of the authorities that may sign the server's certificate; `None`: those that the system trusts.
    pub authority: Option<PathBuf>,
    /// PEM file with a certificate for this client, and behind it those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
    /// File with the password, if it is not part of the URL.
    pub password: Option<PathBuf>,
    /// How many changes of devices may wait to be told in the log.
    pub outbox: usize,
}

// ----------------------------------------------------------------------------------------------

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            url: String::new(),
            authority: None,
            certificate: None,
            key: None,
            password: None,
            outbox: limits::OUTBOX,
        }
    }
}

impl PostgresOptions {
    /// How to connect. TLS is wanted and the certificate checked, unless the URL says `sslmode=disable`, or all its hosts are this
    /// machine and nothing is said.
    pub(crate) fn config(&self) -> Result<Config, OpenError> {
        // What the parser says does not repeat the URL.
        let mut config: Config = self
            .url
            .parse()
            .map_err(|error: tokio_postgres::Error| OpenError::Options(format!("the URL: {}", source(&error))))?;
        if config.get_hosts().is_empty() {
            return Err(OpenError::Options("the URL names no host".to_owned()));
        }
        if let Some(path) = &self.password {
            let text = std::fs::read_to_string(path).map_err(|error| OpenError::file(path, &error.to_string()))?;
            config.password(text.trim_end_matches(['\r', '\n']));
        }
        let here = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
            Host::Unix(_) => true,
        });
        let said = self.authority.is_some() || self.certificate.is_some();
        config.ssl_mode(match config.get_ssl_mode() {
            SslMode::Prefer if said || !here => SslMode::Require,
            SslMode::Prefer => SslMode::Disable,
            mode => mode,
        });
        config.connect_timeout(limits::POSTGRES_CONNECT);
        config.keepalives_idle(limits::POSTGRES_KEEPALIVE);
        config.keepalives_interval(limits::POSTGRES_KEEPALIVE);
        config.keepalives_retries(3);
        config.tcp_user_timeout(limits::POSTGRES_ANSWER);
        if config.get_application_name().is_none() {
            config.application_name("sockeye");
        }
        // A node that stands still in the midst of a change must not hold up all others.
        let patience = limits::POSTGRES_ANSWER.as_millis();
        let mut server = format!("-c statement_timeout={patience} -c idle_in_transaction_session_timeout={patience}");
        if let Some(more) = config.get_options() {
            server = format!("{server} {more}");
        }
        config.options(server);
        Ok(config)
    }
}

/// Where it is, without secrets: `db.example:5432/sockeye`.
pub(crate) fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let ports = config.get_ports();
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(path) => path.display().to_string(),
        }
    });
    let hosts: Vec<_> = hosts.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

fn source(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Debug for PostgresOptions {
    /// The URL may hold a password: it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("authority", &self.authority)
            .field("certificate", &self.certificate)
            .field("password", &self.password)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

    use super::*;

    fn options(url: &str) -> PostgresOptions {
        PostgresOptions {
            url: url.to_owned(),
            ..PostgresOptions::default()
        }
    }

    #[test]
    fn tls_is_wanted_unless_it_is_this_machine_or_it_is_said() {
        let mode = |options: &PostgresOptions| options.config().unwrap().get_ssl_mode();
        for (url, wanted) in [
            ("postgresql://u@db.example/d", SslMode::Require),
            ("postgresql://u@127.0.0.1,db.example/d", SslMode::Require),
            ("postgresql://u@db.example/d?sslmode=disable", SslMode::Disable),
            ("postgresql://u@127.0.0.1/d", SslMode::Disable),
            ("postgresql://u@localhost/d?sslmode=require", SslMode::Require),
            ("postgresql:///d?host=/run/postgresql", SslMode::Disable),
        ] {
            assert_eq!(mode(&options(url)), wanted, "{url}");
        }
        let trusting = PostgresOptions {
            authority: Some("ca.pem".into()),
            ..options("postgresql://u@127.0.0.1/d")
        };
        assert_eq!(mode(&trusting), SslMode::Require);
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = options("postgresql://u:hush@db.example:7000/d");
        assert!(!format!("{secret:?}").contains("hush"));
        assert_eq!(place(&secret.config().unwrap()), "db.example:7000/d");
        for wrong in [
            "postgresql://u:hush@db.example:port/d",
            "postgresql://u:hush@h/d?hush=1",
            "hush",
        ] {
            let error = options(wrong).config().unwrap_err().to_string();
            assert!(error.contains("URL") && !error.contains("hush@"), "{error}");
        }
    }
}

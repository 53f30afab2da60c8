//! Why a server does not start: one line each, with the thing and the remedy. What the system says is part of the line,
//! not a source behind it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use sockeye_engine_sqlite::OpenError;
use sockeye_log::TopicError;
use sockeye_registry::{KeyError, Unavailable, WriteError};

use crate::tenants::TenantsError;
use crate::{OidcError, TlsErrors};

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or opened.
    #[error("the data folder {} cannot be used: {reason}; give another with --data", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The data file cannot be used: by another server, damaged, of a newer version, read-only.
    #[error("{0}")]
    Engine(OpenError),
    /// Kafka cannot be used.
    #[error("{setting}: {message}")]
    Kafka {
        /// Which setting is to be looked at.
        setting: &'static str,
        /// What is wrong.
        message: String,
    },
    /// PostgreSQL cannot be used.
    #[error("postgres: {0}")]
    Postgres(sockeye_engine_postgres::OpenError),
    /// The certificate cannot be used.
    #[error("{0}")]
    Tls(TlsErrors),
    /// The providers of tokens cannot be used.
    #[error("{0}")]
    Oidc(OidcError),
    /// The keys of tokens that name a tenant cannot be read.
    #[error("{0}")]
    Tenants(TenantsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {}; give another address with --{flag}", why(reason))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Its flag, without the dashes.
        flag: &'static str,
        /// What the system says.
        reason: io::Error,
    },
    /// The administrator's key cannot be stored.
    #[error("the administrator's key cannot be written to {}: {reason}; make sure that this user can write there, or give another folder with --data", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The registry does not answer.
    #[error("{0}")]
    Registry(String),
    /// The log does not answer.
    #[error("the log cannot be prepared: {0}")]
    Log(TopicError),
    /// The system gives no more threads or timers.
    #[error("the system gives no more threads: {0}")]
    Thread(io::Error),
}

// ----------------------------------------------------------------------------------------------

impl From<sockeye_engine_postgres::OpenError> for StartError {
    fn from(error: sockeye_engine_postgres::OpenError) -> Self {
        Self::Postgres(error)
    }
}

impl From<TlsErrors> for StartError {
    fn from(errors: TlsErrors) -> Self {
        Self::Tls(errors)
    }
}

impl From<TenantsError> for StartError {
    fn from(error: TenantsError) -> Self {
        Self::Tenants(error)
    }
}

impl From<OidcError> for StartError {
    fn from(error: OidcError) -> Self {
        Self::Oidc(error)
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Engine(error)
    }
}

impl From<TopicError> for StartError {
    fn from(error: TopicError) -> Self {
        Self::Log(error)
    }
}

impl From<Unavailable> for StartError {
    fn from(error: Unavailable) -> Self {
        Self::Registry(error.to_string())
    }
}

impl From<WriteError> for StartError {
    fn from(error: WriteError) -> Self {
        Self::Registry(error.to_string())
    }
}

impl From<KeyError> for StartError {
    fn from(error: KeyError) -> Self {
        Self::Registry(error.to_string())
    }
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program, perhaps another server, listens there".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    }
}

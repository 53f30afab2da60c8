//! Why a database cannot be used: one line each, with the place and the remedy.

use std::path::{Path, PathBuf};

use tokio_postgres::error::SqlState;

use crate::failure::words;

/// Why a registry over PostgreSQL is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was said about it cannot be right.
    #[error("what is said about PostgreSQL is wrong: {0}")]
    Options(String),
    /// A file that was named cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, or not whom the certificate should name.
    #[error("PostgreSQL at {place} cannot be reached: {reason}; check host and port, and that it runs{tls}")]
    Unreachable {
        /// Host, port, database.
        place: String,
        /// What the network says.
        reason: String,
        /// What more to check.
        tls: &'static str,
    },
    /// Wrong password, no such database, not allowed.
    #[error("PostgreSQL at {place} refuses: {reason}; {remedy}")]
    Refused {
        /// Host, port, database.
        place: String,
        /// What PostgreSQL says.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A later release has changed the tables in a way that this one cannot work with.
    #[error(
        "the registry in PostgreSQL at {place} is of a newer version of Sockeye: it needs one that knows version {needs} of its \
         tables, this one knows {known}; start that version, or give another database"
    )]
    Newer {
        /// Host, port, database.
        place: String,
        /// Version that a server has to know.
        needs: i64,
        /// Version that this one knows.
        known: i64,
    },
    /// Somebody else's tables are there.
    #[error(
        "the database in PostgreSQL at {place} is not Sockeye's: it has a table `{table}`; give one of its own, which may be empty"
    )]
    Foreign {
        /// Host, port, database.
        place: String,
        /// One of the tables.
        table: String,
    },
    /// Names are Unicode.
    #[error(
        "the database in PostgreSQL at {place} has the encoding {encoding}; make one with `CREATE DATABASE .. ENCODING 'UTF8' TEMPLATE template0`"
    )]
    Encoding {
        /// Host, port, database.
        place: String,
        /// What it has.
        encoding: String,
    },
    /// It was too slow.
    #[error("PostgreSQL at {place} does not answer in time")]
    Silent {
        /// Host, port, database.
        place: String,
    },
    /// The system gives no more threads.
    #[error("no thread could be started: {0}")]
    Thread(String),
}

// ----------------------------------------------------------------------------------------------

impl OpenError {
    pub(crate) fn file(path: &Path, reason: &str) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// What PostgreSQL or the way to it says.
    pub(crate) fn of(place: &str, error: &tokio_postgres::Error) -> Self {
        let (place, reason) = (place.to_owned(), words(error));
        let Some(code) = error.code() else {
            let tls = if reason.contains("certificate") || reason.to_lowercase().contains("tls") {
                "; a certificate that the system does not trust needs its authority, and a server without TLS `sslmode=disable`"
            } else {
                ""
            };
            return Self::Unreachable { place, reason, tls };
        };
        let remedy = match *code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => "check user and password",
            SqlState::INVALID_CATALOG_NAME => "make the database with `createdb`, or give another",
            SqlState::INSUFFICIENT_PRIVILEGE | SqlState::INVALID_SCHEMA_NAME => {
                "let its user own the database: `ALTER DATABASE .. OWNER TO ..`"
            }
            SqlState::TOO_MANY_CONNECTIONS => "raise its `max_connections`",
            SqlState::READ_ONLY_SQL_TRANSACTION => "give the primary, not a standby",
            _ => "see its log",
        };
        Self::Refused { place, reason, remedy }
    }
}

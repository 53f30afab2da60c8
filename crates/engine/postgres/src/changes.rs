//! The table of changes: who makes a change writes a row, and everybody reads rows in the order of their numbers.
//!
//! Numbers are given under a lock that is held until the change is visible, so that they have no gaps and nobody reads a number
//! before a lower one. Old rows go: who was away for that long is told to forget everything.

use std::borrow::Cow;

use deadpool_postgres::{GenericClient, Transaction};
use serde_json::json;
use sockeye_limits as limits;
use sockeye_registry::Change;
use tokio::sync::{Mutex, broadcast};
use tokio_postgres::Row;

use crate::failure::Failure;
use crate::sql;

/// Where PostgreSQL says that there is a change.
pub(crate) struct Channel {
    pub(crate) listen: &'static str,
    notify: &'static str,
}

pub(crate) const CHANNEL: Channel = Channel {
    listen: "LISTEN sockeye_changes",
    notify: "NOTIFY sockeye_changes",
};

/// What this node has told its listeners.
pub(crate) struct Changes {
    listeners: broadcast::Sender<Change>,
    /// The number up to which they were told.
    told: Mutex<i64>,
}

// ----------------------------------------------------------------------------------------------

/// Waits until no other change is being made, on any node, and lets none begin before this transaction has ended.
pub(crate) async fn begin(transaction: &Transaction<'_>) -> Result<(), Failure> {
    sql::row(transaction, "SELECT last FROM change_counter FOR UPDATE", &[]).await?;
    Ok(())
}

/// Notes what this transaction changes.
pub(crate) async fn note(transaction: &Transaction<'_>, change: &Change) -> Result<(), Failure> {
    let (kind, application, name) = columns(change);
    let store = "WITH next AS (UPDATE change_counter SET last = last + 1 RETURNING last) \
                 INSERT INTO changes (number, kind, application, name) SELECT last, $1, $2, $3 FROM next";
    sql::execute(transaction, store, &[&kind, &application, &&*name]).await?;
    let forget = "DELETE FROM changes WHERE number <= (SELECT last FROM change_counter) - $1";
    sql::execute(transaction, forget, &[&limits::POSTGRES_CHANGES_KEPT]).await?;
    transaction.batch_execute(CHANNEL.notify).await?;
    Ok(())
}

impl Changes {
    /// Nobody is told of what was changed before.
    pub(crate) fn new(told: i64) -> Self {
        Self {
            listeners: broadcast::Sender::new(limits::CHANGE_QUEUE),
            told: Mutex::new(told),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.listeners.subscribe()
    }

    /// Tells listeners what they were not told yet. When it returns, they know of everything that was visible when it was called.
    pub(crate) async fn catch_up(&self, on: &impl GenericClient) -> Result<(), Failure> {
        const READ: &str = "SELECT c.last, x.number, x.kind, x.application, x.name FROM change_counter c \
                            LEFT JOIN changes x ON x.number > $1 ORDER BY x.number LIMIT $2";
        let mut told = self.told.lock().await;
        loop {
            let rows = sql::rows(on, READ, &[&*told, &limits::POSTGRES_CHANGES_READ]).await?;
            let Some(last) = rows.first().map(|row| sql::get::<i64>(row, 0)).transpose()? else {
                return Err(Failure::Refused("the table `change_counter` is empty".to_owned()));
            };
            let first = rows
                .first()
                .map(|row| sql::get::<Option<i64>>(row, 1))
                .transpose()?
                .flatten();
            // The rows that come next were removed, or the database is an older one, restored.
            if last < *told || first.is_some_and(|first| first > *told + 1) {
                self.overrun();
                *told = last;
                continue;
            }
            if first.is_none() {
                return Ok(());
            }
            for row in &rows {
                *told = sql::get(row, 1)?;
                if let Some(change) = change(row)? {
                    // Without listeners there is nobody to tell.
                    let _ = self.listeners.send(change);
                }
            }
        }
    }

    /// Lets every listener drop what it remembers. (To let it lag is not enough: one that is quick would not.)
    fn overrun(&self) {
        tracing::warn!("changes of the registry were missed: what is remembered of it is dropped");
        // Without listeners there is nobody to tell.
        let _ = self.listeners.send(Change::All);
    }
}

/// Kind, application and name.
fn columns(change: &Change) -> (&'static str, &str, Cow<'_, str>) {
    match change {
        Change::Application(name) => ("application", name, "".into()),
        Change::Device { application, device } => ("device", application, device.into()),
        Change::Command { application, targets } => ("command", application, json!(targets).to_string().into()),
        Change::Key(prefix) => ("key", "", prefix.into()),
        Change::User(name) => ("user", "", name.into()),
        Change::Stream { application, id } => ("stream", application, id.into()),
        Change::All => ("all", "", "".into()),
    }
}

/// The change of a row; `None` if a later release knows a kind that this one does not.
fn change(row: &Row) -> Result<Option<Change>, Failure> {
    let (kind, application, name): (&str, String, String) = (sql::get(row, 2)?, sql::get(row, 3)?, sql::get(row, 4)?);
    Ok(Some(match kind {
        "application" => Change::Application(application),
        "device" => Change::Device {
            application,
            device: name,
        },
        "command" => Change::Command {
            application,
            targets: serde_json::from_str(&name).unwrap_or_default(),
        },
        "key" => Change::Key(name),
        "user" => Change::User(name),
        "stream" => Change::Stream { application, id: name },
        "all" => Change::All,
        _ => return Ok(None),
    }))
}

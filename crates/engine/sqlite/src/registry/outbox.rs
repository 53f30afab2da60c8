//! What is told of devices: in the log of the file, in the same commit, or put down for one that is elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sockeye_event::{binary, origin};
use sockeye_limits as limits;
use sockeye_log::{NewRecord, Topic};
use sockeye_registry::{DeviceChange, Outbox, Teller, Unavailable, WriteError, tell_numbered};

use super::row::{Id, Nanos, Refusal};
use crate::queue::Added;
use crate::topics::Topics;
use crate::{DevicesTold, SqliteEngine};

/// Who puts down what is to be told.
pub(super) struct Notes {
    topics: Arc<Topics>,
    devices: DevicesTold,
    /// How many may wait.
    most: usize,
}

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Outbox for SqliteEngine {
    async fn tell(&self, mut teller: Box<dyn Teller>) -> Result<(), Unavailable> {
        let _alone = self.inner.telling.lock().await;
        let mut after = 0;
        loop {
            let waiting = self.ask(move |c| waiting(c, after)).await?;
            let Some((last, _)) = waiting.last() else {
                return Ok(());
            };
            after = *last;
            let told = tell_numbered(&mut *teller, waiting).await;
            if !told.is_empty() {
                self.store(move |c| Ok((forget(c, &told)?, None))).await?;
            }
        }
    }
}

impl Notes {
    pub(super) fn of(engine: &SqliteEngine) -> Self {
        Self {
            topics: Arc::clone(&engine.inner.topics),
            devices: engine.inner.devices.clone(),
            most: engine.inner.outbox,
        }
    }

    /// Demands that there is room for one more, before anything is changed.
    pub(super) fn have_room(&self, connection: &Connection) -> Result<(), Refusal> {
        if count(connection, self.most)? < self.most {
            return Ok(());
        }
        let full = format!("{} changes of devices wait for the log already", self.most);
        Err(WriteError::Unavailable(Unavailable(full)).into())
    }

    /// Lets a change of a device be told, with what it changes.
    pub(super) fn put(
        &self,
        connection: &Connection,
        change: &DeviceChange,
        added: &mut Added,
    ) -> rusqlite::Result<()> {
        if let DevicesTold::InLog { instance } = &self.devices
            && let Some(topic) = self.topics.get(&Topic::events_of(change.application.clone()))
            // What waits is told first.
            && count(connection, 1)? == 0
        {
            let (headers, payload) = binary::encode(&change.event(instance.as_str()));
            added.push((topic, NewRecord { headers, payload }));
            return Ok(());
        }
        connection
            .prepare_cached(
                "INSERT INTO outbox (id, change, time, application, application_uid, device, device_uid) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                Id(change.id),
                change.what.as_str(),
                Nanos(change.time),
                change.application,
                Id(change.application_uid),
                change.device,
                Id(change.device_uid),
            ])?;
        Ok(())
    }
}

/// How many wait, as far as `most`.
fn count(connection: &Connection, most: usize) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT ?1)")?;
    statement.query_row([most as i64], |row| Ok(row.get::<_, i64>(0)? as usize))
}

/// Those that wait behind a number, with theirs.
fn waiting(connection: &Connection, after: i64) -> rusqlite::Result<Vec<(i64, DeviceChange)>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, id, change, time, application, application_uid, device, device_uid FROM outbox \
         WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, limits::OUTBOX_READ as i64], read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(i64, DeviceChange)> {
    let (Id(id), Nanos(time), Id(application_uid), Id(device_uid)) =
        (row.get(1)?, row.get(3)?, row.get(5)?, row.get(7)?);
    let change = DeviceChange {
        id,
        // A later release may know more; for this one something is another now.
        what: origin::Change::of(&row.get::<_, String>(2)?).unwrap_or(origin::Change::Updated),
        time,
        application: row.get(4)?,
        application_uid,
        device: row.get(6)?,
        device_uid,
    };
    Ok((row.get(0)?, change))
}

fn forget(connection: &Connection, numbers: &[i64]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE number = ?1")?;
    for number in numbers {
        statement.execute([number])?;
    }
    Ok(())
}

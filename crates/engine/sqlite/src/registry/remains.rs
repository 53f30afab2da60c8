//! What deleted applications have left in the log.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_limits as limits;
use sockeye_log::GroupId;
use sockeye_registry::{Remains, RemainsKept, Unavailable, WantedRemains};

use super::row::{Json, Nanos};
use crate::SqliteEngine;

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl RemainsKept for SqliteEngine {
    async fn take_remains(&self, wanted: WantedRemains) -> Result<Option<Vec<Remains>>, Unavailable> {
        self.store(move |c| Ok((take(c, &wanted, Timestamp::now())?, None)))
            .await
    }

    async fn forget_remains(&self, application: &str) -> Result<(), Unavailable> {
        let application = application.to_owned();
        self.store(move |c| Ok((forget(c, &application)?, None))).await
    }
}

/// Puts down what an application leaves, before its groups are removed.
pub(super) fn put(connection: &Connection, id: i64, name: &str) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT group_id, selection FROM group_positions WHERE application = ?1")?;
    let groups = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let groups: Vec<(String, String)> = groups.collect::<rusqlite::Result<_>>()?;
    let insert = "INSERT OR REPLACE INTO remains (application, since, groups, taken) VALUES (?1, ?2, ?3, 0)";
    connection
        .prepare_cached(insert)?
        .execute(params![name, Nanos(Timestamp::now()), Json(groups)])?;
    Ok(())
}

pub(super) fn forget(connection: &Connection, application: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM remains WHERE application = ?1")?;
    statement.execute([application])?;
    Ok(())
}

fn take(connection: &Connection, wanted: &WantedRemains, now: Timestamp) -> rusqlite::Result<Option<Vec<Remains>>> {
    let found: Vec<Remains> = match wanted {
        WantedRemains::Of(application) => {
            let sql = "SELECT application, since, groups, taken FROM remains WHERE application = ?1";
            let found = connection.prepare_cached(sql)?.query_row([application], |row| {
                let Nanos(taken) = row.get(3)?;
                Ok((read(row)?, taken > now))
            });
            match found.optional()? {
                Some((_, true)) => return Ok(None),
                found => found.into_iter().map(|(remains, _)| remains).collect(),
            }
        }
        WantedRemains::Since(time) => {
            let sql = "SELECT application, since, groups FROM remains WHERE since <= ?1 AND taken <= ?2 \
                       ORDER BY since LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let most = limits::REMAINS_READ as i64;
            let found = statement.query_map(params![Nanos(*time), Nanos(now), most], read)?;
            found.collect::<rusqlite::Result<_>>()?
        }
    };
    let mut statement = connection.prepare_cached("UPDATE remains SET taken = ?2 WHERE application = ?1")?;
    for remains in &found {
        statement.execute(params![remains.application, Nanos(now + limits::REMAINS_TAKEN)])?;
    }
    Ok(Some(found))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Remains> {
    let application: String = row.get(0)?;
    let (Nanos(since), Json(groups)) = (row.get(1)?, row.get::<_, Json<Vec<(String, String)>>>(2)?);
    let groups = groups.into_iter().map(|(group, selection)| GroupId {
        application: application.clone(),
        group,
        selection,
    });
    Ok(Remains {
        groups: groups.collect(),
        since,
        application,
    })
}

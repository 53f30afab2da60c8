//! Positions of groups.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Incarnation, Position, Unavailable};

use super::applications;
use super::row::{Json, Nanos};
use crate::SqliteEngine;

const COLUMNS: &str = "g.incarnation, g.offsets, g.receipted, g.trimmed, g.stored, g.used";
const TABLES: &str = "group_positions g JOIN applications a ON a.id = g.application";
/// Which one, by three parameters.
const THIS: &str = "application = (SELECT id FROM applications WHERE name = ?1) AND group_id = ?2 AND selection = ?3";

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl GroupPositions for SqliteEngine {
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let group = group.clone();
        self.look(move |c| get(c, &group)).await
    }

    async fn groups(&self, application: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError> {
        let application = application.to_owned();
        self.look(move |c| list(c, &application)).await
    }

    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError> {
        let (group, position) = (group.clone(), position.clone());
        self.keep(move |c| create(c, &group, &position)).await?
    }

    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let group = group.clone();
        self.keep(move |c| {
            let used = c
                .prepare_cached(&format!("UPDATE group_positions SET used = ?4 WHERE {THIS}"))?
                .execute(params![
                    group.application,
                    group.group,
                    group.selection,
                    Nanos(Timestamp::now())
                ])?;
            if used == 0 { Ok(None) } else { get(c, &group) }
        })
        .await
    }

    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError> {
        let (group, mark) = (group.clone(), mark.clone());
        self.keep(move |c| set(c, &group, &mark)).await?
    }

    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError> {
        let group = group.clone();
        self.keep(move |c| {
            let mut statement = c.prepare_cached(&format!("DELETE FROM group_positions WHERE {THIS}"))?;
            Ok(statement.execute(params![group.application, group.group, group.selection])? == 1)
        })
        .await
    }

    async fn expire_groups(&self, before: Timestamp) -> Result<Vec<GroupId>, GroupError> {
        // Mostly there is none, and nothing to write.
        if self.look(move |c| unused(c, before)).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.keep(move |c| {
            let expired = unused(c, before)?;
            c.prepare_cached("DELETE FROM group_positions WHERE used < ?1")?
                .execute([Nanos(before)])?;
            Ok(expired)
        })
        .await
    }

    async fn dead_letters(&self, application: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError> {
        let application = application.to_owned();
        self.look(move |c| {
            let sql = "SELECT d.incarnation, d.offsets, d.settled FROM dead_letters d \
                       JOIN applications a ON a.id = d.application WHERE a.name = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((position(row)?, row.get(2)?));
            statement.query_row([application], row).optional()
        })
        .await
    }

    async fn set_dead_letters(&self, application: &str, position: &Position, settled: &[u8]) -> Result<(), GroupError> {
        let (application, position, settled) = (application.to_owned(), position.clone(), settled.to_vec());
        self.keep(move |c| {
            let Some(application) = applications::id(c, &application)? else {
                return Ok(Err(GroupError::NoApplication));
            };
            c.prepare_cached(
                "INSERT OR REPLACE INTO dead_letters (application, incarnation, offsets, settled) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                application,
                position.incarnation().0.cast_signed(),
                Json(position.offsets()),
                settled
            ])?;
            Ok(Ok(()))
        })
        .await?
    }
}

impl SqliteEngine {
    async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, GroupError> {
        let answer = self.inner.readers.run(question).await;
        Ok(answer.map_err(Unavailable::from)?)
    }

    /// Runs a job in the writer's next commit.
    async fn keep<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, GroupError> {
        let kept = self.inner.writer.run_then(job, |_| ()).await;
        Ok(kept.map_err(Unavailable::from)?)
    }
}

fn get(connection: &Connection, group: &GroupId) -> rusqlite::Result<Option<GroupPosition>> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE a.name = ?1 AND g.group_id = ?2 AND g.selection = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_row(params![group.application, group.group, group.selection], read)
        .optional()
}

fn list(connection: &Connection, application: &str) -> rusqlite::Result<Vec<(GroupId, GroupPosition)>> {
    let sql = format!(
        "SELECT {COLUMNS}, g.group_id, g.selection, a.name FROM {TABLES} WHERE a.name = ?1 ORDER BY g.group_id, g.selection"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let entry = |row: &Row<'_>| Ok((id(row, 6)?, read(row)?));
    statement.query_map([application], entry)?.collect()
}

/// Those that were not used since.
fn unused(connection: &Connection, before: Timestamp) -> rusqlite::Result<Vec<GroupId>> {
    let sql = format!("SELECT g.group_id, g.selection, a.name FROM {TABLES} WHERE g.used < ?1 ORDER BY 3, 1, 2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([Nanos(before)], |row| id(row, 0))?.collect()
}

/// Makes one that is not there; whether it was not.
fn create(connection: &Connection, group: &GroupId, position: &Position) -> rusqlite::Result<Result<bool, GroupError>> {
    let Some(application) = applications::id(connection, &group.application)? else {
        return Ok(Err(GroupError::NoApplication));
    };
    let made = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO group_positions (application, group_id, selection, incarnation, offsets, stored, used) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            application,
            group.group,
            group.selection,
            position.incarnation().0.cast_signed(),
            Json(position.offsets()),
            Nanos(Timestamp::now())
        ])?;
    Ok(Ok(made == 1))
}

fn set(connection: &Connection, group: &GroupId, mark: &GroupMark) -> rusqlite::Result<Result<(), GroupError>> {
    let sql = format!(
        "UPDATE group_positions SET incarnation = ?4, offsets = ?5, receipted = ?6, trimmed = ?7, stored = ?8, used = ?8 \
         WHERE {THIS}"
    );
    let stored = connection.prepare_cached(&sql)?.execute(params![
        group.application,
        group.group,
        group.selection,
        mark.position.incarnation().0.cast_signed(),
        Json(mark.position.offsets()),
        mark.receipted,
        mark.trimmed.cast_signed(),
        Nanos(Timestamp::now())
    ])?;
    if stored == 1 {
        return Ok(Ok(()));
    }
    let there = applications::id(connection, &group.application)?.is_some();
    Ok(Err(if there {
        GroupError::NoGroup
    } else {
        GroupError::NoApplication
    }))
}

/// The identity whose columns begin at `at`: group, selection, application.
fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<GroupId> {
    Ok(GroupId {
        group: row.get(at)?,
        selection: row.get(at + 1)?,
        application: row.get(at + 2)?,
    })
}

/// The first two columns.
fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    let incarnation = Incarnation(row.get::<_, i64>(0)?.cast_unsigned());
    let Json(offsets) = row.get::<_, Json<Vec<(u32, u64)>>>(1)?;
    Ok(Position::new(incarnation, offsets))
}

fn read(row: &Row<'_>) -> rusqlite::Result<GroupPosition> {
    let (Nanos(stored), Nanos(used)) = (row.get(4)?, row.get(5)?);
    Ok(GroupPosition {
        mark: GroupMark {
            position: position(row)?,
            receipted: row.get(2)?,
            trimmed: row.get::<_, i64>(3)?.cast_unsigned(),
        },
        stored,
        used,
    })
}

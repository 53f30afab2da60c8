//! Positions of groups.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_log::{Incarnation, Position};
use sockeye_registry::{GroupId, GroupPosition};

use super::applications::must_have;
use super::row::{Json, Nanos, Refusal};

const COLUMNS: &str = "g.incarnation, g.offsets, g.stored, g.group_id, g.selection, g.receipted";
const TABLES: &str = "group_positions g JOIN applications a ON a.id = g.application";

pub(super) fn get(connection: &Connection, group: &GroupId) -> rusqlite::Result<Option<GroupPosition>> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE a.name = ?1 AND g.group_id = ?2 AND g.selection = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_row(params![group.application, group.group, group.selection], read)
        .optional()
}

pub(super) fn list(connection: &Connection, application: &str) -> rusqlite::Result<Vec<(GroupId, GroupPosition)>> {
    let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE a.name = ?1 ORDER BY g.group_id, g.selection");
    let mut statement = connection.prepare_cached(&sql)?;
    let entry = |row: &Row<'_>| {
        let (group, selection) = (row.get(3)?, row.get(4)?);
        Ok((
            GroupId {
                application: application.to_owned(),
                group,
                selection,
            },
            read(row)?,
        ))
    };
    statement.query_map([application], entry)?.collect()
}

pub(super) fn set(
    connection: &Connection,
    group: &GroupId,
    position: &Position,
    receipted: &[u8],
) -> Result<(), Refusal> {
    let application = must_have(connection, &group.application)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO group_positions (application, group_id, selection, incarnation, offsets, receipted, stored) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            application,
            group.group,
            group.selection,
            position.incarnation().0.cast_signed(),
            Json(position.offsets()),
            receipted,
            Nanos(jiff::Timestamp::now())
        ])?;
    Ok(())
}

/// Whether it was there.
pub(super) fn delete(connection: &Connection, group: &GroupId) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM group_positions WHERE application = (SELECT id FROM applications WHERE name = ?1) AND group_id = ?2 \
         AND selection = ?3",
    )?;
    Ok(statement.execute(params![group.application, group.group, group.selection])? == 1)
}

fn read(row: &Row<'_>) -> rusqlite::Result<GroupPosition> {
    let (Json(offsets), Nanos(stored)) = (row.get::<_, Json<Vec<(u32, u64)>>>(1)?, row.get(2)?);
    let incarnation = Incarnation(row.get::<_, i64>(0)?.cast_unsigned());
    Ok(GroupPosition {
        position: Position::new(incarnation, offsets),
        receipted: row.get(5)?,
        stored,
    })
}

//! Applications, with their members.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_registry::{Application, Page, Preconditions, Role, WriteError};
use uuid::Uuid;

use super::metadata::{self, COLUMNS, COUNT, Stored};
use super::row::{Id, Json, Refusal};

const WHAT: &str = "application";

pub(super) fn create(connection: &Connection, mut application: Application) -> Result<Application, Refusal> {
    if id(connection, &application.metadata.name)?.is_some() {
        return Err(WriteError::Taken(application.metadata.name).into());
    }
    metadata::renew(&mut application.metadata);
    let id = metadata::insert(
        connection,
        "applications",
        ("owner", &application.owner),
        &application.metadata,
        &application.spec,
        &application.status,
    )?;
    connection
        .prepare_cached("UPDATE applications SET members = ?2 WHERE id = ?1")?
        .execute(params![id, Json(&application.members)])?;
    Ok(application)
}

pub(super) fn get(connection: &Connection, name: &str) -> rusqlite::Result<Option<Application>> {
    Ok(find(connection, name)?.map(|(_, application)| application))
}

pub(super) fn list(connection: &Connection, page: Page) -> rusqlite::Result<Vec<Application>> {
    let sql = format!("SELECT {COLUMNS}, r.owner, r.members FROM applications r ORDER BY r.name LIMIT ?1 OFFSET ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![limit(page), offset(page)], |row| Ok(read(row)?.1))?;
    rows.collect()
}

/// The application as it is then, and whether anything changed.
pub(super) fn update(
    connection: &Connection,
    wanted: Application,
    pre: Preconditions,
) -> Result<(Application, bool), Refusal> {
    let (id, application) = must_find(connection, &wanted.metadata.name, pre)?;
    let Application {
        metadata,
        spec,
        status,
        owner,
        members,
    } = application;
    let mut stored = Stored {
        id,
        metadata,
        spec,
        status,
    };
    let changed = stored.update(connection, "applications", wanted.metadata, wanted.spec, wanted.status)?;
    let Stored {
        metadata, spec, status, ..
    } = stored;
    Ok((
        Application {
            metadata,
            spec,
            status,
            owner,
            members,
        },
        changed,
    ))
}

/// The application as it is then, and whether anything changed.
pub(super) fn set_members(
    connection: &Connection,
    name: &str,
    members: BTreeMap<String, Role>,
    pre: Preconditions,
) -> Result<(Application, bool), Refusal> {
    let (id, mut application) = must_find(connection, name, pre)?;
    if application.members == members {
        return Ok((application, false));
    }
    application.members = members;
    application.metadata.resource_version = Uuid::new_v4();
    connection
        .prepare_cached("UPDATE applications SET members = ?2, resource_version = ?3 WHERE id = ?1")?
        .execute(params![
            id,
            Json(&application.members),
            Id(application.metadata.resource_version)
        ])?;
    Ok((application, true))
}

pub(super) fn delete(connection: &Connection, name: &str, pre: Preconditions) -> Result<(), Refusal> {
    let (id, _) = must_find(connection, name, pre)?;
    for sql in [
        "DELETE FROM command_ways WHERE application = ?1",
        "DELETE FROM commands WHERE device IN (SELECT id FROM devices WHERE application = ?1)",
        "DELETE FROM device_logins WHERE application = ?1",
        "DELETE FROM devices WHERE application = ?1",
        "DELETE FROM group_positions WHERE application = ?1",
        "DELETE FROM dead_letters WHERE application = ?1",
        "DELETE FROM sessions WHERE application = ?1",
        "DELETE FROM streams WHERE application = ?1",
        "DELETE FROM aliases WHERE application = ?1",
        "DELETE FROM applications WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([id])?;
    }
    Ok(())
}

/// The row id of an application.
pub(super) fn id(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM applications WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

/// Row id and uid of an application whose devices are to be changed.
pub(super) fn must_know(connection: &Connection, name: &str) -> Result<(i64, Uuid), Refusal> {
    let mut statement = connection.prepare_cached("SELECT id, uid FROM applications WHERE name = ?1")?;
    let known = statement.query_row([name], |row| {
        let Id(uid) = row.get(1)?;
        Ok((row.get(0)?, uid))
    });
    Ok(known.optional()?.ok_or(WriteError::NotFound(WHAT))?)
}

/// The row id of an application that a change needs.
pub(super) fn must_have(connection: &Connection, name: &str) -> Result<i64, Refusal> {
    Ok(id(connection, name)?.ok_or(WriteError::NotFound(WHAT))?)
}

pub(super) fn limit(page: Page) -> i64 {
    page.limit.min(sockeye_limits::REGISTRY_PAGE) as i64
}

pub(super) fn offset(page: Page) -> i64 {
    i64::try_from(page.offset).unwrap_or(i64::MAX)
}

// ----------------------------------------------------------------------------------------------

/// Row id and application.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Application)> {
    let Stored {
        id,
        metadata,
        spec,
        status,
    } = metadata::read(row)?;
    let Json(members) = row.get(COUNT + 1)?;
    let owner = row.get(COUNT)?;
    Ok((
        id,
        Application {
            metadata,
            spec,
            status,
            owner,
            members,
        },
    ))
}

fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<(i64, Application)>> {
    let sql = format!("SELECT {COLUMNS}, r.owner, r.members FROM applications r WHERE r.name = ?1");
    connection.prepare_cached(&sql)?.query_row([name], read).optional()
}

fn must_find(connection: &Connection, name: &str, pre: Preconditions) -> Result<(i64, Application), Refusal> {
    let (id, application) = find(connection, name)?.ok_or(WriteError::NotFound(WHAT))?;
    metadata::check(&application.metadata, pre, WHAT)?;
    Ok((id, application))
}

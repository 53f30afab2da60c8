//! Applications, with owners and members.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_limits::REGISTRY_SCAN;
use sockeye_registry::{Application, Document, Found, Preconditions, Role, Wanted, WriteError};
use uuid::Uuid;

use super::metadata::{self, COLUMNS, COUNT, Stored};
use super::row::{Id, Json, Refusal};
use super::{devices, remains};

const WHAT: &str = "application";

pub(super) fn create(connection: &Connection, mut application: Application) -> Result<Application, Refusal> {
    if id(connection, &application.metadata.name)?.is_some() {
        return Err(WriteError::Taken(application.metadata.name).into());
    }
    application.metadata.renew();
    let Application {
        metadata,
        spec,
        status,
        owner,
        offered_to,
        members,
    } = application;
    let document = Document { metadata, spec, status };
    let id = metadata::insert(connection, "applications", ("owner", &owner), &document)?;
    connection
        .prepare_cached("UPDATE applications SET members = ?2, offered_to = ?3 WHERE id = ?1")?
        .execute(params![id, Json(&members), offered_to])?;
    // What it might take for its own is removed: its maker has seen to that.
    remains::forget(connection, &document.metadata.name)?;
    Ok(with(document, owner, offered_to, members))
}

pub(super) fn get(connection: &Connection, name: &str) -> rusqlite::Result<Option<Application>> {
    Ok(find(connection, name)?.map(|(_, application)| application))
}

pub(super) fn list(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Found<Application>> {
    let sql = format!(
        "SELECT {COLUMNS}, r.owner, r.members, r.offered_to FROM applications r WHERE r.name > ?1 ORDER BY r.name LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query(params![wanted.after, REGISTRY_SCAN as i64])?;
    metadata::find(rows, wanted, |row| Ok(read(row)?.1))
}

/// The application as it is then, and whether anything changed.
pub(super) fn update(
    connection: &Connection,
    wanted: Application,
    pre: Preconditions,
) -> Result<(Application, bool), Refusal> {
    let (id, application) = must_find(connection, &wanted.metadata.name, pre)?;
    let (owner, offered_to, members) = (
        application.owner.clone(),
        application.offered_to.clone(),
        application.members.clone(),
    );
    let mut document = Document::from(application);
    let mut wanted = Document::from(wanted);
    wanted.metadata.deletion_timestamp = document.metadata.deletion_timestamp;
    if wanted.is_going() {
        wanted.hold(has_devices(connection, id)?);
    }
    let changed = document.replace(wanted);
    let stored = Stored { id, document };
    if changed {
        store_or_remove(connection, &stored)?;
    }
    Ok((with(stored.document, owner, offered_to, members), changed))
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
    store_people(connection, id, &mut application)?;
    Ok((application, true))
}

/// As [`set_members`].
pub(super) fn offer(connection: &Connection, name: &str, to: Option<String>) -> Result<(Application, bool), Refusal> {
    let (id, mut application) = must_find(connection, name, Preconditions::default())?;
    if application.offered_to == to {
        return Ok((application, false));
    }
    application.offered_to = to;
    store_people(connection, id, &mut application)?;
    Ok((application, true))
}

pub(super) fn accept(connection: &Connection, name: &str, by: &str) -> Result<Application, Refusal> {
    let (id, mut application) = must_find(connection, name, Preconditions::default())?;
    match application.offered_to.take() {
        Some(to) if to == by => application.owner = to,
        _ => return Err(WriteError::NotFound(WHAT).into()),
    }
    store_people(connection, id, &mut application)?;
    Ok(application)
}

pub(super) fn delete(connection: &Connection, name: &str, pre: Preconditions) -> Result<(), Refusal> {
    let (id, application) = must_find(connection, name, pre)?;
    let mut document = Document::from(application);
    document.mark(WHAT)?;
    devices::delete_all(connection, id)?;
    document.hold(has_devices(connection, id)?);
    Ok(store_or_remove(connection, &Stored { id, document })?)
}

/// A device was removed: it does not hold its application any more. The name of the application, if that changed it.
pub(super) fn let_go(connection: &Connection, name: &str) -> Result<Option<String>, Refusal> {
    let (id, application) = must_find(connection, name, Preconditions::default())?;
    let mut document = Document::from(application);
    if !document.is_going() || has_devices(connection, id)? {
        return Ok(None);
    }
    document.hold(false);
    document.metadata.resource_version = Uuid::new_v4();
    store_or_remove(connection, &Stored { id, document })?;
    Ok(Some(name.to_owned()))
}

/// The row id of an application.
pub(super) fn id(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM applications WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

/// Row id and uid of an application whose devices are to be changed.
pub(super) fn must_know(connection: &Connection, name: &str) -> Result<(i64, Uuid), Refusal> {
    known(connection, "SELECT id, uid FROM applications WHERE name = ?1", name)
}

/// As [`must_know`], of one that gets a device: it is not being deleted.
pub(super) fn must_stay(connection: &Connection, name: &str) -> Result<(i64, Uuid), Refusal> {
    let sql = "SELECT id, uid FROM applications WHERE name = ?1 AND deleted IS NULL";
    known(connection, sql, name)
}

/// The row id of an application that a change needs.
pub(super) fn must_have(connection: &Connection, name: &str) -> Result<i64, Refusal> {
    Ok(id(connection, name)?.ok_or(WriteError::NotFound(WHAT))?)
}

// ----------------------------------------------------------------------------------------------

fn known(connection: &Connection, sql: &str, name: &str) -> Result<(i64, Uuid), Refusal> {
    let known = connection.prepare_cached(sql)?.query_row([name], |row| {
        let Id(uid) = row.get(1)?;
        Ok((row.get(0)?, uid))
    });
    Ok(known.optional()?.ok_or(WriteError::NotFound(WHAT))?)
}

fn has_devices(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM devices WHERE application = ?1)")?;
    statement.query_row([id], |row| row.get(0))
}

/// Stores it as it is now; if nothing holds it any more, it goes with everything that belongs to it.
fn store_or_remove(connection: &Connection, stored: &Stored) -> rusqlite::Result<()> {
    if !stored.document.is_gone() {
        return stored.store(connection, "applications");
    }
    remains::put(connection, stored.id, &stored.document.metadata.name)?;
    for sql in [
        "DELETE FROM group_positions WHERE application = ?1",
        "DELETE FROM dead_letters WHERE application = ?1",
        "DELETE FROM sessions WHERE application = ?1",
        "DELETE FROM streams WHERE application = ?1",
        "DELETE FROM aliases WHERE application = ?1",
        "DELETE FROM applications WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([stored.id])?;
    }
    Ok(())
}

/// Stores who may do what with it, as a new version.
fn store_people(connection: &Connection, id: i64, application: &mut Application) -> rusqlite::Result<()> {
    application.metadata.resource_version = Uuid::new_v4();
    connection
        .prepare_cached(
            "UPDATE applications SET owner = ?2, members = ?3, offered_to = ?4, resource_version = ?5 WHERE id = ?1",
        )?
        .execute(params![
            id,
            application.owner,
            Json(&application.members),
            application.offered_to,
            Id(application.metadata.resource_version)
        ])?;
    Ok(())
}

fn with(document: Document, owner: String, offered_to: Option<String>, members: BTreeMap<String, Role>) -> Application {
    let Document { metadata, spec, status } = document;
    Application {
        metadata,
        spec,
        status,
        owner,
        offered_to,
        members,
    }
}

/// Row id and application.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Application)> {
    let Stored { id, document } = metadata::read(row)?;
    let Json(members) = row.get(COUNT + 1)?;
    Ok((id, with(document, row.get(COUNT)?, row.get(COUNT + 2)?, members)))
}

fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<(i64, Application)>> {
    let sql = format!("SELECT {COLUMNS}, r.owner, r.members, r.offered_to FROM applications r WHERE r.name = ?1");
    connection.prepare_cached(&sql)?.query_row([name], read).optional()
}

fn must_find(connection: &Connection, name: &str, pre: Preconditions) -> Result<(i64, Application), Refusal> {
    let (id, application) = find(connection, name)?.ok_or(WriteError::NotFound(WHAT))?;
    pre.check(&application.metadata, WHAT)?;
    Ok((id, application))
}

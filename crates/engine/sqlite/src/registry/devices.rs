//! Devices, and the names that lead to them.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use sockeye_event::origin::Change;
use sockeye_limits::REGISTRY_SCAN;
use sockeye_registry::{Device, DeviceChange, DeviceSpec, Document, Found, Preconditions, Wanted, WriteError};

use super::applications::{self, must_know, must_stay};
use super::commands;
use super::metadata::{self, COLUMNS, Stored};
use super::row::Refusal;

const WHAT: &str = "device";

/// The device as stored, and what is to be told of it.
pub(super) fn create(connection: &Connection, mut device: Device) -> Result<(Device, DeviceChange), Refusal> {
    let (application, uid) = must_stay(connection, &device.metadata.application)?;
    let logins = logins(&device);
    none_taken(connection, application, &logins, None)?;
    device.metadata.renew();
    let belongs = ("application", &application as _);
    let id = metadata::insert(connection, "devices", belongs, &Document::from(device.clone()))?;
    store_logins(connection, application, id, &logins)?;
    let change = DeviceChange::new(Change::Created, uid, &device);
    Ok((device, change))
}

pub(super) fn get(connection: &Connection, application: &str, name: &str) -> rusqlite::Result<Option<Device>> {
    let Some(id) = applications::id(connection, application)? else {
        return Ok(None);
    };
    Ok(find(connection, id, name)?.map(|stored| device(application, stored)))
}

pub(super) fn by_login(connection: &Connection, application: &str, login: &str) -> rusqlite::Result<Option<Device>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM applications a JOIN device_logins l ON l.application = a.id JOIN devices r ON r.id = l.device \
         WHERE a.name = ?1 AND l.login = ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let stored = statement
        .query_row(params![application, login], metadata::read)
        .optional()?;
    Ok(stored.map(|stored| device(application, stored)))
}

/// Looks for names and labels in an index of their own, which is a tenth of the table.
pub(super) fn list(connection: &Connection, application: &str, wanted: &Wanted) -> rusqlite::Result<Found<Device>> {
    let Some(id) = applications::id(connection, application)? else {
        return Ok(Found::default());
    };
    let one = format!("SELECT {COLUMNS} FROM devices r WHERE r.id = ?1");
    let mut one = connection.prepare_cached(&one)?;
    let mut statement = connection.prepare_cached(
        "SELECT id, name, 0, 0, 0, 0, 0, 0, labels FROM devices INDEXED BY labels_of_devices \
         WHERE application = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
    )?;
    let rows = statement.query(params![id, wanted.after, REGISTRY_SCAN as i64])?;
    metadata::find(rows, wanted, |row| {
        let stored = one.query_row([row.get::<_, i64>(0)?], metadata::read)?;
        Ok(device(application, stored))
    })
}

/// The device as it is then, and what is to be told of it if anything changed.
pub(super) fn update(
    connection: &Connection,
    wanted: Device,
    pre: Preconditions,
) -> Result<(Device, Option<DeviceChange>), Refusal> {
    let (application, uid) = must_know(connection, &wanted.metadata.application)?;
    let logins = logins(&wanted);
    let name = wanted.metadata.application.clone();
    let mut stored = must_find(connection, application, &wanted.metadata.name, pre)?;
    none_taken(connection, application, &logins, Some(stored.id))?;
    let changed = stored.document.replace(wanted.into());
    let is_gone = stored.document.is_gone();
    if is_gone {
        remove(connection, stored.id)?;
    } else if changed {
        stored.store(connection, "devices")?;
        forget_logins(connection, stored.id)?;
        store_logins(connection, application, stored.id, &logins)?;
    }
    let device = device(&name, stored);
    let what = if is_gone { Change::Deleted } else { Change::Updated };
    let change = changed.then(|| DeviceChange::new(what, uid, &device));
    Ok((device, change))
}

/// What is to be told of it.
pub(super) fn delete(
    connection: &Connection,
    application: &str,
    name: &str,
    pre: Preconditions,
) -> Result<DeviceChange, Refusal> {
    let (id, uid) = must_know(connection, application)?;
    let mut stored = must_find(connection, id, name, pre)?;
    stored.document.mark(WHAT)?;
    let what = mark_or_remove(connection, &stored)?;
    Ok(DeviceChange::new(what, uid, &device(application, stored)))
}

/// Deletes all devices of an application: those that finalizers hold are marked only, and stay.
pub(super) fn delete_all(connection: &Connection, application: i64) -> Result<(), Refusal> {
    for sql in [
        "DELETE FROM command_ways WHERE application = ?1",
        "DELETE FROM commands WHERE device IN (SELECT id FROM devices WHERE application = ?1)",
        "DELETE FROM device_logins WHERE device IN (SELECT id FROM devices WHERE application = ?1 AND finalizers = '[]')",
        "DELETE FROM devices WHERE application = ?1 AND finalizers = '[]'",
    ] {
        connection.prepare_cached(sql)?.execute([application])?;
    }
    let sql = format!("SELECT {COLUMNS} FROM devices r WHERE r.application = ?1 AND r.deleted IS NULL");
    let mut statement = connection.prepare_cached(&sql)?;
    let held: Vec<Stored> = statement
        .query_map([application], metadata::read)?
        .collect::<rusqlite::Result<_>>()?;
    for mut stored in held {
        stored.document.mark(WHAT)?;
        stored.store(connection, "devices")?;
    }
    Ok(())
}

// ----------------------------------------------------------------------------------------------

/// The device, as it is seen from outside.
fn device(application: &str, stored: Stored) -> Device {
    let Document {
        mut metadata,
        spec,
        status,
    } = stored.document;
    application.clone_into(&mut metadata.application);
    Device { metadata, spec, status }
}

fn find(connection: &Connection, application: i64, name: &str) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM devices r WHERE r.application = ?1 AND r.name = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_row(params![application, name], metadata::read)
        .optional()
}

fn must_find(connection: &Connection, application: i64, name: &str, pre: Preconditions) -> Result<Stored, Refusal> {
    let stored = find(connection, application, name)?.ok_or(WriteError::NotFound(WHAT))?;
    pre.check(&stored.document.metadata, WHAT)?;
    Ok(stored)
}

/// Stores that it is being deleted, or removes it, if nothing holds it. What is to be told.
fn mark_or_remove(connection: &Connection, stored: &Stored) -> rusqlite::Result<Change> {
    if stored.document.is_gone() {
        remove(connection, stored.id)?;
        return Ok(Change::Deleted);
    }
    stored.store(connection, "devices")?;
    Ok(Change::Updated)
}

fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    forget_logins(connection, id)?;
    commands::delete_of_device(connection, id)?;
    connection
        .prepare_cached("DELETE FROM devices WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn forget_logins(connection: &Connection, device: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM device_logins WHERE device = ?1")?;
    statement.execute([device])?;
    Ok(())
}

/// Name, aliases and unique user names. A document that cannot be read has its name only: its device cannot log in.
fn logins(device: &Device) -> BTreeSet<String> {
    let spec = DeviceSpec::of(device).unwrap_or_default();
    spec.logins()
        .map(str::to_owned)
        .chain([device.metadata.name.clone()])
        .collect()
}

fn none_taken(
    connection: &Connection,
    application: i64,
    logins: &BTreeSet<String>,
    itself: Option<i64>,
) -> Result<(), Refusal> {
    let mut statement =
        connection.prepare_cached("SELECT device FROM device_logins WHERE application = ?1 AND login = ?2")?;
    for login in logins {
        let holder: Option<i64> = statement
            .query_row(params![application, login], |row| row.get(0))
            .optional()?;
        if holder.is_some() && holder != itself {
            return Err(WriteError::Taken(login.clone()).into());
        }
    }
    Ok(())
}

fn store_logins(
    connection: &Connection,
    application: i64,
    device: i64,
    logins: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT INTO device_logins (application, login, device) VALUES (?1, ?2, ?3)")?;
    for login in logins {
        statement.execute(params![application, login, device])?;
    }
    Ok(())
}

//! Devices, and the names that lead to them.

use deadpool_postgres::GenericClient;
use sockeye_event::origin::Change;
use sockeye_registry::{Device, DeviceChange, DeviceSpec, Document, Found, Preconditions, Wanted, WriteError};

use super::applications::{must_know, must_stay};
use super::metadata::{self, COLUMNS, Stored};
use crate::failure::{Failure, Refusal};
use crate::sql;

const WHAT: &str = "device";

// ----------------------------------------------------------------------------------------------

/// The device as stored, and what is to be told of it.
pub(super) async fn create(on: &impl GenericClient, mut device: Device) -> Result<(Device, DeviceChange), Refusal> {
    let (application, uid) = must_stay(on, &device.metadata.application).await?;
    let logins = logins(&device);
    none_taken(on, application, &logins, None).await?;
    device.metadata.renew();
    let belongs = ("application", &application as _);
    let id = metadata::insert(on, "devices", belongs, &Document::from(device.clone())).await?;
    store_logins(on, application, id, &logins).await?;
    let change = DeviceChange::new(Change::Created, uid, &device);
    Ok((device, change))
}

pub(super) async fn get(on: &impl GenericClient, application: &str, name: &str) -> Result<Option<Device>, Failure> {
    let statement = format!(
        "SELECT {COLUMNS} FROM applications a JOIN devices r ON r.application = a.id WHERE a.name = $1 AND r.name = $2"
    );
    one(on, &statement, application, name).await
}

pub(super) async fn by_login(
    on: &impl GenericClient,
    application: &str,
    login: &str,
) -> Result<Option<Device>, Failure> {
    let statement = format!(
        "SELECT {COLUMNS} FROM applications a JOIN device_logins l ON l.application = a.id JOIN devices r ON r.id = l.device \
         WHERE a.name = $1 AND l.login = $2"
    );
    one(on, &statement, application, login).await
}

pub(super) async fn list(
    on: &impl GenericClient,
    application: &str,
    wanted: &Wanted,
) -> Result<Found<Device>, Failure> {
    let names = "SELECT r.id, r.name, r.labels::text FROM applications a JOIN devices r ON r.application = a.id \
                 WHERE a.name = $1 AND r.name > $2 ORDER BY r.name LIMIT $3";
    let with: sql::Parameters<'_> = &[&application, &wanted.after, &metadata::looked_at(wanted)];
    let Found { entries: ids, next } = metadata::find(&sql::rows(on, names, with).await?, wanted)?;
    let statement = format!("SELECT {COLUMNS} FROM devices r WHERE r.id = ANY($1) ORDER BY r.name");
    let rows = sql::rows(on, &statement, &[&ids]).await?;
    let read = |row| Ok(device(application, metadata::read(row)?));
    let entries = rows.iter().map(read).collect::<Result<_, Failure>>()?;
    Ok(Found { entries, next })
}

/// The device as it is then, and what is to be told of it if anything changed.
pub(super) async fn update(
    on: &impl GenericClient,
    wanted: Device,
    pre: Preconditions,
) -> Result<(Device, Option<DeviceChange>), Refusal> {
    let (application, uid) = must_know(on, &wanted.metadata.application).await?;
    let logins = logins(&wanted);
    let name = wanted.metadata.application.clone();
    let mut stored = must_find(on, application, &wanted.metadata.name, pre).await?;
    none_taken(on, application, &logins, Some(stored.id)).await?;
    let changed = stored.document.replace(wanted.into());
    let is_gone = stored.document.is_gone();
    if is_gone {
        remove(on, stored.id).await?;
    } else if changed {
        stored.store(on, "devices").await?;
        sql::execute(on, "DELETE FROM device_logins WHERE device = $1", &[&stored.id]).await?;
        store_logins(on, application, stored.id, &logins).await?;
    }
    let device = device(&name, stored);
    let what = if is_gone { Change::Deleted } else { Change::Updated };
    let change = changed.then(|| DeviceChange::new(what, uid, &device));
    Ok((device, change))
}

/// What is to be told of it.
pub(super) async fn delete(
    on: &impl GenericClient,
    application: &str,
    name: &str,
    pre: Preconditions,
) -> Result<DeviceChange, Refusal> {
    let (id, uid) = must_know(on, application).await?;
    let mut stored = must_find(on, id, name, pre).await?;
    stored.document.mark(WHAT)?;
    let what = if stored.document.is_gone() {
        remove(on, stored.id).await?;
        Change::Deleted
    } else {
        stored.store(on, "devices").await?;
        Change::Updated
    };
    Ok(DeviceChange::new(what, uid, &device(application, stored)))
}

/// Deletes all devices of an application: those that finalizers hold are marked only, and stay.
pub(super) async fn delete_all(on: &impl GenericClient, application: i64) -> Result<(), Refusal> {
    let free = "DELETE FROM devices WHERE application = $1 AND json_array_length(finalizers) = 0";
    sql::execute(on, free, &[&application]).await?;
    let held = format!("SELECT {COLUMNS} FROM devices r WHERE r.application = $1 AND r.deleted IS NULL");
    for row in sql::rows(on, &held, &[&application]).await? {
        let mut stored = metadata::read(&row)?;
        stored.document.mark(WHAT)?;
        stored.store(on, "devices").await?;
    }
    Ok(())
}

/// Its names go with it, by the tables' own rules.
async fn remove(on: &impl GenericClient, id: i64) -> Result<(), Failure> {
    sql::execute(on, "DELETE FROM devices WHERE id = $1", &[&id]).await?;
    Ok(())
}

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

async fn one(
    on: &impl GenericClient,
    statement: &str,
    application: &str,
    name: &str,
) -> Result<Option<Device>, Failure> {
    let row = sql::row(on, statement, &[&application, &name]).await?;
    row.map(|row| Ok(device(application, metadata::read(&row)?)))
        .transpose()
}

async fn must_find(
    on: &impl GenericClient,
    application: i64,
    name: &str,
    pre: Preconditions,
) -> Result<Stored, Refusal> {
    let statement = format!("SELECT {COLUMNS} FROM devices r WHERE r.application = $1 AND r.name = $2");
    let row = sql::row(on, &statement, &[&application, &name]).await?;
    let stored = metadata::read(&row.ok_or(WriteError::NotFound(WHAT))?)?;
    pre.check(&stored.document.metadata, WHAT)?;
    Ok(stored)
}

/// Name, aliases and unique user names, sorted. A document that cannot be read has its name only: its device cannot log in. Nor
/// can it with a name that PostgreSQL does not store.
fn logins(device: &Device) -> Vec<String> {
    let spec = DeviceSpec::of(device).unwrap_or_default();
    let logins = spec.logins().filter(|login| !login.contains('\0'));
    let mut logins: Vec<_> = logins
        .map(str::to_owned)
        .chain([device.metadata.name.clone()])
        .collect();
    logins.sort_unstable();
    logins.dedup();
    logins
}

async fn none_taken(
    on: &impl GenericClient,
    application: i64,
    logins: &[String],
    itself: Option<i64>,
) -> Result<(), Refusal> {
    let statement =
        "SELECT login FROM device_logins WHERE application = $1 AND login = ANY($2) AND device <> $3 LIMIT 1";
    // No device has the id 0: a new one takes no name of any.
    let row = sql::row(on, statement, &[&application, &logins, &itself.unwrap_or(0)]).await?;
    match row {
        Some(row) => Err(WriteError::Taken(sql::get(&row, 0)?).into()),
        None => Ok(()),
    }
}

async fn store_logins(
    on: &impl GenericClient,
    application: i64,
    device: i64,
    logins: &[String],
) -> Result<(), Failure> {
    let statement = "INSERT INTO device_logins (application, login, device) SELECT $1, unnest($2::text[]), $3";
    sql::execute(on, statement, &[&application, &logins, &device]).await?;
    Ok(())
}

//! Users and access keys.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_registry::{AccessKey, Page, Scope, User, UserIdentity, WriteError};
use uuid::Uuid;

use super::row::{Id, Json, Nanos, Refusal};

/// Why a key was not stored.
pub(super) enum NoKey {
    User,
    Prefix,
}

pub(super) fn ensure(connection: &Connection, name: &str, admin: bool) -> rusqlite::Result<User> {
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO users (name, uid, admin) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![name, Id(Uuid::new_v4()), admin])?;
    get(connection, name)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

pub(super) fn get(connection: &Connection, name: &str) -> rusqlite::Result<Option<User>> {
    let sql = "SELECT uid, name, admin, disabled, issuer, subject FROM users WHERE name = ?1";
    connection.prepare_cached(sql)?.query_row([name], read_user).optional()
}

pub(super) fn of(connection: &Connection, identity: &UserIdentity) -> rusqlite::Result<Option<User>> {
    let sql = "SELECT uid, name, admin, disabled, issuer, subject FROM users WHERE issuer = ?1 AND subject = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement
        .query_row([&identity.issuer, &identity.subject], read_user)
        .optional()
}

pub(super) fn learn(connection: &Connection, identity: &UserIdentity, name: &str) -> Result<User, Refusal> {
    if let Some(user) = of(connection, identity)? {
        return Ok(user);
    }
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO users (name, uid, admin, issuer, subject) VALUES (?1, ?2, 0, ?3, ?4)")?;
    let rows = insert.execute(params![name, Id(Uuid::new_v4()), identity.issuer, identity.subject])?;
    if rows == 0 {
        return Err(WriteError::Taken(name.to_owned()).into());
    }
    Ok(of(connection, identity)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

pub(super) fn list(connection: &Connection, page: Page) -> rusqlite::Result<Vec<User>> {
    let sql = "SELECT uid, name, admin, disabled, issuer, subject FROM users ORDER BY name LIMIT ?1 OFFSET ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let [limit, offset] = page.in_sql();
    statement.query_map(params![limit, offset], read_user)?.collect()
}

/// The user as it is now, and whether that is news.
pub(super) fn set_disabled(connection: &Connection, name: &str, disabled: bool) -> Result<(User, bool), Refusal> {
    let mut update = connection.prepare_cached("UPDATE users SET disabled = ?2 WHERE name = ?1 AND disabled <> ?2")?;
    let changed = update.execute(params![name, disabled])? == 1;
    let user = get(connection, name)?.ok_or(WriteError::NotFound("user"))?;
    Ok((user, changed))
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    let Id(id) = row.get(0)?;
    let issuer: Option<String> = row.get(4)?;
    let subject: Option<String> = row.get(5)?;
    Ok(User {
        id,
        name: row.get(1)?,
        admin: row.get(2)?,
        disabled: row.get(3)?,
        identity: issuer
            .zip(subject)
            .map(|(issuer, subject)| UserIdentity { issuer, subject }),
    })
}

pub(super) fn create_key(connection: &Connection, key: &AccessKey) -> rusqlite::Result<Result<(), NoKey>> {
    let mut user = connection.prepare_cached("SELECT id FROM users WHERE name = ?1")?;
    let Some(user) = user.query_row([&key.user], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(Err(NoKey::User));
    };
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO access_keys \
         (prefix, hash, user, created, description, expires, applications, read_only, disabled, used, paths) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let rows = insert.execute(params![
        key.prefix,
        key.hash,
        user,
        Nanos(key.created),
        key.description,
        key.expires.map(Nanos),
        key.scope.applications.as_ref().map(Json),
        key.scope.read_only,
        key.disabled,
        key.used.map(Nanos),
        key.scope.paths.as_ref().map(Json),
    ])?;
    Ok(if rows == 1 { Ok(()) } else { Err(NoKey::Prefix) })
}

pub(super) fn key(connection: &Connection, prefix: &str) -> rusqlite::Result<Option<AccessKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT k.prefix, k.hash, u.name, k.created, k.description, k.expires, k.applications, k.read_only, k.disabled, \
         k.used, k.paths FROM access_keys k JOIN users u ON u.id = k.user WHERE k.prefix = ?1",
    )?;
    statement.query_row([prefix], read_key).optional()
}

pub(super) fn keys(connection: &Connection, user: &str) -> rusqlite::Result<Vec<AccessKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT k.prefix, k.hash, u.name, k.created, k.description, k.expires, k.applications, k.read_only, k.disabled, \
         k.used, k.paths FROM access_keys k JOIN users u ON u.id = k.user WHERE u.name = ?1 ORDER BY k.created, k.id",
    )?;
    statement.query_map([user], read_key)?.collect()
}

/// Whether it is there, and whether that is news.
pub(super) fn set_key_disabled(
    connection: &Connection,
    prefix: &str,
    disabled: bool,
) -> rusqlite::Result<(bool, bool)> {
    let mut update =
        connection.prepare_cached("UPDATE access_keys SET disabled = ?2 WHERE prefix = ?1 AND disabled <> ?2")?;
    let changed = update.execute(params![prefix, disabled])? == 1;
    Ok((changed || key(connection, prefix)?.is_some(), changed))
}

pub(super) fn note_key_used(connection: &Connection, prefix: &str, at: Timestamp) -> rusqlite::Result<()> {
    let mut update =
        connection.prepare_cached("UPDATE access_keys SET used = max(ifnull(used, ?2), ?2) WHERE prefix = ?1")?;
    update.execute(params![prefix, Nanos(at)])?;
    Ok(())
}

/// Whether it was there.
pub(super) fn delete_key(connection: &Connection, prefix: &str) -> rusqlite::Result<bool> {
    Ok(connection
        .prepare_cached("DELETE FROM access_keys WHERE prefix = ?1")?
        .execute([prefix])?
        == 1)
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<AccessKey> {
    let Nanos(created) = row.get(3)?;
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<Nanos>>(column)?.map(|Nanos(time)| time));
    let applications: Option<Json<_>> = row.get(6)?;
    let paths: Option<Json<_>> = row.get(10)?;
    Ok(AccessKey {
        prefix: row.get(0)?,
        hash: row.get(1)?,
        user: row.get(2)?,
        created,
        description: row.get(4)?,
        expires: time(5)?,
        scope: Scope {
            applications: applications.map(|Json(names)| names),
            read_only: row.get(7)?,
            paths: paths.map(|Json(paths)| paths),
        },
        disabled: row.get(8)?,
        used: time(9)?,
    })
}

//! Users and access keys.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_registry::{AccessKey, User};
use uuid::Uuid;

use super::row::{Id, Nanos};

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
    let mut statement = connection.prepare_cached("SELECT uid, name, admin FROM users WHERE name = ?1")?;
    let user = |row: &Row<'_>| {
        let Id(id) = row.get(0)?;
        Ok(User {
            id,
            name: row.get(1)?,
            admin: row.get(2)?,
        })
    };
    statement.query_row([name], user).optional()
}

pub(super) fn create_key(connection: &Connection, key: &AccessKey) -> rusqlite::Result<Result<(), NoKey>> {
    let mut user = connection.prepare_cached("SELECT id FROM users WHERE name = ?1")?;
    let Some(user) = user.query_row([&key.user], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(Err(NoKey::User));
    };
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO access_keys (prefix, hash, user, created, description) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let rows = insert.execute(params![key.prefix, key.hash, user, Nanos(key.created), key.description])?;
    Ok(if rows == 1 { Ok(()) } else { Err(NoKey::Prefix) })
}

pub(super) fn key(connection: &Connection, prefix: &str) -> rusqlite::Result<Option<AccessKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT k.prefix, k.hash, u.name, k.created, k.description FROM access_keys k JOIN users u ON u.id = k.user \
         WHERE k.prefix = ?1",
    )?;
    statement.query_row([prefix], read_key).optional()
}

pub(super) fn keys(connection: &Connection, user: &str) -> rusqlite::Result<Vec<AccessKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT k.prefix, k.hash, u.name, k.created, k.description FROM access_keys k JOIN users u ON u.id = k.user \
         WHERE u.name = ?1 ORDER BY k.created, k.id",
    )?;
    statement.query_map([user], read_key)?.collect()
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
    Ok(AccessKey {
        prefix: row.get(0)?,
        hash: row.get(1)?,
        user: row.get(2)?,
        created,
        description: row.get(4)?,
    })
}

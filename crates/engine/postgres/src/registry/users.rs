//! Users and access keys.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use sockeye_registry::{AccessKey, Page, PathGrant, Scope, User, UserIdentity, WriteError};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::failure::{Failure, Refusal};
use crate::sql;

const USER: &str = "SELECT uid, name, admin, disabled, issuer, subject FROM users";
const KEY: &str = "SELECT k.prefix, k.hash, u.name, k.created, k.description, k.expires, k.applications, k.read_only, \
                   k.disabled, k.used, k.paths FROM access_keys k JOIN users u ON u.id = k.owner";

/// Why a key was not stored.
pub(super) enum NoKey {
    User,
    Prefix,
}

// ----------------------------------------------------------------------------------------------

pub(super) async fn ensure(on: &impl GenericClient, name: &str, admin: bool) -> Result<User, Failure> {
    if let Some(user) = get(on, name).await? {
        return Ok(user);
    }
    let insert = "INSERT INTO users (name, uid, admin) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    sql::execute(on, insert, &[&name, &Uuid::new_v4(), &admin]).await?;
    let vanished = || Failure::Refused("the user has vanished".to_owned());
    get(on, name).await?.ok_or_else(vanished)
}

pub(super) async fn get(on: &impl GenericClient, name: &str) -> Result<Option<User>, Failure> {
    let row = sql::row(on, &format!("{USER} WHERE name = $1"), &[&name]).await?;
    row.map(|row| read_user(&row)).transpose()
}

pub(super) async fn of(on: &impl GenericClient, identity: &UserIdentity) -> Result<Option<User>, Failure> {
    let statement = format!("{USER} WHERE issuer = $1 AND subject = $2");
    let row = sql::row(on, &statement, &[&identity.issuer, &identity.subject]).await?;
    row.map(|row| read_user(&row)).transpose()
}

pub(super) async fn learn(on: &impl GenericClient, identity: &UserIdentity, name: &str) -> Result<User, Refusal> {
    if let Some(user) = of(on, identity).await? {
        return Ok(user);
    }
    let insert =
        "INSERT INTO users (name, uid, admin, issuer, subject) VALUES ($1, $2, false, $3, $4) ON CONFLICT DO NOTHING";
    let (issuer, subject) = (&identity.issuer, &identity.subject);
    sql::execute(on, insert, &[&name, &Uuid::new_v4(), issuer, subject]).await?;
    // Another node may have been quicker with the same user.
    let learned = of(on, identity).await?;
    Ok(learned.ok_or_else(|| WriteError::Taken(name.to_owned()))?)
}

pub(super) async fn list(on: &impl GenericClient, page: Page) -> Result<Vec<User>, Failure> {
    let [limit, offset] = page.in_sql();
    let statement = format!("{USER} ORDER BY name LIMIT $1 OFFSET $2");
    let rows = sql::rows(on, &statement, &[&limit, &offset]).await?;
    rows.iter().map(read_user).collect()
}

/// The user as it is now, and whether that is news.
pub(super) async fn set_disabled(on: &impl GenericClient, name: &str, disabled: bool) -> Result<(User, bool), Refusal> {
    let update = "UPDATE users SET disabled = $2 WHERE name = $1 AND disabled <> $2";
    let changed = sql::execute(on, update, &[&name, &disabled]).await? == 1;
    let user = get(on, name).await?.ok_or(WriteError::NotFound("user"))?;
    Ok((user, changed))
}

pub(super) async fn create_key(on: &impl GenericClient, key: &AccessKey) -> Result<Result<(), NoKey>, Failure> {
    let user = sql::row(on, "SELECT id FROM users WHERE name = $1", &[&key.user]).await?;
    let Some(user) = user.map(|row| sql::get::<i64>(&row, 0)).transpose()? else {
        return Ok(Err(NoKey::User));
    };
    let insert = "INSERT INTO access_keys \
                  (prefix, hash, owner, created, description, expires, applications, read_only, disabled, used, paths) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    let stored = sql::execute(
        on,
        insert,
        &[
            &key.prefix,
            &key.hash,
            &user,
            &sql::nanos(key.created),
            &key.description.as_ref().map(Json),
            &key.expires.map(sql::nanos),
            &key.scope.applications.as_ref().map(Json),
            &key.scope.read_only,
            &key.disabled,
            &key.used.map(sql::nanos),
            &key.scope.paths.as_ref().map(Json),
        ],
    )
    .await?;
    Ok(if stored == 1 { Ok(()) } else { Err(NoKey::Prefix) })
}

pub(super) async fn key(on: &impl GenericClient, prefix: &str) -> Result<Option<AccessKey>, Failure> {
    let row = sql::row(on, &format!("{KEY} WHERE k.prefix = $1"), &[&prefix]).await?;
    row.map(|row| read_key(&row)).transpose()
}

pub(super) async fn keys(on: &impl GenericClient, user: &str) -> Result<Vec<AccessKey>, Failure> {
    let statement = format!("{KEY} WHERE u.name = $1 ORDER BY k.created, k.id");
    let rows = sql::rows(on, &statement, &[&user]).await?;
    rows.iter().map(read_key).collect()
}

/// Whether it is there, and whether that is news.
pub(super) async fn set_key_disabled(
    on: &impl GenericClient,
    prefix: &str,
    disabled: bool,
) -> Result<(bool, bool), Failure> {
    let update = "UPDATE access_keys SET disabled = $2 WHERE prefix = $1 AND disabled <> $2";
    let changed = sql::execute(on, update, &[&prefix, &disabled]).await? == 1;
    Ok((changed || key(on, prefix).await?.is_some(), changed))
}

pub(super) async fn note_key_used(on: &impl GenericClient, prefix: &str, at: Timestamp) -> Result<(), Failure> {
    // `greatest` passes over NULL.
    let update = "UPDATE access_keys SET used = greatest(used, $2) WHERE prefix = $1";
    sql::execute(on, update, &[&prefix, &sql::nanos(at)]).await?;
    Ok(())
}

/// Whether it was there.
pub(super) async fn delete_key(on: &impl GenericClient, prefix: &str) -> Result<bool, Failure> {
    Ok(sql::execute(on, "DELETE FROM access_keys WHERE prefix = $1", &[&prefix]).await? == 1)
}

fn read_user(row: &Row) -> Result<User, Failure> {
    let (issuer, subject): (Option<String>, Option<String>) = (sql::get(row, 4)?, sql::get(row, 5)?);
    Ok(User {
        id: sql::get(row, 0)?,
        name: sql::get(row, 1)?,
        admin: sql::get(row, 2)?,
        disabled: sql::get(row, 3)?,
        identity: issuer
            .zip(subject)
            .map(|(issuer, subject)| UserIdentity { issuer, subject }),
    })
}

fn read_key(row: &Row) -> Result<AccessKey, Failure> {
    let description: Option<Json<String>> = sql::get(row, 4)?;
    let applications: Option<Json<BTreeSet<String>>> = sql::get(row, 6)?;
    let paths: Option<Json<BTreeMap<String, PathGrant>>> = sql::get(row, 10)?;
    Ok(AccessKey {
        prefix: sql::get(row, 0)?,
        hash: sql::get(row, 1)?,
        user: sql::get(row, 2)?,
        created: sql::time(row, 3)?,
        description: description.map(|Json(text)| text),
        expires: sql::time_or_none(row, 5)?,
        scope: Scope {
            applications: applications.map(|Json(names)| names),
            read_only: sql::get(row, 7)?,
            paths: paths.map(|Json(paths)| paths),
        },
        disabled: sql::get(row, 8)?,
        used: sql::time_or_none(row, 9)?,
    })
}

//! Commands to devices: each change is one job.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_limits as limits;
use sockeye_registry::{Command, CommandError, CommandWay, Commands, Taken, Unavailable};
use uuid::Uuid;

use super::row::{Id, Json, Nanos};
use crate::SqliteEngine;

/// What of a command is not in the question, in the order of [`read`].
const COLUMNS: &str = "c.id, d.name, c.gateways, c.name, c.content_type, c.payload, c.made, c.expires";

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Commands for SqliteEngine {
    async fn keep_command(&self, command: Command, forget: Timestamp) -> Result<(), CommandError> {
        let kept = self.store(move |c| {
            let kept = keep(c, &command, forget)?;
            let told = kept.is_ok().then(|| command.told());
            Ok((kept, told))
        });
        kept.await?
    }

    async fn take_command(
        &self,
        application: &str,
        way: &CommandWay,
        now: Timestamp,
    ) -> Result<Option<Command>, Unavailable> {
        let (application, way) = (application.to_owned(), way.clone());
        // Most find nothing, and disturb nobody.
        let (asked_of, asked) = (application.clone(), way.clone());
        if self.ask(move |c| find(c, &asked_of, &asked, now)).await?.is_none() {
            return Ok(None);
        }
        self.store(move |c| {
            let found = find(c, &application, &way, now)?;
            if let Some((number, _)) = &found {
                c.prepare_cached("UPDATE commands SET taken = ?2, taken_by = ?3 WHERE number = ?1")?
                    .execute(params![number, Nanos(now), way.sender])?;
                c.prepare_cached("DELETE FROM command_ways WHERE command = ?1")?
                    .execute([number])?;
            }
            Ok((found.map(|(_, command)| command), None))
        })
        .await
    }

    async fn command(&self, application: &str, id: Uuid) -> Result<Option<(Command, Option<Taken>)>, Unavailable> {
        let application = application.to_owned();
        self.ask(move |c| {
            let sql = format!(
                "SELECT {COLUMNS}, c.taken, c.taken_by FROM commands c JOIN devices d ON d.id = c.device \
                 JOIN applications a ON a.id = d.application WHERE a.name = ?1 AND c.id = ?2"
            );
            let mut select = c.prepare_cached(&sql)?;
            let found = select.query_row(params![application, Id(id)], |row| {
                let taken = match row.get::<_, Option<Nanos>>(8)? {
                    Some(Nanos(at)) => Some(Taken { at, by: row.get(9)? }),
                    None => None,
                };
                Ok((read(row, &application)?, taken))
            });
            found.optional()
        })
        .await
    }
}

fn keep(connection: &Connection, command: &Command, forget: Timestamp) -> rusqlite::Result<Result<(), CommandError>> {
    for table in ["command_ways WHERE command", "commands WHERE number"] {
        let old = format!(
            "DELETE FROM {table} IN (SELECT number FROM commands WHERE expires <= ?1 ORDER BY expires LIMIT ?2)"
        );
        connection
            .prepare_cached(&old)?
            .execute(params![Nanos(forget), limits::COMMANDS_FORGOTTEN as i64])?;
    }
    let device: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT d.id, a.id FROM devices d JOIN applications a ON a.id = d.application WHERE a.name = ?1 AND d.name = ?2",
        )?
        .query_row([&command.application, &command.device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((device, application)) = device else {
        return Ok(Err(CommandError::NoDevice(command.device.clone())));
    };
    let kept: i64 = connection
        .prepare_cached("SELECT count(*) FROM commands WHERE device = ?1 AND taken IS NULL AND expires > ?2")?
        .query_row(params![device, Nanos(command.made)], |row| row.get(0))?;
    if kept >= limits::COMMANDS_OF_DEVICE as i64 {
        return Ok(Err(CommandError::TooMany));
    }
    let number = connection
        .prepare_cached(
            "INSERT INTO commands (id, device, gateways, name, content_type, payload, made, expires) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .insert(params![
            Id(command.id),
            device,
            Json(&command.gateways),
            command.name,
            command.content_type,
            &*command.payload,
            Nanos(command.made),
            Nanos(command.expires),
        ])?;
    let mut way = connection
        .prepare_cached("INSERT OR IGNORE INTO command_ways (application, target, command) VALUES (?1, ?2, ?3)")?;
    for target in command.targets() {
        way.execute(params![application, target, number])?;
    }
    Ok(Ok(()))
}

/// The commands of a device go with it.
pub(super) fn delete_of_device(connection: &Connection, device: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM command_ways WHERE command IN (SELECT number FROM commands WHERE device = ?1)",
        "DELETE FROM commands WHERE device = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([device])?;
    }
    Ok(())
}

/// The oldest that waits, with its number.
fn find(
    connection: &Connection,
    application: &str,
    way: &CommandWay,
    now: Timestamp,
) -> rusqlite::Result<Option<(i64, Command)>> {
    let sql = format!(
        "SELECT {COLUMNS}, c.number FROM applications a JOIN command_ways w ON w.application = a.id \
         JOIN commands c ON c.number = w.command JOIN devices d ON d.id = c.device \
         WHERE a.name = ?1 AND w.target = ?2 AND (?3 IS NULL OR d.name = ?3) AND c.expires > ?4 \
         ORDER BY w.command LIMIT 1"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(params![application, way.sender, way.device, Nanos(now)], |row| {
            Ok((row.get(8)?, read(row, application)?))
        })
        .optional()
}

fn read(row: &Row<'_>, application: &str) -> rusqlite::Result<Command> {
    let (Id(id), Json(gateways), Nanos(made), Nanos(expires)) = (row.get(0)?, row.get(2)?, row.get(6)?, row.get(7)?);
    Ok(Command {
        id,
        application: application.to_owned(),
        device: row.get(1)?,
        gateways,
        name: row.get(3)?,
        content_type: row.get(4)?,
        payload: Bytes::from(row.get::<_, Vec<u8>>(5)?),
        made,
        expires,
    })
}

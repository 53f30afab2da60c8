//! Commands to devices: a new one is a change that is told; to take one is one statement.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use sockeye_limits as limits;
use sockeye_registry::{Command, CommandError, CommandWay, Commands, Taken, Unavailable, WriteError};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::PostgresRegistry;
use crate::failure::Failure;
use crate::sql;

/// What of a command is not in the question, in the order of [`read`].
const COLUMNS: &str = "c.id, d.name, c.gateways, c.name, c.content_type, c.payload, c.made, c.expires";

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Commands for PostgresRegistry {
    async fn keep_command(&self, command: Command, forget: Timestamp) -> Result<(), CommandError> {
        let kept = self.change(move |c| {
            async move {
                let old = "DELETE FROM commands WHERE number IN \
                           (SELECT number FROM commands WHERE expires <= $1 ORDER BY expires LIMIT $2)";
                let most = limits::COMMANDS_FORGOTTEN as i64;
                sql::execute(c, old, &[&sql::nanos(forget), &most]).await?;
                let of = "SELECT d.id, a.id, (SELECT count(*) FROM commands c WHERE c.device = d.id AND c.taken IS NULL \
                          AND c.expires > $3) FROM devices d JOIN applications a ON a.id = d.application \
                          WHERE a.name = $1 AND d.name = $2";
                let made = sql::nanos(command.made);
                let Some(row) = sql::row(c, of, &[&command.application, &command.device, &made]).await? else {
                    return Ok((Err(CommandError::NoDevice(command.device)), None));
                };
                let (device, application, waiting): (i64, i64, i64) =
                    (sql::get(&row, 0)?, sql::get(&row, 1)?, sql::get(&row, 2)?);
                if waiting >= limits::COMMANDS_OF_DEVICE as i64 {
                    return Ok((Err(CommandError::TooMany), None));
                }
                let insert = "WITH new AS (INSERT INTO commands (id, device, gateways, name, content_type, payload, made, expires) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING number) \
                              INSERT INTO command_ways (application, target, command) \
                              SELECT DISTINCT $9::bigint, t, new.number FROM new, unnest($10::text[]) t";
                let targets: Vec<&String> = command.targets().collect();
                let with: sql::Parameters<'_> = &[
                    &command.id,
                    &device,
                    &Json(&command.gateways),
                    &command.name,
                    &command.content_type,
                    &&*command.payload,
                    &made,
                    &sql::nanos(command.expires),
                    &application,
                    &targets,
                ];
                sql::execute(c, insert, with).await?;
                Ok((Ok(()), Some(command.told())))
            }
            .boxed()
        });
        match kept.await {
            Ok(kept) => kept,
            Err(WriteError::Unavailable(reason)) => Err(reason.into()),
            // No rule of commands is told in this way.
            Err(other) => Err(Unavailable(other.to_string()).into()),
        }
    }

    async fn take_command(
        &self,
        application: &str,
        way: &CommandWay,
        now: Timestamp,
    ) -> Result<Option<Command>, Unavailable> {
        let (application, way) = (application.to_owned(), way.clone());
        let taken = self.ask(move |c| {
            async move {
                let take = format!(
                    "WITH one AS (SELECT c.number FROM applications a JOIN command_ways w ON w.application = a.id \
                     JOIN commands c ON c.number = w.command JOIN devices d ON d.id = c.device \
                     WHERE a.name = $1 AND w.target = $2 AND ($3::text IS NULL OR d.name = $3) AND c.expires > $4 \
                     AND c.taken IS NULL ORDER BY w.command LIMIT 1 FOR UPDATE OF c SKIP LOCKED), \
                     gone AS (DELETE FROM command_ways WHERE command IN (SELECT number FROM one)) \
                     UPDATE commands c SET taken = $4, taken_by = $2 FROM one, devices d \
                     WHERE c.number = one.number AND d.id = c.device RETURNING {COLUMNS}"
                );
                let with: sql::Parameters<'_> = &[&application, &way.sender, &way.device, &sql::nanos(now)];
                let row = sql::row(c, &take, with).await?;
                row.map(|row| read(&row, &application)).transpose()
            }
            .boxed()
        });
        Ok(taken.await?)
    }

    async fn command(&self, application: &str, id: Uuid) -> Result<Option<(Command, Option<Taken>)>, Unavailable> {
        let application = application.to_owned();
        let found = self.ask(move |c| {
            async move {
                let select = format!(
                    "SELECT {COLUMNS}, c.taken, c.taken_by FROM commands c JOIN devices d ON d.id = c.device \
                     JOIN applications a ON a.id = d.application WHERE a.name = $1 AND c.id = $2"
                );
                let Some(row) = sql::row(c, &select, &[&application, &id]).await? else {
                    return Ok(None);
                };
                let taken = match sql::time_or_none(&row, 8)? {
                    Some(at) => Some(Taken {
                        at,
                        by: sql::get(&row, 9)?,
                    }),
                    None => None,
                };
                Ok(Some((read(&row, &application)?, taken)))
            }
            .boxed()
        });
        Ok(found.await?)
    }
}

fn read(row: &Row, application: &str) -> Result<Command, Failure> {
    Ok(Command {
        id: sql::get(row, 0)?,
        application: application.to_owned(),
        device: sql::get(row, 1)?,
        gateways: sql::json(row, 2)?,
        name: sql::get(row, 3)?,
        content_type: sql::get(row, 4)?,
        payload: Bytes::from(sql::get::<Vec<u8>>(row, 5)?),
        made: sql::time(row, 6)?,
        expires: sql::time(row, 7)?,
    })
}

//! Positions of groups: each change is one statement, and no change that is told.

use async_trait::async_trait;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use sockeye_log::{GroupError, GroupId, GroupMark, GroupPosition, GroupPositions, Incarnation, Position};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::applications;
use crate::PostgresRegistry;
use crate::failure::Failure;
use crate::sql;

const COLUMNS: &str = "g.incarnation, g.offsets, g.receipted, g.trimmed, g.stored, g.used";
/// Which one, by three parameters.
const THIS: &str = "a.id = g.application AND a.name = $1 AND g.group_id = $2 AND g.selection = $3";

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl GroupPositions for PostgresRegistry {
    async fn group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let group = group.clone();
        let question = self.ask(move |c| {
            async move {
                let statement = format!("SELECT {COLUMNS} FROM group_positions g, applications a WHERE {THIS}");
                let row = sql::row(c, &statement, &[&group.application, &group.group, &group.selection]).await?;
                row.map(|row| read(&row)).transpose()
            }
            .boxed()
        });
        Ok(question.await?)
    }

    async fn groups(&self, application: &str) -> Result<Vec<(GroupId, GroupPosition)>, GroupError> {
        let application = application.to_owned();
        let question = self.ask(move |c| {
            async move {
                let statement = format!(
                    "SELECT {COLUMNS}, g.group_id, g.selection, a.name FROM group_positions g JOIN applications a \
                     ON a.id = g.application WHERE a.name = $1 ORDER BY g.group_id, g.selection"
                );
                let rows = sql::rows(c, &statement, &[&application]).await?;
                rows.iter().map(|row| Ok((id(row, 6)?, read(row)?))).collect()
            }
            .boxed()
        });
        Ok(question.await?)
    }

    async fn create_group(&self, group: &GroupId, position: &Position) -> Result<bool, GroupError> {
        let (group, position) = (group.clone(), position.clone());
        let made = self.run(move |c| {
            async move {
                // The application is kept until this is stored.
                let statement = "INSERT INTO group_positions (application, group_id, selection, incarnation, offsets, stored, used) \
                                 SELECT id, $2, $3, $4, $5, $6, $6 FROM applications WHERE name = $1 FOR KEY SHARE \
                                 ON CONFLICT DO NOTHING";
                let made = sql::execute(
                    c,
                    statement,
                    &[
                        &group.application,
                        &group.group,
                        &group.selection,
                        &position.incarnation().0.cast_signed(),
                        &Json(position.offsets()),
                        &now(),
                    ],
                )
                .await?;
                if made == 1 {
                    return Ok(Some(true));
                }
                let there = applications::id(c, &group.application).await?.is_some();
                Ok(there.then_some(false))
            }
            .boxed()
        });
        made.await?.ok_or(GroupError::NoApplication)
    }

    async fn use_group(&self, group: &GroupId) -> Result<Option<GroupPosition>, GroupError> {
        let group = group.clone();
        let used = self.ask(move |c| {
            async move {
                let statement = format!(
                    "UPDATE group_positions g SET used = $4 FROM applications a WHERE {THIS} RETURNING {COLUMNS}"
                );
                let row = sql::row(
                    c,
                    &statement,
                    &[&group.application, &group.group, &group.selection, &now()],
                )
                .await?;
                row.map(|row| read(&row)).transpose()
            }
            .boxed()
        });
        Ok(used.await?)
    }

    async fn set_group(&self, group: &GroupId, mark: &GroupMark) -> Result<(), GroupError> {
        let (group, mark) = (group.clone(), mark.clone());
        let stored = self.run(move |c| {
            async move {
                let statement = format!(
                    "UPDATE group_positions g SET incarnation = $4, offsets = $5, receipted = $6, trimmed = $7, stored = $8, \
                     used = $8 FROM applications a WHERE {THIS}"
                );
                let stored = sql::execute(
                    c,
                    &statement,
                    &[
                        &group.application,
                        &group.group,
                        &group.selection,
                        &mark.position.incarnation().0.cast_signed(),
                        &Json(mark.position.offsets()),
                        &mark.receipted,
                        &mark.trimmed.cast_signed(),
                        &now(),
                    ],
                )
                .await?;
                if stored == 1 {
                    return Ok(Ok(()));
                }
                let there = applications::id(c, &group.application).await?.is_some();
                Ok(Err(if there {
                    GroupError::NoGroup
                } else {
                    GroupError::NoApplication
                }))
            }
            .boxed()
        });
        stored.await?
    }

    async fn delete_group(&self, group: &GroupId) -> Result<bool, GroupError> {
        let group = group.clone();
        let deleted = self.ask(move |c| {
            async move {
                let statement = format!("DELETE FROM group_positions g USING applications a WHERE {THIS}");
                let with: sql::Parameters<'_> = &[&group.application, &group.group, &group.selection];
                Ok(sql::execute(c, &statement, with).await? == 1)
            }
            .boxed()
        });
        Ok(deleted.await?)
    }

    async fn expire_groups(&self, before: Timestamp) -> Result<Vec<GroupId>, GroupError> {
        let expired = self.run(move |c| {
            async move {
                let statement = "DELETE FROM group_positions g USING applications a WHERE a.id = g.application AND g.used < $1 \
                                 RETURNING g.group_id, g.selection, a.name";
                let rows = sql::rows(c, statement, &[&sql::nanos(before)]).await?;
                let mut expired = rows.iter().map(|row| id(row, 0)).collect::<Result<Vec<_>, _>>()?;
                expired.sort_unstable();
                Ok(expired)
            }
            .boxed()
        });
        Ok(expired.await?)
    }

    async fn dead_letters(&self, application: &str) -> Result<Option<(Position, Vec<u8>)>, GroupError> {
        let application = application.to_owned();
        let question = self.ask(move |c| {
            async move {
                let statement = "SELECT d.incarnation, d.offsets, d.settled FROM dead_letters d \
                                 JOIN applications a ON a.id = d.application WHERE a.name = $1";
                let row = sql::row(c, statement, &[&application]).await?;
                row.map(|row| Ok((position(&row)?, sql::get(&row, 2)?))).transpose()
            }
            .boxed()
        });
        Ok(question.await?)
    }

    async fn set_dead_letters(&self, application: &str, position: &Position, settled: &[u8]) -> Result<(), GroupError> {
        let (application, position, settled) = (application.to_owned(), position.clone(), settled.to_vec());
        let stored = self.run(move |c| {
            async move {
                let statement = "INSERT INTO dead_letters (application, incarnation, offsets, settled) \
                                 SELECT id, $2, $3, $4 FROM applications WHERE name = $1 FOR KEY SHARE \
                                 ON CONFLICT (application) DO UPDATE SET incarnation = $2, offsets = $3, settled = $4";
                let incarnation = position.incarnation().0.cast_signed();
                let with: sql::Parameters<'_> = &[&application, &incarnation, &Json(position.offsets()), &settled];
                Ok(sql::execute(c, statement, with).await? == 1)
            }
            .boxed()
        });
        let there = stored.await?;
        there.then_some(()).ok_or(GroupError::NoApplication)
    }
}

fn now() -> i64 {
    sql::nanos(Timestamp::now())
}

/// The identity whose columns begin at `at`: group, selection, application.
fn id(row: &Row, at: usize) -> Result<GroupId, Failure> {
    Ok(GroupId {
        group: sql::get(row, at)?,
        selection: sql::get(row, at + 1)?,
        application: sql::get(row, at + 2)?,
    })
}

/// The first two columns.
fn position(row: &Row) -> Result<Position, Failure> {
    let incarnation = Incarnation(sql::get::<i64>(row, 0)?.cast_unsigned());
    Ok(Position::new(incarnation, sql::json::<Vec<(u32, u64)>>(row, 1)?))
}

fn read(row: &Row) -> Result<GroupPosition, Failure> {
    Ok(GroupPosition {
        mark: GroupMark {
            position: position(row)?,
            receipted: sql::get(row, 2)?,
            trimmed: sql::get::<i64>(row, 3)?.cast_unsigned(),
        },
        stored: sql::time(row, 4)?,
        used: sql::time(row, 5)?,
    })
}

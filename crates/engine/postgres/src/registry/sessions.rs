//! Sessions, streams and aliases of Octave.

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use sockeye_registry::{Change, Page, ReadError, Session, Stream, Streams, WriteError};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::applications;
use crate::PostgresRegistry;
use crate::failure::{Failure, Refusal};
use crate::sql;

const STREAM: &str = "SELECT a.name, s.stream, s.device, s.channel, s.description, s.capacity, s.created, s.creator \
                      FROM streams s JOIN applications a ON a.id = s.application WHERE a.name = $1";

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Streams for PostgresRegistry {
    async fn create_session(&self, session: Session, most: usize) -> Result<bool, WriteError> {
        // As a change that is told to nobody: sessions are counted and stored alone.
        self.change(move |c| async move { Ok((create_session(c, &session, most).await?, None)) }.boxed())
            .await
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>, ReadError> {
        let hash = hash.to_owned();
        Ok(self
            .ask(move |c| async move { session(c, &hash).await }.boxed())
            .await?)
    }

    async fn extend_sessions(&self, hashes: &[String], expires: Timestamp) -> Result<(), WriteError> {
        let (hashes, expires) = (hashes.to_vec(), sql::nanos(expires));
        Ok(self
            .ask(move |c| {
                async move {
                    let update = "UPDATE sessions SET expires = $2 WHERE hash = ANY($1) AND expires < $2";
                    sql::execute(c, update, &[&hashes, &expires]).await.map(drop)
                }
                .boxed()
            })
            .await?)
    }

    async fn delete_session(&self, hash: &str) -> Result<bool, WriteError> {
        let hash = hash.to_owned();
        Ok(self
            .ask(move |c| {
                async move { Ok(sql::execute(c, "DELETE FROM sessions WHERE hash = $1", &[&hash]).await? == 1) }.boxed()
            })
            .await?)
    }

    async fn create_stream(&self, stream: Stream) -> Result<(), WriteError> {
        self.change(move |c| async move { Ok((create_stream(c, &stream).await?, None)) }.boxed())
            .await
    }

    async fn stream(&self, application: &str, id: &str) -> Result<Option<Stream>, ReadError> {
        let (application, id) = (application.to_owned(), id.to_owned());
        Ok(self
            .ask(move |c| {
                async move {
                    let row = sql::row(c, &format!("{STREAM} AND s.stream = $2"), &[&application, &id]).await?;
                    row.map(|row| read_stream(&row)).transpose()
                }
                .boxed()
            })
            .await?)
    }

    async fn stream_of(
        &self,
        application: &str,
        device: Option<&str>,
        channel: &str,
    ) -> Result<Option<Stream>, ReadError> {
        let [application, device, channel] = [application, device.unwrap_or_default(), channel].map(str::to_owned);
        Ok(self
            .ask(move |c| {
                async move {
                    let statement = format!("{STREAM} AND s.device = $2 AND s.channel = $3");
                    let row = sql::row(c, &statement, &[&application, &device, &channel]).await?;
                    row.map(|row| read_stream(&row)).transpose()
                }
                .boxed()
            })
            .await?)
    }

    async fn streams(&self, application: &str, page: Page) -> Result<Vec<Stream>, ReadError> {
        let application = application.to_owned();
        Ok(self
            .ask(move |c| {
                async move {
                    let [limit, offset] = page.in_sql();
                    let statement = format!("{STREAM} ORDER BY s.device, s.channel LIMIT $2 OFFSET $3");
                    let rows = sql::rows(c, &statement, &[&application, &limit, &offset]).await?;
                    rows.iter().map(read_stream).collect()
                }
                .boxed()
            })
            .await?)
    }

    async fn delete_stream(&self, application: &str, id: &str) -> Result<bool, WriteError> {
        let (application, id) = (application.to_owned(), id.to_owned());
        self.change(move |c| {
            async move {
                let delete = "DELETE FROM streams s USING applications a \
                              WHERE a.id = s.application AND a.name = $1 AND s.stream = $2";
                let deleted = sql::execute(c, delete, &[&application, &id]).await? == 1;
                Ok((deleted, deleted.then_some(Change::Stream { application, id })))
            }
            .boxed()
        })
        .await
    }

    async fn create_alias(&self, alias: &str, application: &str) -> Result<(), WriteError> {
        let (alias, application) = (alias.to_owned(), application.to_owned());
        self.change(move |c| {
            async move {
                let id = applications::must_have(c, &application).await?;
                let insert = "INSERT INTO aliases (alias, application) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                sql::execute(c, insert, &[&alias, &id]).await?;
                if find_alias(c, &alias).await?.as_ref() == Some(&application) {
                    return Ok(((), None));
                }
                Err(WriteError::Taken(alias).into())
            }
            .boxed()
        })
        .await
    }

    async fn alias(&self, alias: &str) -> Result<Option<String>, ReadError> {
        let alias = alias.to_owned();
        Ok(self
            .ask(move |c| async move { find_alias(c, &alias).await }.boxed())
            .await?)
    }
}

async fn create_session(on: &impl GenericClient, session: &Session, most: usize) -> Result<bool, Refusal> {
    let application = applications::must_have(on, &session.application).await?;
    let created = sql::nanos(session.created);
    sql::execute(on, "DELETE FROM sessions WHERE expires <= $1", &[&created]).await?;
    let insert = "INSERT INTO sessions (hash, key, application, company, created, expires) \
                  SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM sessions WHERE application = $3) < $7";
    let stored = sql::execute(
        on,
        insert,
        &[
            &session.hash,
            &session.key,
            &application,
            &session.company,
            &created,
            &sql::nanos(session.expires),
            &i64::try_from(most).unwrap_or(i64::MAX),
        ],
    )
    .await?;
    Ok(stored == 1)
}

async fn session(on: &impl GenericClient, hash: &str) -> Result<Option<Session>, Failure> {
    let statement = "SELECT s.hash, s.key, a.name, s.company, s.created, s.expires \
                     FROM sessions s JOIN applications a ON a.id = s.application WHERE s.hash = $1";
    let Some(row) = sql::row(on, statement, &[&hash]).await? else {
        return Ok(None);
    };
    Ok(Some(Session {
        hash: sql::get(&row, 0)?,
        key: sql::get(&row, 1)?,
        application: sql::get(&row, 2)?,
        company: sql::get(&row, 3)?,
        created: sql::time(&row, 4)?,
        expires: sql::time(&row, 5)?,
    }))
}

async fn create_stream(on: &impl GenericClient, stream: &Stream) -> Result<(), Refusal> {
    let application = applications::must_have(on, &stream.application).await?;
    let insert = "INSERT INTO streams (application, stream, device, channel, description, capacity, created, creator) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let stored = sql::execute(
        on,
        insert,
        &[
            &application,
            &stream.id,
            &stream.device.as_deref().unwrap_or_default(),
            &stream.channel,
            &Json(&stream.description),
            &i64::from(stream.capacity),
            &sql::nanos(stream.created),
            &stream.creator,
        ],
    )
    .await?;
    if stored == 0 {
        return Err(WriteError::Taken(stream.id.clone()).into());
    }
    Ok(())
}

fn read_stream(row: &Row) -> Result<Stream, Failure> {
    let (device, capacity): (String, i64) = (sql::get(row, 2)?, sql::get(row, 5)?);
    Ok(Stream {
        application: sql::get(row, 0)?,
        id: sql::get(row, 1)?,
        device: (!device.is_empty()).then_some(device),
        channel: sql::get(row, 3)?,
        description: sql::json(row, 4)?,
        capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
        created: sql::time(row, 6)?,
        creator: sql::get(row, 7)?,
    })
}

async fn find_alias(on: &impl GenericClient, alias: &str) -> Result<Option<String>, Failure> {
    let statement = "SELECT a.name FROM aliases l JOIN applications a ON a.id = l.application WHERE l.alias = $1";
    let row = sql::row(on, statement, &[&alias]).await?;
    row.map(|row| sql::get(&row, 0)).transpose()
}

//! Sessions, streams and aliases of Octave.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sockeye_registry::{Change, Page, ReadError, Session, Stream, Streams, WriteError};

use super::applications;
use super::row::{Nanos, Refusal};
use crate::SqliteEngine;

const STREAM: &str = "SELECT a.name, s.stream, s.device, s.channel, s.description, s.capacity, s.created, s.creator \
                      FROM streams s JOIN applications a ON a.id = s.application WHERE a.name = ?1";

// ----------------------------------------------------------------------------------------------

#[async_trait]
impl Streams for SqliteEngine {
    async fn create_session(&self, session: Session, most: usize) -> Result<bool, WriteError> {
        self.change(move |c| Ok((create_session(c, &session, most)?, None)))
            .await
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>, ReadError> {
        let hash = hash.to_owned();
        self.ask(move |c| session(c, &hash)).await
    }

    async fn extend_sessions(&self, hashes: &[String], expires: Timestamp) -> Result<(), WriteError> {
        let hashes = hashes.to_vec();
        self.change(move |c| {
            let mut update = c.prepare_cached("UPDATE sessions SET expires = max(expires, ?2) WHERE hash = ?1")?;
            for hash in &hashes {
                update.execute(params![hash, Nanos(expires)])?;
            }
            Ok(((), None))
        })
        .await
    }

    async fn delete_session(&self, hash: &str) -> Result<bool, WriteError> {
        let hash = hash.to_owned();
        self.change(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM sessions WHERE hash = ?1")?;
            Ok((delete.execute([hash])? == 1, None))
        })
        .await
    }

    async fn create_stream(&self, stream: Stream) -> Result<(), WriteError> {
        self.change(move |c| Ok((create_stream(c, &stream)?, None))).await
    }

    async fn stream(&self, application: &str, id: &str) -> Result<Option<Stream>, ReadError> {
        let (application, id) = (application.to_owned(), id.to_owned());
        self.ask(move |c| {
            let mut statement = c.prepare_cached(&format!("{STREAM} AND s.stream = ?2"))?;
            statement.query_row([application, id], read_stream).optional()
        })
        .await
    }

    async fn stream_of(
        &self,
        application: &str,
        device: Option<&str>,
        channel: &str,
    ) -> Result<Option<Stream>, ReadError> {
        let these = [application, device.unwrap_or_default(), channel].map(str::to_owned);
        self.ask(move |c| {
            let mut statement = c.prepare_cached(&format!("{STREAM} AND s.device = ?2 AND s.channel = ?3"))?;
            statement.query_row(these, read_stream).optional()
        })
        .await
    }

    async fn streams(&self, application: &str, page: Page) -> Result<Vec<Stream>, ReadError> {
        let application = application.to_owned();
        self.ask(move |c| {
            let [limit, offset] = page.in_sql();
            let sql = format!("{STREAM} ORDER BY s.device, s.channel LIMIT ?2 OFFSET ?3");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![application, limit, offset], read_stream)?;
            rows.collect()
        })
        .await
    }

    async fn delete_stream(&self, application: &str, id: &str) -> Result<bool, WriteError> {
        let (application, id) = (application.to_owned(), id.to_owned());
        self.change(move |c| {
            let mut delete = c.prepare_cached(
                "DELETE FROM streams WHERE application = (SELECT id FROM applications WHERE name = ?1) AND stream = ?2",
            )?;
            let deleted = delete.execute([&application, &id])? == 1;
            Ok((deleted, deleted.then_some(Change::Stream { application, id })))
        })
        .await
    }

    async fn create_alias(&self, alias: &str, application: &str) -> Result<(), WriteError> {
        let (alias, application) = (alias.to_owned(), application.to_owned());
        self.change(move |c| {
            let id = applications::must_have(c, &application)?;
            let mut insert = c.prepare_cached("INSERT OR IGNORE INTO aliases (alias, application) VALUES (?1, ?2)")?;
            insert.execute(params![alias, id])?;
            if find_alias(c, &alias)?.as_ref() == Some(&application) {
                return Ok(((), None));
            }
            Err(WriteError::Taken(alias).into())
        })
        .await
    }

    async fn alias(&self, alias: &str) -> Result<Option<String>, ReadError> {
        let alias = alias.to_owned();
        self.ask(move |c| find_alias(c, &alias)).await
    }
}

fn create_session(connection: &Connection, session: &Session, most: usize) -> Result<bool, Refusal> {
    let application = applications::must_have(connection, &session.application)?;
    connection
        .prepare_cached("DELETE FROM sessions WHERE expires <= ?1")?
        .execute([Nanos(session.created)])?;
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM sessions WHERE application = ?1")?
        .query_row([application], |row| row.get(0))?;
    if count >= most as i64 {
        return Ok(false);
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO sessions (hash, key, application, company, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        session.hash,
        session.key,
        application,
        session.company,
        Nanos(session.created),
        Nanos(session.expires),
    ])?;
    Ok(true)
}

fn session(connection: &Connection, hash: &str) -> rusqlite::Result<Option<Session>> {
    let mut statement = connection.prepare_cached(
        "SELECT s.hash, s.key, a.name, s.company, s.created, s.expires \
         FROM sessions s JOIN applications a ON a.id = s.application WHERE s.hash = ?1",
    )?;
    let read = |row: &Row<'_>| {
        let (Nanos(created), Nanos(expires)) = (row.get(4)?, row.get(5)?);
        Ok(Session {
            hash: row.get(0)?,
            key: row.get(1)?,
            application: row.get(2)?,
            company: row.get(3)?,
            created,
            expires,
        })
    };
    statement.query_row([hash], read).optional()
}

fn create_stream(connection: &Connection, stream: &Stream) -> Result<(), Refusal> {
    let application = applications::must_have(connection, &stream.application)?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO streams (application, stream, device, channel, description, capacity, created, creator) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let rows = insert.execute(params![
        application,
        stream.id,
        stream.device.as_deref().unwrap_or_default(),
        stream.channel,
        stream.description,
        stream.capacity,
        Nanos(stream.created),
        stream.creator,
    ])?;
    if rows == 0 {
        return Err(WriteError::Taken(stream.id.clone()).into());
    }
    Ok(())
}

fn read_stream(row: &Row<'_>) -> rusqlite::Result<Stream> {
    let device: String = row.get(2)?;
    let Nanos(created) = row.get(6)?;
    Ok(Stream {
        application: row.get(0)?,
        id: row.get(1)?,
        device: (!device.is_empty()).then_some(device),
        channel: row.get(3)?,
        description: row.get(4)?,
        capacity: row.get(5)?,
        created,
        creator: row.get(7)?,
    })
}

fn find_alias(connection: &Connection, alias: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT a.name FROM aliases l JOIN applications a ON a.id = l.application WHERE l.alias = ?1",
    )?;
    statement.query_row([alias], |row| row.get(0)).optional()
}

//! The tables of the file, and how a file of an earlier release becomes one of this.
//!
//! `PRAGMA application_id` says that a file is Sockeye's, `PRAGMA user_version` how many of the [`STEPS`] it has taken.
//! A release that changes a table adds a step; steps that were released never change. All missing steps are taken in one
//! transaction.

use rusqlite::{Connection, TransactionBehavior};

/// `PRAGMA application_id` of the file: "Sock".
pub(crate) const APPLICATION_ID: i32 = 0x536f_636b;

/// What makes a file of version n one of version n + 1.
pub(crate) const STEPS: &[&[&str]] = &[
    &[LOG, REGISTRY],
    &[RECEIPTED],
    &[OPERATED],
    &[IDENTITIES],
    &[TICKETS],
    &[OCTAVE],
    &[OUTBOX],
    &[COMMANDS],
    &[LIFECYCLE, LABELS],
];

/// Topics and their records.
///
/// Offsets are given once for all topics, so that rows are only ever added at the right edge of the tree, however many topics
/// a commit has. They are ordered, not dense, within a topic.
const LOG: &str = "
CREATE TABLE topics (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
    name          TEXT UNIQUE,        -- the application, and /dead-letters if it is those; NULL: deleted, its records are being removed
    incarnation   INTEGER NOT NULL,   -- random
    retain_age    INTEGER NOT NULL,   -- milliseconds
    retain_bytes  INTEGER NOT NULL,
    oldest        INTEGER NOT NULL,   -- records with lower offsets are gone, or about to go
    indexed_bytes INTEGER NOT NULL    -- size of its chunks that are in chunk_index
) STRICT;

-- Records of one topic and one commit: those of one or several appends, up to 64 KiB or one record.
CREATE TABLE chunks (
    first         INTEGER PRIMARY KEY, -- offset of its first record; the others follow without gap
    topic         INTEGER NOT NULL,
    count         INTEGER NOT NULL,    -- records
    bytes         INTEGER NOT NULL,    -- size of headers and payloads
    time          INTEGER NOT NULL,    -- append time, microseconds since 1970; never lower than that of an earlier chunk
    mark          INTEGER NOT NULL,    -- what retention reckons ages with, milliseconds (clock.rs)
    records       BLOB NOT NULL        -- chunk.rs
) STRICT;

-- The chunks of a topic, but for those that came after the newest entry (index.rs).
CREATE TABLE chunk_index (
    topic         INTEGER NOT NULL,
    first         INTEGER NOT NULL,
    PRIMARY KEY (topic, first)
) STRICT, WITHOUT ROWID;

-- When the server was down; what is older than all chunks is forgotten.
CREATE TABLE pauses (
    mark          INTEGER PRIMARY KEY, -- of the first moment after it
    length        INTEGER NOT NULL     -- milliseconds
) STRICT;
";

/// Applications, devices, users, keys, positions of groups.
///
/// What is said to be JSON is text. Times are nanoseconds since 1970. Who removes a row removes what belongs to it.
const REGISTRY: &str = "
CREATE TABLE applications (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE,
    uid              TEXT NOT NULL,         -- UUID, never used twice
    created          INTEGER NOT NULL,
    generation       INTEGER NOT NULL,      -- changes of spec
    resource_version TEXT NOT NULL,         -- UUID, another one after every change
    deleted          INTEGER,               -- NULL: it is not being deleted
    finalizers       TEXT NOT NULL,         -- JSON array
    labels           TEXT NOT NULL,         -- JSON object
    annotations      TEXT NOT NULL,         -- JSON object
    spec             TEXT NOT NULL,         -- JSON object
    status           TEXT NOT NULL,         -- JSON object
    owner            TEXT NOT NULL,         -- name of a user
    members          TEXT NOT NULL DEFAULT '{}' -- JSON object: roles by name of the user
) STRICT;

-- As applications.
CREATE TABLE devices (
    id               INTEGER PRIMARY KEY,
    application      INTEGER NOT NULL,
    name             TEXT NOT NULL,
    uid              TEXT NOT NULL,
    created          INTEGER NOT NULL,
    generation       INTEGER NOT NULL,
    resource_version TEXT NOT NULL,
    deleted          INTEGER,
    finalizers       TEXT NOT NULL,
    labels           TEXT NOT NULL,
    annotations      TEXT NOT NULL,
    spec             TEXT NOT NULL,         -- holds the credentials
    status           TEXT NOT NULL,
    UNIQUE (application, name)
) STRICT;

-- Every name that leads to a device: its own, aliases, unique user names.
CREATE TABLE device_logins (
    application      INTEGER NOT NULL,
    login            TEXT NOT NULL,
    device           INTEGER NOT NULL,
    PRIMARY KEY (application, login)
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_of_device ON device_logins (device);

CREATE TABLE users (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE,
    uid              TEXT NOT NULL,         -- UUID
    admin            INTEGER NOT NULL       -- 1: may do everything
) STRICT;

CREATE TABLE access_keys (
    id               INTEGER PRIMARY KEY,
    prefix           TEXT NOT NULL UNIQUE,  -- the public id
    hash             TEXT NOT NULL,         -- SHA3-512 of the key, hex
    user             INTEGER NOT NULL,
    created          INTEGER NOT NULL,
    description      TEXT
) STRICT;

CREATE INDEX keys_of_user ON access_keys (user);

CREATE TABLE group_positions (
    application      INTEGER NOT NULL,
    group_id         TEXT NOT NULL,
    selection        TEXT NOT NULL,
    incarnation      INTEGER NOT NULL,      -- of the topic, its 64 bits
    offsets          TEXT NOT NULL,         -- JSON array of [partition, next offset]
    stored           INTEGER NOT NULL,
    PRIMARY KEY (application, group_id, selection)
) STRICT, WITHOUT ROWID;
";

/// What a group had receipted behind its position; the engine only keeps it.
const RECEIPTED: &str = "ALTER TABLE group_positions ADD COLUMN receipted BLOB NOT NULL DEFAULT x''";

/// What operating groups needs.
const OPERATED: &str = "
ALTER TABLE group_positions ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0; -- events that retention took
ALTER TABLE group_positions ADD COLUMN used INTEGER NOT NULL DEFAULT 0;    -- when it last had a member, or was stored
UPDATE group_positions SET used = stored;

-- Which dead letters are done with, as group_positions.
CREATE TABLE dead_letters (
    application      INTEGER PRIMARY KEY,
    incarnation      INTEGER NOT NULL,
    offsets          TEXT NOT NULL,
    settled          BLOB NOT NULL
) STRICT;
";

/// Who users are for a provider, and what limits keys.
const IDENTITIES: &str = "
ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN issuer TEXT;               -- of an OIDC provider
ALTER TABLE users ADD COLUMN subject TEXT;              -- there

CREATE UNIQUE INDEX users_by_identity ON users (issuer, subject) WHERE issuer IS NOT NULL;

ALTER TABLE access_keys ADD COLUMN expires INTEGER;
ALTER TABLE access_keys ADD COLUMN applications TEXT;   -- JSON array of names; NULL: all
ALTER TABLE access_keys ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_keys ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_keys ADD COLUMN used INTEGER;
";

/// What admits once.
const TICKETS: &str = "
CREATE TABLE tickets (
    id               INTEGER PRIMARY KEY,
    hash             TEXT NOT NULL UNIQUE,  -- SHA3-512 of the ticket, hex
    owner            TEXT NOT NULL,
    admits           TEXT NOT NULL,         -- in the words of who made it
    expires          INTEGER NOT NULL
) STRICT;

CREATE INDEX tickets_of_owner ON tickets (owner);
CREATE INDEX tickets_by_expiry ON tickets (expires);
";

/// What clients of Octave need.
const OCTAVE: &str = "
CREATE TABLE sessions (
    hash             TEXT PRIMARY KEY,      -- SHA3-512 of the id, hex
    key              TEXT NOT NULL,         -- prefix of the access key
    application      INTEGER NOT NULL,
    company          TEXT NOT NULL,         -- as the client calls the application
    created          INTEGER NOT NULL,
    expires          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_expiry ON sessions (expires);
CREATE INDEX sessions_of_application ON sessions (application);

CREATE TABLE streams (
    application      INTEGER NOT NULL,
    device           TEXT NOT NULL,         -- empty: no device's
    channel          TEXT NOT NULL,
    stream           TEXT NOT NULL,         -- its id
    description      TEXT NOT NULL,
    capacity         INTEGER NOT NULL,
    created          INTEGER NOT NULL,
    creator          TEXT NOT NULL,         -- name of a user; empty: its first event
    PRIMARY KEY (application, device, channel),
    UNIQUE (application, stream)
) STRICT, WITHOUT ROWID;

-- Other names of applications.
CREATE TABLE aliases (
    alias            TEXT PRIMARY KEY,
    application      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_of_application ON aliases (application);

ALTER TABLE access_keys ADD COLUMN paths TEXT;          -- JSON object: grants by path; NULL: not limited so
";

/// What the registry tells of devices.
const OUTBOX: &str = "
-- What is to be told in a log that is elsewhere, or not made yet.
CREATE TABLE outbox (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL,         -- UUID, of the event
    change           TEXT NOT NULL,         -- created, updated, deleted
    time             INTEGER NOT NULL,
    application      TEXT NOT NULL,         -- name
    application_uid  TEXT NOT NULL,
    device           TEXT NOT NULL,         -- name
    device_uid       TEXT NOT NULL
) STRICT;
";

/// Commands to devices.
const COMMANDS: &str = "
CREATE TABLE commands (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,  -- UUID
    device           INTEGER NOT NULL,
    gateways         TEXT NOT NULL,         -- JSON array of names
    name             TEXT NOT NULL,
    content_type     TEXT,
    payload          BLOB NOT NULL,
    made             INTEGER NOT NULL,
    expires          INTEGER NOT NULL,
    taken            INTEGER,               -- when; NULL: it waits
    taken_by         TEXT                   -- name of a device
) STRICT;

CREATE INDEX commands_of_device ON commands (device);
CREATE INDEX commands_by_expiry ON commands (expires);

-- Who may fetch those that wait.
CREATE TABLE command_ways (
    application      INTEGER NOT NULL,
    target           TEXT NOT NULL,         -- name of a device: its own, or a gateway
    command          INTEGER NOT NULL,
    PRIMARY KEY (application, target, command)
) STRICT, WITHOUT ROWID;

CREATE INDEX ways_of_command ON command_ways (command);
";

/// How applications change hands, and go.
const LIFECYCLE: &str = "
ALTER TABLE applications ADD COLUMN offered_to TEXT;    -- name of a user, who may become the owner

-- What deleted applications have left in the log.
CREATE TABLE remains (
    application      TEXT PRIMARY KEY,      -- name
    since            INTEGER NOT NULL,
    groups           TEXT NOT NULL,         -- JSON array of [group_id, selection]
    taken            INTEGER NOT NULL       -- somebody removes them until then
) STRICT, WITHOUT ROWID;
";

/// What a list of devices looks at: a tenth of the table, in the order of the list. With 100,000 devices whose names came in any order,
/// looking through the table by name takes six times as long.
const LABELS: &str = "CREATE INDEX labels_of_devices ON devices (application, name, labels)";

// ----------------------------------------------------------------------------------------------

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// A file of Sockeye that has taken this many steps.
    Ours(usize),
    /// Some other SQLite file.
    Foreign,
}

/// Looks at what a file is.
pub(crate) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("PRAGMA application_id")? == i64::from(APPLICATION_ID) {
        Ok(Kind::Ours(number("PRAGMA user_version")? as usize))
    } else if number("SELECT count(*) FROM sqlite_schema")? == 0 {
        Ok(Kind::Empty)
    } else {
        Ok(Kind::Foreign)
    }
}

/// Takes the steps after the first `taken`, all or none.
pub(crate) fn migrate(connection: &mut Connection, taken: usize, steps: &[&[&str]]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for sql in steps.iter().skip(taken).copied().flatten() {
        transaction.execute_batch(sql)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sockeye_log::{Log as _, NewRecord, ReadLimit, Retention, Topic};

    use super::*;
    use crate::{OpenError, Options, SqliteEngine};

    /// The steps of a later release.
    const LATER: &[&[&str]] = &[
        &[LOG, REGISTRY],
        &[RECEIPTED],
        &[OPERATED],
        &[IDENTITIES],
        &[TICKETS],
        &[OCTAVE],
        &[OUTBOX],
        &[COMMANDS],
        &[LIFECYCLE, LABELS],
        &["ALTER TABLE topics ADD COLUMN colour TEXT"],
        &[
            "CREATE TABLE shelves (name TEXT) STRICT",
            "INSERT INTO shelves VALUES ('one')",
        ],
    ];
    /// One that fails in its last statement.
    const FAILING: &[&[&str]] = &[
        &[LOG, REGISTRY],
        &[RECEIPTED],
        &[OPERATED],
        &[IDENTITIES],
        &[TICKETS],
        &[OCTAVE],
        &[OUTBOX],
        &[COMMANDS],
        &[LIFECYCLE, LABELS],
        &[
            "CREATE TABLE shelves (name TEXT) STRICT",
            "INSERT INTO nowhere VALUES (1)",
        ],
    ];

    async fn records(path: &Path, steps: &[&[&str]]) -> Result<usize, OpenError> {
        let engine = SqliteEngine::open_with(path, Options::default(), steps)?;
        let topic = Topic::events_of("garden");
        engine.create_topic(&topic, Retention::default()).await.unwrap();
        let record = NewRecord {
            headers: sockeye_event::Headers::default(),
            payload: None,
        };
        engine.append(&topic, vec![record]).await.unwrap();
        let oldest = engine.span(&topic).await.unwrap().oldest;
        let batch = engine.read(&topic, &oldest, ReadLimit::default()).await.unwrap();
        engine.close().await;
        Ok(batch.records.len())
    }

    fn kind_of(path: &Path) -> Kind {
        kind(&Connection::open(path).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_older_file_is_migrated_and_keeps_its_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sockeye.db");
        assert_eq!(records(&path, STEPS).await.unwrap(), 1);
        assert_eq!(kind_of(&path), Kind::Ours(9));
        assert_eq!(records(&path, LATER).await.unwrap(), 2);
        assert_eq!(kind_of(&path), Kind::Ours(11));
        assert_eq!(records(&path, LATER).await.unwrap(), 3, "each step is taken once");
        let refused = records(&path, STEPS).await.unwrap_err();
        assert!(
            matches!(
                refused,
                OpenError::Newer {
                    found: 11,
                    known: 9,
                    ..
                }
            ),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn a_migration_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sockeye.db");
        assert_eq!(records(&path, STEPS).await.unwrap(), 1);
        let refused = records(&path, FAILING).await.unwrap_err().to_string();
        assert!(
            refused.contains("cannot be used") && refused.contains("nowhere"),
            "{refused}"
        );
        assert_eq!(kind_of(&path), Kind::Ours(9));
        assert_eq!(records(&path, LATER).await.unwrap(), 2);
    }
}

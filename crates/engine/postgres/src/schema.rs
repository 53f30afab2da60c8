//! The tables, and how a database of an earlier release becomes one of this.
//!
//! The table `sockeye_registry` says which of the [`STEPS`] were taken, and what a server has to know to work with the tables. A
//! release that changes them adds a step; steps that were released never change. All missing steps are taken in one transaction by
//! whoever starts first; others wait for it. Steps expand first and contract a release later, so that the previous release runs
//! beside the new one.

use std::future::Future;

use sockeye_limits as limits;
use tokio::time::timeout;
use tokio_postgres::{Client, Transaction};

use crate::OpenError;

/// What makes tables of version n those of version n + 1.
pub(crate) struct Step {
    /// Statements.
    pub(crate) sql: &'static str,
    /// The lowest version that a server may know and still work with the tables then.
    pub(crate) needs: i64,
}

pub(crate) const STEPS: &[Step] = &[
    Step {
        sql: REGISTRY,
        needs: 1,
    },
    Step { sql: TICKETS, needs: 1 },
    Step { sql: OCTAVE, needs: 1 },
    Step { sql: OUTBOX, needs: 1 },
    Step {
        sql: COMMANDS,
        needs: 1,
    },
    Step {
        sql: LIFECYCLE,
        needs: 1,
    },
];

/// The names of tables are found by the `search_path` of the connection. Times are nanoseconds since 1970. Text is compared by its
/// bytes, whatever the language of the database. JSON is kept as it was written (`jsonb` knows neither every number nor U+0000).
const REGISTRY: &str = "
CREATE TABLE change_counter (
    last             bigint NOT NULL           -- number of the newest change; its lock is held by who makes the next
);

INSERT INTO change_counter VALUES (0);

CREATE TABLE changes (
    number           bigint PRIMARY KEY,       -- without gaps, in the order in which they became visible
    kind             text NOT NULL,            -- application, device, key, user
    application      text NOT NULL,            -- of a device; else empty
    name             text NOT NULL,
    made             timestamptz NOT NULL DEFAULT now() -- for people
);

CREATE TABLE applications (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name             text COLLATE \"C\" NOT NULL UNIQUE,
    uid              uuid NOT NULL,            -- never used twice
    created          bigint NOT NULL,
    generation       bigint NOT NULL,          -- changes of spec
    resource_version uuid NOT NULL,            -- another one after every change
    deleted          bigint,                   -- NULL: it is not being deleted
    finalizers       json NOT NULL,            -- array
    labels           json NOT NULL,
    annotations      json NOT NULL,
    spec             json NOT NULL,
    status           json NOT NULL,
    owner            text NOT NULL,            -- name of a user
    members          json NOT NULL DEFAULT '{}' -- roles by name of the user
);

-- As applications.
CREATE TABLE devices (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE,
    name             text COLLATE \"C\" NOT NULL,
    uid              uuid NOT NULL,
    created          bigint NOT NULL,
    generation       bigint NOT NULL,
    resource_version uuid NOT NULL,
    deleted          bigint,
    finalizers       json NOT NULL,
    labels           json NOT NULL,
    annotations      json NOT NULL,
    spec             json NOT NULL,            -- holds the credentials
    status           json NOT NULL,
    UNIQUE (application, name)
);

-- Every name that leads to a device: its own, aliases, unique user names.
CREATE TABLE device_logins (
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE,
    login            text COLLATE \"C\" NOT NULL,
    device           bigint NOT NULL REFERENCES devices ON DELETE CASCADE,
    PRIMARY KEY (application, login)
);

CREATE INDEX logins_of_device ON device_logins (device);

CREATE TABLE users (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name             text COLLATE \"C\" NOT NULL UNIQUE,
    uid              uuid NOT NULL,
    admin            boolean NOT NULL,         -- may do everything
    disabled         boolean NOT NULL DEFAULT false,
    issuer           text COLLATE \"C\",         -- of an OIDC provider
    subject          text COLLATE \"C\"          -- there
);

CREATE UNIQUE INDEX users_by_identity ON users (issuer, subject) WHERE issuer IS NOT NULL;

CREATE TABLE access_keys (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    prefix           text COLLATE \"C\" NOT NULL UNIQUE, -- the public id
    hash             text NOT NULL,            -- SHA3-512 of the key, hex
    owner            bigint NOT NULL REFERENCES users,
    created          bigint NOT NULL,
    description      json,                     -- a string
    expires          bigint,
    applications     json,                     -- array of names; NULL: all
    read_only        boolean NOT NULL,
    disabled         boolean NOT NULL,
    used             bigint
);

CREATE INDEX keys_of_user ON access_keys (owner);

CREATE TABLE group_positions (
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE,
    group_id         text COLLATE \"C\" NOT NULL,
    selection        text COLLATE \"C\" NOT NULL,
    incarnation      bigint NOT NULL,          -- of the topic, its 64 bits
    offsets          json NOT NULL,            -- array of [partition, next offset]
    receipted        bytea NOT NULL DEFAULT '',-- behind it
    trimmed          bigint NOT NULL DEFAULT 0,-- events that retention took
    stored           bigint NOT NULL,
    used             bigint NOT NULL,          -- when it last had a member, or was stored
    PRIMARY KEY (application, group_id, selection)
);

-- Which dead letters are done with, as group_positions.
CREATE TABLE dead_letters (
    application      bigint PRIMARY KEY REFERENCES applications ON DELETE CASCADE,
    incarnation      bigint NOT NULL,
    offsets          json NOT NULL,
    settled          bytea NOT NULL
);
";

/// What admits once.
const TICKETS: &str = "
CREATE TABLE tickets (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    hash             text COLLATE \"C\" NOT NULL UNIQUE, -- SHA3-512 of the ticket, hex
    owner            text COLLATE \"C\" NOT NULL,
    admits           text NOT NULL,            -- in the words of who made it
    expires          bigint NOT NULL
);

CREATE INDEX tickets_of_owner ON tickets (owner);
CREATE INDEX tickets_by_expiry ON tickets (expires);
";

/// What clients of Octave need.
const OCTAVE: &str = "
CREATE TABLE sessions (
    hash             text COLLATE \"C\" PRIMARY KEY, -- SHA3-512 of the id, hex
    key              text NOT NULL,            -- prefix of the access key
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE,
    company          text NOT NULL,            -- as the client calls the application
    created          bigint NOT NULL,
    expires          bigint NOT NULL
);

CREATE INDEX sessions_by_expiry ON sessions (expires);
CREATE INDEX sessions_of_application ON sessions (application);

CREATE TABLE streams (
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE,
    device           text COLLATE \"C\" NOT NULL, -- empty: no device's
    channel          text COLLATE \"C\" NOT NULL,
    stream           text COLLATE \"C\" NOT NULL, -- its id
    description      json NOT NULL,            -- a string
    capacity         bigint NOT NULL,
    created          bigint NOT NULL,
    creator          text NOT NULL,            -- name of a user; empty: its first event
    PRIMARY KEY (application, device, channel),
    UNIQUE (application, stream)
);

-- Other names of applications.
CREATE TABLE aliases (
    alias            text COLLATE \"C\" PRIMARY KEY,
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE
);

CREATE INDEX aliases_of_application ON aliases (application);

ALTER TABLE access_keys ADD COLUMN paths json; -- grants by path; NULL: not limited so
";

/// What the registry tells of devices.
const OUTBOX: &str = "
-- What is to be told in the log.
CREATE TABLE outbox (
    number           bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id               uuid NOT NULL,            -- of the event
    change           text NOT NULL,            -- created, updated, deleted
    time             bigint NOT NULL,
    application      text NOT NULL,            -- name
    application_uid  uuid NOT NULL,
    device           text NOT NULL,            -- name
    device_uid       uuid NOT NULL
);
";

/// Commands to devices.
const COMMANDS: &str = "
CREATE TABLE commands (
    number           bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id               uuid NOT NULL UNIQUE,
    device           bigint NOT NULL REFERENCES devices ON DELETE CASCADE,
    gateways         json NOT NULL,            -- array of names
    name             text NOT NULL,
    content_type     text,
    payload          bytea NOT NULL,
    made             bigint NOT NULL,
    expires          bigint NOT NULL,
    taken            bigint,                   -- when; NULL: it waits
    taken_by         text                      -- name of a device
);

CREATE INDEX commands_of_device ON commands (device);
CREATE INDEX commands_by_expiry ON commands (expires);

-- Who may fetch those that wait.
CREATE TABLE command_ways (
    application      bigint NOT NULL REFERENCES applications ON DELETE CASCADE,
    target           text COLLATE \"C\" NOT NULL, -- name of a device: its own, or a gateway
    command          bigint NOT NULL REFERENCES commands ON DELETE CASCADE,
    PRIMARY KEY (application, target, command)
);

CREATE INDEX ways_of_command ON command_ways (command);
";

/// How applications change hands, and go.
const LIFECYCLE: &str = "
ALTER TABLE applications ADD COLUMN offered_to text; -- name of a user, who may become the owner

-- What deleted applications have left in the log.
CREATE TABLE remains (
    application      text COLLATE \"C\" PRIMARY KEY, -- name
    since            bigint NOT NULL,
    groups           json NOT NULL,            -- array of [group_id, selection]
    taken            bigint NOT NULL           -- somebody removes them until then
);
";

// ----------------------------------------------------------------------------------------------

/// Makes the database one of this release, unless it is, or is somebody else's. Gives the number of its newest change.
pub(crate) async fn prepare(client: &mut Client, place: &str, steps: &[Step]) -> Result<i64, OpenError> {
    let wrong = |error: tokio_postgres::Error| OpenError::of(place, &error);
    let silent = || OpenError::Silent {
        place: place.to_owned(),
    };
    let work = async {
        let transaction = client.transaction().await.map_err(wrong)?;
        check_encoding(&transaction, place).await?;
        // Whoever starts at the same time waits here, and longer than for an answer.
        let wait = "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(hashtext('sockeye registry'))";
        transaction.batch_execute(wait).await.map_err(wrong)?;
        let known = steps.len() as i64;
        let taken = match versions(&transaction).await.map_err(wrong)? {
            Some((_, needs)) if needs > known => {
                let place = place.to_owned();
                return Err(OpenError::Newer { place, needs, known });
            }
            Some((taken, _)) => taken,
            None => {
                if let Some(table) = any_table(&transaction).await.map_err(wrong)? {
                    let place = place.to_owned();
                    return Err(OpenError::Foreign { place, table });
                }
                let table = "CREATE TABLE sockeye_registry (version bigint NOT NULL, needs bigint NOT NULL); \
                             INSERT INTO sockeye_registry VALUES (0, 0)";
                transaction.batch_execute(table).await.map_err(wrong)?;
                0
            }
        };
        for step in steps.iter().skip(taken as usize) {
            transaction.batch_execute(step.sql).await.map_err(wrong)?;
            let took = "UPDATE sockeye_registry SET version = version + 1, needs = $1";
            transaction.execute(took, &[&step.needs]).await.map_err(wrong)?;
        }
        let last = transaction.query_one("SELECT last FROM change_counter", &[]).await;
        let last = last.and_then(|row| row.try_get(0)).map_err(wrong)?;
        transaction.commit().await.map_err(wrong)?;
        Ok(last)
    };
    in_time(work).await.unwrap_or_else(|| Err(silent()))
}

async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    timeout(limits::POSTGRES_MIGRATION, work).await.ok()
}

async fn check_encoding(transaction: &Transaction<'_>, place: &str) -> Result<(), OpenError> {
    let encoding = "SELECT current_setting('server_encoding')";
    let row = transaction.query_one(encoding, &[]).await;
    let encoding: String = row
        .and_then(|row| row.try_get(0))
        .map_err(|error| OpenError::of(place, &error))?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(OpenError::Encoding {
        place: place.to_owned(),
        encoding,
    })
}

/// Steps that were taken, and what a server has to know; `None` if nothing says so.
async fn versions(transaction: &Transaction<'_>) -> Result<Option<(i64, i64)>, tokio_postgres::Error> {
    let there = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'sockeye_registry'";
    if transaction.query_opt(there, &[]).await?.is_none() {
        return Ok(None);
    }
    let row = transaction
        .query_one("SELECT version, needs FROM sockeye_registry", &[])
        .await?;
    Ok(Some((row.try_get(0)?, row.try_get(1)?)))
}

/// A table that is where Sockeye's would be made.
async fn any_table(transaction: &Transaction<'_>) -> Result<Option<String>, tokio_postgres::Error> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1 LIMIT 1";
    let row = transaction.query_opt(tables, &[]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

    use sockeye_parts::postgres::{self, Postgres};
    use sockeye_registry::Registry as _;

    use super::*;
    use crate::{PostgresOptions, PostgresRegistry};

    /// One that the first release can still work with, and one that it cannot.
    const EXPANDED: &[Step] = &[
        Step {
            sql: REGISTRY,
            needs: 1,
        },
        Step { sql: TICKETS, needs: 1 },
        Step { sql: OCTAVE, needs: 1 },
        Step { sql: OUTBOX, needs: 1 },
        Step {
            sql: COMMANDS,
            needs: 1,
        },
        Step {
            sql: LIFECYCLE,
            needs: 1,
        },
        Step {
            sql: "ALTER TABLE users ADD COLUMN colour text",
            needs: 1,
        },
    ];
    const CONTRACTED: &[Step] = &[
        Step {
            sql: REGISTRY,
            needs: 1,
        },
        Step { sql: TICKETS, needs: 1 },
        Step { sql: OCTAVE, needs: 1 },
        Step { sql: OUTBOX, needs: 1 },
        Step {
            sql: COMMANDS,
            needs: 1,
        },
        Step {
            sql: LIFECYCLE,
            needs: 1,
        },
        Step {
            sql: "ALTER TABLE users ADD COLUMN colour text",
            needs: 1,
        },
        Step {
            sql: "CREATE TABLE shelves (name text); ALTER TABLE users DROP COLUMN colour",
            needs: 7,
        },
    ];
    const FAILING: &[Step] = &[
        Step {
            sql: REGISTRY,
            needs: 1,
        },
        Step { sql: TICKETS, needs: 1 },
        Step { sql: OCTAVE, needs: 1 },
        Step { sql: OUTBOX, needs: 1 },
        Step {
            sql: COMMANDS,
            needs: 1,
        },
        Step {
            sql: LIFECYCLE,
            needs: 1,
        },
        Step {
            sql: "CREATE TABLE shelves (name text); INSERT INTO nowhere VALUES (1)",
            needs: 7,
        },
    ];

    async fn open(url: &str, steps: &'static [Step]) -> Result<(), String> {
        let options = PostgresOptions {
            url: url.to_owned(),
            ..PostgresOptions::default()
        };
        let registry = PostgresRegistry::open_with(&options, steps)
            .await
            .map_err(|error| error.to_string())?;
        registry
            .ensure_user("kept", true)
            .await
            .map_err(|error| error.to_string())?;
        registry.close().await;
        Ok(())
    }

    fn versions(postgres: &Postgres, url: &str) -> String {
        let looked = "SELECT version, needs, (SELECT count(*) FROM users) FROM sockeye_registry";
        postgres.psql(url, looked).unwrap()
    }

    #[tokio::test]
    async fn an_older_registry_is_migrated_and_a_newer_one_refused_once_it_must_be() {
        let Some(postgres) = postgres::shared().unwrap() else {
            return;
        };
        let url = postgres.database().unwrap();
        open(&url, STEPS).await.unwrap();
        assert_eq!(versions(postgres, &url), "6|1|1");
        open(&url, FAILING).await.unwrap_err();
        assert_eq!(versions(postgres, &url), "6|1|1", "all or none");
        open(&url, EXPANDED).await.unwrap();
        assert_eq!(versions(postgres, &url), "7|1|1");
        open(&url, STEPS)
            .await
            .expect("the previous release runs beside the new one");
        open(&url, CONTRACTED).await.unwrap();
        assert_eq!(versions(postgres, &url), "8|7|1");
        let refused = open(&url, STEPS).await.unwrap_err();
        assert!(
            refused.contains("newer version") && refused.contains("knows 6"),
            "{refused}"
        );
        assert!(!refused.contains("sockeye-pw"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_starts_first_makes_the_tables_and_the_others_wait() {
        let Some(postgres) = postgres::shared().unwrap() else {
            return;
        };
        let url = postgres.database().unwrap();
        let nodes: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { open(&url, CONTRACTED).await })
            })
            .collect();
        for node in nodes {
            node.await.unwrap().unwrap();
        }
        assert_eq!(versions(postgres, &url), "8|7|1");
    }

    #[tokio::test]
    async fn a_database_of_something_else_is_refused_and_stays_as_it_is() {
        let Some(postgres) = postgres::shared().unwrap() else {
            return;
        };
        let url = postgres.database().unwrap();
        postgres.psql(&url, "CREATE TABLE invoices (number integer)").unwrap();
        let refused = open(&url, STEPS).await.unwrap_err();
        assert!(refused.contains("`invoices`"), "{refused}");
        let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(postgres.psql(&url, tables).unwrap(), "invoices");
        // Beside it, in a schema of its own, there is room.
        postgres.psql(&url, "CREATE SCHEMA sockeye").unwrap();
        let beside = format!("{url}?options=-csearch_path%3Dsockeye");
        open(&beside, STEPS).await.unwrap();
        assert_eq!(postgres.psql(&url, tables).unwrap(), "invoices");
    }

    #[tokio::test]
    async fn another_encoding_is_refused() {
        let Some(postgres) = postgres::shared().unwrap() else {
            return;
        };
        let make = "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'";
        postgres.psql(&postgres.url("postgres"), make).unwrap();
        let refused = open(&postgres.url("latin"), STEPS).await.unwrap_err();
        assert!(refused.contains("LATIN1"), "{refused}");
    }
}

//! A PostgreSQL of the test's own starts, dies, and comes back with what it had.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::net::{Ipv4Addr, TcpStream};

use sockeye_parts::postgres::{self, Postgres};

#[test]
fn a_killed_postgres_comes_back_with_its_rows() {
    let Some(mut postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let database = postgres.database().unwrap();
    let table = "CREATE TABLE kept AS SELECT 7 AS number";
    postgres.psql(&database, table).unwrap();
    postgres.kill().unwrap();
    TcpStream::connect((Ipv4Addr::LOCALHOST, postgres.port())).expect_err("it is gone");
    postgres.start_again().unwrap();
    assert_eq!(postgres.psql(&database, "SELECT number FROM kept").unwrap(), "7");
}

#[test]
fn tests_have_databases_of_their_own_in_one() {
    let Some(one) = postgres::shared().unwrap() else { return };
    let two = postgres::shared().unwrap().expect("it is there");
    assert_eq!(one.port(), two.port());
    let [mine, other] = [one.database().unwrap(), one.database().unwrap()];
    one.psql(&mine, "CREATE TABLE mine (number integer)").unwrap();
    one.psql(&other, "SELECT * FROM mine").expect_err("it is not there");
    let wrong = mine.replace("-pw@", "-no@");
    one.psql(&wrong, "SELECT 1").expect_err("a password is wanted");
}

#[test]
fn it_speaks_tls_with_its_certificate() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let authority = postgres.certificate();
    let url = format!("{url}?sslmode=verify-full&sslrootcert={}", authority.display());
    let used = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(postgres.psql(&url, used).unwrap(), "t");
}

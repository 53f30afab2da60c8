//! Events in the data file or in Kafka, the registry in the data file or in PostgreSQL: whatever the mix, the same server.
//!
//! Runs once: it says itself where things are.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sockeye_parts::postgres::Postgres;
use support::engines::{kafka, postgres};
use support::{APP, PATIENCE, Server, closed, next_event, numbered, sockeye};

/// Where things are kept; what is not said is in the data file.
#[derive(Clone, Default)]
struct Mix {
    kafka: Option<String>,
    postgres: Option<String>,
}

// ----------------------------------------------------------------------------------------------

impl Mix {
    fn start(&self, folder: &Path) -> Server {
        Server::start_with(folder, |command| self.add_to(command))
    }

    fn add_to(&self, command: &mut Command) {
        if let Some(brokers) = &self.kafka {
            // The next registry has an application of the same name.
            command.args(["--kafka", brokers, "--retention-deleted", "off"]);
        }
        if let Some(url) = &self.postgres {
            // Not on the command line, where everybody sees it.
            command.env("SOCKEYE_POSTGRES", url);
        }
    }
}

/// Status and problems of `/readyz`.
async fn readiness(server: &Server) -> (u16, String) {
    let answer = support::http()
        .get(format!("{}/readyz", server.url))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn is_ready(server: &Server) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, said) = readiness(server).await;
        if status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "{said}");
    }
}

async fn goes_round(mix: &Mix, file_is_there: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = mix.start(folder.path());
    is_ready(&server).await;
    server.make_device();
    let http = support::http();
    let mut socket = server.stream(APP).await;
    for number in 0..3 {
        assert_eq!(server.publish(&http, "c", &numbered(number)).await.unwrap(), 202);
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
    let name = sockeye_server::DATA_FILE;
    assert_eq!(folder.path().join(name).exists(), file_is_there);
    let copy = folder.path().join("copy.db");
    let backed_up = server.cli(&[
        "backup",
        copy.to_str().unwrap(),
        "--data",
        folder.path().to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&backed_up.stderr).into_owned();
    assert_eq!(backed_up.status.success(), file_is_there, "{said}");
    assert!(file_is_there || said.contains("Kafka and PostgreSQL"), "{said}");

    assert!(server.terminate().success());
    assert_eq!(closed(&mut socket).await.0, 1001);
    let server = mix.start(folder.path());
    let mut socket = server.stream(&format!("{APP}?from=earliest")).await;
    assert_eq!(server.publish(&http, "c", &numbered(3)).await.unwrap(), 202);
    for number in 0..4 {
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
    let listed = server.cli_ok(&["app", "list"]);
    assert!(listed.contains(APP), "{listed}");
    server.cli_ok(&["app", "delete", APP]);
    assert_eq!(server.publish(&http, "c", &numbered(4)).await.unwrap(), 403);
}

#[tokio::test]
async fn the_registry_in_postgresql_and_events_in_the_file() {
    let mix = Mix {
        postgres: Some(postgres().database().unwrap()),
        kafka: None,
    };
    goes_round(&mix, true).await;
}

/// One after the other: an application has one topic in Kafka, whosever registry it is in.
#[tokio::test]
async fn events_in_kafka_and_the_registry_in_the_file_or_in_postgresql() {
    let file = Mix {
        kafka: Some(kafka().bootstrap()),
        postgres: None,
    };
    goes_round(&file, true).await;
    let neither = Mix {
        postgres: Some(postgres().database().unwrap()),
        ..file
    };
    goes_round(&neither, false).await;
}

/// Streams, and devices and users that are known, go on; other logins are refused for now.
#[tokio::test]
async fn without_postgresql_what_runs_goes_on_and_it_is_used_when_it_is_back() {
    let Some(mut postgres) = Postgres::start_or_say().unwrap() else {
        return;
    };
    let mix = Mix {
        postgres: Some(postgres.database().unwrap()),
        kafka: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let server = mix.start(folder.path());
    server.make_device();
    let made = server.cli_ok(&["key", "create", "--user", "eve", "--output", "json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let http = support::http();
    let mut socket = server.stream(APP).await;
    assert_eq!(server.publish(&http, "c", &numbered(0)).await.unwrap(), 202);
    postgres.kill().unwrap();
    let (status, said) = readiness(&server).await;
    assert!(
        status == 503 && said.contains("registry") && !said.contains("\"log\""),
        "{said}"
    );
    assert_eq!(
        server.publish(&http, "c", &numbered(1)).await.unwrap(),
        202,
        "it is known"
    );
    for number in 0..2 {
        assert_eq!(next_event(&mut socket).await["data"], numbered(number));
    }
    let known = server.connect(APP, Some(&format!("Bearer {}", server.admin()))).await;
    known.expect("who was known still is");
    let new = format!("Bearer eve:{}", made["token"].as_str().unwrap());
    let login = server.connect(APP, Some(&new)).await;
    let refused = login.expect_err("nobody can say who that is").to_string();
    assert!(refused.contains("503"), "{refused}");
    postgres.start_again().unwrap();
    is_ready(&server).await;
    assert_eq!(server.publish(&http, "c", &numbered(2)).await.unwrap(), 202);
    assert_eq!(next_event(&mut socket).await["data"], numbered(2));
    server.cli_ok(&["device", "create", APP, "another", "--password", "pw"]);
}

/// Two servers with one registry: what ends on one, ends on the other.
#[tokio::test]
async fn a_device_that_is_deleted_on_one_server_is_refused_by_the_other() {
    let mix = Mix {
        postgres: Some(postgres().database().unwrap()),
        kafka: None,
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = mix.start(one.path());
    one.make_device();
    let two = mix.start(two.path());
    let http = support::http();
    let known = two.publish(&http, "c", &numbered(0)).await.unwrap();
    assert_eq!(known, 202, "the other server knows it");
    one.cli_ok(&["device", "delete", APP, support::DEVICE]);
    let deadline = Instant::now() + PATIENCE;
    while two.publish(&http, "c", &numbered(1)).await.unwrap() != 403 {
        assert!(Instant::now() < deadline, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One line that names the setting, and no secret.
#[test]
fn what_cannot_be_reached_is_said_at_the_start() {
    let database = postgres().database().unwrap();
    postgres()
        .psql(&database, "CREATE TABLE invoices (number integer)")
        .unwrap();
    let port = postgres().port();
    let wrong = postgres().url("nowhere").replace("-pw@", "-hush@");
    for (postgres, kafka, wanted) in [
        (wrong, None, "check user and password"),
        (database.clone(), None, "invoices"),
        (
            database.replace(&format!(":{port}/"), ":1/"),
            None,
            "check host and port",
        ),
        ("mysql://u:sockeye-pw@host/d".to_owned(), None, "postgresql://"),
        ("off".to_owned(), Some("127.0.0.1:1"), "kafka.brokers"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = sockeye();
        command.args([
            "serve",
            "--http-bind",
            "127.0.0.1:0",
            "--metrics-bind",
            "off",
            "--log-level",
            "off",
        ]);
        command.arg("--data").arg(folder.path()).stdout(Stdio::null());
        let mix = Mix {
            kafka: kafka.map(str::to_owned),
            postgres: Some(postgres),
        };
        mix.add_to(&mut command);
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(
            said.to_lowercase().contains("postgres") || said.contains("kafka"),
            "{said}"
        );
        assert!(!said.contains("-pw") && !said.contains("-hush"), "{said}");
    }
}

//! How a database is reached: by TLS and a password; and what is said if it is not.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use common::{node, options};
use serde_json::json;
use sockeye_engine_postgres::{PostgresOptions, PostgresRegistry};
use sockeye_parts::postgres;
use sockeye_registry::{Application, Device, Registry as _};

async fn refused(options: &PostgresOptions) -> String {
    let error = PostgresRegistry::open(options).await.unwrap_err().to_string();
    assert!(!error.contains("sockeye-pw") && !error.contains("wrong-pw"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[tokio::test]
async fn the_certificate_is_checked() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let trusting = PostgresOptions {
        authority: Some(postgres.certificate()),
        ..options(&url)
    };
    let registry = PostgresRegistry::open(&trusting).await.unwrap();
    registry.ensure_user("eve", false).await.unwrap();
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                 WHERE application_name = 'sockeye' AND datname = current_database() AND ssl = ";
    let [encrypted, plain] = ["true", "false"].map(|ssl| postgres.psql(&url, &format!("{plain}{ssl}")).unwrap());
    assert!(
        encrypted.parse::<u32>().unwrap() >= 2,
        "calls, and listening: {encrypted}"
    );
    assert_eq!(plain, "0");

    let doubting = options(&format!("{url}?sslmode=require"));
    let error = refused(&doubting).await;
    assert!(error.contains("certificate") && error.contains("authority"), "{error}");
    let elsewhere = PostgresOptions {
        authority: Some(postgres.certificate().with_file_name("password")),
        ..options(&url)
    };
    let error = refused(&elsewhere).await;
    assert!(error.contains("no certificate in it"), "{error}");
}

#[tokio::test]
async fn a_password_comes_from_a_file_too() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let bare = url.replace(":sockeye-pw@", "@");
    let error = refused(&options(&bare)).await;
    assert!(error.contains("password"), "{error}");
    let from_file = PostgresOptions {
        password: Some(postgres.certificate().with_file_name("password")),
        ..options(&bare)
    };
    PostgresRegistry::open(&from_file).await.unwrap();
    let missing = PostgresOptions {
        password: Some("/nowhere/password".into()),
        ..options(&bare)
    };
    let error = refused(&missing).await;
    assert!(error.contains("/nowhere/password"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_remedy() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let url = postgres.database().unwrap();
    let port = postgres.port();
    for (url, wanted) in [
        (url.replace("sockeye-pw", "wrong-pw"), "check user and password"),
        (postgres.url("nowhere"), "createdb"),
        (url.replace(&format!(":{port}/"), ":1/"), "check host and port"),
        ("postgresql:///sockeye".to_owned(), "no host"),
    ] {
        let error = refused(&options(&url)).await;
        assert!(error.contains(wanted), "{error}");
    }
    let unowned = "CREATE ROLE guest LOGIN PASSWORD 'wrong-pw'";
    postgres.psql(&url, unowned).unwrap();
    let guest = url.replace("sockeye:sockeye-pw@", "guest:wrong-pw@");
    let error = refused(&options(&guest)).await;
    assert!(
        error.contains("permission denied") && error.contains("OWNER"),
        "{error}"
    );
}

/// PostgreSQL has no U+0000 in its texts.
#[tokio::test]
async fn names_that_cannot_be_stored_are_not_there() {
    let Some(postgres) = postgres::shared().unwrap() else {
        return;
    };
    let registry = node(&postgres.database().unwrap()).await;
    registry
        .create_application(Application::named("app", "me"))
        .await
        .unwrap();
    let mut device = Device::named("app", "d");
    device.spec = json!({"alias": ["a\u{0}b", "c"], "note": "\u{0}"})
        .as_object()
        .unwrap()
        .clone();
    let stored = registry.create_device(device).await.unwrap();
    assert_eq!(registry.device_by_login("app", "c").await.unwrap(), Some(stored));
    assert_eq!(registry.device_by_login("app", "a\u{0}b").await.unwrap(), None);
    assert_eq!(registry.device_by_login("\u{0}", "c").await.unwrap(), None);
    assert_eq!(registry.key("\u{0}").await.unwrap(), None);
}

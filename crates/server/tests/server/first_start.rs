//! What a start does to the data folder: the administrator's key, and a changed configuration.

use std::os::unix::fs::PermissionsExt as _;

use sockeye_server::Server;

use crate::client::{basic, call, make_application};
use crate::{admin, config, engines, start};

#[tokio::test]
async fn the_first_start_writes_a_key_that_only_its_owner_can_read_and_no_other_start_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    let path = server.admin_key_file();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = admin(&server);
    assert!(key.starts_with("admin:drg_"), "ready for `curl -u`");
    server.stop().await;

    let server = start(folder.path()).await;
    assert_eq!(admin(&server), key, "the key stays");
    let whoami = "GET /api/admin/v1alpha1/user/whoami";
    let answer = call(server.http_address(), whoami, &[&basic(&key)], "").await;
    assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some("admin")));
    let answer = call(server.http_address(), whoami, &[&basic(&format!("{key}x"))], "").await;
    assert_eq!(answer.status, 401);
    std::fs::remove_file(&path).unwrap();
    server.stop().await;

    let server = start(folder.path()).await;
    assert!(!path.exists(), "a key that was taken away is not made again");
    server.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_said_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "a file in its place").unwrap();
    let error = Server::start(config(folder.path())).await.err().unwrap().to_string();
    assert!(
        error.contains(folder.path().to_str().unwrap()) && error.contains("--data"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_where_the_key_belongs_is_replaced_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "untouched").unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&elsewhere, data.join("admin-key")).unwrap();
    let server = start(folder.path()).await;
    assert!(admin(&server).starts_with("admin:drg_"));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "untouched");
    server.stop().await;
}

/// A retention that is configured later holds for what is there.
#[tokio::test]
async fn retention_is_that_of_the_configuration() {
    if engines::are_elsewhere() {
        return; // Kafka does it itself, and in its own time
    }
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    make_application(&server, "app", "dev").await;
    let (credentials, payload) = (basic("dev@app:pw"), "x".repeat(60_000));
    for _ in 0..40 {
        assert_eq!(
            call(server.http_address(), "POST /v1/c", &[&credentials], &payload)
                .await
                .status,
            202
        );
    }
    assert_eq!(trimmed(&server).await, 0, "2.4 MB are within the default");
    server.stop().await;

    let mut config = config(folder.path());
    config.retention.bytes = 1 << 20;
    let server = Server::start(config).await.unwrap();
    while trimmed(&server).await == 0 {}
    server.stop().await;
}

async fn trimmed(server: &Server) -> u64 {
    let metrics = call(server.metrics_address().unwrap(), "GET /metrics", &[], "").await;
    let line = metrics
        .body
        .lines()
        .find(|line| line.starts_with("sockeye_log_trimmed_records_total "));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{}", metrics.body))
}

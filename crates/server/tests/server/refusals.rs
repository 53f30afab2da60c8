//! What keeps a server from starting, and connections for which there is no room.

use sockeye_server::{Config, Server, StartError};
use tokio::net::TcpStream;

use crate::client::{answer, call};
use crate::{config, engines, start};

#[tokio::test]
async fn a_port_in_use_is_said_with_address_and_flag() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = start(one.path()).await;
    let taken = first.http_address();
    let mut on_http = config(two.path());
    on_http.http_bind = taken;
    let mut on_metrics = config(two.path());
    on_metrics.metrics_bind = Some(taken);
    for (wanted, flag) in [(on_http, "--http-bind"), (on_metrics, "--metrics-bind")] {
        let error = Server::start(wanted).await.err().expect("the port is in use");
        let said = error.to_string();
        assert!(said.contains(&taken.to_string()) && said.contains(flag), "{said}");
        assert!(!two.path().join("data").exists(), "nothing was touched");
    }
    let health = call(taken, "GET /healthz", &[], "").await;
    assert_eq!(health.status, 200, "the first server goes on");
    // What the failed starts had opened is free again.
    start(two.path()).await.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_folder_is_refused_and_the_next_one_after_the_stop_is_not() {
    if engines::are_elsewhere() {
        return; // there they are nodes of one installation
    }
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let error = Server::start(config(folder.path()))
        .await
        .err()
        .expect("the file is locked");
    assert!(matches!(error, StartError::Engine(_)), "{error}");
    assert!(error.to_string().contains(first.data().to_str().unwrap()), "{error}");
    first.stop().await;
    start(folder.path()).await.stop().await;
}

#[tokio::test]
async fn a_connection_without_room_gets_503_and_a_later_one_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Config {
        connections: 1,
        ..config(folder.path())
    })
    .await
    .unwrap();
    let address = server.http_address();
    let holder = TcpStream::connect(address).await.unwrap();
    let mut other = TcpStream::connect(address).await.unwrap();
    let refused = answer(&mut other).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"], "Busy");
    // Operators still see why.
    let metrics = call(server.metrics_address().unwrap(), "GET /metrics", &[], "").await;
    assert!(
        metrics
            .body
            .contains("sockeye_server_refused_total{listener=\"http\"} 1"),
        "{}",
        metrics.body
    );
    drop(holder);
    loop {
        // The server learns in its own time that the holder has gone.
        let mut next = TcpStream::connect(address).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
        if tokio::io::AsyncWriteExt::write_all(&mut next, request).await.is_ok()
            && answer(&mut next).await.status == 200
        {
            break;
        }
    }
    server.stop().await;
}

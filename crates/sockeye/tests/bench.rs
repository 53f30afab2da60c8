//! `sockeye bench` against real servers, for a second each: figures that are right, and nothing left behind. How large they
//! are is no test's concern.

mod support;

use std::process::Stdio;

use serde_json::Value;
use support::{Server, signal, sockeye};

fn figures(output: &[u8]) -> Value {
    serde_json::from_slice(output).expect("one line of JSON")
}

#[test]
fn a_server_of_its_own() {
    if support::engines::are_elsewhere() {
        return; // it is always on a file
    }
    // A configuration file that may be here is not the server's.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sockeye.toml"), "no = true").unwrap();
    for (words, positive) in [
        (
            &["fan-out", "--sockets", "20", "--rate", "50"][..],
            &[
                "delivered",
                "published",
                "latency_ms/p99",
                "answer_ms/p50",
                "server_resident_bytes",
            ][..],
        ),
        (
            &["fan-out", "--sockets", "20", "--in-flight", "2"],
            &["delivered_per_second", "latency_ms/max"],
        ),
        (
            &["ingest", "--connections", "4", "--batch", "10"],
            &["published", "answer_ms/p99.9"],
        ),
        (&["idle", "--sockets", "20"], &["sockets", "server_resident_bytes"]),
        (
            &["resume", "--sockets", "20", "--missed", "1200", "--size", "50"],
            &[
                "storms",
                "resumes_without_gap_or_duplicate",
                "delivered",
                "caught_up_ms/p99",
                "everybody_caught_up_ms/p50",
                "server_resident_bytes",
            ],
        ),
    ] {
        let mut command = sockeye();
        command.current_dir(folder.path()).arg("bench").args(words);
        let output = command.args(["--time", "1", "--json"]).output().unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let figures = figures(&output.stdout);
        for name in positive {
            let value = figures.pointer(&format!("/{name}")).and_then(Value::as_f64);
            assert!(value.is_some_and(|value| value > 0.0), "{words:?}: {name}: {figures}");
        }
    }
}

#[test]
fn a_running_server_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let words = ["bench", "ingest", "--time", "1", "--json", "--url", &server.url];
    let figures = figures(server.cli_ok(&words).as_bytes());
    assert!(figures["published"].as_u64().unwrap() > 0, "{figures}");
    assert_eq!(
        figures.get("server_resident_bytes"),
        None,
        "nobody told which process it is"
    );
    assert_eq!(server.cli_ok(&["app", "list"]), "");

    // Over TLS, to a server that is trusted, and to one that is not.
    let folder = tempfile::tempdir().unwrap();
    let secure = Server::with_tls(folder.path());
    let words = [
        "bench",
        "fan-out",
        "--sockets",
        "5",
        "--time",
        "1",
        "--json",
        "--url",
        &secure.url,
    ];
    let figures = self::figures(secure.cli_ok(&words).as_bytes());
    assert!(figures["delivered"].as_u64().unwrap() > 0, "{figures}");
    let mut command = sockeye();
    command.args(words).args(["--key", &secure.admin()]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--ca"), "{said}");

    // Interrupted in the middle.
    let mut command = sockeye();
    command.args([
        "bench",
        "fan-out",
        "--sockets",
        "50",
        "--time",
        "600",
        "--url",
        &server.url,
    ]);
    command.args(["--key", &server.admin()]).stderr(Stdio::piped());
    let bench = command.spawn().unwrap();
    while server.cli_ok(&["app", "list"]).is_empty() {
        std::thread::yield_now();
    }
    signal(bench.id(), "INT");
    let output = bench.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(server.cli_ok(&["app", "list"]), "");
}

//! `sockeye serve` as a process: how it ends, and what it says.

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use support::{APP, DEVICE, PASSWORD, Server, engines, signal, sockeye};

fn serve(data: &Path, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = sockeye();
    command
        .args(["serve", "--http-bind", "127.0.0.1:0", "--metrics-bind", "off", "--data"])
        .arg(data);
    engines::choose(data, &mut command);
    change(&mut command);
    command.output().expect("the binary starts")
}

#[test]
fn a_wrong_configuration_ends_with_2_and_says_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sockeye.toml");
    std::fs::write(&file, "[http]\nbnd = \"127.0.0.1:0\"\n").unwrap();
    let output = serve(&folder.path().join("data"), |command| {
        command.arg("--config").arg(&file).args(["--cores", "none"]);
        command.env("SOCKEYE_DRAIN", "soon").env("SOCKEYE_LOG_LEVLE", "info");
        command.env("SOCKEYE_KEY", "is for other commands");
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for words in [
        "sockeye.toml:2: http.bnd",
        "`http.bind`",
        "--cores: `none`",
        "SOCKEYE_DRAIN",
        "`SOCKEYE_LOG_LEVEL`",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("SOCKEYE_KEY"), "{said}");
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

/// Regression: `SOCKEYE_DATA`, which other commands read too, was passed over.
#[test]
fn variables_that_other_commands_read_are_settings_too() {
    let folder = tempfile::tempdir().unwrap();
    let output = sockeye()
        .args(["serve", "--http-bind", "127.0.0.1:0", "--metrics-bind", "off"])
        .current_dir(folder.path())
        .env("SOCKEYE_DATA", "")
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("SOCKEYE_DATA: `` is not allowed"), "{said}");
}

/// Each start that fails says so in one line, and ends with 1.
#[test]
fn a_start_that_fails_ends_with_1_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let address = server.url.trim_start_matches("http://");
    let other = folder.path().join("other");
    let corrupt = folder.path().join("corrupt");
    std::fs::create_dir(&corrupt).unwrap();
    let file = corrupt.join(sockeye_server::DATA_FILE);
    std::fs::write(&file, "this is no database".repeat(1000)).unwrap();
    let taken = (&other, &["--http-bind", address][..], address);
    let of_files = [
        (&data, &[][..], data.to_str().unwrap()),
        (&corrupt, &[], sockeye_server::DATA_FILE),
    ];
    let of_files = of_files.into_iter().filter(|_| !engines::are_elsewhere());
    for (data, flags, words) in std::iter::once(taken).chain(of_files) {
        let output = serve(data, |command| {
            command.args(["--log-level", "off"]).args(flags);
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with("error: ") && said.contains(words) && said.trim_end().lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::with_device(folder.path());
        let address = server.url.trim_start_matches("http://").to_owned();
        let _open = half_a_request(&address);
        signal(server.pid(), "TERM");
        while TcpStream::connect(&address).is_ok() {} // until it listens no more
        signal(server.pid(), name);
        assert_eq!(server.wait().code(), Some(code));
    }
}

/// A publish request whose body does not come: it keeps the server from stopping.
fn half_a_request(address: &str) -> TcpStream {
    let credentials = STANDARD.encode(format!("{DEVICE}@{APP}:{PASSWORD}"));
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let head = format!(
        "POST /v1/c HTTP/1.1\r\nhost: h\r\nauthorization: Basic {credentials}\r\ncontent-length: 1\r\n\
         expect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the head is sent");
    let mut go_on = [0; 12];
    stream.read_exact(&mut go_on).expect("the server asks for the body");
    assert_eq!(&go_on, b"HTTP/1.1 100");
    stream
}

#[test]
fn a_log_as_json_has_request_ids_and_no_query() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = Server::start_with(&folder.path().join("data"), |command| {
        command.args(["--log-format", "json", "--log-level", "debug"]);
        command.stderr(std::fs::File::create(&log).unwrap());
    });
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let head = "GET /none?username=u&api_key=drg_secret HTTP/1.1\r\nhost: h\r\nx-request-id: mine-7\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert!(server.terminate().success());
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
    assert!(
        log.lines()
            .any(|line| line.contains("mine-7") && line.contains("/none")),
        "{log}"
    );
    assert!(!log.contains("drg_"), "no secret is in the log:\n{log}");
}

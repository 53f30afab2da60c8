//! `examples/temperatures` against a real server: it prints what it should, survives a restart, and says why when it is
//! refused.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Lines, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{PASSWORD, Server};

const APPLICATION: &str = "drogue-public-temperature";

/// The running example; ended when dropped.
struct Example {
    child: Child,
    printed: Lines<BufReader<Box<dyn Read>>>,
    said: Lines<BufReader<Box<dyn Read>>>,
}

impl Example {
    fn start(server: &Server, key: &str) -> Self {
        // Of this profile, beside the binary under test; built here if only this test was asked for.
        let binary = Path::new(env!("CARGO_BIN_EXE_sockeye")).with_file_name("temperatures");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--package", "temperatures"]);
        if binary.parent().unwrap().ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .unwrap()
                .success()
        );
        let mut command = Command::new(binary);
        command
            .arg(server.url.replacen("http", "ws", 1))
            .env("SOCKEYE_KEY", key);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = |pipe: Box<dyn Read>| BufReader::new(pipe).lines();
        let (printed, said) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self {
            child,
            printed: lines(Box::new(printed)),
            said: lines(Box::new(said)),
        }
    }

    /// Waits until it says this.
    fn says(&mut self, words: &str) -> bool {
        self.said
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains(words))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_prints_temperatures_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    server.cli_ok(&["app", "create", APPLICATION]);
    for device in ["attic", "cellar"] {
        server.cli_ok(&["device", "create", APPLICATION, device, "--password", PASSWORD]);
    }
    let publish = |server: &Server, device: &str, payload: &str| {
        server.cli_ok(&[
            "publish",
            APPLICATION,
            "climate",
            payload,
            "--device",
            device,
            "--password",
            PASSWORD,
        ]);
    };
    let mut example = Example::start(&server, &server.admin());
    assert!(example.says("streaming"));
    publish(&server, "attic", r#"{"temp":21.5}"#);
    assert_eq!(example.printed.next().unwrap().unwrap(), "attic 21.5 °C");
    publish(&server, "cellar", r#"{"humidity":80}"#);
    publish(&server, "cellar", r#"{"celsius":9}"#);
    assert_eq!(
        example.printed.next().unwrap().unwrap(),
        "attic 21.5 °C   cellar 9.0 °C"
    );

    let address = server.url.trim_start_matches("http://").to_owned();
    assert!(server.terminate().success());
    assert!(example.says("connecting again"));
    let server = Server::start_with(folder.path(), |command| {
        command.args(["--http-bind", &address]);
    });
    assert!(example.says("streaming"), "it connects again by itself");
    publish(&server, "attic", r#"{"temp":22}"#);
    assert_eq!(
        example.printed.next().unwrap().unwrap(),
        "attic 22.0 °C   cellar 9.0 °C"
    );
}

#[test]
fn it_says_why_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for (key, status) in [(server.admin(), "404"), ("admin:drg_wrong".to_owned(), "401")] {
        let mut example = Example::start(&server, &key);
        assert!(example.says(status), "{status}");
        assert!(!example.child.wait().unwrap().success());
    }
}

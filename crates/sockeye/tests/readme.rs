//! The README's five-minute tour, and the pages it leads to, typed as they stand there: every command works, and prints what
//! they show.
//!
//! The blocks of a page that are marked `console` are one shell session: lines that begin with `$ ` are typed (a following line that ends a
//! `\` continuation belongs to it), all others are output. What differs from run to run (ids, times, keys, ports) is
//! compared by its form.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use regex::Regex;
use sockeye_parts::{clients, drg, keycloak, websocat};
use support::{
    engines::{self, kafka, postgres},
    sockeye,
};

#[test]
fn the_tour_works_as_it_stands() {
    if engines::are_elsewhere() {
        return; // it ends with a backup of the data file, and measures servers of its own
    }
    works_as_it_stands("README.md", &[]);
}

#[test]
fn the_page_on_groups_works_as_it_stands() {
    works_as_it_stands("docs/groups.md", &[]);
}

#[test]
fn the_page_on_applications_works_as_it_stands() {
    works_as_it_stands("docs/applications.md", &[]);
}

/// With the Keycloak that stands at port 8081 there.
#[tokio::test]
async fn the_page_on_identity_works_as_it_stands() {
    let Some(keycloak) = keycloak::shared().unwrap() else {
        return;
    };
    let realm = keycloak.realm("sockeye").await.unwrap();
    realm.set_token_life(600).await.unwrap();
    let issuer = realm.issuer();
    let address = issuer
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/realms/sockeye"))
        .unwrap();
    works_as_it_stands("docs/identity.md", &[("127.0.0.1:8081", address)]);
}

/// With the `drg` that people have, and the Keycloak that stands at port 8081 there.
#[tokio::test]
async fn the_page_on_drogue_cloud_works_as_it_stands() {
    let Some(keycloak) = keycloak::shared().unwrap() else {
        return;
    };
    let realm = keycloak.realm("drogue").await.unwrap();
    realm.set_token_life(10).await.unwrap();
    let issuer = realm.issuer();
    let address = issuer
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/realms/drogue"))
        .unwrap();
    works_as_it_stands("docs/drogue.md", &[("127.0.0.1:8081", address)]);
}

/// With the `websocat` that people have.
#[test]
fn the_page_on_octave_works_as_it_stands() {
    works_as_it_stands("docs/octave.md", &[]);
}

/// With a real Kafka, its own tools under the names that they have in its distribution, and a real PostgreSQL.
#[test]
fn the_page_on_kafka_and_postgresql_works_as_it_stands() {
    if engines::are_elsewhere() {
        return; // it says itself where things are
    }
    let (url, brokers) = (postgres().database().unwrap(), kafka().bootstrap());
    let here = [
        ("postgresql://sockeye:password@127.0.0.1/sockeye", &*url),
        (KAFKA, &*brokers),
    ];
    works_as_it_stands("docs/kafka.md", &here);
}

/// With the example for Node.js, whatever folder it is in.
#[test]
fn the_page_on_dojot_works_as_it_stands() {
    let Some(node) = clients::node().unwrap() else {
        return;
    };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/dojot/follow.mjs");
    let here = format!("{} {example}", node.display());
    works_as_it_stands("docs/dojot.md", &[("node examples/dojot/follow.mjs", &here)]);
}

/// Where Kafka is in the pages.
const KAFKA: &str = "127.0.0.1:9092";

/// Types a page; what it has elsewhere is said by the pairs.
fn works_as_it_stands(page: &str, elsewhere: &[(&str, &str)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let session = session(&std::fs::read_to_string(page).unwrap());
    assert!(
        session.typed.len() >= 8,
        "the tour has a few commands: {:?}",
        session.typed
    );

    let folder = tempfile::tempdir().unwrap();
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [http, metrics] = free.map(|listener| listener.local_addr().unwrap().to_string());
    let here = |text: &str| {
        let own = [("127.0.0.1:8080", http.as_str()), ("127.0.0.1:9090", metrics.as_str())];
        let pairs = own.iter().chain(elsewhere);
        pairs.fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    };
    let tools = tempfile::tempdir().unwrap();
    if elsewhere.iter().any(|(there, _)| *there == KAFKA) {
        put_kafkas_tools(tools.path());
    }
    for (name, path) in [
        ("websocat", websocat::path as fn() -> anyhow::Result<_>),
        ("drg", drg::path),
    ] {
        if session.typed.iter().any(|line| line.starts_with(&format!("{name} "))) {
            let Some(path) = path().unwrap() else {
                return;
            };
            symlink(path, tools.path().join(name)).unwrap();
        }
    }
    // Commands in the background are told to end at the end; those that end by themselves are waited for.
    let script = format!(
        "set -euo pipefail\nserver=\ntrap 'kill $server' EXIT\n{}\nkill $server\nwait $server\ntrap - EXIT\nwait\n",
        session
            .typed
            .iter()
            .enumerate()
            .map(|(at, line)| runnable(at, &here(line)))
            .collect::<Vec<_>>()
            .join("\n")
    );
    let binary = Path::new(env!("CARGO_BIN_EXE_sockeye")).parent().unwrap();
    let path = format!(
        "{}:{}:{}",
        binary.display(),
        tools.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder.path())
        .env("DRGCFG", folder.path().join("drg.yaml"))
        .env("PATH", path);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SOCKEYE_")) {
        command.env_remove(name);
    }
    engines::choose(folder.path(), &mut command);
    command
        .env("SOCKEYE_HTTP_BIND", &http)
        .env("SOCKEYE_URL", format!("http://{http}"));
    let output = command.env("SOCKEYE_METRICS_BIND", &metrics).output().unwrap();
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // What commands in the background say comes at any time, also in the middle of the others' lines.
    for file in folder.path().read_dir().unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == LOG) {
            printed.push('\n');
            printed.push_str(&std::fs::read_to_string(file).unwrap());
        }
    }
    assert!(output.status.success(), "{script}\n---\n{printed}");
    let printed: Vec<String> = printed.lines().map(form).collect();
    for line in &session.shown {
        assert!(
            printed.contains(&form(&here(line))),
            "not printed: {line}\n---\n{}",
            printed.join("\n")
        );
    }
}

/// Kafka's tools as commands: its distribution has shell scripts that do the same.
fn put_kafkas_tools(folder: &Path) {
    for (name, class) in [
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
        (
            "kafka-console-consumer.sh",
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
        ),
        (
            "kafka-consumer-groups.sh",
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        ),
    ] {
        let tool = kafka().tool(class);
        let words = std::iter::once(tool.get_program()).chain(tool.get_args());
        let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let script = folder.join(name);
        std::fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn every_command_that_the_readme_names_exists() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let named = Regex::new(r"`sockeye ([a-z]+)").unwrap();
    let names: std::collections::BTreeSet<_> = named.captures_iter(&readme).map(|found| found[1].to_owned()).collect();
    assert!(names.contains("stream") && names.contains("restore"), "{names:?}");
    for name in names {
        assert!(
            sockeye().args([&name, "--help"]).output().unwrap().status.success(),
            "`sockeye {name}` is not there"
        );
    }
}

/// What the tour types and what it shows.
struct Session {
    typed: Vec<String>,
    shown: Vec<String>,
}

fn session(readme: &str) -> Session {
    let mut session = Session {
        typed: Vec::new(),
        shown: Vec::new(),
    };
    let mut inside = false;
    let mut continued = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && continued {
            let last = session.typed.last_mut().expect("it continues a command");
            *last = format!("{last}\n{line}");
            continued = line.ends_with('\\');
        } else if let Some(typed) = line.strip_prefix("$ ").filter(|_| inside) {
            session.typed.push(typed.to_owned());
            continued = typed.ends_with('\\');
        } else if inside && !line.trim().is_empty() && line != "..." {
            session.shown.push(line.to_owned());
        }
    }
    session
}

/// What commands in the background say is in files with this extension.
const LOG: &str = "log";

/// A command as the script runs it: one in the background is given time to be ready, by what it says. It stays the last one that was
/// put there, `$!`.
fn runnable(at: usize, line: &str) -> String {
    let Some(command) = line.strip_suffix(" &") else {
        return line.to_owned();
    };
    let ready = match command.split_once(' ') {
        // A device, which nobody waits for.
        Some(("while", _)) => return line.to_owned(),
        // It shows events, and nothing before.
        Some(("drg", _)) => "specversion",
        Some(("sockeye", command)) if command.starts_with("serve") => "listens",
        Some(("sockeye", _)) => "streaming",
        // A client of somebody else.
        _ => "open",
    };
    let log = format!("{ready}-{at}.{LOG}");
    let pid = if ready == "listens" { "server=$!" } else { "" };
    let into = if command.contains(" > ") { "" } else { ">&2" };
    format!(
        ": >{log}; {command} 2>{log} {into} & {pid}\n\
         for _ in $(seq 300); do grep -q {ready} {log} && break; sleep 0.1; done; grep -q {ready} {log}"
    )
}

/// A line with what differs from run to run replaced.
fn form(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, replacement) in [
        (r"drg_[0-9A-Za-z]{6}_[0-9A-Za-z]{30,}", "KEY"),
        (r"drg_[0-9A-Za-z]{6}", "PREFIX"),
        (r"\b[0-9a-f]{64}\b", "TICKET"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
        (r"\bAQ[A-Za-z0-9_-]{20,}$", "CURSOR"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"\d\d:\d\d:\d\d\.\d+", "CLOCK"),
        (r"\b[es][0-9a-f]{24}\b", "ID"),
        (r"\b1\d{12}\b", "MILLISECONDS"),
        (r"password \(shown once\): \w+", "PASSWORD"),
        (r"\d+(\.\d+)? ?(us|ms|s|KiB|MiB|bytes|pages)\b", "AMOUNT"),
        (r"\s+", " "),
    ] {
        line = Regex::new(pattern)
            .expect("a pattern of this table")
            .replace_all(&line, replacement)
            .into_owned();
    }
    line.trim().to_owned()
}

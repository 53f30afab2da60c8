//! The authorisation matrix: every kind of caller, every call of every protocol, private and public; each cell is in `matrix.txt`.
//! What ends rights of open streams is in the identity tests of the command line.

mod cells;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use self::cells::{Cells, UPGRADE, fill, is_octave};
use crate::client::call;

/// Who calls: an administrator; users with these roles; nobody; the owner with a key that only reads, and with one for another
/// application; a key that was deleted; a user who was disabled; the device `d` of the application.
const CALLERS: &[&str] = &[
    "root", "owner", "appadmin", "manager", "reader", "stranger", "nobody", "readkey", "otherkey", "revoked",
    "disabled", "device",
];

/// Method, path, body. `OPEN` is a GET that asks for a WebSocket. `{app}` and `{application}` are an application with the device
/// `d` and the group `g`; `{prefix}` is a key of the owner's.
const CALLS: &[(&str, &str, &str)] = &[
    ("OPEN", "/{application}", ""),
    ("OPEN", "/{application}/{channel}", ""),
    ("OPEN", "/{application}?group_id=g", ""),
    ("OPEN", "/{application}?group_id=new", ""),
    ("GET", "/{application}", ""),
    ("GET", "/{application}/{channel}", ""),
    ("POST", "/v1/{channel}", "{}"),
    ("POST", "/v1/{channel}/", "{}"),
    ("POST", "/v1/{channel}/{*suffix}", "{}"),
    ("GET", "/api/registry/v1alpha1/apps", ""),
    (
        "POST",
        "/api/registry/v1alpha1/apps",
        r#"{"metadata":{"name":"{new}"}}"#,
    ),
    ("GET", "/api/registry/v1alpha1/apps/{app}", ""),
    (
        "PUT",
        "/api/registry/v1alpha1/apps/{app}",
        r#"{"metadata":{"name":"{app}"},"spec":{"a":1}}"#,
    ),
    ("DELETE", "/api/registry/v1alpha1/apps/{app}", ""),
    ("GET", "/api/registry/v1alpha1/apps/{app}/devices", ""),
    (
        "POST",
        "/api/registry/v1alpha1/apps/{app}/devices",
        r#"{"metadata":{"application":"{app}","name":"e"}}"#,
    ),
    ("GET", "/api/registry/v1alpha1/apps/{app}/devices/{device}", ""),
    (
        "PUT",
        "/api/registry/v1alpha1/apps/{app}/devices/{device}",
        r#"{"metadata":{"application":"{app}","name":"d"},"spec":{"a":1}}"#,
    ),
    ("DELETE", "/api/registry/v1alpha1/apps/{app}/devices/{device}", ""),
    ("GET", "/api/admin/v1alpha1/apps/{app}/members", ""),
    ("PUT", "/api/admin/v1alpha1/apps/{app}/members", r#"{"members":{}}"#),
    ("GET", "/api/admin/v1alpha1/apps/{app}/transfer-ownership", ""),
    (
        "PUT",
        "/api/admin/v1alpha1/apps/{app}/transfer-ownership",
        r#"{"newUser":"appadmin"}"#,
    ),
    ("DELETE", "/api/admin/v1alpha1/apps/{app}/transfer-ownership", ""),
    ("PUT", "/api/admin/v1alpha1/apps/{app}/accept-ownership", ""),
    ("GET", "/api/admin/v1alpha1/user/whoami", ""),
    ("GET", "/api/admin/v1alpha1/users", ""),
    ("POST", "/api/admin/v1alpha1/users", r#"{"name":"imported"}"#),
    ("PUT", "/api/admin/v1alpha1/users/{user}", r#"{"disabled":false}"#),
    ("GET", "/api/tokens/v1alpha1", ""),
    ("POST", "/api/tokens/v1alpha1", ""),
    ("PUT", "/api/tokens/v1alpha1/{prefix}", r#"{"disabled":false}"#),
    ("DELETE", "/api/tokens/v1alpha1/{prefix}", ""),
    ("GET", "/api/groups/v1alpha1/apps/{app}/groups", ""),
    ("GET", "/api/groups/v1alpha1/apps/{app}/groups/{group}", ""),
    ("POST", "/api/groups/v1alpha1/apps/{app}/groups/{group}", "{}"),
    ("DELETE", "/api/groups/v1alpha1/apps/{app}/groups/{group}", ""),
    (
        "PUT",
        "/api/groups/v1alpha1/apps/{app}/groups/{group}/position",
        r#"{"from":"earliest"}"#,
    ),
    ("GET", "/api/groups/v1alpha1/apps/{app}/groups/{group}/dead-letters", ""),
    (
        "POST",
        "/api/groups/v1alpha1/apps/{app}/groups/{group}/dead-letters",
        r#"{"action":"drop"}"#,
    ),
    ("GET", "/api/groups/v1alpha1/apps/{app}/dead-letters", ""),
    (
        "POST",
        "/api/command/v1alpha1/apps/{app}/devices/{device}?command=c",
        "{}",
    ),
    ("GET", "/api/command/v1alpha1/apps/{app}/commands/{command}", ""),
    ("GET", "/api/console/v1alpha1/info", ""),
    ("GET", "/.well-known/drogue-endpoints", ""),
    ("GET", "/.well-known/drogue-version", ""),
    ("GET", "/.well-known/openid-configuration", ""),
    ("GET", "/.well-known/no-single-sign-on", ""),
    ("POST", "/session", ""),
    ("OPEN", "/session/{id}/ws", ""),
    ("OPEN", "/session//ws", ""),
    ("GET", "/v5.0", ""),
    ("GET", "/v5.0/{*rest}", ""),
    ("POST", "/v5.0/{*rest}", r#"{"path":"/{app}/weather"}"#),
    ("POST", "/auth", r#"{"tenant":"{app}","username":"u","password":"p"}"#),
    ("GET", "/kafka-ws/v1/ticket", ""),
    ("POST", "/kafka-ws/v1/ticket", ""),
    ("GET", "/kafka-ws/v1/topics/{topic}", ""),
    ("GET", "/kafka-ws/v1/topics/{topic}/", ""),
    // Without a ticket: what is wrong is told by a close frame.
    ("OPEN", "/kafka-ws/v1/topics/{topic}", ""),
    ("OPEN", "/kafka-ws/v1/topics/{topic}/", ""),
    ("GET", "/kafka-ws/{*rest}", ""),
    ("GET", "/", ""),
    ("GET", "/healthz", ""),
    ("GET", "/readyz", ""),
    ("GET", "/metrics", ""),
    ("GET", "/v1", ""),
    ("GET", "/v1/", ""),
    ("POST", "/ttn", "{}"),
    ("POST", "/ttn/", "{}"),
    ("POST", "/ttn/v2", "{}"),
    ("POST", "/ttn/v3", "{}"),
];

/// Paths that answer all methods alike, or give those that they do not know to streams.
const ALL_METHODS: &[&str] = &[
    "/kafka-ws/v1/topics/{topic}",
    "/kafka-ws/v1/topics/{topic}/",
    "/kafka-ws/{*rest}",
    "/session/{id}/ws",
    "/session//ws",
    "/.well-known/no-single-sign-on",
    "/v5.0",
    "/",
    "/v1",
    "/v1/",
    "/ttn",
    "/ttn/",
    "/ttn/v2",
    "/ttn/v3",
];

// ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn every_cell_is_as_the_table_says() {
    let mut cells = Cells::new().await;
    let mut table = String::new();
    for public in [false, true] {
        let title = if public { "public" } else { "private" };
        write!(table, "{title:<68}").unwrap();
        for caller in CALLERS {
            write!(table, " {caller:>8}").unwrap();
        }
        table.push('\n');
        for (method, path, body) in CALLS {
            write!(table, "{method:<6} {:<61}", path.strip_prefix("/api/").unwrap_or(path)).unwrap();
            for caller in CALLERS {
                let status = cells.status(caller, (method, path, body), public).await;
                write!(table, " {status:>8}").unwrap();
            }
            table.push('\n');
        }
    }
    cells.server.stop().await;
    assert_eq!(table, include_str!("matrix.txt"), "\n{table}");
}

/// A route that is not in the table makes this fail: those of all rooms are read from their sources, and of each path every method
/// that the table does not know has to be refused.
#[tokio::test]
async fn no_route_is_missing_in_the_table() {
    let path = |call: &(&'static str, &'static str, &'static str)| call.1.split('?').next().unwrap();
    let known: BTreeSet<_> = CALLS.iter().map(|call| path(call).to_owned()).collect();
    assert_eq!(routes(), known);
    let cells = Cells::new().await;
    for known in known.iter().filter(|path| !ALL_METHODS.contains(&path.as_str())) {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let is_known = CALLS.iter().any(|call| call.0 == method && path(call) == known);
            // The API deletes what it is asked about here; streams ask whether it is there.
            let name = if known.starts_with("/api/") {
                "private"
            } else {
                "public"
            };
            let filled = fill(known, name).replace(['{', '}'], "");
            let status = cells.send("root", method, &filled, "", name).await;
            assert_eq!(status != 405, is_known, "{method} {known}: {status}");
        }
    }
    cells.server.stop().await;
}

/// All routes of all rooms, as they stand in their sources.
fn routes() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> = ["api", "dialect", "ingest", "server"]
        .map(|room| crates.join(room))
        .into();
    let mut routes = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let served = source.split("#[cfg(test)]").next().unwrap();
                routes.extend(served.split(".route(").skip(1).map(|rest| {
                    let literal = rest.trim_start().strip_prefix('"');
                    let literal = literal.unwrap_or_else(|| panic!("{}: a route is no text", path.display()));
                    literal.split('"').next().unwrap().to_owned()
                }));
            }
        }
    }
    routes
}

/// No answer tells a stranger whether a private application exists: status and body are those for a name that nobody has.
#[tokio::test]
async fn a_stranger_does_not_learn_what_is_there() {
    let cells = Cells::new().await;
    let mut asked = 0;
    for (method, path, body) in CALLS {
        // Which application is meant stands in the path, in the body, or in a header.
        if !path.contains("{app") && !body.contains("{app") && !is_octave(path) {
            continue;
        }
        for caller in ["stranger", "nobody", "otherkey", "revoked", "disabled"] {
            let mut answers = Vec::new();
            for name in ["private", "unknown"] {
                let fill = |text: &str| fill(text, name).replace("{group}", "g");
                let shown = cells.shown(caller, path, name);
                let mut headers: Vec<_> = shown.iter().map(|line| line.trim_end()).collect();
                if !body.is_empty() {
                    headers.push("content-type: application/json");
                }
                if *method == "OPEN" {
                    headers.extend(UPGRADE);
                }
                let method = if *method == "OPEN" { "GET" } else { method };
                let line = format!("{method} {}", fill(path));
                let answer = call(cells.server.http_address(), &line, &headers, &fill(body)).await;
                answers.push((answer.status, answer.body.replace(name, "NAME")));
            }
            assert_eq!(answers[0], answers[1], "{caller} {method} {path}");
            assert!(
                (400..=404).contains(&answers[0].0),
                "{caller} {method} {path}: {answers:?}"
            );
            asked += 1;
        }
    }
    assert!(asked >= 140, "{asked}");
    // A ticket of dojot is for whoever is known; what it does not open looks like what is not there.
    for caller in ["stranger", "otherkey"] {
        let mut ends = Vec::new();
        for name in ["private", "unknown"] {
            let shown = cells.shown(caller, "", name);
            let ticket = call(
                cells.server.http_address(),
                "GET /kafka-ws/v1/ticket",
                &[shown[0].trim_end()],
                "",
            )
            .await;
            let ticket = ticket.json()["ticket"].as_str().unwrap().to_owned();
            ends.push(
                cells
                    .end_of(&format!("/kafka-ws/v1/topics/{name}.c?ticket={ticket}"))
                    .await
                    .replace(name, "NAME"),
            );
        }
        assert_eq!(ends[0], ends[1], "{caller}");
        assert!(ends[0].contains("topic"), "{caller}: {ends:?}");
    }
    cells.server.stop().await;
}

//! The authorisation matrix: every kind of caller, every call, private and public; each cell is in `matrix.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use http::{Method, Request, header};
use jiff::Timestamp;
use sockeye_access::key;
use sockeye_registry::{AccessKey, Application, Device, Role, Scope};

use crate::world::World;

/// Who calls: users with these roles; an administrator; the owner with a key that only reads, and with one for another application;
/// a key that was deleted; nobody.
const CALLERS: &[&str] = &[
    "root", "owner", "appadmin", "manager", "reader", "stranger", "nobody", "readkey", "otherkey", "revoked",
];

/// Method, path, body. `{app}` is an application with the device `d` and the group `g`; `{prefix}` a key of the owner's.
const CALLS: &[(&str, &str, &str)] = &[
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
    ("GET", "/api/admin/v1alpha1/user/whoami", ""),
    ("GET", "/api/admin/v1alpha1/users", ""),
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
];

/// A world in which each caller has a key.
struct Cells {
    world: World,
    keys: BTreeMap<&'static str, String>,
    applications: usize,
}

// ----------------------------------------------------------------------------------------------

impl Cells {
    async fn new() -> Self {
        let world = World::new().await;
        let mut cells = Self {
            world,
            keys: BTreeMap::new(),
            applications: 0,
        };
        for caller in CALLERS.iter().copied().filter(|caller| *caller != "nobody") {
            let user = if matches!(caller, "readkey" | "otherkey") {
                "owner"
            } else {
                caller
            };
            cells.world.registry.ensure_user(user, user == "root").await.unwrap();
            let scope = Scope {
                applications: (caller == "otherkey").then(|| ["other".to_owned()].into()),
                read_only: caller == "readkey",
            };
            let text = cells.key(user, scope).await;
            if caller == "revoked" {
                let prefix = key::prefix(&text["revoked:".len()..]).unwrap();
                assert!(cells.world.registry.delete_key(prefix).await.unwrap());
            }
            cells.keys.insert(caller, text);
        }
        cells
    }

    /// A new key, with its user before it.
    async fn key(&self, user: &str, scope: Scope) -> String {
        let made = key::generate();
        let text = format!("{user}:{}", made.key.expose());
        let stored = AccessKey {
            scope,
            ..AccessKey::new(made.prefix, made.hash, user, Timestamp::now())
        };
        self.world.registry.create_key(stored).await.unwrap();
        text
    }

    /// The status of one cell, on an application that nobody has touched.
    async fn status(&mut self, caller: &str, (method, path, body): (&str, &str, &str), public: bool) -> u16 {
        self.applications += 1;
        let (name, new) = (format!("app{}", self.applications), format!("new{}", self.applications));
        let mut application = Application::named(&name, "owner");
        for (user, role) in [
            ("appadmin", Role::Admin),
            ("manager", Role::Manager),
            ("reader", Role::Reader),
        ] {
            application.members.insert(user.to_owned(), role);
        }
        if public {
            application.members.insert(String::new(), Role::Reader);
        }
        self.world.registry.create_application(application).await.unwrap();
        self.world
            .registry
            .create_device(Device::named(&name, "d"))
            .await
            .unwrap();
        let topic = sockeye_log::Topic::events_of(name.clone());
        self.world
            .log
            .create_topic(&topic, sockeye_log::Retention::default())
            .await
            .unwrap();
        if path.contains("{group}") && method != "POST" {
            let made = self
                .send(
                    "owner",
                    "POST",
                    &format!("/api/groups/v1alpha1/apps/{name}/groups/g"),
                    "{}",
                )
                .await;
            assert!(made < 300, "the group cannot be made: {made}");
        }
        let prefix = self.key("owner", Scope::default()).await;
        let prefix = key::prefix(&prefix["owner:".len()..]).unwrap();
        let fill = |text: &str| {
            text.replace("{app}", &name)
                .replace("{new}", &new)
                .replace("{device}", "d")
                .replace("{group}", "g")
                .replace("{user}", "bob")
                .replace("{prefix}", prefix)
        };
        self.send(caller, method, &fill(path), &fill(body)).await
    }

    async fn send(&self, caller: &str, method: &str, path: &str, body: &str) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = self.keys.get(caller) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.to_owned().into()).unwrap();
        self.world.send(request).await.status.as_u16()
    }
}

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
        for call in CALLS {
            write!(table, "{:<6} {:<61}", call.0, call.1.trim_start_matches("/api/")).unwrap();
            for caller in CALLERS {
                let status = cells.status(caller, *call, public).await;
                write!(table, " {status:>8}").unwrap();
            }
            table.push('\n');
        }
    }
    assert_eq!(table, include_str!("matrix.txt"), "\n{table}");
}

/// A route that is not in the table makes this fail: those of the router are read from its source, and of each path every method
/// that the table does not know has to be refused.
#[tokio::test]
async fn no_route_is_missing_in_the_table() {
    let source = include_str!("../../src/lib.rs");
    let routes: BTreeSet<_> = source.split('"').filter(|text| text.starts_with("/api/")).collect();
    let known: BTreeSet<_> = CALLS.iter().map(|(_, path, _)| *path).collect();
    assert_eq!(routes, known);
    let cells = Cells::new().await;
    for path in known {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let is_known = CALLS.iter().any(|(of, at, _)| *of == method.as_str() && *at == path);
            // GET serves HEAD too.
            let status = cells
                .send("root", method.as_str(), &path.replace(['{', '}'], ""), "")
                .await;
            assert_eq!(status != 405, is_known, "{method} {path}: {status}");
        }
    }
}

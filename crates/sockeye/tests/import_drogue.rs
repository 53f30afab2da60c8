//! `sockeye import drogue`: from a server that speaks its API, from answers in the shapes that Drogue Cloud 0.11 gives
//! (compat/drogue.md 3, 4), and from an export of its Keycloak.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};
use support::{APP, DEVICE, Server, next_event};

/// The test vector of compat/drogue.md 3.2, and its hash as Python's hashlib gives it.
const KEY: &str = "drg_012345_01234567890123456789012345678920BetF";
const HASH: &str = "d08a9d562a28816d47c875fc34223031b31e3e8a311244ba41cda71497a32315c20293e41a044b32688b2b4bcff960f38e19144001b235888d3ce039053e5962";

/// What the command says, and whether it succeeds.
fn import(server: &Server, words: &[&str]) -> (bool, String) {
    let output = server.cli(&[&["import", "drogue"], words].concat());
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

fn documents(server: &Server, words: &[&str]) -> Vec<Value> {
    let lines = server.cli_ok(words);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Less what each server sets itself.
fn essence(mut document: Value) -> Value {
    let metadata = document["metadata"].as_object_mut().unwrap();
    for own in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        metadata.remove(own);
    }
    document.as_object_mut().unwrap().remove("status");
    document
}

#[tokio::test]
async fn from_a_running_registry_page_by_page_and_again() {
    const DEVICES: usize = 230;
    let folder = tempfile::tempdir().unwrap();
    let old = Server::with_device(&folder.path().join("old"));
    let new = Server::start(&folder.path().join("new"));
    let (user, key) = old
        .admin()
        .split_once(':')
        .map(|(u, k)| (u.to_owned(), k.to_owned()))
        .unwrap();
    let http = support::http();
    let devices = format!("{}/api/registry/v1alpha1/apps/{APP}/devices", old.url);
    for at in 0..DEVICES {
        let device = json!({
            "metadata": {"application": APP, "name": format!("d {at}/ü"), "labels": {"row": (at % 7).to_string()}},
            "spec": {"alias": [format!("alias{at}")], "any": {"n": at}},
        });
        let made = http
            .post(&devices)
            .basic_auth(&user, Some(&key))
            .json(&device)
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), 201);
    }
    old.cli_ok(&["app", "create", "open", "--public"]);
    old.cli_ok(&["app", "set", APP, "--events-per-second", "100"]);
    for server in [&old, &new] {
        server.cli_ok(&["key", "create", "--user", "jane"]);
    }
    old.cli_ok(&["member", "set", APP, "jane", "--role", "manager"]);

    let from = ["--from", &old.url, "--token", &old.admin()];
    let (done, said) = import(&new, &from);
    assert!(done, "{said}");
    assert!(
        said.contains("imported 2 applications, 231 devices, 2 members\n"),
        "{said}"
    );
    for words in [
        &["app", "list"][..],
        &["device", "list", APP],
        &["member", "list", APP],
        &["member", "list", "open"],
    ] {
        let of = |server| {
            let found = documents(server, words);
            found
                .into_iter()
                .map(|one| if one["metadata"].is_object() { essence(one) } else { one })
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&new), of(&old), "{words:?}");
    }
    assert_eq!(documents(&new, &["device", "list", APP]).len(), DEVICES + 1);
    // With its password, which the command line does not show.
    assert_eq!(new.publish(&http, "x", &json!({"n": 1})).await.unwrap(), 202);

    new.cli_ok(&["device", "delete", APP, DEVICE]);
    new.cli_ok(&["member", "set", APP, "jane", "--role", "reader"]);
    let (done, said) = import(&new, &from);
    assert!(done, "{said}");
    let expected = "imported 0 applications (2 were there already), 1 devices (230 were there already), 0 members (2 were there already)\n";
    assert!(said.contains(expected), "{said}");
    let jane = &documents(&new, &["member", "list", APP])[0];
    assert_eq!(jane["role"], "reader", "what is there is kept");

    let third = Server::start(&folder.path().join("third"));
    let one = [&from[..], &["--application", "open"]].concat();
    let (done, said) = import(&third, &one);
    assert!(
        done && said.contains("imported 1 applications, 0 devices, 1 members\n"),
        "{said}"
    );
    for (words, says) in [
        (
            [&from[..], &["--application", "attic"]].concat(),
            "the source has no application attic",
        ),
        (vec!["--from", &old.url, "--token", "admin:drg_x"], "401"),
        (
            vec!["--from", "http://127.0.0.1:1"],
            "no answer from the server at http://127.0.0.1:1",
        ),
        (vec![], "--from"),
    ] {
        let (done, said) = import(&third, &words);
        assert!(
            !done && said.contains(says) && !said.contains("--key user"),
            "{words:?}: {said}"
        );
    }
}

/// A Drogue Cloud, as far as it is asked.
struct Drogue {
    /// Path and query, and what it answers.
    answers: BTreeMap<String, Value>,
}

impl Drogue {
    /// Gives its address.
    fn start(self) -> String {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        // The command line is waited for in this thread.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                tell.send(url.clone()).unwrap();
                let drogue = std::sync::Arc::new(self);
                let answer = move |request: Request| {
                    let (drogue, url) = (drogue.clone(), url.clone());
                    async move { drogue.answer(&request, &url) }
                };
                axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
            });
        });
        told.recv().unwrap()
    }

    fn answer(&self, request: &Request, url: &str) -> Response {
        let asked = request.uri().path_and_query().unwrap().as_str();
        if asked == "/.well-known/drogue-endpoints" {
            // All-in-one defaults, 3.1.
            let endpoints = json!({"api": url, "console": "http://localhost:8010", "issuer_url": "http://localhost:8081/realms/drogue",
                "registry": {"url": url}, "websocket_integration": {"url": "ws://localhost:10002"}, "mqtt": {"host": "localhost", "port": 1883}});
            return endpoints.to_string().into_response();
        }
        if request
            .headers()
            .get("authorization")
            .is_none_or(|shown| shown != "Bearer a.b.c")
        {
            let refusal = json!({"error": "Forbidden", "message": "Forbidden"});
            return (StatusCode::FORBIDDEN, refusal.to_string()).into_response();
        }
        let Some(answer) = self.answers.get(asked) else {
            let refusal = json!({"error": "NotFound", "message": "Not found"});
            return (StatusCode::NOT_FOUND, refusal.to_string()).into_response();
        };
        answer.to_string().into_response()
    }
}

#[test]
fn from_answers_in_the_shapes_of_drogue_cloud() {
    let metadata = |more: Value| {
        let mut metadata = json!({"uid": "2f1c7b53-3ab0-4b0e-9d55-1a4b6b9ad7a1", "creationTimestamp": "2023-05-17T12:46:34.123456Z",
            "generation": 3, "resourceVersion": "9a3e4c0e-7a5d-4a43-9a8d-2c1f5f3f6f10"});
        metadata
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        metadata
    };
    let conditions =
        json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2023-05-17T12:46:35Z"}]});
    let rules =
        json!([{"when": {"isChannel": "chan1"}, "then": [{"setExtension": {"name": "ext1", "value": "value1"}}]}]);
    let calling = json!([{"then": [{"validate": {"endpoint": {"url": "https://example.com"}}}]}]);
    let apps = json!([
        {"metadata": metadata(json!({"name": "calling"})), "spec": {"publish": {"rules": calling}}, "status": conditions},
        {"metadata": metadata(json!({"name": "going", "deletionTimestamp": "2023-05-18T00:00:00Z", "finalizers": ["has-devices"]}))},
        {"metadata": metadata(json!({"name": "plant", "finalizers": ["kafka"], "labels": {"site": "north"}, "annotations": {"note": "x"}})),
         "spec": {"publish": {"rules": rules}}, "status": {"kafka": {"user": {"username": "u", "password": "s3cret"}}}},
        {"metadata": metadata(json!({"name": "shop.floor"}))},
    ]);
    let password =
        "$6$Aniz0bHFdNWdOqvr$gi6jYfzNQjWMAxA/8aqFRHu3WnbqQ0mmUkuPZPmrrPtdBPuVh6b8tQ8sNjKkpDDoIUDw.rmrvpvcYxEOXXMsj1";
    let devices = json!([
        {"metadata": metadata(json!({"application": "plant", "name": "gone", "deletionTimestamp": "2023-05-18T00:00:00Z", "finalizers": ["ttn"]}))},
        {"metadata": metadata(json!({"application": "plant", "name": "pump"})),
         "spec": {"authentication": {"credentials": [{"pass": {"sha512": password}}]},
                  "credentials": {"credentials": [{"pass": {"sha512": password}}]}, "gatewaySelector": {"matchNames": ["gw"]}}},
    ]);
    let members = json!({"resourceVersion": "9a3e4c0e-7a5d-4a43-9a8d-2c1f5f3f6f10",
        "members": {"": {"role": "reader"}, "alice": {"role": "admin"}, "bob": {"role": "manager"}}});
    let registry = "/api/registry/v1alpha1/apps";
    let drogue = Drogue {
        answers: [
            (format!("{registry}?limit=100&offset=0"), apps),
            (format!("{registry}?limit=100&offset=4"), json!([])),
            (format!("{registry}/plant/devices?limit=100&offset=0"), devices),
            (format!("{registry}/plant/devices?limit=100&offset=2"), json!([])),
            ("/api/admin/v1alpha1/apps/plant/members".to_owned(), members),
        ]
        .into(),
    };
    let url = drogue.start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (done, said) = import(&server, &["--from", &url]);
    assert!(!done && said.contains("Forbidden (403"), "{said}");
    let users = folder.path().join("users.json");
    let users = users.to_str().unwrap();
    for (known, refused, count) in [
        (
            "alice",
            3,
            "imported 1 users, 0 access keys, 1 applications, 1 devices, 2 members\n",
        ),
        (
            "bob",
            2,
            "imported 1 users, 0 access keys, 0 applications (1 were there already), 0 devices (1 were there already), 1 members (2 were there already)\n",
        ),
    ] {
        // As the admin API of Keycloak lists them, with those that are no people.
        let machine = json!({"username": "service-account-services", "serviceAccountClientId": "services"});
        std::fs::write(users, json!([machine, {"username": known}]).to_string()).unwrap();
        let words = ["--from", &url, "--token", "a.b.c", "--keycloak-export", users];
        let (done, said) = import(&server, &words);
        assert_eq!(
            said.contains("member bob of application plant: `members`: there is no user `bob`"),
            known == "alice",
            "{said}"
        );
        let refused = format!("error: {refused} could not be imported");
        for part in [
            "application calling: `spec.publish.rules[0].then[0].validate` is not supported",
            "application going is being deleted there: left out",
            "application shop.floor: `metadata.name`",
            count,
            &refused,
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!done && !said.contains("s3cret") && !said.contains("a.b.c"), "{said}");
    }
    let found = documents(&server, &["app", "list"]);
    assert_eq!(
        found.into_iter().map(essence).collect::<Vec<_>>(),
        [
            json!({"metadata": {"name": "plant", "labels": {"site": "north"}, "annotations": {"note": "x"}}, "spec": {"publish": {"rules": rules}}})
        ]
    );
    let pump = &documents(&server, &["device", "list", "plant"])[0];
    assert_eq!(pump["spec"]["gatewaySelector"]["matchNames"][0], "gw");
    let members = documents(&server, &["member", "list", "plant"]);
    let members: Vec<_> = members
        .iter()
        .map(|member| (member["user"].as_str().unwrap(), &member["role"]))
        .collect();
    assert_eq!(
        members,
        [
            ("", &json!("reader")),
            ("alice", &json!("admin")),
            ("bob", &json!("manager"))
        ]
    );
}

/// The attribute of a key, as Drogue Cloud gives it to Keycloak and Keycloak exports it.
#[allow(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
fn attribute(more: Value) -> Value {
    let mut kept = json!({"hashed_token": HASH, "created": "2023-05-17T12:46:34.123456789Z"});
    kept.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!([kept.to_string()])
}

fn export(file: &Path, users: &Value) {
    std::fs::write(file, json!({"realm": "drogue", "users": users}).to_string()).unwrap();
}

#[tokio::test]
async fn a_key_whose_hash_is_imported_opens_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_device(&folder.path().join("data"));
    let file = folder.path().join("drogue-users-0.json");
    let user = |name: &str, attributes: Value| json!({"id": "6d0cd45e-3a3c-43d1-8f2e-3f1f6a3d7c11", "username": name, "enabled": true, "attributes": attributes});
    let mut disabled = user("eve", json!({"access_token_drg_zzzzzz": attribute(json!({}))}));
    disabled["enabled"] = false.into();
    let users = json!([
        user(
            "jane",
            json!({"locale": ["en"], "access_token_drg_012345": attribute(json!({"description": "the dashboard", "scopes": null}))})
        ),
        user("bob", json!({})),
        disabled,
    ]);
    export(&file, &users);
    let words = ["--keycloak-export", file.to_str().unwrap()];
    for said in [
        "imported 2 users, 1 access keys\n",
        "imported 0 users (2 were there already), 0 access keys (1 were there already)\n",
    ] {
        let (done, found) = import(&server, &words);
        assert!(
            done && found.contains(said) && found.contains("user eve is disabled: left out"),
            "{found}"
        );
        assert!(!found.contains(HASH), "{found}");
    }
    let keys = documents(&server, &["key", "list", "--user", "jane"]);
    assert_eq!(
        (
            keys.len(),
            &keys[0]["prefix"],
            &keys[0]["created"],
            &keys[0]["description"]
        ),
        (
            1,
            &json!("drg_012345"),
            &json!("2023-05-17T12:46:34.123456789Z"),
            &json!("the dashboard")
        )
    );

    let path = format!("{APP}?username=jane&api_key={KEY}");
    server.cli_ok(&["member", "set", APP, "jane"]);
    let mut stream = server.connect(&path, None).await.unwrap();
    assert_eq!(
        server.publish(&support::http(), "x", &json!({"n": 1})).await.unwrap(),
        202
    );
    assert_eq!(next_event(&mut stream).await["data"], json!({"n": 1}));
    let listed = support::http().get(format!("{}/api/registry/v1alpha1/apps/{APP}", server.url));
    let listed = listed.basic_auth("jane", Some(KEY)).send().await.unwrap();
    assert_eq!(listed.status(), 200, "the API takes it too");

    let other = HASH.replace('d', "e");
    let unreadable = json!(["{"]);
    export(
        &file,
        &json!([user(
            "jane",
            json!({"access_token_drg_012345": attribute(json!({"hashed_token": other})),
        "access_token_drg_11": attribute(json!({})), "access_token_drg_222222": attribute(json!({"hashed_token": "secret"})),
        "access_token_drg_333333": unreadable})
        )]),
    );
    let (done, said) = import(&server, &words);
    for part in [
        "access key drg_012345 of user jane: there is another key",
        "access key drg_11 of user jane: `key.prefix` must be",
        "access key drg_222222 of user jane: `key.hash` must be",
        "access key drg_333333 of user jane: the attribute has another form",
        "error: 4 could not be imported",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!done && !said.contains("secret"), "{said}");
    for text in ["no JSON, s3cret", "{}", "[1]"] {
        std::fs::write(&file, text).unwrap();
        let (done, said) = import(&server, &words);
        assert!(
            !done && said.contains("is no export of Keycloak") && !said.contains("s3cret"),
            "{said}"
        );
    }
}

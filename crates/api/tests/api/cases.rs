//! Section 4 of compat/drogue.md as one table: each call in `cases.txt`, in this order, in one world.

use std::collections::BTreeMap;

use crate::world::World;

/// `who | call | body | status | error | says`, one case a line.
const CASES: &str = include_str!("cases.txt");

const REGISTRY: &str = "/api/registry/v1alpha1";
const HASHED: &str = r#"{"pass":{"bcrypt":"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}}"#;

/// One line of the table.
struct Case<'a> {
    who: &'a str,
    /// Method and path; `/apps` is the registry's, `/admin` the admin API's.
    call: String,
    body: String,
    status: u16,
    /// `error` of the JSON body, `-` where it is none.
    error: &'a str,
    /// A part of the body, or of `Location`.
    says: String,
}

// ----------------------------------------------------------------------------------------------

/// `alice` owns the private application `mine` with a device `d`, in which `bob` reads, and the public `open`; `admin` owns `theirs`.
pub(crate) async fn furnished() -> World {
    let world = World::new().await;
    let apps = format!("{REGISTRY}/apps");
    for (who, app) in [("alice", "mine"), ("alice", "open"), ("admin", "theirs")] {
        let body = format!(r#"{{"metadata":{{"name":"{app}"}}}}"#);
        world.ok(who, &format!("POST {apps}"), &body, 201).await;
    }
    for (app, member) in [("mine", "bob"), ("open", "")] {
        let body = format!(
            r#"{{"metadata":{{"name":"d","application":"{app}"}},"spec":{{"credentials":{{"credentials":[{{"pass":"s3cret"}}]}}}}}}"#
        );
        world
            .ok("alice", &format!("POST {apps}/{app}/devices"), &body, 201)
            .await;
        let call = format!("PUT /api/admin/v1alpha1/apps/{app}/members");
        let body = format!(r#"{{"members":{{"{member}":{{"role":"reader"}}}}}}"#);
        world.ok("alice", &call, &body, 204).await;
    }
    world
}

/// What is not as the table says.
async fn check(world: &World, case: &Case<'_>) -> Option<String> {
    let Case {
        who,
        call,
        body,
        status,
        error,
        says,
    } = case;
    let answer = world.call(who, call, body).await;
    let header = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let mut holds = answer.status == *status && (answer.text.contains(says) || header("location") == says);
    if *status >= 400 {
        let body = serde_json::from_str::<BTreeMap<String, String>>(&answer.text).unwrap_or_default();
        holds &= body.len() == 2 && body.get("error").is_some_and(|is| is == error);
        holds &= body.get("message").is_some_and(|message| !message.is_empty());
        holds &= header("content-type") == "application/json";
    } else {
        holds &= *error == "-";
    }
    holds &= match status {
        // The original answers these with nothing.
        201 | 202 | 204 => answer.text.is_empty(),
        401 => header("www-authenticate").starts_with("Basic "),
        405 => !header("allow").is_empty(),
        _ => true,
    };
    let body = body.get(..200).unwrap_or(body);
    (!holds).then(|| format!("{who} {call} {body}: {} {:?}", answer.status, answer.text))
}

impl<'a> Case<'a> {
    fn of(line: &'a str) -> Self {
        let fields: Vec<_> = line.split(" | ").map(str::trim).collect();
        let [who, call, body, status, error, says] = fields[..] else {
            panic!("six fields: {line}")
        };
        let (method, path) = call.split_once(' ').unwrap();
        let base = if path.starts_with("/admin/") { "" } else { REGISTRY };
        let path = path.replace("/admin/", "/api/admin/v1alpha1/");
        Self {
            who,
            call: format!("{method} {base}{}", filled(&path)),
            body: filled(body),
            status: status.parse().unwrap(),
            error,
            says: filled(says),
        }
    }
}

/// What is too long for a table, and what looks like an end of a field.
fn filled(text: &str) -> String {
    text.replace("<1MB>", &"x".repeat(1_000_000))
        .replace("<x64>", &"x".repeat(64))
        .replace("<x256>", &"x".repeat(256))
        .replace("<5 hashes>", &[HASHED; 5].join(","))
        .replace("<1001 members>", &{
            let members = (0..1001).map(|n| format!(r#""user-{n}":{{"role":"reader"}}"#));
            members.collect::<Vec<_>>().join(",")
        })
        .replace("<stale>", "6a2ba2d6-5e9d-4b25-8a4e-0d5f0a3c8b7e")
        .replace("<none>", "")
}

#[tokio::test]
async fn section_4() {
    let world = furnished().await;
    let lines = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in lines {
        wrong.extend(check(&world, &Case::of(line)).await);
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 150, "{checked}");
}

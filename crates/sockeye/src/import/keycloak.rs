//! Access keys of Drogue Cloud, out of an export of its Keycloak. It keeps them with the users, as the attribute
//! `access_token_<prefix>`: a JSON text with the hash of the key, when it was made and what for (compat/drogue.md 3.2).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::drogue::{Became, Counts, refused};
use crate::client::Client;
use crate::output;

/// A realm, or its users alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Export {
    Realm { users: Vec<User> },
    Users(Vec<User>),
}

/// What counts of a user.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: Option<String>,
    username: String,
    enabled: Option<bool>,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    /// Of what is no person.
    service_account_client_id: Option<String>,
}

/// What is kept of a key.
#[derive(Deserialize)]
struct Kept {
    hashed_token: String,
    created: String,
    description: Option<String>,
    scopes: Option<Scopes>,
}

/// For what a key counts, in the last versions.
#[derive(Deserialize)]
struct Scopes {
    #[serde(default)]
    applications: BTreeMap<String, Vec<String>>,
}

const ATTRIBUTE: &str = "access_token_";

// ----------------------------------------------------------------------------------------------

/// Imports users and keys of a file.
pub async fn import(target: &Client, file: &Path, issuer: Option<&str>, [users, keys]: &mut [Counts; 2]) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let export = serde_json::from_str(&text);
    // Its parser would show a part of the file, which is full of secrets.
    let Ok(Export::Realm { users: found } | Export::Users(found)) = export else {
        bail!(
            "{} is no export of Keycloak: it must be a JSON object with `users`, or an array of users",
            file.display()
        );
    };
    for user in found.iter().filter(|user| user.service_account_client_id.is_none()) {
        let who = format!("user {}", user.username);
        if user.enabled == Some(false) {
            output::say(&format!("{who} is disabled: left out"));
            continue;
        }
        let became = send(target, &user.document(issuer)).await?;
        users.add(&became, &who);
        if let Became::Refused(_) = became {
            continue;
        }
        for (name, value) in &user.attributes {
            let Some(prefix) = name.strip_prefix(ATTRIBUTE) else {
                continue;
            };
            let became = match key(prefix, value) {
                Ok(key) => {
                    let mut document = user.document(issuer);
                    document["key"] = key;
                    send(target, &document).await?
                }
                Err(why) => Became::Refused(why.to_owned()),
            };
            keys.add(&became, &format!("access key {prefix} of {who}"));
        }
    }
    Ok(())
}

async fn send(target: &Client, document: &Value) -> Result<Became> {
    let path = ["api", "admin", "v1alpha1", "users"];
    let answer = target.ask(target.call(Method::POST, &path).json(document)).await?;
    match answer.status().as_u16() {
        201 => Ok(Became::Made),
        200 => Ok(Became::Kept),
        _ => refused(target, answer).await,
    }
}

impl User {
    /// What the server is told of it.
    fn document(&self, issuer: Option<&str>) -> Value {
        let mut document = json!({ "name": self.username });
        if let (Some(issuer), Some(subject)) = (issuer, &self.id) {
            document["identity"] = json!({ "issuer": issuer, "subject": subject });
        }
        document
    }
}

/// What the server is told of a key. It never counts for more than it did.
fn key(prefix: &str, value: &Value) -> Result<Value, &'static str> {
    let text = value.as_str().or_else(|| value.get(0)?.as_str());
    let kept = text.and_then(|text| serde_json::from_str::<Kept>(text).ok());
    let kept = kept.ok_or("the attribute has another form than Drogue Cloud gives it")?;
    let mut document = json!({ "prefix": prefix, "hash": kept.hashed_token, "created": kept.created });
    if let Some(description) = kept.description {
        document["description"] = description.into();
    }
    if let Some(scopes) = kept.scopes {
        if scopes.applications.is_empty() {
            return Err("it counts for no application");
        }
        let reads = |roles: &Vec<String>| roles.iter().all(|role| role.eq_ignore_ascii_case("reader"));
        let reading = scopes.applications.values().filter(|roles| reads(roles)).count();
        if reading > 0 && reading < scopes.applications.len() {
            return Err("it reads one application and writes to another, which one key does not here: make two");
        }
        document["readOnly"] = (reading > 0).into();
        document["applications"] = scopes.applications.into_keys().collect();
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_is_told_of_a_key() {
        let told = |kept: &Value| key("drg_012345", &json!([kept.to_string()]));
        let plain = json!({"hashed_token": "ab", "created": "2023-05-17T12:00:00Z"});
        let with = |more: &Value| {
            let mut kept = plain.clone();
            kept.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            told(&kept)
        };
        let expected = json!({"prefix": "drg_012345", "hash": "ab", "created": "2023-05-17T12:00:00Z"});
        assert_eq!(told(&plain), Ok(expected));
        let described = with(&json!({"description": "x", "scopes": null})).unwrap();
        assert_eq!(
            (&described["description"], &described["applications"]),
            (&json!("x"), &Value::Null)
        );
        let scopes = |applications: &Value| {
            with(&json!({"scopes": {"create": false, "applications": applications, "tokens": []}}))
        };
        let read = scopes(&json!({"a": ["reader"], "b": ["reader"]})).unwrap();
        assert_eq!(
            (&read["applications"], &read["readOnly"]),
            (&json!(["a", "b"]), &json!(true))
        );
        assert_eq!(scopes(&json!({"a": ["manager"]})).unwrap()["readOnly"], false);
        for scope in [json!({}), json!({"a": ["reader"], "b": ["admin"]})] {
            assert!(scopes(&scope).is_err(), "{scope}");
        }
        for value in [json!([]), json!(7), json!(["x"]), json!(["{}"])] {
            assert!(key("drg_012345", &value).is_err(), "{value}");
        }
    }
}

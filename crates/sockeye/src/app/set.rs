//! `sockeye app set`: what an application wants of its events.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

use super::apps;
use crate::client::Client;

/// What is to be changed; the rest stays as it is.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct Changes {
    /// How long its events are kept, such as `30d`; `default` is as the server is configured.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    retain: Option<String>,
    /// How many bytes of its events are kept, such as `10GiB`; `default` is as the server is configured.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    retain_bytes: Option<String>,
    /// Events that its devices together may publish a second, or `off`.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    events_per_second: Option<String>,
    /// Bytes of payloads that its devices together may publish a second, such as `1MiB`, or `off`.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    bytes_per_second: Option<String>,
    /// Events that each of its devices may publish a second, or `off`.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    device_events_per_second: Option<String>,
    /// Bytes of payloads that each of its devices may publish a second, or `off`.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    device_bytes_per_second: Option<String>,
    /// File with its publish rules, a JSON array as in Drogue Cloud, or `off`.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

// ----------------------------------------------------------------------------------------------

/// Changes an application, unless somebody else does meanwhile.
pub async fn run(client: &Client, name: &str, changes: Changes) -> Result<()> {
    let changes = changes.by_place()?;
    let mut document = client.json(client.call(Method::GET, &apps(&[name]))).await?;
    for (place, value) in changes {
        put(&mut document, place, value);
    }
    client
        .send(client.call(Method::PUT, &apps(&[name])).json(&document))
        .await?;
    Ok(())
}

impl Changes {
    /// Where each stands in the document, and what is to stand there; `None` for nothing.
    fn by_place(self) -> Result<Vec<(&'static [&'static str], Option<Value>)>> {
        let texts: [(&'static [&'static str], _); 6] = [
            (&["spec", "retention", "age"], self.retain),
            (&["spec", "retention", "bytes"], self.retain_bytes),
            (&["spec", "quota", "events"], self.events_per_second),
            (&["spec", "quota", "bytes"], self.bytes_per_second),
            (&["spec", "quota", "device", "events"], self.device_events_per_second),
            (&["spec", "quota", "device", "bytes"], self.device_bytes_per_second),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(place, text)| Some((place, value(text?))));
        let mut changes: Vec<_> = texts.collect();
        if let Some(file) = self.rules {
            changes.push((&["spec", "publish", "rules"], rules(&file)?));
        }
        Ok(changes)
    }
}

/// A number as one, any other text as it is: what it must be is the server's to say, which names the field.
fn value(text: String) -> Option<Value> {
    match text.as_str() {
        "off" | "default" => None,
        _ => Some(text.parse::<u64>().map_or(Value::String(text), Value::from)),
    }
}

fn rules(file: &PathBuf) -> Result<Option<Value>> {
    if file.as_os_str() == "off" {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rules = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    Ok(Some(rules))
}

/// Puts the value there, or takes away what is there, with the objects around it that are empty then.
fn put(document: &mut Value, place: &[&str], value: Option<Value>) {
    let [name, rest @ ..] = place else { return };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let object = document.as_object_mut().expect("it was made one");
    match (rest, value) {
        ([], Some(value)) => {
            object.insert((*name).to_owned(), value);
        }
        ([], None) => {
            object.remove(*name);
        }
        (rest, value) => {
            if value.is_none() && !object.contains_key(*name) {
                return;
            }
            let inner = object.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            put(inner, rest, value);
            if inner.as_object().is_some_and(Map::is_empty) {
                object.remove(*name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_put_and_taken_leaves_the_rest() {
        let mut document = json!({"metadata": {"name": "a"}});
        let events: &[&str] = &["spec", "quota", "device", "events"];
        put(&mut document, events, Some(json!(5)));
        put(&mut document, &["spec", "quota", "bytes"], Some(json!("1kB")));
        assert_eq!(
            document["spec"],
            json!({"quota": {"device": {"events": 5}, "bytes": "1kB"}})
        );
        put(&mut document, events, None);
        assert_eq!(document["spec"], json!({"quota": {"bytes": "1kB"}}));
        put(&mut document, &["spec", "retention", "age"], None);
        put(&mut document, &["spec", "quota", "bytes"], None);
        assert_eq!(document, json!({"metadata": {"name": "a"}}));
    }
}

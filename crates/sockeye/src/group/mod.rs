//! `sockeye group`: groups of an application, their positions, and their dead letters.

mod dead_letters;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};
use dead_letters::LettersArgs;

/// List, show, create, move and delete groups, and look after their dead letters.
///
/// A group is a named, durable position in the events of an application that its members share: `?group_id=` at a stream makes
/// one. A selection (channel, device, type, where) is a part of its identity: with another one it is another group.
#[derive(Args, Debug)]
pub struct GroupArgs {
    #[command(subcommand)]
    action: GroupAction,
    #[command(flatten)]
    server: ServerArgs,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum GroupAction {
    /// Lists the groups of an application.
    List {
        /// Name of the application.
        app: String,
    },
    /// Shows a group: its position, its lag, its members.
    Show(Named),
    /// Makes a group before its first member comes.
    Create {
        #[command(flatten)]
        group: Named,
        /// Where it begins: `earliest`, `end`, a time (RFC 3339), or a cursor [default: at the end].
        #[arg(long, value_name = "WHERE")]
        from: Option<String>,
    },
    /// Lets a group go on from another place. Its members are disconnected and come back to it.
    Seek {
        #[command(flatten)]
        group: Named,
        /// `earliest`, `end`, a time (RFC 3339), or a cursor; the nearest that the log has is taken.
        #[arg(value_name = "WHERE")]
        to: String,
    },
    /// Deletes a group. A member that comes back makes a new one, at the end.
    Delete(Named),
    /// Lists events that failed too often in a group, sends them back, or drops them.
    DeadLetters(LettersArgs),
}

/// Which group.
#[derive(Args, Debug)]
struct Named {
    /// Name of the application.
    app: String,
    /// Its `group_id`.
    group: String,
    /// The channel that it is limited to.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// The device that it is limited to.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// The type of events that it is limited to.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// The filter that it is limited to, in the language of `sockeye filter`.
    #[arg(long = "where", value_name = "WHERE")]
    filter: Option<String>,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: GroupArgs) -> Result<()> {
    let client = args.server.client()?;
    let output = Output::or_by_terminal(args.output);
    match args.action {
        GroupAction::List { app } => {
            let call = client.call(Method::GET, &groups(&app, &[]));
            let found = client.json(call).await?;
            output::list(
                output,
                found.as_array().map_or(&[][..], Vec::as_slice),
                &[
                    ("GROUP", |group| output::text_at(group, "/group")),
                    ("SELECTION", |group| selection(&group["selection"])),
                    ("MEMBERS", |group| members(group).to_string()),
                    ("OUTSTANDING", |group| output::text_at(group, "/live/outstanding")),
                    ("LAG", |group| lag(&group["lag"])),
                    ("OLDEST", |group| oldest(&group["lag"])),
                    ("TRIMMED", |group| output::text_at(group, "/trimmed")),
                ],
            )?;
        }
        GroupAction::Show(group) => {
            let found = client.json(group.call(&client, Method::GET, &[])).await?;
            output::document(output, &found)?;
        }
        GroupAction::Create { group, from } => {
            let body = from.map_or_else(|| json!({}), |from| json!({ "from": from }));
            let made = client.json(group.call(&client, Method::POST, &[]).json(&body)).await?;
            output::say(&format!("created {group}"));
            placed(output, &made)?;
        }
        GroupAction::Seek { group, to } => {
            let body = json!({ "from": to });
            let call = group.call(&client, Method::PUT, &["position"]).json(&body);
            let moved = client.json(call).await?;
            output::say(&format!("moved {group}"));
            placed(output, &moved)?;
        }
        GroupAction::Delete(group) => {
            client.send(group.call(&client, Method::DELETE, &[])).await?;
            output::say(&format!("deleted {group}"));
        }
        GroupAction::DeadLetters(args) => dead_letters::run(&client, output, args).await?,
    }
    Ok(())
}

impl Named {
    /// A call to what belongs to the group.
    fn call(&self, client: &Client, method: Method, rest: &[&str]) -> RequestBuilder {
        let path = groups(&self.app, &[&[self.group.as_str()], rest].concat());
        client.call(method, &path).query(&self.selection())
    }

    /// What it is limited to, by the parameters of the API.
    fn selection(&self) -> [(&'static str, &Option<String>); 4] {
        [
            ("channel", &self.channel),
            ("device", &self.device),
            ("type", &self.ty),
            ("where", &self.filter),
        ]
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "group {} of application {}", self.group, self.app)?;
        for (name, value) in self.selection() {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

/// Says where a group is now.
fn placed(output: Output, placed: &Value) -> Result<()> {
    if let Some(note) = placed["note"].as_str() {
        output::say(&format!("note: {note}"));
    }
    match output {
        Output::Json => output::document(output, placed),
        Output::Pretty => output::line(&format!("position: {}", output::text_at(placed, "/position"))),
    }
}

fn groups<'a>(app: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["api", "groups", "v1alpha1", "apps", app, "groups"], rest].concat()
}

fn members(group: &Value) -> usize {
    let members = group.pointer("/live/members").and_then(Value::as_array);
    members.map_or(0, Vec::len)
}

/// A selection in a cell of a table.
fn selection(parts: &Value) -> String {
    let parts = parts.as_object().into_iter().flatten();
    let parts = parts.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    parts.collect::<Vec<_>>().join(" ")
}

fn lag(lag: &Value) -> String {
    let most = if lag["exact"] == false { "at most " } else { "" };
    format!("{most}{}", output::text_at(lag, "/events"))
}

/// For how long the oldest event has been waiting.
fn oldest(lag: &Value) -> String {
    match lag["seconds"].as_f64() {
        Some(seconds) if lag["events"] != 0 => {
            let most = if lag["oldest"].is_null() { "at most " } else { "" };
            format!("{most}{seconds:.1} s")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_the_table() {
        let group = json!({
            "selection": { "channel": "temp", "device": "d 1" },
            "lag": { "events": 12, "exact": true, "seconds": 61.26, "oldest": { "id": "1" } },
            "live": { "members": [{}, {}] },
        });
        assert_eq!(selection(&group["selection"]), "channel=temp device=d 1");
        assert_eq!(
            (lag(&group["lag"]), oldest(&group["lag"])),
            ("12".into(), "61.3 s".into())
        );
        assert_eq!(members(&group), 2);
        let far = json!({ "events": 9_000, "exact": false, "seconds": 5.0, "oldest": null });
        assert_eq!(
            (lag(&far), oldest(&far)),
            ("at most 9000".into(), "at most 5.0 s".into())
        );
        let none = json!({ "events": 0, "exact": true, "seconds": 0.0, "oldest": null });
        assert_eq!((lag(&none), oldest(&none)), ("0".into(), String::new()));
        assert_eq!(members(&json!({ "live": null })), 0);
    }
}

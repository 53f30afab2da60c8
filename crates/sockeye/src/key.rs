//! `sockeye key`: access keys.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use jiff::{Span, SpanRelativeTo, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};

/// Create, list, show, disable and delete access keys.
#[derive(Args, Debug)]
pub struct KeyArgs {
    #[command(subcommand)]
    action: KeyAction,
    #[command(flatten)]
    server: ServerArgs,
    /// User whose keys are meant; only an administrator may name another one [default: the caller].
    #[arg(long, global = true)]
    user: Option<String>,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Makes an access key, which is shown once.
    Create {
        /// What the key is for.
        #[arg(long)]
        description: Option<String>,
        /// When it ends: a time in RFC 3339, or a duration from now on such as `30d` [default: never].
        #[arg(long, value_name = "WHEN", value_parser = when)]
        expires: Option<Timestamp>,
        /// Application for which it counts; may be given several times [default: all].
        #[arg(long = "application", value_name = "NAME")]
        applications: Vec<String>,
        /// It counts only to read.
        #[arg(long)]
        read_only: bool,
        /// Path of Octave at and below which alone it counts, and for what: `/app/devices/pump7:read`, or `:write`; several with
        /// commas between them [default: not limited so].
        #[arg(long, value_name = "PATH:WHAT", value_delimiter = ',')]
        paths: Vec<String>,
    },
    /// Lists access keys by their public prefix.
    List,
    /// Shows when a key was made and what for, until when, and when it was last used.
    Show {
        /// Its first ten characters.
        prefix: String,
    },
    /// Disables a key: it is not accepted until it is enabled again, and its streams end.
    Disable {
        /// Its first ten characters.
        prefix: String,
    },
    /// Enables a key that was disabled.
    Enable {
        /// Its first ten characters.
        prefix: String,
    },
    /// Deletes a key: it is not accepted any more, and its streams end.
    Delete {
        /// Its first ten characters.
        prefix: String,
    },
}

const TOKENS: [&str; 3] = ["api", "tokens", "v1alpha1"];

// ----------------------------------------------------------------------------------------------

pub async fn run(args: KeyArgs) -> Result<()> {
    let client = args.server.client()?;
    let output = Output::or_by_terminal(args.output);
    let user = args.user.as_deref();
    match args.action {
        KeyAction::Create {
            description,
            expires,
            applications,
            read_only,
            paths,
        } => {
            let paths = (!paths.is_empty()).then(|| paths.join(","));
            let expires = expires.map(|time| time.to_string());
            let applications = (!applications.is_empty()).then(|| applications.join(","));
            let query = [
                ("description", description.as_deref()),
                ("user", user),
                ("expires", expires.as_deref()),
                ("applications", applications.as_deref()),
                ("access", read_only.then_some("read")),
                ("paths", paths.as_deref()),
            ];
            let made = client.json(client.call(Method::POST, &TOKENS).query(&query)).await?;
            let owner = match (user, args.server.login()?) {
                (Some(user), _) => user.to_owned(),
                (None, Some(login)) => login.user,
                (None, None) => bail!("the server made a key for an anonymous caller"),
            };
            let key = output::text_at(&made, "/token");
            match output {
                Output::Json => output::document(output, &made)?,
                Output::Pretty => output::line(&format!("access key (shown once): {owner}:{key}"))?,
            }
        }
        KeyAction::List => {
            output::list(
                output,
                &keys(&client, user).await?,
                &[
                    ("PREFIX", |key| output::text_at(key, "/prefix")),
                    ("CREATED", |key| output::text_at(key, "/created")),
                    ("EXPIRES", |key| output::text_at(key, "/expires")),
                    ("LAST USED", |key| output::text_at(key, "/lastUsed")),
                    ("DESCRIPTION", |key| output::text_at(key, "/description")),
                ],
            )?;
        }
        KeyAction::Show { prefix } => {
            output::document(output, &find(&client, user, &prefix).await?)?;
        }
        KeyAction::Disable { prefix } => set_disabled(&client, &prefix, true).await?,
        KeyAction::Enable { prefix } => set_disabled(&client, &prefix, false).await?,
        KeyAction::Delete { prefix } => {
            // The API says 204 also where there is none, as the original does.
            find(&client, user, &prefix).await?;
            let path = [&TOKENS[..], &[&prefix]].concat();
            client
                .send(client.call(Method::DELETE, &path).query(&[("user", user)]))
                .await?;
            output::say(&format!("deleted access key {prefix}"));
        }
    }
    Ok(())
}

async fn set_disabled(client: &Client, prefix: &str, disabled: bool) -> Result<()> {
    let path = [&TOKENS[..], &[prefix]].concat();
    let change = json!({ "disabled": disabled });
    client.send(client.call(Method::PUT, &path).json(&change)).await?;
    let done = if disabled { "disabled" } else { "enabled" };
    output::say(&format!("{done} access key {prefix}"));
    Ok(())
}

/// A time, or a duration from now on.
fn when(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let length: Option<Span> = text.parse().ok();
    let length = length.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    length
        .and_then(|length| Timestamp::now().checked_add(length).ok())
        .ok_or_else(|| "give a time in RFC 3339, or a duration such as `30d` or `12h`".to_owned())
}

async fn find(client: &Client, user: Option<&str>, prefix: &str) -> Result<Value> {
    let keys = keys(client, user).await?;
    let found = keys.into_iter().find(|key| key["prefix"] == prefix);
    found.with_context(|| format!("there is no key {prefix}; `sockeye key list` shows those there are"))
}

async fn keys(client: &Client, user: Option<&str>) -> Result<Vec<Value>> {
    let found = client
        .json(client.call(Method::GET, &TOKENS).query(&[("user", user)]))
        .await?;
    Ok(found.as_array().cloned().unwrap_or_default())
}

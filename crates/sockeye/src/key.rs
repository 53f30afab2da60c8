//! `sockeye key`: access keys.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};

/// Create, list, show and delete access keys.
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
    },
    /// Lists access keys by their public prefix.
    List,
    /// Shows when a key was made and what for.
    Show {
        /// Its first ten characters.
        prefix: String,
    },
    /// Deletes a key: it is not accepted any more.
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
        KeyAction::Create { description } => {
            let made = client
                .json(
                    client
                        .call(Method::POST, &TOKENS)
                        .query(&[("description", description.as_deref()), ("user", user)]),
                )
                .await?;
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
                    ("DESCRIPTION", |key| output::text_at(key, "/description")),
                ],
            )?;
        }
        KeyAction::Show { prefix } => {
            output::document(output, &find(&client, user, &prefix).await?)?;
        }
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

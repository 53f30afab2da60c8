//! `sockeye user`: who is known to the server.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};

/// List, disable and enable users; for administrators.
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(subcommand)]
    action: UserAction,
    #[command(flatten)]
    server: ServerArgs,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Lists users: those that have keys, and those of providers who have logged in.
    List,
    /// Disables a user: nothing that is shown is accepted, and the user's streams end.
    Disable {
        /// Name of the user.
        name: String,
    },
    /// Enables a user who was disabled.
    Enable {
        /// Name of the user.
        name: String,
    },
}

const USERS: [&str; 4] = ["api", "admin", "v1alpha1", "users"];

// ----------------------------------------------------------------------------------------------

pub async fn run(args: UserArgs) -> Result<()> {
    let client = args.server.client()?;
    match args.action {
        UserAction::List => {
            let found = client.json(client.call(Method::GET, &USERS)).await?;
            output::list(
                Output::or_by_terminal(args.output),
                found.as_array().map_or(&[][..], Vec::as_slice),
                &[
                    ("NAME", |user| output::text_at(user, "/name")),
                    ("STATE", |user| state(user)),
                    ("ISSUER", |user| output::text_at(user, "/issuer")),
                ],
            )
        }
        UserAction::Disable { name } => set_disabled(&client, &name, true).await,
        UserAction::Enable { name } => set_disabled(&client, &name, false).await,
    }
}

async fn set_disabled(client: &Client, name: &str, disabled: bool) -> Result<()> {
    let path = [&USERS[..], &[name]].concat();
    let change = json!({ "disabled": disabled });
    client.send(client.call(Method::PUT, &path).json(&change)).await?;
    let done = if disabled { "disabled" } else { "enabled" };
    output::say(&format!("{done} user {name}"));
    Ok(())
}

fn state(user: &Value) -> String {
    let words = [("admin", "administrator"), ("disabled", "disabled")];
    let words = words.iter().filter(|(name, _)| user[*name] == true);
    words.map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

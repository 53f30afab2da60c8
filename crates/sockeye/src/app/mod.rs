//! `sockeye app`: applications.

mod set;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use crate::{
    client::{Client, ServerArgs},
    member,
    output::{self, Output},
};

/// Create, list, show, change and delete applications.
#[derive(Args, Debug)]
pub struct AppArgs {
    #[command(subcommand)]
    action: AppAction,
    #[command(flatten)]
    server: ServerArgs,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum AppAction {
    /// Makes an application with an empty log.
    Create {
        /// Lower-case letters, digits and dashes.
        name: String,
        /// Anyone may read its events, without credentials too.
        #[arg(long)]
        public: bool,
        /// With the events that are in Kafka already, in the topic of its name: the topic stays as it is, also when the
        /// application is deleted. Only for administrators.
        #[arg(long)]
        adopt: bool,
    },
    /// Lists the applications that the caller may read.
    List,
    /// Shows an application and its members.
    Show {
        /// Name of the application.
        name: String,
    },
    /// Sets how long events of an application are kept, and how many may be published.
    Set {
        /// Name of the application.
        name: String,
        #[command(flatten)]
        changes: set::Changes,
    },
    /// Deletes an application with its devices and all its events.
    Delete {
        /// Name of the application.
        name: String,
    },
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: AppArgs) -> Result<()> {
    let client = args.server.client()?;
    let output = Output::or_by_terminal(args.output);
    match args.action {
        AppAction::Create { name, public, adopt } => {
            create_with(&client, &name, adopt).await?;
            if public {
                make_public(&client, &name).await?;
            }
            output::say(&format!(
                "created {} application {name}",
                if public { "public" } else { "private" }
            ));
        }
        AppAction::List => {
            let found = client.json(client.call(Method::GET, &apps(&[]))).await?;
            output::list(
                output,
                found.as_array().map_or(&[][..], Vec::as_slice),
                &[
                    ("NAME", |app| output::text_at(app, "/metadata/name")),
                    ("CREATED", |app| output::text_at(app, "/metadata/creationTimestamp")),
                    ("UID", |app| output::text_at(app, "/metadata/uid")),
                ],
            )?;
        }
        AppAction::Show { name } => {
            let mut found = client.json(client.call(Method::GET, &apps(&[&name]))).await?;
            // Who may read an application may not always see its members.
            if let Ok(members) = member::members(&client, &name).await {
                found["members"] = members["members"].clone();
            }
            output::document(output, &found)?;
        }
        AppAction::Set { name, changes } => {
            set::run(&client, &name, changes).await?;
            output::say(&format!("changed application {name}"));
        }
        AppAction::Delete { name } => {
            client.send(client.call(Method::DELETE, &apps(&[&name]))).await?;
            output::say(&format!("deleted application {name} and its events"));
        }
    }
    Ok(())
}

/// Makes an application that only the caller may read.
pub async fn create(client: &Client, name: &str) -> Result<()> {
    create_with(client, name, false).await
}

async fn create_with(client: &Client, name: &str, adopt: bool) -> Result<()> {
    let document = json!({ "metadata": { "name": name } });
    let mut call = client.call(Method::POST, &apps(&[])).json(&document);
    if adopt {
        call = call.query(&[("adopt", true)]);
    }
    client.send(call).await?;
    Ok(())
}

/// Lets anyone read an application: the member `""` with role reader.
pub async fn make_public(client: &Client, name: &str) -> Result<()> {
    member::set(client, name, "", "reader").await
}

fn apps<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["api", "registry", "v1alpha1", "apps"], rest].concat()
}

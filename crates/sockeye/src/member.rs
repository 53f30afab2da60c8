//! `sockeye member`: who may do what with an application, besides its owner.

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};

/// List, set and remove the members of an application.
#[derive(Args, Debug)]
pub struct MemberArgs {
    #[command(subcommand)]
    action: MemberAction,
    #[command(flatten)]
    server: ServerArgs,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum MemberAction {
    /// Lists the members and their roles.
    List {
        /// Name of the application.
        app: String,
    },
    /// Makes a user a member, or gives a member another role.
    Set {
        /// Name of the application.
        app: String,
        /// Name of the user; "" is everybody, also without credentials.
        user: String,
        /// What the user may do.
        #[arg(long, default_value = "reader")]
        role: Role,
    },
    /// Takes the rights of a member; streams that are open by them end.
    Remove {
        /// Name of the application.
        app: String,
        /// Name of the user.
        user: String,
    },
}

/// What a member may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Read events and documents.
    Reader,
    /// Change devices and the application, send commands.
    Manager,
    /// Change members too, and delete the application.
    Admin,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: MemberArgs) -> Result<()> {
    let client = args.server.client()?;
    match args.action {
        MemberAction::List { app } => {
            let found = members(&client, &app).await?;
            let entry = |(user, member): (&String, &Value)| json!({ "user": user, "role": member["role"] });
            let entries: Vec<_> = found["members"].as_object().into_iter().flatten().map(entry).collect();
            output::list(
                Output::or_by_terminal(args.output),
                &entries,
                &[
                    ("USER", |member| named(&output::text_at(member, "/user")).to_owned()),
                    ("ROLE", |member| output::text_at(member, "/role")),
                ],
            )
        }
        MemberAction::Set { app, user, role } => {
            set(&client, &app, &user, role.name()).await?;
            output::say(&format!("{} is {} of application {app}", named(&user), role.name()));
            Ok(())
        }
        MemberAction::Remove { app, user } => {
            let mut found = members(&client, &app).await?;
            let known = found["members"].as_object_mut();
            if known.and_then(|known| known.remove(&user)).is_none() {
                bail!(
                    "{} is no member of application {app}; `sockeye member list {app}` shows those there are",
                    named(&user)
                );
            }
            replace(&client, &app, &found).await?;
            output::say(&format!("{} is no member of application {app} any more", named(&user)));
            Ok(())
        }
    }
}

/// The members of an application, with the version that a change must be of.
pub async fn members(client: &Client, app: &str) -> Result<Value> {
    client.json(client.call(Method::GET, &members_of(app))).await
}

/// Gives a user a role.
pub async fn set(client: &Client, app: &str, user: &str, role: &str) -> Result<()> {
    let mut found = members(client, app).await?;
    found["members"][user] = json!({ "role": role });
    replace(client, app, &found).await
}

/// Replaces the members, unless somebody else has meanwhile.
pub async fn replace(client: &Client, app: &str, members: &Value) -> Result<()> {
    client
        .send(client.call(Method::PUT, &members_of(app)).json(members))
        .await?;
    Ok(())
}

fn members_of(name: &str) -> [&str; 6] {
    ["api", "admin", "v1alpha1", "apps", name, "members"]
}

fn named(user: &str) -> &str {
    if user.is_empty() { "everybody" } else { user }
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }
}

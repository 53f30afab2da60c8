//! `sockeye import drogue`: applications, devices and members of a running Drogue Cloud, and the hashes of its access keys. What is
//! there already stays as it is, so that it can be repeated.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use sockeye_limits as limits;
use url::Url;

use super::keycloak;
use super::source::{Source, name};
use crate::client::{Client, ServerArgs, message};
use crate::{member, output, value};

/// Applications, devices and members of a running Drogue Cloud, its users and their access keys.
///
/// What is there already is kept as it is and told: the command can be repeated. Who imports owns the applications. Passwords of
/// devices come with them if the token may write there.
#[derive(Args, Debug)]
pub struct DrogueArgs {
    /// Address of the Drogue Cloud: that of its API.
    #[arg(long, value_name = "URL", value_parser = value::address, required_unless_present = "keycloak_export")]
    from: Option<Url>,
    /// Whom it is read as: `user:drg_...`, or an access token of its Keycloak.
    #[arg(long, env = "SOCKEYE_FROM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Only this application; may be given several times [default: all that the token may read].
    #[arg(long = "application", value_name = "NAME")]
    applications: Vec<String>,
    /// Export of the users of its Keycloak (`kc.sh export`): they are made, and their access keys go on working.
    #[arg(long, value_name = "FILE")]
    keycloak_export: Vec<PathBuf>,
    /// URL of the realm, if its users are to log in with its tokens too (as `oidc.issuers` of the server has it).
    #[arg(long, value_name = "URL", requires = "keycloak_export")]
    issuer: Option<String>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Counts {
    pub made: u64,
    pub kept: u64,
    pub refused: u64,
}

/// What became of one thing.
pub enum Became {
    Made,
    /// It was there already.
    Kept,
    /// The server does not take it, and says why.
    Refused(String),
}

struct Import {
    source: Source,
    target: Client,
    progress: ProgressBar,
    applications: Counts,
    devices: Counts,
    members: Counts,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(server: &ServerArgs, args: DrogueArgs) -> Result<()> {
    let target = server.client()?;
    let mut done = Vec::new();
    // First, for members have to be known.
    if !args.keycloak_export.is_empty() {
        let mut counts = [Counts::default(), Counts::default()];
        for file in &args.keycloak_export {
            keycloak::import(&target, file, args.issuer.as_deref(), &mut counts).await?;
        }
        let [users, keys] = counts;
        done.push(("users", users));
        done.push(("access keys", keys));
    }
    if let Some(from) = args.from {
        let source = Source::find(from, args.token, &server.address.trust()?).await?;
        let mut import = Import {
            source,
            target,
            progress: progress(),
            applications: Counts::default(),
            devices: Counts::default(),
            members: Counts::default(),
        };
        import.all(&args.applications).await?;
        import.progress.finish_and_clear();
        done.push(("applications", import.applications));
        done.push(("devices", import.devices));
        done.push(("members", import.members));
    }
    let told: Vec<_> = done.iter().map(|(what, counts)| counts.told(what)).collect();
    output::say(&format!("imported {}", told.join(", ")));
    let refused: u64 = done.iter().map(|(_, counts)| counts.refused).sum();
    if refused > 0 {
        bail!("{refused} could not be imported, as told above: correct them and repeat the command");
    }
    Ok(())
}

impl Import {
    async fn all(&mut self, wanted: &[String]) -> Result<()> {
        let mut missing: Vec<_> = wanted.to_vec();
        let mut offset = 0;
        loop {
            let page = self.source.applications(offset).await?;
            offset += page.len();
            for application in &page {
                let name = name(application);
                if wanted.is_empty() || wanted.contains(&name) {
                    missing.retain(|wanted| *wanted != name);
                    self.application(&name, application).await?;
                }
            }
            if page.is_empty() {
                break;
            }
        }
        if let Some(name) = missing.first() {
            bail!("the source has no application {name}, or it is not for this token");
        }
        Ok(())
    }

    async fn application(&mut self, name: &str, found: &Value) -> Result<()> {
        if is_going(found) {
            output::say(&format!("application {name} is being deleted there: left out"));
            return Ok(());
        }
        let apps = &["api", "registry", "v1alpha1", "apps"][..];
        let became = create(&self.target, apps, name, &taken(found, None)).await?;
        self.applications.add(&became, &format!("application {name}"));
        if let Became::Refused(_) = became {
            return Ok(());
        }
        self.devices_of(name).await?;
        self.members_of(name).await
    }

    async fn devices_of(&mut self, application: &str) -> Result<()> {
        let mut offset = 0;
        loop {
            let page = self.source.devices(application, offset).await?;
            if page.is_empty() {
                return Ok(());
            }
            offset += page.len();
            let path = &["api", "registry", "v1alpha1", "apps", application, "devices"][..];
            let made: Vec<_> = stream::iter(page.iter().filter(|device| !is_going(device)))
                .map(async |device| {
                    let name = name(device);
                    let became = create(&self.target, path, &name, &taken(device, Some(application))).await?;
                    self.progress.inc(1);
                    anyhow::Ok((name, became))
                })
                .buffered(limits::IMPORT_CALLS)
                .try_collect()
                .await?;
            for (name, became) in made {
                let what = format!("device {name} of application {application}");
                self.devices.add(&became, &what);
            }
        }
    }

    async fn members_of(&mut self, application: &str) -> Result<()> {
        let Some(found) = self.source.members(application).await? else {
            output::say(&format!(
                "members of application {application}: not for this token, left out"
            ));
            return Ok(());
        };
        let mut members = member::members(&self.target, application).await?;
        let mut new = Vec::new();
        for (user, member) in found.as_object().into_iter().flatten() {
            if members["members"].get(user).is_some() {
                self.members.kept += 1;
            } else {
                members["members"][user] = json!({ "role": member["role"] });
                new.push((user, output::text_at(member, "/role")));
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        if member::replace(&self.target, application, &members).await.is_ok() {
            self.members.made += new.len() as u64;
            return Ok(());
        }
        // Somebody is not known: not for the others to suffer.
        for (user, role) in new {
            let became = match member::set(&self.target, application, user, &role).await {
                Ok(()) => Became::Made,
                Err(error) => Became::Refused(format!("{error:#}")),
            };
            self.members
                .add(&became, &format!("member {user} of application {application}"));
        }
        Ok(())
    }
}

/// What is taken of a document: its state and its finalizers are the other system's.
fn taken(document: &Value, application: Option<&str>) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "labels", "annotations"] {
        if let Some(value) = document["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    if let Some(application) = application {
        metadata.insert("application".to_owned(), application.into());
    }
    let mut taken = json!({ "metadata": metadata });
    if let Some(spec) = document.get("spec") {
        taken["spec"] = spec.clone();
    }
    taken
}

fn is_going(document: &Value) -> bool {
    document
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|time| !time.is_null())
}

/// Makes something that is there only once.
async fn create(target: &Client, path: &[&str], name: &str, document: &Value) -> Result<Became> {
    let answer = target.ask(target.call(Method::POST, path).json(document)).await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(Became::Made);
    }
    if status == StatusCode::CONFLICT {
        // Another one may have its name as an alias.
        let one = [path, &[name]].concat();
        if target.ask(target.call(Method::GET, &one)).await?.status().is_success() {
            return Ok(Became::Kept);
        }
    }
    refused(target, answer).await
}

/// What a refusal of the thing itself means; any other error ends the command.
pub async fn refused(target: &Client, answer: reqwest::Response) -> Result<Became> {
    match answer.status() {
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PAYLOAD_TOO_LARGE => {
            let status = answer.status();
            let body = answer.text().await.unwrap_or_default();
            Ok(Became::Refused(format!("{} ({status})", message(&body))))
        }
        _ => target.accepted(answer).await.map(|_| Became::Made),
    }
}

impl Counts {
    pub fn add(&mut self, became: &Became, what: &str) {
        match became {
            Became::Made => self.made += 1,
            Became::Kept => self.kept += 1,
            Became::Refused(why) => {
                output::say(&format!("{what}: {why}"));
                self.refused += 1;
            }
        }
    }

    fn told(&self, what: &str) -> String {
        let kept = match self.kept {
            0 => String::new(),
            kept => format!(" ({kept} were there already)"),
        };
        format!("{} {what}{kept}", self.made)
    }
}

fn progress() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} devices ({per_sec})").expect("the template is right");
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_finalizers_stay_where_they_are() {
        let found = json!({
            "metadata": {"application": "other", "name": "d", "uid": "u", "resourceVersion": "v", "generation": 7,
                "creationTimestamp": "2023-05-17T12:00:00Z", "finalizers": ["kafka"], "labels": {"a": "b"}},
            "spec": {"alias": ["x"]},
            "status": {"conditions": []},
        });
        assert_eq!(
            taken(&found, Some("app")),
            json!({"metadata": {"application": "app", "name": "d", "labels": {"a": "b"}}, "spec": {"alias": ["x"]}})
        );
        assert_eq!(
            taken(&json!({"metadata": {"name": "a"}}), None),
            json!({"metadata": {"name": "a"}})
        );
    }
}

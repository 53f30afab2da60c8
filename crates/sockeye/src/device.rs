//! `sockeye device`: devices of an application.

use anyhow::Result;
use clap::{Args, Subcommand};
use rand::distr::{Alphanumeric, SampleString as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, ServerArgs},
    output::{self, Output},
};

/// Length of a password that is made here, in characters: 24 of 62 are 142 bits.
const PASSWORD_LENGTH: usize = 24;

/// Create, list, show and delete devices.
#[derive(Args, Debug)]
pub struct DeviceArgs {
    #[command(subcommand)]
    action: DeviceAction,
    #[command(flatten)]
    server: ServerArgs,
    /// Form of what is printed [default: pretty on a terminal, json in a pipe].
    #[arg(long, short, global = true, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum DeviceAction {
    /// Makes a device with a password, which is shown once.
    Create {
        /// Name of the application.
        app: String,
        /// Name of the device.
        device: String,
        /// The password of the device [default: one is made].
        #[arg(long, env = "SOCKEYE_DEVICE_PASSWORD", hide_env_values = true)]
        password: Option<String>,
        /// Devices that may publish as this one.
        #[arg(long = "gateway", value_name = "DEVICE")]
        gateways: Vec<String>,
    },
    /// Lists the devices of an application.
    List {
        /// Name of the application.
        app: String,
    },
    /// Shows a device; passwords are left out.
    Show {
        /// Name of the application.
        app: String,
        /// Name of the device.
        device: String,
    },
    /// Deletes a device. Its events stay in the log.
    Delete {
        /// Name of the application.
        app: String,
        /// Name of the device.
        device: String,
    },
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: DeviceArgs) -> Result<()> {
    let client = args.server.client()?;
    let output = Output::or_by_terminal(args.output);
    match args.action {
        DeviceAction::Create {
            app,
            device,
            password,
            gateways,
        } => {
            let made = password.is_none();
            let password = password.unwrap_or_else(new_password);
            create(&client, &app, &device, &password, &gateways).await?;
            output::say(&format!("created device {device} of application {app}"));
            if made {
                let shown = json!({ "application": app, "device": device, "password": password });
                match output {
                    Output::Json => output::document(output, &shown)?,
                    Output::Pretty => output::line(&format!("password (shown once): {password}"))?,
                }
            }
        }
        DeviceAction::List { app } => {
            let found = client.json(client.call(Method::GET, &devices(&app, &[]))).await?;
            let found: Vec<Value> = found.as_array().into_iter().flatten().map(without_passwords).collect();
            output::list(
                output,
                &found,
                &[
                    ("NAME", |device| output::text_at(device, "/metadata/name")),
                    ("CREATED", |device| {
                        output::text_at(device, "/metadata/creationTimestamp")
                    }),
                    ("UID", |device| output::text_at(device, "/metadata/uid")),
                ],
            )?;
        }
        DeviceAction::Show { app, device } => {
            let found = client
                .json(client.call(Method::GET, &devices(&app, &[&device])))
                .await?;
            output::document(output, &without_passwords(&found))?;
        }
        DeviceAction::Delete { app, device } => {
            client
                .send(client.call(Method::DELETE, &devices(&app, &[&device])))
                .await?;
            output::say(&format!("deleted device {device} of application {app}"));
        }
    }
    Ok(())
}

/// Makes a device with a password.
pub async fn create(client: &Client, app: &str, device: &str, password: &str, gateways: &[String]) -> Result<()> {
    let mut document = json!({
        "metadata": { "application": app, "name": device },
        "spec": { "authentication": { "credentials": [{ "pass": password }] } },
    });
    if !gateways.is_empty() {
        document["spec"]["gatewaySelector"] = json!({ "matchNames": gateways });
    }
    client
        .send(client.call(Method::POST, &devices(app, &[])).json(&document))
        .await?;
    Ok(())
}

/// A password that nobody guesses.
pub fn new_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH)
}

fn devices<'a>(app: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["api", "registry", "v1alpha1", "apps", app, "devices"], rest].concat()
}

/// The document with every password and key replaced: a secret is shown once, when it is made.
fn without_passwords(device: &Value) -> Value {
    fn redact(value: &Value, secret: bool) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(name, inner)| {
                        let secret = secret || matches!(name.as_str(), "pass" | "password" | "psk" | "key");
                        (name.clone(), redact(inner, secret))
                    })
                    .collect(),
            ),
            Value::Array(entries) => entries.iter().map(|entry| redact(entry, secret)).collect(),
            Value::String(_) if secret => "..".into(),
            other => other.clone(),
        }
    }
    let mut shown = device.clone();
    for section in ["authentication", "credentials"] {
        if let Some(found) = shown.pointer_mut(&format!("/spec/{section}")) {
            *found = redact(found, false);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_device_has_no_password() {
        let device = json!({ "metadata": { "name": "d" }, "spec": {
            "alias": ["key"],
            "authentication": { "credentials": [
                { "pass": "s3cret" }, { "pass": { "sha512": "$6$s3cret" } },
                { "user": { "username": "u", "password": { "plain": "s3cret" }, "unique": true } }] } } });
        let shown = without_passwords(&device);
        assert!(!shown.to_string().contains("s3cret"), "{shown}");
        assert_eq!(shown.pointer("/spec/alias/0"), Some(&json!("key")));
        assert_eq!(
            shown.pointer("/spec/authentication/credentials/2/user/username"),
            Some(&json!("u"))
        );
    }
}

//! What the platform reads in a device's document (compat/drogue.md 4.3).

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::Device;

/// The sections of a device's `spec` that the platform understands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceSpec {
    /// `authentication.credentials`, or those of the older section `credentials` if the former is absent.
    pub credentials: Vec<Credential>,
    /// `alias`: further names, unique in the application.
    pub aliases: Vec<String>,
    /// `gatewaySelector.matchNames`: devices that may publish as this one.
    pub gateways: Vec<String>,
}

/// One way in which a device may prove who it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// A password of the device.
    Pass(Password),
    /// A user name with a password.
    User {
        /// The user name.
        username: String,
        /// Its password.
        password: Password,
        /// Whether the user name is unique in the application and thus names the device.
        #[serde(default)]
        unique: bool,
    },
    /// A pre-shared key of TLS; kept, not used by HTTP.
    Psk(Value),
    /// A client certificate; kept, not used by plain HTTP.
    Cert(Value),
}

/// A password as the operator stored it.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// As it is. A bare JSON string means the same.
    Plain(String),
    /// `$2b$..`
    Bcrypt(String),
    /// `$6$..`, SHA-512 crypt.
    Sha512(String),
}

/// A section of the document has a shape that the platform does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`spec.{section}` {problem}")]
pub struct SpecError {
    /// Path of the section below `spec`.
    pub section: &'static str,
    /// What is wrong, to be read behind the section.
    pub problem: String,
}

// ----------------------------------------------------------------------------------------------

const CREDENTIAL: &str = "one of `pass` (text, or an object with `plain`, `bcrypt` or `sha512`), `user` (with `username`, `password`), `psk`, `cert`";

impl DeviceSpec {
    /// Reads a device's document. Credentials of kinds that are not known are an error: a typing error must not lock a
    /// device out in silence.
    pub fn of(device: &Device) -> Result<Self, SpecError> {
        let section = |name: &str| device.spec.get(name);
        let credentials = match (section("authentication"), section("credentials")) {
            (Some(newer), _) => {
                let entries = within(newer, "authentication", "credentials")?;
                list(entries, "authentication.credentials", CREDENTIAL)?
            }
            (None, Some(older)) => {
                let entries = within(older, "credentials", "credentials")?;
                list(entries, "credentials.credentials", CREDENTIAL)?
            }
            (None, None) => Vec::new(),
        };
        let aliases = list(section("alias"), "alias", "a string")?;
        let gateways = match section("gatewaySelector") {
            Some(selector) => within(selector, "gatewaySelector", "matchNames")?,
            None => None,
        };
        let gateways = list(gateways, "gatewaySelector.matchNames", "a string")?;
        Ok(Self {
            credentials,
            aliases,
            gateways,
        })
    }

    /// All names that lead to the device besides its own: aliases and unique user names.
    pub fn logins(&self) -> impl Iterator<Item = &str> {
        let unique = self.credentials.iter().filter_map(|credential| match credential {
            Credential::User {
                username, unique: true, ..
            } => Some(username.as_str()),
            _ => None,
        });
        self.aliases.iter().map(String::as_str).chain(unique)
    }
}

/// The member of a section, if it is there.
fn within<'a>(section: &'a Value, name: &'static str, member: &str) -> Result<Option<&'a Value>, SpecError> {
    match section {
        Value::Object(members) => Ok(members.get(member)),
        _ => Err(SpecError {
            section: name,
            problem: format!("must be an object with `{member}`"),
        }),
    }
}

/// Errors repeat no value: a password that stands in the wrong place must not reach a log.
fn list<T: serde::de::DeserializeOwned>(
    section: Option<&Value>,
    name: &'static str,
    entries_are: &'static str,
) -> Result<Vec<T>, SpecError> {
    let Some(value) = section else { return Ok(Vec::new()) };
    let Value::Array(entries) = value else {
        return Err(SpecError {
            section: name,
            problem: "must be an array".to_owned(),
        });
    };
    entries
        .iter()
        .enumerate()
        .map(|(at, entry)| {
            T::deserialize(entry).map_err(|_| SpecError {
                section: name,
                problem: format!("entry {at} must be {entries_are}"),
            })
        })
        .collect()
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Tagged {
            Plain(String),
            Bcrypt(String),
            Sha512(String),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Bare(String),
            Tagged(Tagged),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Bare(text) | Either::Tagged(Tagged::Plain(text)) => Self::Plain(text),
            Either::Tagged(Tagged::Bcrypt(hash)) => Self::Bcrypt(hash),
            Either::Tagged(Tagged::Sha512(hash)) => Self::Sha512(hash),
        })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Bcrypt(_) => "Bcrypt(..)",
            Self::Sha512(_) => "Sha512(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: &Value) -> Result<DeviceSpec, SpecError> {
        let mut device = Device::named("app", "d");
        device.spec = value.as_object().unwrap().clone();
        DeviceSpec::of(&device)
    }

    #[test]
    fn the_forms_of_credentials() {
        let found = spec(&json!({"authentication": {"credentials": [
            {"pass": "a"}, {"pass": {"plain": "b"}}, {"pass": {"bcrypt": "$2b$"}}, {"pass": {"sha512": "$6$"}},
            {"user": {"username": "u", "password": "c", "unique": true}}, {"psk": {"key": "AA=="}}]},
            "alias": ["x"], "gatewaySelector": {"matchNames": ["gw"]}}))
        .unwrap();
        assert_eq!(found.credentials.len(), 6);
        assert_eq!(found.credentials[1], Credential::Pass(Password::Plain("b".into())));
        assert_eq!(found.logins().collect::<Vec<_>>(), ["x", "u"]);
        assert_eq!(found.gateways, ["gw"]);
    }

    #[test]
    fn the_older_section_counts_only_without_the_newer() {
        let older = json!({"credentials": {"credentials": [{"pass": "old"}]}});
        assert_eq!(
            spec(&older).unwrap().credentials,
            [Credential::Pass(Password::Plain("old".into()))]
        );
        let both = json!({"credentials": {"credentials": [{"pass": "old"}]}, "authentication": {}});
        assert_eq!(spec(&both).unwrap().credentials, []);
    }

    #[test]
    fn an_error_names_the_section_and_no_value() {
        for (document, said) in [
            (
                json!({"authentication": {"credentials": ["s3cret"]}}),
                "`spec.authentication.credentials` entry 0 must be one of `pass` (text, or an object with `plain`, `bcrypt` or `sha512`), `user` (with `username`, `password`), `psk`, `cert`",
            ),
            (
                json!({"authentication": "s3cret"}),
                "`spec.authentication` must be an object with `credentials`",
            ),
            (
                json!({"credentials": [{"pass": "s3cret"}]}),
                "`spec.credentials` must be an object with `credentials`",
            ),
            (
                json!({"gatewaySelector": ["gw"]}),
                "`spec.gatewaySelector` must be an object with `matchNames`",
            ),
            (json!({"alias": "x"}), "`spec.alias` must be an array"),
        ] {
            assert_eq!(spec(&document).unwrap_err().to_string(), said);
        }
    }
}

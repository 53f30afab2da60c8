//! How a device says who it is.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::credentials::Authorization;
use crate::{CredentialsError, Secret};

/// What a device shows, by the table of compat/drogue.md 5.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogin<'a> {
    /// The application.
    pub(crate) application: Cow<'a, str>,
    /// Name, alias or unique user name of the device.
    pub(crate) device: Cow<'a, str>,
    /// The user name, where it does not name the device.
    pub(crate) user: Option<String>,
    pub(crate) password: Secret,
}

/// Why it is not said who the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// No `Authorization`.
    #[error("no credentials: use `Authorization: Basic` with `<device>@<application>` and the password of the device")]
    None,
    /// Devices have no tokens.
    #[error("devices log in with `Authorization: Basic`, not with a bearer token")]
    Bearer,
    /// The `Authorization` header cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Neither in the user name nor in the query.
    #[error("no application: write `<device>@<application>` as the user name, or add `?application=`")]
    NoApplication,
    /// The device's name is empty.
    #[error("no device: write `<device>@<application>` as the user name, or add `?device=`")]
    NoDevice,
    /// The part before `@` is percent-encoded wrongly.
    #[error("the user name is not UTF-8 after percent-decoding")]
    NotUtf8,
}

// ----------------------------------------------------------------------------------------------

impl<'a> DeviceLogin<'a> {
    /// Reads the query parameters `application` and `device` and the `Authorization` header.
    pub fn new(application: Option<&'a str>, device: Option<&'a str>, headers: &HeaderMap) -> Result<Self, LoginError> {
        let (user, password) = match Authorization::of(headers)? {
            None => return Err(LoginError::None),
            Some(Authorization::Bearer(_)) => return Err(LoginError::Bearer),
            Some(Authorization::Basic { user, password }) => (user, password),
        };
        let (user, application) = if let Some(application) = application {
            (user, Cow::Borrowed(application))
        } else {
            // No application has an `@` in its name, a device may.
            let (user, application) = user.rsplit_once('@').ok_or(LoginError::NoApplication)?;
            let user = percent_decode_str(user)
                .decode_utf8()
                .map_err(|_| LoginError::NotUtf8)?;
            (user.into_owned(), Cow::Owned(application.to_owned()))
        };
        if application.is_empty() {
            return Err(LoginError::NoApplication);
        }
        let (device, user) = match device {
            Some(device) => (Cow::Borrowed(device), Some(user)),
            None => (Cow::Owned(user), None),
        };
        if device.is_empty() {
            return Err(LoginError::NoDevice);
        }
        Ok(Self {
            application,
            device,
            user,
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::{HeaderValue, header};

    use super::*;

    type Query = (Option<&'static str>, Option<&'static str>);

    fn headers(authorization: Option<&str>) -> HeaderMap {
        authorization
            .map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .into_iter()
            .collect()
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn check((application, device): Query, text: &str, expected: Result<(&str, &str, Option<&str>, &str), LoginError>) {
        let found = DeviceLogin::new(application, device, &headers(Some(&basic(text))));
        let expected = expected.map(|(application, device, user, password)| DeviceLogin {
            application: application.into(),
            device: device.into(),
            user: user.map(str::to_owned),
            password: Secret::new(password),
        });
        assert_eq!(found, expected, "{application:?} {device:?} {text}");
    }

    #[test]
    fn the_forms_of_the_table() {
        let none = (None, None);
        check(none, "d@app:pw", Ok(("app", "d", None, "pw")));
        check(none, "a%40b%20c@app:p:w", Ok(("app", "a@b c", None, "p:w")));
        check(none, "a@b@app:pw", Ok(("app", "a@b", None, "pw")));
        check((Some("app"), None), "d:pw", Ok(("app", "d", None, "pw")));
        check(
            (Some("app"), None),
            "d@other%20:pw",
            Ok(("app", "d@other%20", None, "pw")),
        );
        check((Some("app"), Some("d")), "u:pw", Ok(("app", "d", Some("u"), "pw")));
        check((Some("app"), Some("d")), "u@x:pw", Ok(("app", "d", Some("u@x"), "pw")));
        check((None, Some("d")), "u%40x@app:pw", Ok(("app", "d", Some("u@x"), "pw")));
    }

    #[test]
    fn any_other_combination_is_an_error() {
        check((None, None), "d:pw", Err(LoginError::NoApplication));
        check((None, Some("d")), "u:pw", Err(LoginError::NoApplication));
        check((None, None), "d@:pw", Err(LoginError::NoApplication));
        check((Some(""), None), "d:pw", Err(LoginError::NoApplication));
        check((None, None), "@app:pw", Err(LoginError::NoDevice));
        check((Some("app"), None), ":pw", Err(LoginError::NoDevice));
        check((Some("app"), Some("")), "u:pw", Err(LoginError::NoDevice));
        check((None, None), "%ff@app:pw", Err(LoginError::NotUtf8));
        check(
            (None, None),
            "d@app:",
            Err(LoginError::Credentials(CredentialsError::NoToken)),
        );
        check(
            (None, None),
            "d@app",
            Err(LoginError::Credentials(CredentialsError::NoColon)),
        );
        for (application, device) in [
            (None, None),
            (Some("app"), None),
            (Some("app"), Some("d")),
            (None, Some("d")),
        ] {
            let login = |authorization| DeviceLogin::new(application, device, &headers(authorization));
            assert_eq!(login(None), Err(LoginError::None));
            assert_eq!(login(Some("Bearer d@app:pw")), Err(LoginError::Bearer));
        }
    }
}

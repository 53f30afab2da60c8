//! The request that opens a stream, read without I/O (compat/drogue.md 1.1 to 1.3, decisions 2 and 9).

use std::borrow::Cow;
use std::sync::Arc;

use bytestring::ByteString;
use http::HeaderMap;
use percent_encoding::percent_decode;
use sockeye_access::{Credentials, CredentialsError, Secret};

use crate::refusal::Refusal;

/// What the path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The application whose events are streamed.
    pub(crate) application: ByteString,
    /// Only this channel.
    pub(crate) channel: Option<Arc<str>>,
}

/// The query parameters. Nothing is an error yet: who is calling is asked first (compat/drogue.md 1.4), and each
/// parameter has its turn.
pub(crate) struct Query<'a> {
    parameters: Vec<Parameter<'a>>,
}

/// Name and value, decoded.
struct Parameter<'a> {
    name: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
}

// ----------------------------------------------------------------------------------------------

/// The sub-protocol of the CloudEvents WebSockets binding 1.0.2, section 3.2: one structured event in JSON per text frame.
pub(crate) const SUB_PROTOCOL: &str = "cloudevents.json";

impl Target {
    /// `/{application}` or `/{application}/{channel}`, each segment percent-decoded, so that `%2F` is part of the name.
    /// `None` for any other path, and for names that are not UTF-8: nothing is called so.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let application = name(segments.next()?)?;
        let channel = segments
            .next()
            .map(|segment| name(segment).map(|name| (*name).into()).ok_or(()))
            .transpose()
            .ok()?;
        if segments.next().is_some() {
            return None;
        }
        Some(Self { application, channel })
    }
}

fn name(segment: &str) -> Option<ByteString> {
    let decoded = percent_decode(segment.as_bytes()).decode_utf8().ok()?;
    (!decoded.is_empty()).then(|| ByteString::from(decoded.into_owned()))
}

impl<'a> Query<'a> {
    /// Takes the query apart (`application/x-www-form-urlencoded`); `None` is a request without.
    pub(crate) fn of(query: Option<&'a str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let parameters = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Parameter {
                name: decode(name),
                value: decode(value),
            }
        });
        Self {
            parameters: parameters.collect(),
        }
    }

    /// Who the caller says to be: at most one of the `Authorization` header, `token`, and `username` with `api_key`.
    /// What is given in part, twice, or cannot be read is never taken for nothing.
    pub(crate) fn credentials(&self, headers: &HeaderMap) -> Result<Credentials, Refusal> {
        let header = Credentials::from_authorization(headers)?;
        let token = self.value("token")?;
        let key = match (self.value("username")?, self.value("api_key")?) {
            (Some(user), Some(key)) => Some((user, key)),
            (None, None) => None,
            (Some(_), None) => return Err(Refusal::lone("username", "api_key")),
            (None, Some(_)) => return Err(Refusal::lone("api_key", "username")),
        };
        match (header, token, key) {
            (None, None, None) => Ok(Credentials::Anonymous),
            (Some(credentials), None, None) => Ok(credentials),
            (None, Some(token), None) => Ok(Credentials::from_token(token)?),
            (None, None, Some(("", _))) => Err(Refusal::NO_USER),
            (None, None, Some((_, ""))) => Err(CredentialsError::NoToken.into()),
            (None, None, Some((user, key))) => Ok(Credentials::Key {
                user: user.to_owned(),
                key: Secret::new(key),
            }),
            _ => Err(CredentialsError::MoreThanOne.into()),
        }
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn value(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.values(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::repeated(name));
        }
        let text = std::str::from_utf8(value).map_err(|_| Refusal::not_utf8(name))?;
        Ok(Some(text))
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = move |parameter: &&Parameter<'_>| *parameter.name == *name.as_bytes();
        self.parameters.iter().filter(named).map(|parameter| &*parameter.value)
    }
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        Cow::Owned(percent_decode(spaced.as_bytes()).collect())
    } else {
        percent_decode(text.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    fn check_target(path: &str, expected: Option<(&str, Option<&str>)>) {
        let expected = expected.map(|(application, channel)| Target {
            application: application.into(),
            channel: channel.map(Into::into),
        });
        assert_eq!(Target::of(path), expected, "{path}");
    }

    #[test]
    fn paths() {
        check_target("/app", Some(("app", None)));
        check_target("/my%2Dapp", Some(("my-app", None)));
        check_target("/app/a", Some(("app", Some("a"))));
        check_target("/app/a%2Fb", Some(("app", Some("a/b"))));
        check_target("/app/%C3%BC", Some(("app", Some("ü"))));
        check_target("/app/a+b", Some(("app", Some("a+b"))));
        check_target("/app/100%", Some(("app", Some("100%"))));
        for path in ["", "/", "/app/", "//", "//a", "/app/a/", "/app/a/b", "/app/%ff", "*"] {
            check_target(path, None);
        }
    }

    fn key(user: &str, key: &str) -> Credentials {
        Credentials::Key {
            user: user.to_owned(),
            key: Secret::new(key),
        }
    }

    /// Credentials, or the status and a part of the message.
    fn check_credentials(query: &str, authorization: &str, expected: Result<Credentials, &str>) {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        }
        let given = Query::of(Some(query)).credentials(&headers);
        match (given, expected) {
            (Ok(given), Ok(expected)) => assert_eq!(given, expected, "{query} {authorization}"),
            (Err(refusal), Err(expected)) => {
                let shown = format!("{} {refusal}", refusal.status().as_u16());
                let (status, part) = expected.split_once(' ').unwrap();
                assert!(
                    shown.starts_with(status) && shown.contains(part),
                    "{query} {authorization}: {shown}"
                );
            }
            (given, expected) => panic!("{query} {authorization}: {given:?}, not {expected:?}"),
        }
    }

    #[test]
    fn one_kind_of_credentials() {
        check_credentials("", "", Ok(Credentials::Anonymous));
        check_credentials("other=1&flag&&=&%ff", "", Ok(Credentials::Anonymous));
        check_credentials("", "Basic bWU6ZHJnX3g=", Ok(key("me", "drg_x")));
        check_credentials("", "bearer me:drg_x", Ok(key("me", "drg_x")));
        check_credentials("", "Bearer a.b.c", Ok(Credentials::Bearer(Secret::new("a.b.c"))));
        check_credentials("token=a.b.c", "", Ok(Credentials::Bearer(Secret::new("a.b.c"))));
        check_credentials("token=me%3Adrg_x", "", Ok(key("me", "drg_x")));
        check_credentials("username=me&api_key=drg_x", "", Ok(key("me", "drg_x")));
        check_credentials(
            "api_key=drg_x&username=me+you%40home",
            "",
            Ok(key("me you@home", "drg_x")),
        );
    }

    #[test]
    fn credentials_are_never_taken_for_none() {
        check_credentials("", "Basic ???", Err("401 base64"));
        check_credentials("", "Basic bWU6", Err("401 No access token provided."));
        check_credentials("", "Digest x=y", Err("401 `Basic` or `Bearer`"));
        check_credentials("token=", "", Err("401 No access token provided."));
        check_credentials("username=me&api_key=", "", Err("401 No access token provided."));
        check_credentials("username=&api_key=drg_x", "", Err("401 `username`"));
        check_credentials("token=%ff", "", Err("400 `token`"));
        check_credentials("username=me", "", Err("400 `username` needs `api_key`"));
        check_credentials("api_key=drg_x", "", Err("400 `api_key` needs `username`"));
        for twice in [
            "token=a&token=a",
            "username=a&username=b&api_key=c",
            "username=a&api_key=b&api_key=c",
        ] {
            check_credentials(twice, "", Err("400 more than once"));
        }
        for (query, authorization) in [
            ("token=a.b.c", "Bearer a.b.c"),
            ("username=me&api_key=drg_x", "Basic bWU6ZHJnX3g="),
            ("username=me&api_key=drg_x&token=a.b.c", ""),
        ] {
            let expected = "400 Invalid request: More than one way of authentication provided";
            check_credentials(query, authorization, Err(expected));
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let query = Query::of(Some("token=s3cret&token=s3cret"));
        let refusal = query.credentials(&HeaderMap::new()).unwrap_err();
        assert!(!format!("{refusal} {refusal:?}").contains("s3cret"));
    }
}

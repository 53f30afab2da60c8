//! The credentials of users, and the `Authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use http::{HeaderMap, header};

use crate::{Secret, key};

/// What a user shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// An access key.
    Key {
        /// Name of the user whose key it is.
        user: String,
        /// The key.
        key: Secret,
    },
    /// A token of an OIDC provider.
    Bearer(Secret),
}

/// Credentials that cannot be read. Never taken for none. Texts of compat/drogue.md 1.4 where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// More than one kind, or one more than once: a bad request. All others are "not authenticated".
    #[error("Invalid request: More than one way of authentication provided")]
    MoreThanOne,
    /// An empty password or token.
    #[error("Invalid request: No access token provided.")]
    NoToken,
    /// An empty user name.
    #[error("Invalid request: `Authorization: Basic` has no user name before the colon")]
    NoUser,
    /// Neither `Basic` nor `Bearer`, or nothing behind it.
    #[error("Invalid request: `Authorization` must be `Basic` or `Bearer`, a space, and the credentials")]
    Scheme,
    /// `Basic` with something that is no base64.
    #[error("Invalid request: `Authorization: Basic` must be followed by base64 of `<user>:<password>`")]
    Base64,
    /// `Basic` without a colon.
    #[error("Invalid request: `Authorization: Basic` has no colon between user name and password")]
    NoColon,
    /// Bytes that are no UTF-8.
    #[error("Invalid request: `Authorization` must be UTF-8")]
    NotUtf8,
}

/// The `Authorization` header as it was sent (RFC 9110 section 11.6.2).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// RFC 7617, in UTF-8. The user name may be empty, the password is not.
    Basic {
        /// Before the first colon.
        user: String,
        /// Behind it.
        password: Secret,
    },
    /// RFC 6750; not empty.
    Bearer(Secret),
}

// ----------------------------------------------------------------------------------------------

impl Credentials {
    /// The credentials of the `Authorization` header, `None` if there is no such header. Scheme names are compared without
    /// regard to case.
    pub fn from_authorization(headers: &HeaderMap) -> Result<Option<Self>, CredentialsError> {
        match Authorization::of(headers)? {
            None => Ok(None),
            Some(Authorization::Basic { user, .. }) if user.is_empty() => Err(CredentialsError::NoUser),
            Some(Authorization::Basic { user, password }) => Ok(Some(Self::Key { user, key: password })),
            Some(Authorization::Bearer(token)) => Self::from_token(token.expose()).map(Some),
        }
    }

    /// The credentials of a bearer token, in a header or as `?token=`: `<user>:drg_..` is an access key
    /// (compat/drogue.md, decision 2).
    pub fn from_token(token: &str) -> Result<Self, CredentialsError> {
        if token.is_empty() {
            return Err(CredentialsError::NoToken);
        }
        match token.rsplit_once(':') {
            Some(("", key)) if key.starts_with(key::MARK) => Err(CredentialsError::NoUser),
            Some((user, key)) if key.starts_with(key::MARK) => Ok(Self::Key {
                user: user.to_owned(),
                key: Secret::new(key),
            }),
            _ => Ok(Self::Bearer(Secret::new(token))),
        }
    }
}

impl Authorization {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, CredentialsError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(CredentialsError::MoreThanOne);
        }
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| CredentialsError::NotUtf8)?;
        let (scheme, rest) = value.split_once(' ').ok_or(CredentialsError::Scheme)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            Self::basic(rest).map(Some)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            if rest.is_empty() {
                return Err(CredentialsError::NoToken);
            }
            Ok(Some(Self::Bearer(Secret::new(rest))))
        } else {
            Err(CredentialsError::Scheme)
        }
    }

    fn basic(encoded: &str) -> Result<Self, CredentialsError> {
        let decoded = STANDARD_PAD_INDIFFERENT
            .decode(encoded)
            .map_err(|_| CredentialsError::Base64)?;
        let text = String::from_utf8(decoded).map_err(|_| CredentialsError::NotUtf8)?;
        let (user, password) = text.split_once(':').ok_or(CredentialsError::NoColon)?;
        if password.is_empty() {
            return Err(CredentialsError::NoToken);
        }
        Ok(Self::Basic {
            user: user.to_owned(),
            password: Secret::new(password),
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderValue;

    use super::*;

    fn check(values: &[&[u8]], expected: &Result<Option<Credentials>, CredentialsError>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let shown = values
            .iter()
            .map(|value| String::from_utf8_lossy(value))
            .collect::<Vec<_>>();
        assert_eq!(&Credentials::from_authorization(&headers), expected, "{shown:?}");
    }

    fn basic(text: &[u8]) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(text)).into_bytes()
    }

    fn key(user: &str, key: &str) -> Credentials {
        Credentials::Key {
            user: user.into(),
            key: Secret::new(key),
        }
    }

    fn bearer(token: &str) -> Credentials {
        Credentials::Bearer(Secret::new(token))
    }

    #[test]
    fn credentials_in_the_header() {
        check(&[], &Ok(None));
        check(&[&basic(b"me:drg_x")], &Ok(Some(key("me", "drg_x"))));
        check(&[&basic("zoë:a:b ü".as_bytes())], &Ok(Some(key("zoë", "a:b ü"))));
        check(&[b"basic bWU6ZHJnX3g"], &Ok(Some(key("me", "drg_x"))));
        check(&[b"BASIC   bWU6ZHJnX3g="], &Ok(Some(key("me", "drg_x"))));
        check(&[b"Bearer eyJ.a.b"], &Ok(Some(bearer("eyJ.a.b"))));
        check(&[b"bearer eyJ.a.b"], &Ok(Some(bearer("eyJ.a.b"))));
        check(&[b"Bearer me:drg_abc"], &Ok(Some(key("me", "drg_abc"))));
        check(&[b"Bearer a:b:drg_abc"], &Ok(Some(key("a:b", "drg_abc"))));
        check(&[b"Bearer me:other"], &Ok(Some(bearer("me:other"))));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_anonymous() {
        use CredentialsError as E;
        check(&[b"Bearer a", b"Bearer a"], &Err(E::MoreThanOne));
        check(&[&basic(b"me:")], &Err(E::NoToken));
        check(&[b"Bearer  "], &Err(E::NoToken));
        check(&[&basic(b":drg_x")], &Err(E::NoUser));
        check(&[b"Bearer :drg_x"], &Err(E::NoUser));
        check(&[b""], &Err(E::Scheme));
        check(&[b"Basic"], &Err(E::Scheme));
        check(&[b"Digest a=b"], &Err(E::Scheme));
        check(&[b"Basic me:drg_x"], &Err(E::Base64));
        check(&[b"Basic ===="], &Err(E::Base64));
        check(&[&basic(b"me")], &Err(E::NoColon));
        check(&[&basic(b"me:\xff")], &Err(E::NotUtf8));
        check(&[b"Bearer \xff"], &Err(E::NotUtf8));
    }

    #[test]
    fn no_secret_is_printed() {
        for credentials in [key("me", "s3cret"), bearer("s3cret")] {
            let text = format!("{credentials:?}");
            assert!(text.contains("..") && !text.contains("s3cret"), "{text}");
        }
    }
}

//! Tokens of providers: JSON Web Tokens (RFC 7519), signed (RFC 7515), taken apart and judged without I/O or clock.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use sockeye_limits as limits;
use sockeye_registry::UserIdentity;

use crate::oidc::Issuer;
use crate::oidc::key::Algorithm;

/// Why a token does not count. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts in base64url, or not JSON within.
    #[error("the token is no JSON Web Token: copy it whole")]
    Malformed,
    /// Over [`limits::TOKEN`].
    #[error("the token is longer than {} bytes", limits::TOKEN)]
    TooLong,
    /// `none`, a symmetric algorithm, one that is not known, or not one of the key.
    #[error("the token is not signed by an algorithm that is accepted: RS, PS, ES or EdDSA, as its key demands")]
    Algorithm,
    /// It says that it cannot be understood without an extension (`crit`).
    #[error("the token demands an extension (`crit`) that is not known here")]
    Critical,
    /// `iss` is not configured.
    #[error("the token is of an issuer (`iss`) that this server does not accept")]
    Issuer,
    /// Neither `aud` nor `azp` is configured.
    #[error("the token is not meant for this server: neither `aud` nor `azp` is one that it accepts")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet (`nbf`)")]
    NotYet,
    /// A claim is missing, or of another type.
    #[error("the token has no claim `{0}`, or one of another type")]
    Claim(&'static str),
    /// No claim has a name for the user.
    #[error("the token has no name of a user that can be used here: 1 to 254 bytes, no colon, no control characters")]
    Name,
    /// The issuer has no such key.
    #[error("the token is signed with a key that its issuer does not have (`kid`)")]
    UnknownKey,
    /// It was changed, or signed with another key.
    #[error("the signature of the token is wrong")]
    Signature,
}

/// A token that was taken apart; nothing of it is proved.
pub(crate) struct Token<'a> {
    pub(crate) algorithm: Algorithm,
    /// Which key it says to be signed with.
    pub(crate) kid: Option<String>,
    claims: Map<String, Value>,
    /// What is signed.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// Who a token is for. True only once its signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) identity: UserIdentity,
    /// What people call the user.
    pub(crate) name: String,
    /// Has a role that may do everything.
    pub(crate) admin: bool,
    /// From when on it does not count.
    pub(crate) expires: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

// ----------------------------------------------------------------------------------------------

impl<'a> Token<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > limits::TOKEN {
            return Err(TokenError::TooLong);
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        Ok(Self {
            algorithm: Algorithm::named(&header.alg).ok_or(TokenError::Algorithm)?,
            kid: header.kid,
            claims,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// Tells the token, with its signature, from all others.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        hash.update(self.signed);
        hash.update(b".");
        hash.update(&self.signature);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.finish().as_ref());
        bytes
    }

    /// The claim `iss`.
    pub(crate) fn issuer(&self) -> Result<&str, TokenError> {
        self.text("iss").ok_or(TokenError::Claim("iss"))
    }

    /// What the claims say, if they are for us and for now. That `nbf` may be a little ahead makes up for clocks that differ; no
    /// token lives a moment longer than it says.
    pub(crate) fn judge(&self, issuer: &Issuer, now: Timestamp) -> Result<Claims, TokenError> {
        let clients = ["azp", "appid"].into_iter().filter_map(|name| self.text(name));
        if !self
            .audiences()
            .chain(clients)
            .any(|name| issuer.audiences.contains(name))
        {
            return Err(TokenError::Audience);
        }
        let expires = self.time("exp")?.ok_or(TokenError::Claim("exp"))?;
        if expires <= now {
            return Err(TokenError::Expired);
        }
        if self.time("nbf")?.is_some_and(|from| from > now + limits::TOKEN_LEEWAY) {
            return Err(TokenError::NotYet);
        }
        let subject = self.text("sub").filter(|subject| !subject.is_empty());
        Ok(Claims {
            identity: UserIdentity {
                issuer: issuer.url.clone(),
                subject: subject.ok_or(TokenError::Claim("sub"))?.to_owned(),
            },
            name: self.name(issuer).ok_or(TokenError::Name)?,
            admin: issuer
                .admin_role
                .as_ref()
                .is_some_and(|role| self.has_role(issuer, role)),
            expires,
        })
    }

    fn name(&self, issuer: &Issuer) -> Option<String> {
        let verified = |claim: &str| claim != "email" || self.claims.get("email_verified") == Some(&Value::Bool(true));
        let claims = issuer.shape.names.iter().copied().filter(|claim| verified(claim));
        let names = claims.chain(["sub"]).filter_map(|claim| self.text(claim));
        names.into_iter().find(|name| is_user_name(name)).map(str::to_owned)
    }

    fn has_role(&self, issuer: &Issuer, wanted: &str) -> bool {
        let is_there = |roles: &Value| {
            roles
                .as_array()
                .is_some_and(|roles| roles.iter().any(|role| role == wanted))
        };
        let of_clients = issuer.audiences.iter().filter_map(|audience| {
            let clients = self.claims.get(issuer.shape.client_roles?)?;
            clients.get(audience)?.get("roles")
        });
        let of_all = issuer.shape.roles.iter().filter_map(|path| {
            let (first, rest) = path.split_first()?;
            rest.iter()
                .try_fold(self.claims.get(*first)?, |found, name| found.get(name))
        });
        of_clients.chain(of_all).any(is_there)
    }

    /// `aud`: absent, a text or an array (RFC 7519 section 4.1.3).
    fn audiences(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self.claims.get("aud") {
            Some(Value::String(one)) => (Some(one.as_str()), None),
            Some(Value::Array(many)) => (None, Some(many)),
            _ => (None, None),
        };
        one.into_iter()
            .chain(many.into_iter().flatten().filter_map(Value::as_str))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A NumericDate: seconds, perhaps with a fraction, which is cut off. A time that no clock shows is no time.
    fn time(&self, name: &'static str) -> Result<Option<Timestamp>, TokenError> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let seconds = value
            .as_i64()
            .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(Some).ok_or(TokenError::Claim(name))
    }
}

/// Whether somebody can be called so: the name stands in `Authorization`, before a colon.
pub fn is_user_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= limits::USER_NAME && !name.contains(|c: char| c.is_control() || c == ':')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oidc::Shape;

    const NOW: i64 = 1_700_000_000;

    fn token(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.AAAA", part(&json!({"alg": "RS256", "kid": "k"})), part(claims))
    }

    /// What is wrong with a token that has these claims beside those of a good one.
    fn check(shape: Shape, more: &Value, expected: Result<(&str, bool), TokenError>) {
        let mut claims = json!({"iss": "https://id.example", "sub": "1", "azp": "drogue", "exp": NOW + 60});
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let issuer = Issuer {
            audiences: ["drogue".to_owned(), "api://sockeye".to_owned()].into(),
            ..Issuer::new("https://id.example", shape)
        };
        let text = token(&claims);
        let judged = Token::parse(&text)
            .unwrap()
            .judge(&issuer, Timestamp::from_second(NOW).unwrap());
        let judged = judged.map(|claims| (claims.name, claims.admin));
        let expected = expected.map(|(name, admin)| (name.to_owned(), admin));
        assert_eq!(judged, expected, "{shape:?} {more}");
    }

    #[test]
    fn times() {
        let keycloak = Shape::KEYCLOAK;
        check(keycloak, &json!({}), Ok(("1", false)));
        check(keycloak, &json!({"exp": NOW + 1}), Ok(("1", false)));
        check(keycloak, &json!({"exp": NOW as f64 + 1.5}), Ok(("1", false)));
        check(keycloak, &json!({"exp": NOW}), Err(TokenError::Expired));
        check(keycloak, &json!({"exp": NOW as f64 + 0.9}), Err(TokenError::Expired));
        check(keycloak, &json!({"exp": null}), Err(TokenError::Claim("exp")));
        check(keycloak, &json!({"exp": "soon"}), Err(TokenError::Claim("exp")));
        check(keycloak, &json!({"exp": 1e300}), Err(TokenError::Claim("exp")));
        check(keycloak, &json!({"nbf": NOW + 5}), Ok(("1", false)));
        check(keycloak, &json!({"nbf": NOW + 6}), Err(TokenError::NotYet));
        check(keycloak, &json!({"nbf": "later"}), Err(TokenError::Claim("nbf")));
    }

    #[test]
    fn for_whom() {
        let dex = Shape::DEX;
        check(dex, &json!({"azp": null, "aud": "drogue"}), Ok(("1", false)));
        check(dex, &json!({"azp": null, "aud": ["x", "drogue"]}), Ok(("1", false)));
        check(dex, &json!({"azp": "drogue", "aud": "account"}), Ok(("1", false)));
        check(dex, &json!({"azp": null, "appid": "drogue"}), Ok(("1", false)));
        for claims in [
            json!({"azp": null}),
            json!({"azp": "other"}),
            json!({"azp": null, "aud": []}),
            json!({"azp": null, "aud": [["drogue"]]}),
            json!({"azp": null, "aud": {"drogue": true}}),
            json!({"azp": ["drogue"], "aud": "other"}),
        ] {
            check(dex, &claims, Err(TokenError::Audience));
        }
        check(dex, &json!({"sub": ""}), Err(TokenError::Claim("sub")));
        check(dex, &json!({"sub": 1}), Err(TokenError::Claim("sub")));
    }

    #[test]
    fn names_and_roles_of_providers() {
        let admin = "drogue-admin";
        let (keycloak, dex, entra) = (Shape::KEYCLOAK, Shape::DEX, Shape::ENTRA);
        let named = json!({"preferred_username": "eve", "realm_access": {"roles": ["x", admin]}});
        check(keycloak, &named, Ok(("eve", true)));
        let of_client = |client: &str| json!({"resource_access": {client: {"roles": [admin]}}});
        check(keycloak, &of_client("drogue"), Ok(("1", true)));
        check(keycloak, &of_client("another"), Ok(("1", false)));
        check(
            keycloak,
            &json!({"realm_access": admin, "groups": [admin]}),
            Ok(("1", false)),
        );
        let email = json!({"email": "eve@example.test", "email_verified": true, "groups": [admin]});
        check(dex, &email, Ok(("eve@example.test", true)));
        check(dex, &json!({"email": "eve@example.test"}), Ok(("1", false)));
        let of_entra = json!({"preferred_username": "eve@corp.test", "oid": "o", "roles": [admin]});
        check(entra, &of_entra, Ok(("eve@corp.test", true)));
        check(entra, &json!({"oid": "o"}), Ok(("o", false)));
        check(keycloak, &json!({"preferred_username": "a:b"}), Ok(("1", false)));
        let unusable = json!({"preferred_username": "", "sub": "a:b"});
        check(keycloak, &unusable, Err(TokenError::Name));
    }

    #[test]
    fn what_is_no_token() {
        let good = token(&json!({}));
        let head = |header: &Value| {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            format!("{header}.{}", good.split_once('.').unwrap().1)
        };
        for (text, expected) in [
            (String::new(), TokenError::Malformed),
            ("a.b".to_owned(), TokenError::Malformed),
            (good[..good.len() - 8].to_owned(), TokenError::Malformed),
            (good.replacen('.', "", 1), TokenError::Malformed),
            (format!("{good}.x"), TokenError::Malformed),
            (format!("{good}="), TokenError::Malformed),
            ("a".repeat(100_000), TokenError::TooLong),
            (head(&json!({"alg": "none"})), TokenError::Algorithm),
            (head(&json!({"alg": "HS256", "kid": "k"})), TokenError::Algorithm),
            (head(&json!({"alg": "RS256", "crit": ["b64"]})), TokenError::Critical),
            (head(&json!({"kid": "k"})), TokenError::Malformed),
            (head(&json!(["RS256"])), TokenError::Malformed),
        ] {
            assert_eq!(Token::parse(&text).err(), Some(expected), "{text:.60}");
        }
        assert!(Token::parse(&good).is_ok());
    }
}
